"""Estimate: how long one frame takes on a device, from its attributes alone, term by term (a roofline).

Each part of the pipeline is bound by what it computes or by the bytes it moves, whichever takes longer
(Williams, Waterman, Patterson, "Roofline: An Insightful Visual Performance Model", 2009). Stages overlap:
a frame takes as long as the busiest resource is busy with it. Nothing runs, so it works for a device that
is not here, and before anything is compiled. What calibration measured takes the place of what would be
estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from streamfx import rates
from streamfx.device import Cpu
from streamfx.frame import Subsampling
from streamfx.generate.operations import Layer
from streamfx.generate.reduce import small_size
from streamfx.gpu import Gpu

_MOST_CORES_PER_FRAME = 16  # that decoders, encoders and one small picture keep busy at a time
_HEAD_BYTES = 4
_GENERATE = ("reduce", "translate", "fuse")
_KERNELS_PER_LAYER = 2  # a convolution, and what stands between it and the next


@dataclass(frozen=True, slots=True)
class Machine:
    """What a pipeline runs on.

    Attributes:
        name: for people.
        cpu: its processor.
        gpu: where networks run; None: on the processor.
        bandwidth_bytes_per_second: of the main memory; None where unknown: bytes then cost nothing.
        source: where its figures are from; empty for the machine at hand.
    """

    name: str
    cpu: Cpu
    gpu: Gpu | None = None
    bandwidth_bytes_per_second: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one output is encoded.

    Attributes:
        codec: of the output.
        preset: of that codec.
    """

    codec: str = "h264"
    preset: str | None = "veryfast"


@dataclass(frozen=True, slots=True)
class Workload:
    """What has to be done for each frame, effects apart.

    Attributes:
        size: (height, width) of the frames in pixels.
        subsampling: of the planes.
        depth: bits per sample.
        decode: codec of the source, a key of `rates.DECODE_CYCLES`; None: nothing to decode.
        encodings: of the outputs that are encoded; empty: nothing to encode.
        one_at_a_time: whether all cores work on one frame (live) or on one each (files).
    """

    size: tuple[int, int]
    subsampling: Subsampling = Subsampling.YUV420
    depth: int = 8
    decode: str | None = "h264"
    encodings: tuple[Encoding, ...] = (Encoding(),)
    one_at_a_time: bool = True

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def samples(self) -> int:
        """Samples of all planes."""
        height, width = self.subsampling.chroma_size(self.size)
        return self.pixels + 2 * height * width

    @property
    def frame_bytes(self) -> int:
        return self.samples * (1 if self.depth == 8 else 2)


@dataclass(frozen=True, slots=True)
class EffectCost:
    """What is known of an effect's cost before it runs.

    Attributes:
        name: of the effect.
        layers: of its network, see `streamfx.generate.operations`.
        stride: what both sides of the reduced picture are multiples of.
        factors: to choose from.
        detail: whether its heads hold a detail gain, which the fused step then applies.
        fixed_factor: the factor that was asked for; None: the one to be chosen.
        measured: seconds for a reduced picture of so many pixels, on all cores; None where not calibrated.
    """

    name: str
    layers: tuple[Layer, ...]
    stride: int
    factors: tuple[float, ...] = ()
    detail: bool = False
    fixed_factor: float | None = None
    measured: Callable[[int], float] | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a frame's time.

    Attributes:
        stage: decode, upload, reduce, translate, fuse, download or encode.
        resource: what it keeps busy: cpu, gpu, decoder, encoder or bus.
        seconds: how long it keeps the whole resource busy.
        alone_seconds: how long the thread of its stage is held, however many cores are idle.
        how: the arithmetic, for people.
        output: number of the output among those encoded, each of which has a thread of its own.
    """

    stage: str
    resource: str
    seconds: float
    alone_seconds: float
    how: str
    output: int = 0


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one frame takes at one factor.

    Attributes:
        factor: for the effects whose factor is not fixed.
        terms: in order of the flow.
    """

    factor: float
    terms: tuple[Term, ...]

    @property
    def busiest(self) -> tuple[str, float]:
        """The resource, or the thread of a stage, that is busy longest for a frame; and the seconds."""
        busy: dict[str, float] = {}
        for term in self.terms:
            stage = "generate" if term.stage in _GENERATE else term.stage
            thread = f"{stage} {term.output + 1} alone" if term.output else f"{stage} alone"
            busy[term.resource] = busy.get(term.resource, 0.0) + term.seconds
            busy[thread] = busy.get(thread, 0.0) + term.alone_seconds
        name = max(busy, key=busy.__getitem__)
        return name, busy[name]

    @property
    def frame_seconds(self) -> float:
        """Time per frame with all stages overlapping."""
        return self.busiest[1]

    def seconds(self, stage: str) -> float:
        """Time of one stage for a frame, all effects together."""
        return sum(term.seconds for term in self.terms if term.stage == stage)


