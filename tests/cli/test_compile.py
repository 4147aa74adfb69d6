"""``streamfx compile`` as a user meets it: made ahead, found by a run, listed, removed; what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import streamfx
from streamfx.backends.backend import CompileOptions
from streamfx.backends.store import CompiledStore
from streamfx.backends.tensorrt import TensorRtBackend
from streamfx.backends.torch_engine import TorchEngine
from streamfx.cli import main
from streamfx.engine.folder import Engine
from tests import media
from tests.backends.test_tensorrt import open_fake

pytestmark = pytest.mark.usefixtures("at_home")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CompiledStore:
    """An empty store that the command line uses."""
    monkeypatch.setenv("STREAMFX_CACHE", str(tmp_path / "cache"))
    return CompiledStore()


def test_what_is_compiled_ahead_is_told_and_then_there_already_and_a_run_adds_nothing(
    store: CompiledStore, capsys: pytest.CaptureFixture[str]
) -> None:
    ahead = ["compile", "tiny", "--backend", "openvino", "--factor", "2", "--size", "128x72"]
    assert main(ahead) == 0
    made = [entry.path for entry in store.entries()]
    assert len(made) == 2  # the network, and it for this factor and these colours
    first, *files, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"tiny, factor 2: made in \d+\.\d s", first)
    assert [line.split()[0] for line in files] == [path.name for path in made]
    assert re.fullmatch(
        r"2 compiled engines made with openvino for 8-bit video of 128x72 in \d+\.\d s, \d+\.\d MB; "
        rf"0 there already; in {re.escape(str(store.folder))}",
        last,
    )
    assert main(ahead) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first == "tiny, factor 2: there already"
    assert last.startswith("0 compiled engines made with openvino ")
    assert "; 1 there already; " in last
    clip = media.make_clip(Path("in.mkv"), size=(72, 128), frames=2, audio=False)
    report = streamfx.transcode(clip, "null:", effects=["tiny"], backend="openvino", factor=2)
    assert report.effects[0].backend == "openvino"
    assert [entry.path for entry in store.entries()] == made, "what a run needs was all there"


def test_without_a_factor_each_that_a_run_may_choose_is_made_unless_the_effect_names_its_own(
    store: CompiledStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compile", "tiny", "tiny:factor=3", "--size", "128x72", "--backend", "openvino"]) == 0
    lines = [line.partition(": ") for line in capsys.readouterr().out.splitlines() if ", factor " in line]
    names = [f"tiny, factor {factor}" for factor in (1, 2, 4, 8)]
    assert [name for name, _, _ in lines] == [*names, "tiny:factor=3, factor 3"]
    assert all(said.startswith("made in ") for _, _, said in lines)
    assert len(store.entries()) == 6


def test_what_is_kept_can_be_listed_and_removed(
    store: CompiledStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compile", "tiny", "--backend", "openvino", "--factor", "2"]) == 0
    capsys.readouterr()
    assert main(["compile", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].split()[3:6] == ["tiny", "for", "openvino"]
    assert listed[-1].endswith(f"in {store.folder}")
    assert main(["compile", "--clear"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("removed 2 compiled engines, ")
    assert store.entries() == ()


def test_plans_of_tensorrt_are_waited_for_and_kept(
    store: CompiledStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_with_fake(_: object, engine: Engine, options: CompileOptions) -> TorchEngine:
        return open_fake(engine, options.store, build=options.build)

    monkeypatch.setattr(TensorRtBackend, "availability", lambda _: None)
    monkeypatch.setattr(TensorRtBackend, "compile", compile_with_fake)
    monkeypatch.setattr("torch.cuda.current_stream", lambda device: SimpleNamespace(cuda_stream=1))
    ahead = ["compile", "tiny", "--backend", "tensorrt", "--factor", "2", "--size", "128x96"]
    for there in (0, 1):
        assert main(ahead) == 0
        assert f"; {there} there already; " in capsys.readouterr().out
    (entry,) = store.entries()
    assert entry.key is not None
    assert (entry.key.backend, entry.key.sizes) == ("tensorrt", "1x3x48x64")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name effects to compile ahead ('streamfx effects' lists them), or give --list or --clear"),
        (["tiny", "--list"], "or give --list or --clear, alone"),
        (["tiny", "tinny"], "there is no engine 'tinny'; did you mean 'tiny'?"),
        (["tiny", "--factor", "5"], "factor: must be 'auto' or one of 1, 1.5, 2, 3, 4, 6, 8, found 5"),
        (["tiny", "--size", "128"], "--size: must be WIDTHxHEIGHT or one of 360p, "),
        (["tiny", "--backend", "openvno"], "backend: must be 'auto', "),
        (["tiny", "--backend", "eager"], "nothing that backend eager makes is kept from one run to the next"),
    ],
)
def test_what_cannot_be_compiled_is_refused_and_nothing_is_made(
    arguments: list[str], message: str, store: CompiledStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compile", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert store.entries() == ()
