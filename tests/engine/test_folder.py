"""Engine folders: what is read back, what is refused, and how they are found."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from streamfx.engine.folder import Engine, read_engine, write_engine
from streamfx.engine.golden import difference
from streamfx.engine.library import engine_folders, list_engines, load_engine
from streamfx.errors import EngineCorruptError, EngineMismatchError, EngineNotFoundError
from tests.engines import make_engine


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMFX_ENGINES", str(tmp_path / "engines"))
    return make_engine(tmp_path / "engines")


def describe(folder: Path, **changes: Any) -> None:
    """Change engine.yaml; None removes a key."""
    values = yaml.safe_load((folder / "engine.yaml").read_text())
    values.update(changes)
    kept = {key: value for key, value in values.items() if value is not None}
    (folder / "engine.yaml").write_text(yaml.safe_dump(kept))


def put(folder: Path, name: str, data: bytes) -> None:
    """Replace a file and record its hash, as somebody would who makes engines by hand."""
    (folder / name).write_bytes(data)
    files = yaml.safe_load((folder / "engine.yaml").read_text())["files"]
    describe(folder, files={**files, name: hashlib.sha256(data).hexdigest()})


def rewrite(engine: Engine, **changes: Any) -> Engine:
    """Write an engine again where it lies, with changes to its description."""
    spec = {**engine.spec.model_dump(), **changes}
    weights = (engine.folder / "weights.safetensors").read_bytes()
    return write_engine(engine.folder, spec, weights=weights, golden=engine.golden, card="# Again\n")


def test_an_engine_that_was_written_is_read_back_and_its_network_gives_its_golden_heads(folder: Path) -> None:
    import torch

    engine = read_engine(folder)
    golden = engine.golden
    with torch.inference_mode():
        heads = engine.network()(
            torch.from_numpy(golden.planes)[None],
            torch.from_numpy(golden.to_rgb),
            torch.from_numpy(golden.from_rgb),
            torch.tensor([golden.factor]),
        )[0].numpy()
    assert engine.name == "tiny"
    assert list(engine.factor_range) == [1, 8]
    assert difference(heads, golden).largest < 1e-3


def test_writing_an_engine_again_replaces_it_and_leaves_nothing_else_behind(folder: Path) -> None:
    engine = read_engine(folder)
    again = rewrite(engine, version="2.0")
    assert read_engine(folder).spec.version == "2.0"
    assert again.digest != engine.digest
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_a_description_that_is_refused_leaves_the_engine_that_was_there(folder: Path) -> None:
    engine = read_engine(folder)
    with pytest.raises(EngineCorruptError, match=r"cannot write engine .*tiny: .*stride"):
        rewrite(engine, stride=0)
    assert read_engine(folder).digest == engine.digest
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


@pytest.mark.parametrize("name", ["weights.safetensors", "golden.npz", "card.md"])
def test_a_file_with_one_byte_changed_is_refused_with_both_hashes(folder: Path, name: str) -> None:
    recorded = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(EngineCorruptError) as caught:
        load_engine("tiny")
    assert str(folder / name) in str(caught.value)
    assert recorded in str(caught.value)
    assert hashlib.sha256(data).hexdigest() in str(caught.value)


def test_weights_changed_after_loading_are_refused_when_the_network_is_built(folder: Path) -> None:
    engine = read_engine(folder)
    (folder / "weights.safetensors").write_bytes(b"other weights")
    with pytest.raises(EngineCorruptError, match="not the file that was recorded"):
        engine.network()


def test_a_listed_file_that_is_missing_is_named(folder: Path) -> None:
    (folder / "card.md").unlink()
    with pytest.raises(EngineCorruptError, match=r"card\.md, which engine\.yaml lists: No such file"):
        read_engine(folder)


def test_a_description_must_list_weights_golden_frame_and_card(folder: Path) -> None:
    describe(folder, files={})
    with pytest.raises(
        EngineCorruptError, match=r"files must list weights\.safetensors, golden\.npz, card\.md"
    ):
        read_engine(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "blue"}, "colour: Extra inputs are not permitted"),
        ({"stride": "wide"}, "stride: Input should be a valid integer"),
        ({"licence": None}, "licence: Field required"),
        ({"factors": [0.5]}, "factors.0: Input should be greater than or equal to 1"),
        ({"name": "../../etc"}, "name: String should match"),
        ({"files": {"../secret": "0" * 64}}, r"files.\.\./secret.*: String should match"),
        ({"controls": {}}, "controls: Value error, must hold 'strength', within 0 and 1"),
        (
            {"controls": {"strength": {"low": 0, "high": 1, "default": 2}}},
            r"default 2.0 must lie between low 0.0 and high 1.0",
        ),
    ],
)
def test_a_wrong_description_is_refused_with_key_and_reason(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    describe(folder, **changes)
    with pytest.raises(
        EngineCorruptError, match=rf"(?s)engine\.yaml does not describe an engine: .*{message}"
    ):
        read_engine(folder)


@pytest.mark.parametrize("text", ["a: [", "\x00", "!!python/object/apply:os.mkdir ['made']", "- a list"])
def test_a_description_that_is_not_plain_yaml_is_refused_and_not_executed(
    folder: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "engine.yaml").write_text(text)
    with pytest.raises(EngineCorruptError, match=r"engine\.yaml"):
        read_engine(folder)
    assert not (folder / "made").exists()


def test_a_folder_of_a_later_format_is_refused_with_all_formats(folder: Path) -> None:
    describe(folder, format=5)
    expected = "is of format 5; this version of streamfx reads formats 1, 2, 3, 4"
    with pytest.raises(EngineMismatchError, match=expected):
        read_engine(folder)


DETAILED = {name: {"low": 0, "high": 1, "default": 1} for name in ("strength", "detail_amplitude")}


@pytest.mark.parametrize(
    "fields",
    [{"fine_luma": 4}, {"heads": ["translated", "mask", "displacement", "detail", "ink"]}],
)
def test_what_format_1_cannot_say_is_refused_there(folder: Path, fields: dict[str, object]) -> None:
    describe(folder, **fields)
    with pytest.raises(EngineCorruptError, match="format is 1, but this needs format 2: ink heads and fine"):
        read_engine(folder)


@pytest.mark.parametrize(
    "fields",
    [
        {"heads": ["residual"], "scale": 4},
        {"noise_channels": 17},
        {"noise_channels": 2, "detail_noise_channels": 1, "controls": DETAILED},
    ],
)
def test_what_format_3_cannot_say_is_refused_there(folder: Path, fields: dict[str, object]) -> None:
    describe(folder, format=3, **fields)
    with pytest.raises(EngineCorruptError, match=r"format is 3, but this needs format 4: .* more than twice"):
        read_engine(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"noise_channels": 1, "detail_noise_channels": 2, "controls": DETAILED}, "are some of the 1 noise"),
        ({"noise_channels": 2, "detail_noise_channels": 1}, "come together; found 1 channels and controls"),
        ({"noise_channels": 2, "controls": DETAILED}, "come together; found 0 channels and controls"),
    ],
)
def test_detail_noise_and_its_control_come_together(
    folder: Path, fields: dict[str, object], message: str
) -> None:
    describe(folder, format=4, **fields)
    with pytest.raises(EngineCorruptError, match=message):
        read_engine(folder)


def test_frames_cannot_become_three_times_as_large(folder: Path) -> None:
    describe(folder, format=4, heads=["residual"], scale=3)
    with pytest.raises(EngineCorruptError, match="2, 4 or 8 times as large, found scale 3"):
        read_engine(folder)


@pytest.mark.parametrize(
    "fields", [{"heads": ["translated"]}, {"noise_channels": 1}, {"layout": "i420"}], ids=str
)
def test_fine_luma_for_anything_but_the_fused_step_is_refused(
    folder: Path, fields: dict[str, object]
) -> None:
    describe(folder, format=2, fine_luma=4, **fields)
    with pytest.raises(EngineCorruptError, match=r"fine luma is for heads that are fused, .*; found heads "):
        read_engine(folder)


def test_a_golden_frame_with_pickled_objects_is_refused_and_not_unpickled(folder: Path) -> None:
    file = io.BytesIO()
    np.savez(file, planes=np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    put(folder, "golden.npz", file.getvalue())
    with pytest.raises(
        EngineCorruptError, match=r"golden\.npz does not hold a golden frame: .*nothing is unpickled"
    ):
        read_engine(folder)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no zip file", b"plain text"])
def test_a_golden_frame_that_is_no_npz_file_is_refused(folder: Path, data: bytes) -> None:
    put(folder, "golden.npz", data)
    with pytest.raises(EngineCorruptError, match=r"golden\.npz does not hold a golden frame"):
        read_engine(folder)


def test_a_golden_frame_of_another_shape_is_refused(folder: Path) -> None:
    engine = read_engine(folder)
    file = io.BytesIO()
    golden = engine.golden
    arrays = {name: getattr(golden, name) for name in ("planes", "to_rgb", "from_rgb", "factor", "heads")}
    np.savez(file, **arrays)
    put(folder, "golden.npz", file.getvalue())
    with pytest.raises(
        EngineCorruptError,
        match=r"golden\.npz does not hold a golden frame: .*must hold one of each; found planes \(3,",
    ):
        read_engine(folder)


def test_a_family_that_is_not_known_is_named_with_those_that_are(folder: Path) -> None:
    engine = rewrite(read_engine(folder), family="dream")
    with pytest.raises(EngineMismatchError, match=r"tiny: family 'dream' is not known .* known: .*warp_mask"):
        engine.network()


def test_options_that_the_family_does_not_have_are_refused(folder: Path) -> None:
    engine = rewrite(read_engine(folder), options={"depth": 3})
    with pytest.raises(EngineCorruptError, match=r"family warp_mask: options \{'depth': 3\} do not fit"):
        engine.network()


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    engine = rewrite(read_engine(folder), options={"stem": 4, "width": 16, "blocks": 1})
    with pytest.raises(EngineCorruptError, match="family warp_mask: the weights are not those of a network"):
        engine.network()


def test_the_digest_of_an_engine_depends_on_every_file(folder: Path) -> None:
    digests = {read_engine(folder).digest}
    for name in ("weights.safetensors", "card.md"):
        put(folder, name, (folder / name).read_bytes() + b" ")
        digests.add(read_engine(folder).digest)
    describe(folder, version="1.1")
    digests.add(read_engine(folder).digest)
    assert len(digests) == 4


# ------------------------------------------------------------------------------------------- finding them


def test_an_engine_that_is_not_there_is_an_error_with_a_hint_the_names_and_the_folders(folder: Path) -> None:
    with pytest.raises(EngineNotFoundError) as caught:
        load_engine("tinny")
    message = str(caught.value)
    assert "there is no engine 'tinny'; did you mean 'tiny'?" in message
    assert "Engines found: " in message
    assert all(str(searched) in message for searched in engine_folders())
    assert folder.parent in engine_folders()


def test_an_engine_is_found_by_path_wherever_it_lies(tmp_path: Path) -> None:
    folder = make_engine(tmp_path / "somewhere")
    assert load_engine(folder).name == load_engine(str(folder)).name == "tiny"


def test_a_folder_that_holds_no_engine_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(
        EngineNotFoundError, match=rf"{tmp_path} is not an engine folder: it has no engine\.yaml"
    ):
        load_engine(tmp_path)


def test_of_two_engines_of_one_name_the_folder_named_first_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_engine(tmp_path / "a", seed=1), make_engine(tmp_path / "b", seed=2)
    monkeypatch.setenv("STREAMFX_ENGINES", f"{first.parent}:{second.parent}")
    assert load_engine("tiny").folder == first


def test_a_broken_engine_is_listed_with_what_is_wrong_and_a_half_written_one_is_not(folder: Path) -> None:
    broken = make_engine(folder.parent, "broken")
    describe(broken, stride=None)
    make_engine(folder.parent, "half").rename(folder.parent / ".half-0")
    listed = {found.name: found for found in list_engines() if found.folder.parent == folder.parent}
    assert set(listed) == {"broken", "tiny"}
    assert listed["tiny"].spec is not None
    assert listed["tiny"].problem is None
    assert listed["broken"].spec is None
    assert "stride: Field required" in (listed["broken"].problem or "")


def test_shipped_engines_are_whole() -> None:
    """Every engine in the checkout passes its own verification and says what it is for."""
    shipped = Path(__file__).parents[2] / "engines"
    for folder in sorted(path.parent for path in shipped.glob("*/engine.yaml")):
        engine = read_engine(folder)
        assert engine.name == folder.name
        if "sheet.jpg" in engine.spec.files:
            assert (folder / "sheet.jpg").read_bytes()[:2] == b"\xff\xd8"
        assert len((folder / "card.md").read_text()) > 200
