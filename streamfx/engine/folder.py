"""Engine: a trained generator in its folder. Reading, verifying, writing and finding such folders.

    engine.yaml           what it is (`EngineSpec`), with the hash of every other file
    weights.safetensors   the weights
    golden.npz            a small input and the heads it must give (`Golden`)
    openvino.zip          the network as OpenVINO runs it, so that this needs no torch; optional
    card.md, sheet.jpg    for people

Nothing in a folder is executed and nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import ValidationError

from streamfx.engine.folder_files import MOST_FILES, read_file, read_values
from streamfx.engine.golden import Golden
from streamfx.engine.spec import FORMATS, EngineSpec
from streamfx.errors import EngineCorruptError, EngineMismatchError, EngineNotFoundError, printable

if TYPE_CHECKING:
    from torch import nn

SPEC, WEIGHTS, GOLDEN, GRAPH, CARD, SHEET = (
    "engine.yaml",
    "weights.safetensors",
    "golden.npz",
    "openvino.zip",
    "card.md",
    "sheet.jpg",
)
_REQUIRED = (WEIGHTS, GOLDEN, CARD)


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """An engine whose files were verified. Cheap: the network is built only where a backend needs it.

    Attributes:
        folder: place where it lies.
        spec: description of the engine, read from engine.yaml.
        golden: golden frame.
    """

    folder: Path
    spec: EngineSpec
    golden: Golden

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def digest(self) -> str:
        """Hash of everything the engine consists of, hexadecimal."""
        return self.spec.digest

    @property
    def stride(self) -> int:
        return self.spec.stride

    @property
    def factor_range(self) -> tuple[float, float]:
        """The smallest and the largest factor that may be asked for."""
        return min(self.spec.factors), max(self.spec.factors)

    def input_shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        """Return the shape of what the network sees of a (height, width) picture, rounded up to strides."""
        height, width = (-(-side // self.stride) * self.stride for side in size)
        if self.spec.layout == "i420":
            return 1, height * 3 // 2, width
        return self.spec.input_channels, height, width

    def file(self, name: str) -> bytes | None:
        """Return what a file of the folder holds, verified again; None where the engine has no such file.

        Raises:
            EngineCorruptError: it is not the file that was recorded any more.
        """
        return _read_verified(self.folder, name, self.spec.files) if name in self.spec.files else None

    def network(self) -> nn.Module:
        """Return the network with its weights, in evaluation mode; imports torch.

        Raises:
            EngineCorruptError: the weights are not those of the network described.
            EngineMismatchError: this version of streamfx does not know the engine's family.
        """
        from streamfx.engine.families.build import NETWORKS, build_network
        from streamfx.engine.families.limits import check_network

        weights, family = _read_verified(self.folder, WEIGHTS, self.spec.files), self.spec.family
        try:
            if family in NETWORKS:
                check_network(NETWORKS[family], self.spec.options, weights)
            return build_network(family, self.spec.options, weights)
        except (EngineCorruptError, EngineMismatchError) as error:
            raise type(error)(f"engine {self.folder}: {error}") from error
        except ValueError as error:
            raise EngineCorruptError(f"engine {self.folder}, family {family}: {error}") from error


def read_engine(folder: Path) -> Engine:
    """Return the engine in ``folder``, after verifying the hash of every file.

    Raises:
        EngineNotFoundError: there is no engine.yaml in the folder.
        EngineCorruptError: a file is missing, unreadable or not the one that was recorded.
        EngineMismatchError: the folder is of a format that this version of streamfx does not read.
    """
    spec = read_spec(folder)
    if missing := [name for name in _REQUIRED if name not in spec.files]:
        raise EngineCorruptError(f"{folder / SPEC}: files must list {', '.join(missing)} with its hash")
    if len(spec.files) > MOST_FILES:
        raise EngineCorruptError(f"{folder / SPEC} lists {len(spec.files)} files, more than {MOST_FILES}")
    content = {name: _read_verified(folder, name, spec.files) for name in spec.files}
    try:
        golden = Golden.from_bytes(content[GOLDEN])
    except ValueError as error:
        raise EngineCorruptError(f"{folder / GOLDEN} does not hold a golden frame: {error}") from error
    if len(golden.heads) < len(spec.heads):
        raise EngineCorruptError(
            f"{folder / GOLDEN}: {len(golden.heads)} channels of heads are fewer than the heads of {SPEC}"
        )
    return Engine(folder, spec, golden)


def read_spec(folder: Path) -> EngineSpec:
    """Return what engine.yaml in ``folder`` says, without looking at the other files.

    Raises:
        EngineNotFoundError: there is no such file.
        EngineCorruptError: it cannot be read, or is not a description of an engine.
        EngineMismatchError: the folder is of a format that this version of streamfx does not read.
    """
    path = folder / SPEC
    try:
        values = read_values(read_file(path))
    except FileNotFoundError as error:
        raise EngineNotFoundError(f"{folder} is not an engine folder: it has no {SPEC}") from error
    except OSError as error:
        raise EngineCorruptError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise EngineCorruptError(f"cannot read {path}: {error}") from error
    if isinstance(values, dict) and values.get("format", FORMATS[0]) not in FORMATS:
        raise EngineMismatchError(
            f"{path} is of format {values['format']}; this version of streamfx reads formats "
            f"{', '.join(map(str, FORMATS))}"
        )
    try:
        return EngineSpec.model_validate(values)
    except ValidationError as error:
        raise EngineCorruptError(f"{path} does not describe an engine: {_problems(error)}") from error


def read_card(folder: Path) -> str:
    """Return what the card in ``folder`` says, without characters that are not to be printed.

    Raises:
        EngineCorruptError: there is none, or it cannot be read.
    """
    try:
        return printable(read_file(folder / CARD).decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise EngineCorruptError(f"cannot read {folder / CARD}: {error}") from error


def write_engine(
    folder: Path,
    spec: EngineSpec | Mapping[str, object],
    *,
    weights: bytes,
    golden: Golden,
    card: str,
    sheet: bytes | None = None,
    graph: bytes | None = None,
) -> Engine:
    """Write an engine folder, replacing what is there, and return the engine as read back from it.

    It is written beside its place and moved there when complete.

    Args:
        folder: destination; its parent is made where needed.
        spec: description of the engine; its file hashes are filled in here.
        weights: a safetensors file.
        golden: a small input and the heads it must give.
        card: text for people, Markdown.
        sheet: pictures before and after, a JPEG file.
        graph: network as OpenVINO runs it.

    Raises:
        EngineCorruptError: the spec is not one of an engine.
    """
    content = {WEIGHTS: weights, GOLDEN: golden.to_bytes(), CARD: card.encode()}
    content |= {name: data for name, data in ((SHEET, sheet), (GRAPH, graph)) if data is not None}
    values = dict(spec.model_dump() if isinstance(spec, EngineSpec) else spec)
    values["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    try:
        checked = EngineSpec.model_validate(values)
    except ValidationError as error:
        raise EngineCorruptError(f"cannot write engine {folder}: {_problems(error)}") from error
    content[SPEC] = yaml.safe_dump(
        checked.model_dump(mode="json"), sort_keys=False, allow_unicode=True
    ).encode()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, data in content.items():
            (temporary / name).write_bytes(data)
        temporary.chmod(0o755)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            folder.rename(old / "engine")
            temporary.rename(folder)
            shutil.rmtree(old)
        else:
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return read_engine(folder)


def _read_verified(folder: Path, name: str, files: Mapping[str, str]) -> bytes:
    path = folder / name
    try:
        data = read_file(path)
    except OSError as error:
        raise EngineCorruptError(f"cannot read {path}, which {SPEC} lists: {error.strerror}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != files[name]:
        raise EngineCorruptError(
            f"{path} is not the file that was recorded: its SHA-256 is {found}, {SPEC} says {files[name]}; "
            "get the engine again"
        )
    return data


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'content'}: {problem['msg']}" for problem in error.errors()
    )
