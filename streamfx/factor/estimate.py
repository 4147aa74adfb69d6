"""Estimate: how long one frame takes on a device, from its attributes alone, term by term (a roofline).

Each part of the pipeline is bound by what it computes or by the bytes it moves, whichever takes longer
(Williams, Waterman, Patterson, "Roofline: An Insightful Visual Performance Model", 2009). Stages overlap:
a frame takes as long as the busiest resource is busy with it. Nothing runs, so it works for a device that
is not here, and before anything is compiled. What calibration measured takes the place of what would be
estimated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from streamfx.engine.cost import Layer
from streamfx.factor import rates
from streamfx.factor.workload import CodedOutput, EffectCost, Workload
from streamfx.generate.ops.reduce.definition import small_size, threads_of_use
from streamfx.hardware.machine import Machine
from streamfx.hardware.nvidia import Gpu
from streamfx.media.stage import EFFECT_STAGES, Stage

_MOST_CORES_PER_FRAME = 16  # that decoders, encoders and one small picture keep busy at a time
_HEAD_BYTES = 4
_OWN_SAMPLES = (2, 4)  # factors at which fine luma is made of whole samples of the source
_KERNELS_PER_LAYER = 2  # a convolution, and what stands between it and the next


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a frame's time.

    Attributes:
        stage: decode, upload, reduce, translate, fuse, download or encode.
        resource: hardware that it keeps busy: cpu, gpu, decoder, encoder or bus.
        seconds: time for which it keeps the whole resource busy.
        alone_seconds: time for which the thread of its stage is held, however many cores are idle.
        how: the arithmetic, for people.
        output: number of the output among those encoded, each of which has a thread of its own.
    """

    stage: Stage
    resource: str
    seconds: float
    alone_seconds: float
    how: str
    output: int = 0


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one frame takes at one factor.

    Attributes:
        factor: factor for the effects whose factor is not fixed.
        terms: terms in order of the flow.
    """

    factor: float
    terms: tuple[Term, ...]

    @property
    def busiest(self) -> tuple[str, float]:
        """The resource, or the thread of a stage, that is busy longest for a frame; and the seconds."""
        busy: dict[str, float] = {}
        for term in self.terms:
            stage = Stage.GENERATE if term.stage in EFFECT_STAGES else term.stage
            thread = f"{stage} {term.output + 1} alone" if term.output else f"{stage} alone"
            busy[term.resource] = busy.get(term.resource, 0.0) + term.seconds
            busy[thread] = busy.get(thread, 0.0) + term.alone_seconds
        name = max(busy, key=busy.__getitem__)
        return name, busy[name]

    @property
    def frame_seconds(self) -> float:
        """Time per frame with all stages overlapping."""
        return self.busiest[1]

    def seconds(self, stage: Stage) -> float:
        """Time of one stage for a frame, all effects together."""
        return sum(term.seconds for term in self.terms if term.stage == stage)


class _Work(NamedTuple):
    """So many of something, at so many cycles of one core."""

    number: int
    cycles: float
    what: str


def predict(machine: Machine, workload: Workload, effects: Sequence[EffectCost], factor: float) -> Prediction:
    """Return what a frame takes with the effects, those without a factor of their own at ``factor``.

    Example:
        >>> from streamfx.hardware.cpu import cpu
        >>> from streamfx.factor.workload import Workload
        >>> from streamfx.hardware.machine import Machine
        >>> job = Workload((720, 1280), encodings=())
        >>> [str(term.stage) for term in predict(Machine("here", cpu()), job, (), 4).terms]
        ['decode']
    """
    terms = [*_decode(machine, workload)]
    for effect in effects:
        own = factor if effect.fixed_factor is None else effect.fixed_factor
        terms += _effect(machine, workload, effect, own)
        workload = workload.doubled(effect.doublings)
    terms += _encode(machine, workload)
    return Prediction(factor, tuple(terms))


def _decode(machine: Machine, workload: Workload) -> list[Term]:
    gpu, codec = machine.gpu, workload.decode
    if codec is None:
        return []
    if gpu is not None and gpu.decoders and codec not in ("raw", "png"):
        return [_video_engine(Stage.DECODE, workload, gpu.decoders, rates.DECODER_PIXELS_PER_SECOND)]
    cycles = rates.DECODE_CYCLES.get(codec, rates.DECODE_CYCLES["h264"])
    term = _coding(Stage.DECODE, codec, machine, workload, cycles)
    return [term] if gpu is None else [term, _copy(Stage.UPLOAD, workload)]


def _encode(machine: Machine, workload: Workload) -> list[Term]:
    terms = [
        replace(_encoding(machine, workload, encoding), output=number)
        for number, encoding in enumerate(workload.encodings)
    ]
    if machine.gpu is not None and any(term.resource == "cpu" for term in terms):
        terms.insert(0, _copy(Stage.DOWNLOAD, workload))  # once, however many outputs
    return terms


def _encoding(machine: Machine, workload: Workload, encoding: CodedOutput) -> Term:
    gpu, codec = machine.gpu, encoding.codec
    if gpu is not None and gpu.encoders and codec in ("h264", "hevc"):
        return _video_engine(Stage.ENCODE, workload, gpu.encoders, rates.ENCODER_PIXELS_PER_SECOND)
    cycles = rates.encode_cycles(codec, encoding.preset)
    return _coding(Stage.ENCODE, f"{codec} {encoding.preset or ''}".strip(), machine, workload, cycles)


def _video_engine(stage: Stage, workload: Workload, engines: int, pixels_per_second: float) -> Term:
    seconds = workload.pixels / pixels_per_second
    how = f"{_count(workload.pixels)} pixels / ({engines} x {_count(pixels_per_second)} pixels/s)"
    return Term(stage, f"{stage}r", seconds / engines, seconds, how)


def _coding(stage: Stage, codec: str, machine: Machine, workload: Workload, cycles: float) -> Term:
    # More chroma samples and more bits cost in proportion; 10 bit also halves what a vector holds.
    cycles *= workload.samples / workload.pixels / 1.5 * (1 if workload.depth == 8 else 1.5)
    work = _Work(workload.pixels, cycles, f"pixels of {codec}")
    return _cpu_work(stage, machine, workload, (work,), workload.frame_bytes)


def _copy(stage: Stage, workload: Workload) -> Term:
    seconds = workload.frame_bytes / rates.BUS_BYTES_PER_SECOND
    how = f"{_count(workload.frame_bytes)}B / {_count(rates.BUS_BYTES_PER_SECOND)}B/s"
    return Term(stage, "bus", seconds, seconds, how)


def _effect(
    machine: Machine, workload: Workload, effect: EffectCost, factor: float
) -> tuple[Term, Term, Term]:
    small = small_size(workload.size, factor, effect.stride)
    pixels = small[0] * small[1]
    reduce_bytes = workload.frame_bytes + 3 * pixels * _HEAD_BYTES
    full = workload.doubled(effect.doublings)
    fuse_bytes = 2 * full.frame_bytes + _heads(effect) * pixels * _HEAD_BYTES
    fuse_cycles = _fuse_cycles(effect)
    if not math.log2(factor).is_integer():
        fuse_cycles = fuse_cycles.times(rates.FUSE_UNEVEN)
    if machine.gpu is not None:
        return (
            _gpu_copy(Stage.REDUCE, machine.gpu, reduce_bytes),
            _translate(machine, workload, effect, small),
            _gpu_copy(Stage.FUSE, machine.gpu, fuse_bytes),
        )
    return (
        _begun(
            _cpu_work(
                Stage.REDUCE, machine, workload, _reduce_work(effect, workload, factor, pixels), reduce_bytes
            ),
            workload,
            rates.FRAME_SECONDS + rates.HAND_OVER_SECONDS,
        ),
        _translate(machine, workload, effect, small),
        _begun(
            _cpu_work(Stage.FUSE, machine, full, _full_size(fuse_cycles, full, pixels), fuse_bytes),
            workload,
        ),
    )


def _heads(effect: EffectCost) -> int:
    """Return how many planes of the reduced size the fused step reads: heads, and what the network saw."""
    return 14 if effect.ink else 10 if effect.detail else 6


def _fuse_cycles(effect: EffectCost) -> rates.Cycles:
    if effect.ink:
        return rates.FUSE_CYCLES_WITH_INK
    return rates.FUSE_CYCLES_WITH_DETAIL if effect.detail else rates.FUSE_CYCLES


def _reduce_work(effect: EffectCost, workload: Workload, factor: float, pixels: int) -> tuple[_Work, ...]:
    work = _full_size(rates.REDUCE_CYCLES, workload, pixels)
    if not effect.fine_luma:
        return work
    cycles = rates.FINE_LUMA_CYCLES if factor in _OWN_SAMPLES else rates.FINE_LUMA_CYCLES_BETWEEN
    return (*work, _Work(pixels, cycles, "reduced pixels with fine luma"))


def _translate(machine: Machine, workload: Workload, effect: EffectCost, small: tuple[int, int]) -> Term:
    pixels, gpu = small[0] * small[1], machine.gpu
    pixels *= sum(4**doubling for doubling in range(effect.doublings)) or 1
    rate = rates.cpu_rate(machine.cpu, integers=effect.integers) if gpu is None else rates.gpu_rate(gpu)
    if effect.measured is not None:
        seconds, how = effect.measured(pixels), "pixels as measured here"
    elif rate is None:
        seconds, how = float("inf"), "the rate of this GPU is not known"
    else:
        seconds, how = _network(machine, effect.layers, pixels, rate)
    if effect.memory and gpu is None:
        averaged = _Work(small[0] * small[1], rates.MEMORY_CYCLES, "reduced pixels averaged")
        term = _cpu_work(Stage.TRANSLATE, machine, workload, (averaged,), 0)
        seconds, how = seconds + term.seconds, f"{how} + {term.how}"
    spread = 1.0 if gpu is not None else _spread(Stage.TRANSLATE, machine, workload)
    resource = "cpu" if gpu is None else "gpu"
    term = Term(Stage.TRANSLATE, resource, seconds, seconds * spread, f"{small[1]}x{small[0]}: {how}")
    return term if gpu is not None else _begun(term, workload)


def _begun(term: Term, workload: Workload, seconds: float = rates.HAND_OVER_SECONDS) -> Term:
    """Add the time until all threads are at work: others compute meanwhile, the thread of the stage waits."""
    if not workload.one_at_a_time:
        return term
    return replace(
        term,
        alone_seconds=term.alone_seconds + seconds,
        how=f"{term.how}; alone {seconds * 1e6:g} us more to begin",
    )


def _network(
    machine: Machine, layers: Sequence[Layer], pixels: int, rate: rates.ComputeRate
) -> tuple[float, str]:
    """Return the time of a network, each layer bound by what it computes or by what it moves; and how."""
    gpu, bandwidth = machine.gpu, machine.bandwidth_bytes_per_second
    if gpu is not None:
        bandwidth = _scaled(gpu.bandwidth_bytes_per_second, rates.GPU_BANDWIDTH_SHARE)
    operations = moved_bytes = 0.0
    for layer in layers:
        layer_bytes = layer.values * pixels * rate.value_bytes
        if _over(layer_bytes, bandwidth) > layer.operations * pixels / rate.operations_per_second:
            moved_bytes += layer_bytes
        else:
            operations += layer.operations * pixels
    seconds, how = operations / rate.operations_per_second, f"{_count(operations)} operations / ({rate.how})"
    if moved_bytes:
        seconds += _over(moved_bytes, bandwidth)
        how += f" + {_count(moved_bytes)}B / {_count(bandwidth or 0)}B/s"
    if gpu is not None:
        launches = len(layers) * _KERNELS_PER_LAYER
        seconds += launches * rates.LAUNCH_SECONDS
        how += f" + {launches} launches x {rates.LAUNCH_SECONDS * 1e6:g} us"
    return seconds, how


def _spread(stage: Stage, machine: Machine, workload: Workload) -> float:
    """Return how many times longer one frame takes than its share of all cores.

    Coders and one small picture keep a few cores busy, reducing fewer. Files are generated many frames at a
    time.
    """
    if stage in EFFECT_STAGES and not workload.one_at_a_time:
        return 1.0
    most = threads_of_use(workload.samples) if stage == Stage.REDUCE else _MOST_CORES_PER_FRAME
    return max(1.0, rates.real_cores(machine.cpu) / most)


def _full_size(cycles: rates.Cycles, workload: Workload, reduced_pixels: int) -> tuple[_Work, ...]:
    return (
        _Work(workload.samples, cycles.per_sample, "samples"),
        _Work(reduced_pixels, cycles.per_reduced_pixel, "reduced pixels"),
    )


def _cpu_work(
    stage: Stage, machine: Machine, workload: Workload, works: Sequence[_Work], moved_bytes: int
) -> Term:
    cores, cycles_per_second = rates.real_cores(machine.cpu), rates.cycles_per_second(machine.cpu)
    computing = sum(work.number * work.cycles for work in works) / cycles_per_second
    moving = _over(moved_bytes, machine.bandwidth_bytes_per_second)
    if moving > computing:
        how = f"{_count(moved_bytes)}B / {_count(machine.bandwidth_bytes_per_second or 0)}B/s"
        return Term(stage, "cpu", moving, moving, how)
    parts = " + ".join(f"{_count(work.number)} {work.what} x {work.cycles:.3g}" for work in works)
    parts = parts if len(works) == 1 else f"({parts})"
    how = f"{parts} cycles / ({_count(cycles_per_second)}Hz of {cores} cores)"
    return Term(stage, "cpu", computing, computing * _spread(stage, machine, workload), how)


def _gpu_copy(stage: Stage, gpu: Gpu, moved_bytes: int) -> Term:
    bandwidth = _scaled(gpu.bandwidth_bytes_per_second, rates.GPU_BANDWIDTH_SHARE)
    seconds = _over(moved_bytes, bandwidth) + rates.LAUNCH_SECONDS
    how = f"{_count(moved_bytes)}B / {_count(bandwidth)}B/s" if bandwidth else "bandwidth not known"
    return Term(stage, "gpu", seconds, seconds, f"{how} + 1 launch x {rates.LAUNCH_SECONDS * 1e6:g} us")


def _over(amount: float, rate: float | None) -> float:
    return amount / rate if rate else 0.0


def _scaled(rate: float | None, share: float) -> float | None:
    return None if rate is None else rate * share


def _count(number: float) -> str:
    """Return a number with three digits and its unit prefix, followed by a space or the prefix.

    Example:
        >>> _count(2_062_500_000), _count(12.0)
        ('2.06 G', '12 ')
    """
    for prefix in ("", "k", "M", "G"):
        if number < 1000:
            return f"{number:.3g} {prefix}"
        number /= 1000
    return f"{number:.3g} T"