def predict(machine: Machine, workload: Workload, effects: Sequence[EffectCost], factor: float) -> Prediction:
    """Return what a frame takes with the effects, those without a factor of their own at ``factor``.

    Example:
        >>> from streamfx.device import cpu
        >>> job = Workload((720, 1280), encodings=())
        >>> [term.stage for term in predict(Machine("here", cpu()), job, (), 4).terms]
        ['decode']
    """
    terms = [*_decode(machine, workload)]
    for effect in effects:
        own = factor if effect.fixed_factor is None else effect.fixed_factor
        terms += _effect(machine, workload, effect, small_size(workload.size, own, effect.stride))
    terms += _encode(machine, workload)
    return Prediction(factor, tuple(terms))


def _decode(machine: Machine, workload: Workload) -> list[Term]:
    gpu, codec = machine.gpu, workload.decode
    if codec is None:
        return []
    if gpu is not None and gpu.decoders and codec not in ("raw", "png"):
        return [_video_engine("decode", workload, gpu.decoders, rates.DECODER_PIXELS_PER_SECOND)]
    cycles = rates.DECODE_CYCLES.get(codec, rates.DECODE_CYCLES["h264"])
    term = _coding("decode", codec, machine, workload, cycles)
    return [term] if gpu is None else [term, _copy("upload", workload)]


def _encode(machine: Machine, workload: Workload) -> list[Term]:
    terms = [
        replace(_encoding(machine, workload, encoding), output=number)
        for number, encoding in enumerate(workload.encodings)
    ]
    if machine.gpu is not None and any(term.resource == "cpu" for term in terms):
        terms.insert(0, _copy("download", workload))  # once, however many outputs
    return terms


def _encoding(machine: Machine, workload: Workload, encoding: Encoding) -> Term:
    gpu, codec = machine.gpu, encoding.codec
    if gpu is not None and gpu.encoders and codec in ("h264", "hevc"):
        return _video_engine("encode", workload, gpu.encoders, rates.ENCODER_PIXELS_PER_SECOND)
    cycles = rates.encode_cycles(codec, encoding.preset)
    return _coding("encode", f"{codec} {encoding.preset or ''}".strip(), machine, workload, cycles)


def _video_engine(stage: str, workload: Workload, engines: int, pixels_per_second: float) -> Term:
    seconds = workload.pixels / pixels_per_second
    how = f"{_count(workload.pixels)} pixels / ({engines} x {_count(pixels_per_second)} pixels/s)"
    return Term(stage, f"{stage}r", seconds / engines, seconds, how)


def _coding(stage: str, codec: str, machine: Machine, workload: Workload, cycles: float) -> Term:
    # More chroma samples and more bits cost in proportion; 10 bit also halves what a vector holds.
    cycles *= workload.samples / workload.pixels / 1.5 * (1 if workload.depth == 8 else 1.5)
    return _cpu_work(
        stage, machine, workload, workload.pixels, cycles, f"pixels of {codec}", workload.frame_bytes
    )


def _copy(stage: str, workload: Workload) -> Term:
    seconds = workload.frame_bytes / rates.BUS_BYTES_PER_SECOND
    how = f"{_count(workload.frame_bytes)}B / {_count(rates.BUS_BYTES_PER_SECOND)}B/s"
    return Term(stage, "bus", seconds, seconds, how)


