"""Predictions from attributes alone: their arithmetic, and what they say of devices that are not here."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfx.engine.cost import Layer
from streamfx.errors import ConfigError
from streamfx.factor import rates
from streamfx.factor.estimate import Prediction, Term, predict
from streamfx.factor.workload import CodedOutput, EffectCost, Workload
from streamfx.hardware.cpu import Cpu
from streamfx.hardware.known_devices import KNOWN, known_machine
from streamfx.hardware.machine import Machine
from streamfx.hardware.nvidia import Gpu
from streamfx.media.frame import Subsampling
from streamfx.media.stage import Stage

CPU = Cpu("four cores", "x86_64", 4, ("AVX2", "FMA"), None, "GenuineIntel", 4, 2e9)
FACTORS = (1.0, 2.0, 4.0, 8.0)
# 36 thousand operations and 110 numbers for a pixel: about what the shipped effects take.
EFFECT = EffectCost("effect", (Layer("a", 30_000, 60), Layer("b", 6_000, 50)), stride=4, factors=FACTORS)
JOB = Workload((1080, 1920))
EFFECTS = (Stage.REDUCE, Stage.TRANSLATE, Stage.FUSE)


def stage(prediction: Prediction, name: str) -> Term:
    return next(term for term in prediction.terms if term.stage == name)


def test_the_network_takes_its_operations_over_the_rate_of_all_cores() -> None:
    term = stage(predict(Machine("m", CPU), JOB, [EFFECT], 4), "translate")
    assert rates.cpu_rate(CPU).operations_per_second == pytest.approx(4 * 2e9 * 32 * 0.8)
    assert term.seconds == pytest.approx(272 * 480 * 36_000 / (4 * 2e9 * 32 * 0.8))
    assert term.resource == "cpu"
    assert term.how == (
        "480x272: 4.7 G operations / (4 cores x 2.00 GHz x 32 f32 operations x 0.8 reached); "
        "alone 400 us more to begin"
    )


@pytest.mark.parametrize("name", KNOWN)
def test_the_arithmetic_that_is_shown_gives_the_time_beside_it(name: str) -> None:
    machine = known_machine(name)
    job = replace(JOB, encodings=(CodedOutput(), CodedOutput("hevc", "medium")))
    for factor in FACTORS:
        effect = replace(EFFECT, detail=factor > 2, ink=factor > 4, fine_luma=factor < 4, memory=factor < 2)
        for term in predict(machine, job, [effect], factor).terms:
            assert worked_out(term.how.partition("; alone")[0]) == pytest.approx(term.seconds, rel=0.02), term


def worked_out(shown: str) -> float:
    """Return what the arithmetic of a term comes to, its words left out and its units taken in."""
    shown = re.sub(r"^\d+x\d+: | of \d+ cores|\b[a-z]+\d+\b|/s\b", "", shown)
    shown = re.sub(r"([\d.]+) us\b", r"\1e-6", shown)
    for prefix, power in {"k": 3, "M": 6, "G": 9, "T": 12}.items():
        shown = re.sub(rf"([\d.]+) {prefix}(Hz|B)?(?![a-z])", rf"\1e{power}", shown)
    numbers = re.findall(r"[\d.]+(?:e-?\d+)?|[()/+]|\bx\b", shown)
    return float(eval("".join(numbers).replace("x", "*")))


def test_a_layer_that_moves_more_than_it_computes_takes_its_bytes_over_the_bandwidth() -> None:
    thin = replace(EFFECT, layers=(Layer("a", 10, 100),))
    slow_memory = Machine("m", CPU, None, bandwidth_bytes_per_second=1e9)
    term = stage(predict(slow_memory, JOB, [thin], 4), "translate")
    assert term.seconds == pytest.approx(272 * 480 * 100 * 4 / 1e9)


def test_the_frame_takes_as_long_as_the_busiest_resource() -> None:
    terms = (
        Term(Stage.DECODE, "decoder", 0.004, 0.004, ""),
        Term(Stage.TRANSLATE, "gpu", 0.003, 0.003, ""),
        Term(Stage.FUSE, "gpu", 0.002, 0.002, ""),
        Term(Stage.ENCODE, "cpu", 0.001, 0.004, ""),
    )
    found = Prediction(4, terms)
    assert found.busiest == ("gpu", 0.005)
    assert found.seconds(Stage.TRANSLATE) == 0.003
    slow_alone = Prediction(4, (*terms[:3], replace(terms[3], alone_seconds=0.006)))
    assert slow_alone.busiest == ("encode alone", 0.006)


def test_one_frame_cannot_use_all_of_many_cores_but_many_frames_can() -> None:
    many = Machine("m", replace(CPU, usable_cores=64, physical_cores=64))
    live = stage(predict(many, JOB, [EFFECT], 4), "translate")
    files = stage(predict(many, replace(JOB, one_at_a_time=False), [EFFECT], 4), "translate")
    assert live.alone_seconds == pytest.approx(4 * live.seconds + rates.HAND_OVER_SECONDS)
    assert files.alone_seconds == files.seconds == live.seconds


def test_two_processors_on_one_core_count_as_one() -> None:
    hyper = Machine("m", replace(CPU, usable_cores=8))
    assert predict(hyper, JOB, [EFFECT], 4) == predict(Machine("m", CPU), JOB, [EFFECT], 4)


def test_what_was_measured_takes_the_place_of_the_estimate() -> None:
    measured = replace(EFFECT, measured=lambda pixels: 0.001 + pixels * 1e-8)
    term = stage(predict(Machine("m", CPU), JOB, [measured], 4), "translate")
    assert term.seconds == pytest.approx(0.001 + 272 * 480 * 1e-8)
    assert term.how.startswith("480x272: pixels as measured here; alone")


def test_the_fused_step_costs_more_at_factors_that_are_no_power_of_two() -> None:
    even, uneven = (stage(predict(Machine("m", CPU), JOB, [EFFECT], factor), "fuse") for factor in (2, 3))
    assert uneven.seconds > even.seconds * 0.9  # though its pictures are smaller


def test_fine_luma_ink_and_memory_cost_their_cycles() -> None:
    machine, pixels = Machine("m", CPU), 272 * 480
    plain, dear = (
        predict(machine, JOB, [effect], 4)
        for effect in (
            replace(EFFECT, detail=True),
            replace(EFFECT, detail=True, ink=True, fine_luma=True, memory=True),
        )
    )
    more = {name: stage(dear, name).seconds - stage(plain, name).seconds for name in Stage if name in EFFECTS}
    hz = rates.cycles_per_second(CPU)
    ink, detail = rates.FUSE_CYCLES_WITH_INK, rates.FUSE_CYCLES_WITH_DETAIL
    per_sample, per_pixel = (
        ink.per_sample - detail.per_sample,
        ink.per_reduced_pixel - detail.per_reduced_pixel,
    )
    assert more[Stage.REDUCE] == pytest.approx(pixels * rates.FINE_LUMA_CYCLES / hz)
    assert more[Stage.TRANSLATE] == pytest.approx(pixels * rates.MEMORY_CYCLES / hz)
    assert more[Stage.FUSE] == pytest.approx((1080 * 1920 * 1.5 * per_sample + pixels * per_pixel) / hz)


def test_networks_in_integers_are_faster_where_the_processor_has_them() -> None:
    able = replace(CPU, extensions=("AVX2", "AVX-512", "AVX-512 VNNI", "AVX-512 BF16"))
    for processor, times in ((CPU, 1.0), (able, 1.4)):
        without, integers = (
            stage(predict(Machine("m", processor), JOB, [replace(EFFECT, integers=given)], 4), "translate")
            for given in (False, True)
        )
        assert without.seconds == pytest.approx(times * integers.seconds)


def test_a_factor_that_was_asked_for_stays_and_every_effect_of_a_chain_counts() -> None:
    fixed = replace(EFFECT, fixed_factor=2.0)
    terms = predict(Machine("m", CPU), JOB, [EFFECT, fixed], 8).terms
    assert [term.stage for term in terms] == [
        "decode", "reduce", "translate", "fuse", "reduce", "translate", "fuse", "encode",
    ]  # fmt: skip
    assert "240x136" in terms[2].how
    assert "960x540" in terms[5].how


@given(
    size=st.tuples(st.integers(16, 4320), st.integers(16, 7680)),
    name=st.sampled_from(sorted(KNOWN)),
    subsampling=st.sampled_from(Subsampling),
    depth=st.sampled_from((8, 10)),
    live=st.booleans(),
)
def test_a_larger_factor_never_takes_longer(
    size: tuple[int, int], name: str, subsampling: Subsampling, depth: int, live: bool
) -> None:
    job = Workload(size, subsampling, depth, one_at_a_time=live)
    times = [predict(KNOWN[name], job, [EFFECT], factor).frame_seconds for factor in FACTORS]
    assert times == sorted(times, reverse=True)
    assert times[-1] > 0


def test_nothing_to_encode_and_nothing_to_decode_costs_nothing() -> None:
    bare = replace(JOB, decode=None, encodings=())
    terms = predict(Machine("m", CPU), bare, [EFFECT], 4).terms
    assert [term.stage for term in terms] == ["reduce", "translate", "fuse"]


def test_every_output_that_is_encoded_costs_and_has_a_thread_of_its_own() -> None:
    slow, quick = CodedOutput("h264", "slow"), CodedOutput("h264", "ultrafast")
    many = Machine("m", replace(CPU, usable_cores=64, physical_cores=64))
    both = predict(many, replace(JOB, encodings=(quick, slow)), [], 4)
    one = predict(many, replace(JOB, encodings=(slow,)), [], 4)
    first, second = (term for term in both.terms if term.stage == "encode")
    assert both.seconds(Stage.ENCODE) == pytest.approx(first.seconds + one.seconds(Stage.ENCODE))
    assert one.busiest == ("encode alone", second.alone_seconds)
    assert both.busiest == ("encode 2 alone", second.alone_seconds)


# ---------------------------------------------------------------- GPUs


def test_a_gpu_decodes_and_encodes_itself_where_it_has_engines_for_that() -> None:
    terms = predict(known_machine("L4"), JOB, [EFFECT], 2).terms
    assert [(term.stage, term.resource) for term in terms] == [
        ("decode", "decoder"), ("reduce", "gpu"), ("translate", "gpu"), ("fuse", "gpu"),
        ("encode", "encoder"),
    ]  # fmt: skip


def test_without_an_encoder_frames_go_to_the_processor_over_the_bus() -> None:
    terms = predict(known_machine("H100"), JOB, [EFFECT], 2).terms
    assert [(term.stage, term.resource) for term in terms][-2:] == [("download", "bus"), ("encode", "cpu")]
    several = replace(JOB, encodings=(CodedOutput("hevc", None), CodedOutput()))
    terms = predict(known_machine("H100"), several, [EFFECT], 2).terms
    assert [term.stage for term in terms][-3:] == ["download", "encode", "encode"]
    blind = Machine("m", CPU, Gpu("no engines", (7, 5), 40, 1.5e9, 300e9))
    assert [term.stage for term in predict(blind, JOB, [EFFECT], 2).terms][:2] == ["decode", "upload"]


def test_a_gpu_of_which_nothing_is_known_fits_no_budget() -> None:
    unknown = Machine("m", CPU, Gpu("unknown"))
    assert predict(unknown, JOB, [EFFECT], 8).frame_seconds == float("inf")
    assert rates.gpu_rate(Gpu("unknown")) is None


@pytest.mark.parametrize(
    ("name", "teraflops"),
    [("T4", 65), ("L4", 121), ("A10", 125), ("RTX 4090", 330), ("H100", 989)],
)
def test_the_peak_that_follows_from_the_attributes_is_the_one_the_vendor_states(
    name: str, teraflops: float
) -> None:
    machine = known_machine(name)
    assert machine.gpu is not None
    rate = rates.gpu_rate(machine.gpu)
    assert rate is not None
    assert rate.operations_per_second / rates._TENSOR_SHARE / 1e12 == pytest.approx(teraflops, rel=0.01)


# ---------------------------------------------------------------- processors, codecs, known devices


@pytest.mark.parametrize(
    ("vendor", "extensions", "operations", "value_bytes"),
    [
        ("GenuineIntel", ("AVX2",), 32 * 0.8, 4),
        ("GenuineIntel", ("AVX2", "AVX-512"), 64 * 0.8, 4),
        ("AuthenticAMD", ("AVX2", "AVX-512"), 32 * 0.8, 4),
        ("AuthenticAMD", ("AVX2", "AVX-512", "AVX-512 BF16"), 64 * 0.7, 2),
        ("GenuineIntel", ("AVX-512", "AVX-512 BF16", "AMX BF16"), 1024 * 0.2, 2),
        (None, ("NEON",), 16 * 0.8, 4),
        ("Apple", ("NEON",), 32 * 0.8, 4),
        (None, (), 8 * 0.8, 4),
    ],
)
def test_the_rate_of_a_core_follows_from_its_extensions(
    vendor: str | None, extensions: tuple[str, ...], operations: float, value_bytes: int
) -> None:
    rate = rates.cpu_rate(replace(CPU, vendor=vendor, extensions=extensions, usable_cores=1))
    assert rate.operations_per_second == pytest.approx(2e9 * operations)
    assert rate.value_bytes == value_bytes


def test_an_unknown_clock_is_taken_as_a_usual_one() -> None:
    assert rates.cpu_rate(replace(CPU, clock_hz=None)).how.startswith("4 cores x 2.50 GHz")


def test_a_preset_that_was_not_measured_costs_as_the_slowest_that_was() -> None:
    assert rates.encode_cycles("h264", "placebo") == rates.encode_cycles("h264", "veryslow")
    assert rates.encode_cycles("h264", "ultrafast") < rates.encode_cycles("h264", "medium")
    assert rates.encode_cycles("unheard of", None) > 0


def test_known_devices_state_their_source_and_are_found_in_any_letters() -> None:
    assert known_machine(" raspberry pi 5 ").cpu.usable_cores == 4
    assert all(machine.source for machine in KNOWN.values())
    assert len(KNOWN) >= 10


def test_a_device_that_is_not_known_is_an_error_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"device 'RTX 4080'; did you mean 'RTX 4090'\?.*T4, L4"):
        known_machine("RTX 4080")


def test_faster_devices_are_predicted_to_be_faster() -> None:
    order = ["Raspberry Pi 5", "laptop", "Jetson AGX Orin", "T4", "RTX 4090"]
    times = [stage(predict(known_machine(name), JOB, [EFFECT], 2), "translate").seconds for name in order]
    assert times == sorted(times, reverse=True)


def test_what_makes_frames_larger_costs_those_after_it_too() -> None:
    machine, twice = Machine("m", CPU), replace(EFFECT, doublings=2, fixed_factor=1.0)
    alone, both = predict(machine, JOB, [EFFECT], 4), predict(machine, JOB, [twice, EFFECT], 4)
    own = predict(machine, JOB, [replace(EFFECT, fixed_factor=1.0)], 4)
    # The first doubling looks at the frame, the second one at one four times as large.
    assert stage(both, "translate").seconds == pytest.approx(5 * stage(own, "translate").seconds)
    after = [term for term in both.terms if term.stage == "translate"][1]
    assert after.seconds == pytest.approx(16 * stage(alone, "translate").seconds, rel=0.02)
    assert stage(both, "encode").seconds == pytest.approx(16 * stage(alone, "encode").seconds)
    assert stage(both, "decode").seconds == stage(alone, "decode").seconds
