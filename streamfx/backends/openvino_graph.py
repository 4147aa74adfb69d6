"""Graph: what OpenVINO runs, as it travels in an engine folder, so that running it needs no torch.

A ZIP file of three or four entries: `model.xml`, OpenVINO's description of the network; `places.json`, which
says what each stretch of its data is; `constants.bin`, the few numbers that are not weights; and, where the
network may compute in integers of 8 bits, `ranges.json`, what flows between its layers. The weights are those
of the engine, bit for bit, and lie in the folder once.

A graph may come from a stranger. Nothing is unpacked beyond the sizes allowed here, the description may name
OpenVINO's own operations only and no file, and what it computes is held against the golden frame as ever.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Mapping

import safetensors.numpy
from safetensors import SafetensorError

from streamfx.backends.openvino_passes import Ranges

MODEL, DATA, RANGES = "model.xml", "model.bin", "ranges.json"
_PLACES, _CONSTANTS = "places.json", "constants.bin"
_MOST_BYTES = {MODEL: 8 << 20, _PLACES: 1 << 20, _CONSTANTS: 4 << 20, RANGES: 1 << 20}
_NEEDED = {MODEL, _PLACES, _CONSTANTS}
_STRETCH = re.compile(rb'<data [^>]*?offset="(\d+)"[^>]*? size="(\d+)"')
_OPSET = re.compile(rb'<layer [^>]*?version="([^"]*)"')


def pack(model: Mapping[str, bytes], weights: bytes, ranges: Ranges | None = None) -> bytes:
    """Return the graph file of a converted network.

    Args:
        model: OpenVINO's two files, by name.
        weights: the engine's weights, a safetensors file.
        ranges: lowest and highest value of what flows between layers, by name; None: not measured.
    """
    names = {array.tobytes(): name for name, array in safetensors.numpy.load(weights).items()}
    places, constants = [], bytearray()
    for offset, size in sorted({(int(at), int(long)) for at, long in _STRETCH.findall(model[MODEL])}):
        stretch = model[DATA][offset : offset + size]
        name = names.get(stretch)
        places.append([offset, size, name])
        if name is None:
            constants += stretch
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, data in (
            (MODEL, model[MODEL]),
            (_PLACES, json.dumps(places).encode()),
            (_CONSTANTS, bytes(constants)),
            *[(RANGES, json.dumps(ranges, indent=1).encode())] * (ranges is not None),
        ):
            file.writestr(
                zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED
            )  # of no date: the same every time
    return packed.getvalue()


def unpack(graph: bytes, weights: bytes) -> dict[str, bytes]:
    """Return OpenVINO's two files, by name, and the ranges where there are any, from a graph file.

    Args:
        graph: the graph file.
        weights: the engine's weights, a safetensors file.

    Raises:
        ValueError: it is no graph, or does not belong to these weights.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(graph)) as file:
            there = set(file.namelist()) | _NEEDED
            parts = {name: _read(file, name) for name in _MOST_BYTES if name in there}
        places = json.loads(parts[_PLACES])
        named = {name: array.tobytes() for name, array in safetensors.numpy.load(weights).items()}
        data = _joined(places, named, parts[_CONSTANTS])
    except (
        KeyError,
        TypeError,
        EOFError,
        OSError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(f"it is not a graph file: {error}") from error
    except SafetensorError as error:
        raise ValueError(f"the weights cannot be read: {error}") from error
    _check_model(parts[MODEL])
    ranges = {RANGES: parts[RANGES]} if RANGES in parts else {}
    for found in ranges.values():
        _check_ranges(found)
    return {MODEL: parts[MODEL], DATA: data, **ranges}


def has_ranges(graph: bytes) -> bool:
    """Tell whether a graph file says what flows between layers, so that integers may be tried."""
    try:
        with zipfile.ZipFile(io.BytesIO(graph)) as file:
            return RANGES in file.namelist()
    except zipfile.BadZipFile:
        return False


def _read(file: zipfile.ZipFile, name: str) -> bytes:
    with file.open(name) as entry:
        data = entry.read(_MOST_BYTES[name] + 1)
    if len(data) > _MOST_BYTES[name]:
        raise ValueError(f"its {name} has more than {_MOST_BYTES[name]} bytes")
    return data


def _joined(places: list[tuple[int, int, str | None]], named: Mapping[str, bytes], constants: bytes) -> bytes:
    most = sum(map(len, named.values())) + len(constants)
    data, used, filled = bytearray(), 0, 0
    for offset, size, name in places:
        stretch = named[name] if name is not None else constants[used : used + size]
        used += size if name is None else 0
        filled += size
        if len(stretch) != size or not len(data) <= offset <= len(data) + 64 or filled > most:
            raise ValueError(
                f"{name or 'a constant'} at {offset} does not have {size} bytes, or does not fit"
            )
        data += bytes(offset - len(data)) + stretch
    return bytes(data)


def _check_model(model: bytes) -> None:
    """Refuse a description that names what OpenVINO would load from elsewhere.

    Raises:
        ValueError: it does.
    """
    if b"<!" in model:
        raise ValueError(f"its {MODEL} declares entities, which no converted network has")
    versions = _OPSET.findall(model)
    if len(versions) != model.count(b"<layer "):
        raise ValueError(f"its {MODEL} has operations that do not say of which version they are")
    if strange := {version.decode("latin-1") for version in versions} - _OPSETS:
        raise ValueError(f"its {MODEL} has operations of {', '.join(sorted(strange))}, not of OpenVINO")


def _check_ranges(data: bytes) -> None:
    """Refuse ranges that are none.

    Raises:
        ValueError: they are not pairs of finite numbers by name, the lower one first.
    """
    ranges = json.loads(data)
    pairs = list(ranges.values()) if isinstance(ranges, dict) else [None]
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(map(_finite, pair)) and pair[0] <= pair[1]):
            raise ValueError(
                f"its {RANGES} must hold pairs of finite numbers, the lower one first; found {pair}"
            )


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < _LARGEST


_LARGEST = 1e30
_OPSETS = {f"opset{number}" for number in range(1, 17)}