def _effect(
    machine: Machine, workload: Workload, effect: EffectCost, small: tuple[int, int]
) -> tuple[Term, Term, Term]:
    pixels = small[0] * small[1]
    reduce_bytes = workload.frame_bytes + 3 * pixels * _HEAD_BYTES
    fuse_bytes = 2 * workload.frame_bytes + (10 if effect.detail else 6) * pixels * _HEAD_BYTES
    fuse_cycles = rates.FUSE_CYCLES_WITH_DETAIL if effect.detail else rates.FUSE_CYCLES
    samples = workload.samples
    if machine.gpu is not None:
        return (
            _gpu_copy("reduce", machine.gpu, reduce_bytes),
            _translate(machine, workload, effect, small),
            _gpu_copy("fuse", machine.gpu, fuse_bytes),
        )
    return (
        _cpu_work("reduce", machine, workload, samples, rates.REDUCE_CYCLES, "samples", reduce_bytes),
        _translate(machine, workload, effect, small),
        _cpu_work("fuse", machine, workload, samples, fuse_cycles, "samples", fuse_bytes),
    )


def _translate(machine: Machine, workload: Workload, effect: EffectCost, small: tuple[int, int]) -> Term:
    pixels, gpu = small[0] * small[1], machine.gpu
    resource = "cpu" if gpu is None else "gpu"
    size = f"{small[1]}x{small[0]}"
    rate = rates.cpu_rate(machine.cpu) if gpu is None else rates.gpu_rate(gpu)
    bandwidth = machine.bandwidth_bytes_per_second
    if gpu is not None:
        bandwidth = _scaled(gpu.bandwidth_bytes_per_second, rates.GPU_BANDWIDTH_SHARE)
    if effect.measured is not None:
        seconds = effect.measured(pixels)
        how = f"{size} pixels as measured here"
    elif rate is None:
        seconds, how = float("inf"), "the rate of this GPU is not known"
    else:
        seconds = sum(
            max(
                layer.operations * pixels / rate.operations_per_second,
                _over(layer.values * pixels * rate.value_bytes, bandwidth),
            )
            for layer in effect.layers
        )
        if gpu is not None:
            seconds += len(effect.layers) * _KERNELS_PER_LAYER * rates.LAUNCH_SECONDS
        operations = sum(layer.operations for layer in effect.layers) * pixels
        values = sum(layer.values for layer in effect.layers) * pixels * rate.value_bytes
        how = f"{size}: {_count(operations)} operations ({_count(values)}B) / ({rate.how})"
    spread = 1.0 if gpu is not None else _spread("translate", machine, workload)
    return Term("translate", resource, seconds, seconds * spread, how)


def _spread(stage: str, machine: Machine, workload: Workload) -> float:
    """Return how many times longer one frame takes than its share of all cores.

    Coders and one small picture keep a few cores busy. Files are generated many frames at a time.
    """
    if stage in _GENERATE and not workload.one_at_a_time:
        return 1.0
    return max(1.0, rates.real_cores(machine.cpu) / _MOST_CORES_PER_FRAME)


def _cpu_work(
    stage: str, machine: Machine, workload: Workload, count: int, cycles: float, what: str, moved_bytes: int
) -> Term:
    cores = rates.real_cores(machine.cpu)
    computing = count * cycles / rates.cycles_per_second(machine.cpu)
    moving = _over(moved_bytes, machine.bandwidth_bytes_per_second)
    if moving > computing:
        how = f"{_count(moved_bytes)}B / {_count(machine.bandwidth_bytes_per_second or 0)}B/s"
        return Term(stage, "cpu", moving, moving, how)
    how = (
        f"{_count(count)} {what} x {cycles:.3g} cycles / "
        f"({_count(rates.cycles_per_second(machine.cpu))}Hz of {cores} cores)"
    )
    return Term(stage, "cpu", computing, computing * _spread(stage, machine, workload), how)


def _gpu_copy(stage: str, gpu: Gpu, moved_bytes: int) -> Term:
    bandwidth = _scaled(gpu.bandwidth_bytes_per_second, rates.GPU_BANDWIDTH_SHARE)
    seconds = _over(moved_bytes, bandwidth) + rates.LAUNCH_SECONDS
    how = f"{_count(moved_bytes)}B / {_count(bandwidth or 0)}B/s" if bandwidth else "bandwidth not known"
    return Term(stage, "gpu", seconds, seconds, how)


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
