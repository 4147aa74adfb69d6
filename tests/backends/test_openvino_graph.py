"""Graphs: networks as OpenVINO runs them travel with engines, refer to their weights, and need no torch."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from streamfx.backends.backend import CompileOptions, Precision
from streamfx.backends.openvino import OpenVinoBackend
from streamfx.backends.openvino_graph import DATA, MODEL, pack, unpack
from streamfx.backends.openvino_model import convert
from streamfx.engine.folder import GRAPH, WEIGHTS, Engine, read_engine
from tests.engines import make_engine
from training.export import add_graph

ROOT = Path(__file__).parents[2]
SHIPPED = [path.parent for path in sorted((ROOT / "engines").glob("*/engine.yaml"))]
WITHOUT_TORCH = """
import sys
from importlib.machinery import PathFinder

class Hidden(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.partition(".")[0] in ("torch", "triton")
        return None if hidden else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Hidden
from streamfx.cli import main
code = main(sys.argv[1:])
assert "torch" not in sys.modules
sys.exit(code)
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return add_graph(make_engine(tmp_path_factory.mktemp("engines")))


def weights_of(engine: Engine) -> bytes:
    found = engine.file(WEIGHTS)
    assert found is not None
    return found


def graph_of(engine: Engine) -> bytes:
    found = engine.file(GRAPH)
    assert found is not None
    return found


def changed(graph: bytes, **entries: bytes) -> bytes:
    """The graph with other entries in place of some."""
    with zipfile.ZipFile(io.BytesIO(graph)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, data in (parts | {name.replace("_", "."): data for name, data in entries.items()}).items():
            file.writestr(name, data)
    return packed.getvalue()


def test_a_graph_gives_back_what_was_converted_and_holds_no_weight_itself(engine: Engine) -> None:
    model, weights = convert(engine), weights_of(engine)
    graph = pack(model, weights)
    assert unpack(graph, weights) == model
    with zipfile.ZipFile(io.BytesIO(graph)) as file:
        assert len(file.read("constants.bin")) < 0.05 * len(model[DATA])


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_shipped_engines_bring_a_graph_of_their_own_weights(folder: Path) -> None:
    engine = read_engine(folder)
    model = unpack(graph_of(engine), weights_of(engine))
    assert model[MODEL].startswith(b"<?xml")
    assert len(model[DATA]) >= 0.9 * len(weights_of(engine))


def test_an_engine_with_a_graph_is_not_converted_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamfx.backends.openvino.convert", lambda _: pytest.fail("converted"))
    OpenVinoBackend().compile(engine, CompileOptions(Precision.F32)).close()


def test_a_video_is_made_without_torch(tmp_path: Path) -> None:
    options = ["out.mkv", "--effect", "toon", "--codec", "ffv1", "--report", "report.json"]
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "transcode", "test:bars?size=128x96&frames=2", *options],
        cwd=tmp_path, env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert "openvino" in json.dumps(report)


def test_a_graph_of_other_weights_or_a_damaged_one_is_refused(engine: Engine) -> None:
    graph, weights = graph_of(engine), weights_of(engine)
    model = unpack(graph, weights)[MODEL]
    for wrong, reason in (
        (b"no archive", "not a graph file"),
        (changed(graph, places_json=b"{"), "not a graph file|Expecting"),
        (changed(graph, places_json=b'[[0, 4, "nobody"]]'), "nobody"),
        (changed(graph, places_json=b"[[0, 4000000000, null]]"), "does not have 4000000000 bytes"),
        (changed(graph, constants_bin=bytes(5 << 20)), "more than"),
        (changed(graph, model_xml=b"<!DOCTYPE a>" + model), "declares entities"),
        (changed(graph, model_xml=re.sub(rb"opset\d+", b"extension", model)), "operations of extension"),
        (changed(graph, model_xml=model.replace(b'version="opset1"', b"", 1)), "do not say of which version"),
    ):
        with pytest.raises(ValueError, match=reason):
            unpack(wrong, weights)


def test_where_the_graph_cannot_be_used_the_network_is_converted(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> dict[str, bytes]:
        raise ValueError("it is not a graph file: damaged")

    monkeypatch.setattr("streamfx.backends.openvino.unpack", broken)
    with caplog.at_level(logging.WARNING):
        OpenVinoBackend().compile(engine, CompileOptions(Precision.F32)).close()
    assert "openvino.zip of engine 'tiny' cannot be used, converting it again" in caplog.text
