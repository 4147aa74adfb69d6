"""Quantise: measure what flows between the layers of an engine, so that processors may compute in 8 bits.

The weights stay as they are. The ranges go into the engine's graph; `streamfx/backends/openvino_passes.py`
does the rest, and names its source. Pictures then decide: those made with integers must be close to those
made in float32 at every factor. Where they are not, the flows that do most harm stay as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from streamfx.backends.backend import CompiledEngine, CompileOptions, Precision
from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.openvino import OpenVinoBackend
from streamfx.backends.openvino_graph import DATA, MODEL, unpack
from streamfx.backends.openvino_model import measured_ranges
from streamfx.backends.openvino_passes import Ranges
from streamfx.engine.folder import CARD, GRAPH, WEIGHTS, Engine, read_engine
from streamfx.engine.golden import Array
from streamfx.errors import EngineMismatchError
from streamfx.generate.effect import Effect
from streamfx.generate.request import Controls
from streamfx.media.frame import Planes
from training.card import with_section
from training.errors import WrongOptions
from training.evaluation.chosen import to_size
from training.evaluation.section import Section
from training.evaluation.video import to_video
from training.export import with_ranges
from training.pictures import Picture, find_stills, noisy, read_still, to_picture, to_tensor

log = logging.getLogger(__name__)

HEADING = "Integers"
_NOT_GOLDEN_DB = 0.0
_SORTED_BY = 6  # pictures by which flows are sorted by the harm they do


class QuantiseOptions(BaseModel):
    """Settings of `python -m training quantise`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: Path = Field(description="engine folder whose graph gets the ranges")
    version: str | None = Field(default=None, description="version of the engine from now on; None: the same")
    content: list[Path] = Field(default=[Path("training/starter")], description="folders of pictures")
    measured: int = Field(default=60, ge=1, description="number of pictures of which the ranges are")
    judged: int = Field(default=50, ge=1, description="number of other pictures that must stay alike")
    least_psnr_db: float = Field(
        default=45.0, description="least PSNR of a picture made with integers to the one made in float32"
    )
    noise: float = Field(
        default=0.0, ge=0, le=1, description="deviation of noise in the pictures, for networks that remove it"
    )
    seed: int = Field(default=5, description="seed of the choice of pictures")
    threads: int | None = Field(default=None, ge=1, description="processor threads; None: all")


def run(options: QuantiseOptions) -> Engine:
    """Put ranges into the engine folder, and what they cost into its card; return the engine.

    Raises:
        WrongOptions: There are too few pictures, or not even one flow can be in 8 bits.
    """
    pictures = _pictures(options)
    measured, judged = pictures[: options.measured], pictures[options.measured :]
    trial = Trial(read_engine(options.engine), options.threads)
    ranges = trial.ranges(measured)
    wanted = trial.wanted(judged)
    found = trial.psnr_db(ranges, judged, wanted)
    if (worst := _worst(found)) < options.least_psnr_db:
        log.info("a picture stays within %.1f dB only: looking for the flows that do the harm", worst)
        for name in trial.by_harm(ranges, judged[:_SORTED_BY], wanted):
            ranges = {other: pair for other, pair in ranges.items() if other != name}
            found = trial.psnr_db(ranges, judged, wanted)
            worst = _worst(found)
            log.info("without %s, %d flows are left: %.1f dB", name, len(ranges), worst)
            if worst >= options.least_psnr_db or not ranges:
                break
    if not ranges:
        raise WrongOptions(f"no flow of {options.engine} can be in 8 bits within {options.least_psnr_db} dB")
    card = (options.engine / CARD).read_text(encoding="utf-8")
    text = _section(found, trial.engine, len(ranges)).markdown()
    print(text)
    return with_ranges(options.engine, ranges, with_section(card, HEADING, text), options.version)


@dataclass(frozen=True, slots=True)
class Case:
    """Controls under which pictures are made: a factor, and for networks with noise its amplitude."""

    factor: float
    noise_amplitude: float = 0.0


class Trial:
    """An engine tried in float32 and in integers, on video frames of 8 bits, 4:2:0.

    Args:
        engine: The engine.
        threads: Processor threads; None for all.
    """

    def __init__(self, engine: Engine, threads: int | None) -> None:
        self.engine = engine
        self._threads = threads
        factors = [factor for factor in (1.0, 2.0, 4.0) if factor in engine.spec.factors]
        amplitudes = (0.0, 1.0) if engine.spec.noise_channels else (0.0,)
        self.cases = [
            Case(factor, amplitude) for factor in factors or engine.spec.factors for amplitude in amplitudes
        ]

    def ranges(self, pictures: Sequence[Picture]) -> Ranges:
        """Lowest and highest value of each flow, of all pictures in all cases."""
        weights, graph = self.engine.file(WEIGHTS), self.engine.file(GRAPH)
        if weights is None or graph is None:
            raise WrongOptions(f"{self.engine.folder} has no graph; first: python -m training graph")
        model = unpack(graph, weights)
        with self._compiled(Precision.F32) as compiled:
            recorder = _Recorder(compiled)
            for case in self.cases:
                for picture in pictures:
                    self._made(recorder, case, picture)
        return measured_ranges({name: model[name] for name in (MODEL, DATA)}, recorder.seen)

    def wanted(self, pictures: Sequence[Picture]) -> Mapping[Case, Sequence[Planes]]:
        """What the engine makes of pictures in float32."""
        with self._compiled(Precision.F32) as compiled:
            return {
                case: [self._made(compiled, case, picture) for picture in pictures] for case in self.cases
            }

    def psnr_db(
        self, ranges: Ranges, pictures: Sequence[Picture], wanted: Mapping[Case, Sequence[Planes]]
    ) -> dict[Case, list[float]]:
        """PSNR of each picture made with integers to the one made without, over all samples.

        Ranges with which an engine does not give its golden heads count as `_NOT_GOLDEN_DB`.
        """
        if not ranges:
            return {case: [np.inf] for case in self.cases}
        with TemporaryDirectory(prefix="streamfx-") as folder:
            engine = with_ranges(self.engine.folder, ranges, out=Path(folder) / self.engine.folder.name)
            try:
                with self._compiled(Precision.INT8, engine) as whole:
                    return {
                        case: [
                            psnr_db(self._made(whole, case, picture), planes)
                            for picture, planes in zip(pictures, wanted[case], strict=False)
                        ]
                        for case in self.cases
                    }
            except EngineMismatchError as error:
                log.info("%s", error)
                return {case: [_NOT_GOLDEN_DB] for case in self.cases}

    def by_harm(
        self, ranges: Ranges, pictures: Sequence[Picture], wanted: Mapping[Case, Sequence[Planes]]
    ) -> list[str]:
        """Names of the flows, the one first with which alone pictures are worst."""
        alone = {name: _worst(self.psnr_db({name: pair}, pictures, wanted)) for name, pair in ranges.items()}
        return sorted(alone, key=alone.__getitem__)

    @contextmanager
    def _compiled(self, precision: Precision, engine: Engine | None = None) -> Iterator[CompiledEngine]:
        options = CompileOptions(precision, self._threads)
        with closing(OpenVinoBackend().compile(engine or self.engine, options)) as compiled:
            yield compiled

    def _made(self, compiled: CompiledEngine, case: Case, picture: Picture) -> Planes:
        effect = Effect(self.engine, compiled, self._threads, doublings=self.engine.spec.doublings)
        effect.controls = Controls(strength=1.0, factor=case.factor, noise_amplitude=case.noise_amplitude)
        return effect.process(to_video(picture)).planes


class _Recorder:
    """A compiled engine that keeps what it is given."""

    def __init__(self, compiled: CompiledEngine) -> None:
        self._compiled = compiled
        self.seen: list[tuple[Array, Setting]] = []
        self.backend, self.precision = compiled.backend, compiled.precision

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        self.seen.append((reduced.copy(), Setting.of(to_rgb, from_rgb, factor)))
        return self._compiled(reduced, to_rgb, from_rgb, factor)

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None:
        self._compiled.warm_up(shape, to_rgb, from_rgb, factor)

    def close(self) -> None:
        self._compiled.close()


def psnr_db(made: Planes, wanted: Planes) -> float:
    """PSNR of 8-bit planes over all their samples, in dB; of equal ones infinite."""
    squares = [
        np.square(one.astype(np.float64) - other).ravel() for one, other in zip(made, wanted, strict=True)
    ]
    mean = float(np.concatenate(squares).mean())
    return 10 * np.log10(255**2 / mean) if mean else np.inf


def _pictures(options: QuantiseOptions) -> list[Picture]:
    stills = find_stills(options.content)
    rng = np.random.default_rng(options.seed)
    order = rng.permutation(len(stills))
    found: list[Picture] = []
    for place in order:
        if len(found) == options.measured + options.judged:
            break
        picture = read_still(stills[place].path)
        if picture is not None:
            rgb_3HW = noisy(to_tensor(to_size(picture)), rng, options.noise)
            found.append(to_picture(rgb_3HW))
    if len(found) <= options.measured:
        raise WrongOptions(
            f"{len(found)} pictures of {', '.join(map(str, options.content))} can be read; more than "
            f"{options.measured} are needed"
        )
    return found


def _worst(found: Mapping[Case, Collection[float]]) -> float:
    return min(min(values) for values in found.values())


def _section(found: Mapping[Case, Sequence[float]], engine: Engine, flows: int) -> Section:
    noise = engine.spec.noise_channels > 0
    amplitude = {"noise amplitude": "g"} if noise else {}
    return Section(
        "integers",
        f"Pictures made with {flows} flows between layers in integers of 8 bits, against the same in "
        f"float32: PSNR over all samples of 8-bit 4:2:0, {len(next(iter(found.values())))} pictures that had "
        "no part in the ranges. OpenVINO runs it so where that is faster on the processor.",
        {"factor": "g", **amplitude, "mean, dB": ".1f", "least, dB": ".1f"},
        [
            [case.factor, *[case.noise_amplitude] * noise, float(np.mean(values)), min(values)]
            for case, values in found.items()
        ],
    )
