"""Factor: the choice of how many times smaller the network's picture is, so that the pipeline keeps up.

The smallest factor whose predicted time per frame fits the budget is taken: it gives the best picture that
the device has time for. A live source leaves 1 / fps for a frame; a file is done in real time, or as many
times faster as was asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from streamfx.backends.openvino_graph import has_ranges
from streamfx.backends.registry import backend_named
from streamfx.backends.store import CompiledStore
from streamfx.engine.cost import layers_of
from streamfx.engine.folder import GRAPH, Engine
from streamfx.factor import rates
from streamfx.factor.calibration import Calibration, calibration, gpu_of
from streamfx.factor.coding import RunSettings, preset_choices, workload_of
from streamfx.factor.estimate import Prediction, predict
from streamfx.factor.governor import LIVE_SHARE
from streamfx.factor.workload import EffectCost
from streamfx.generate.chain import AnyEffect, Chain
from streamfx.generate.effect import Effect, EffectSettings
from streamfx.generate.request import DEFAULT_FACTOR, parse_effect
from streamfx.hardware.cpu import cpu
from streamfx.hardware.machine import Machine
from streamfx.media.frame import VideoFormat
from streamfx.media.stage import EFFECT_STAGES, Stage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FactorChoice:
    """A factor and why it was chosen.

    Attributes:
        factor: factor that was chosen.
        reason: one line for people.
        budget_seconds: time for one frame; None where the source states no rate.
        predictions: predictions for each factor that could have been chosen, the smallest first.
        presets: presets of encoders, by codec, that are quicker than the usual ones, because no factor would
            do with those.
    """

    factor: float
    reason: str
    budget_seconds: float | None = None
    predictions: tuple[Prediction, ...] = ()
    presets: Mapping[str, str] = field(default_factory=dict)

    @property
    def fits(self) -> bool:
        """Whether a frame takes no longer than it may; so where nothing is known."""
        taken = (found.frame_seconds for found in self.predictions if found.factor == self.factor)
        return self.budget_seconds is None or next(taken, 0.0) <= self.budget_seconds


def choose_factor(
    factors: Sequence[float],
    predicted: Callable[[float], Prediction],
    budget_seconds: float | None,
    purpose: str,
) -> FactorChoice:
    """Return the smallest of ``factors`` with which a frame takes no longer than the budget.

    Args:
        factors: factors to choose from; at least one.
        predicted: function that predicts the time of a frame at a factor.
        budget_seconds: time for one frame; None where it is not known: the usual factor is taken.
        purpose: origin of the budget, for the reason.
    """
    ordered = sorted(factors)
    if budget_seconds is None:
        usual = min(ordered, key=lambda factor: abs(factor - DEFAULT_FACTOR))
        return FactorChoice(usual, f"factor {usual:g}: {purpose}, so the usual one is taken")
    predictions = tuple(predicted(factor) for factor in ordered)
    fitting = (found for found in predictions if found.frame_seconds <= budget_seconds)
    chosen = next(fitting, predictions[-1])
    return FactorChoice(
        chosen.factor, _reason(chosen, predictions, budget_seconds, purpose), budget_seconds, predictions
    )


def automatic_effects(config: RunSettings, chain: Chain) -> tuple[AnyEffect, ...]:
    """Return the effects whose factor nobody gave, and that have more than one."""
    if config.factor != "auto":
        return ()
    pairs = zip(config.effects, chain.effects, strict=True)
    return tuple(
        effect
        for text, effect in pairs
        if parse_effect(text).factor is None and any(part.scales for part in effect.parts)
    )


def fit_factor(
    chain: Chain,
    automatic: Sequence[AnyEffect],
    video: VideoFormat,
    config: RunSettings,
    settings: EffectSettings,
    *,
    live: bool,
) -> FactorChoice:
    """Choose the factor for effects, give it to them and log why; measures their engines at first use.

    Args:
        chain: all effects, each of which takes its time.
        automatic: effects to choose for; at least one.
        video: format of the frames.
        config: config of the run; says what is decoded and encoded, and how fast it should go.
        settings: settings that the chain was opened with.
        live: whether the source is.
    """
    gpu = gpu_of(automatic[0].parts[0].compiled)
    processor, store = cpu(), settings.store or CompiledStore()
    if config.threads is not None:
        processor = replace(processor, usable_cores=min(config.threads, processor.usable_cores))
    machine = Machine(processor.name, processor, gpu)
    one_at_a_time = live or settings.workers == 1
    workload = workload_of(config, video, one_at_a_time=one_at_a_time)
    threads = settings.threads or processor.usable_cores
    # Calibrated with some threads; predictions speak of the whole processor.
    share = 1.0 if gpu is not None else min(1.0, threads / rates.real_cores(processor))

    def measured(part: Effect) -> Calibration | None:
        """Return what a network costs here; None: measuring would take a compilation for each size, which may
        take longer than the whole run."""
        made = backend_named(part.compiled.backend)
        if made is not None and made.compiles_each_size:
            return None
        return calibration(part.engine, part.compiled, threads, store)

    def cost_of(effect: AnyEffect) -> EffectCost:
        """Return the cost of an effect; where the pictures decide on one of several, that of the dearest."""
        costs = [
            effect_cost(
                part.engine,
                measured(part),
                share,
                None if effect in automatic and part.scales else part.controls.factor,
                part.doublings,
            )
            for part in effect.parts
        ]
        return max(costs, key=lambda cost: predict(machine, workload, [cost], DEFAULT_FACTOR).frame_seconds)

    costs = [cost_of(effect) for effect in chain.effects if effect.parts]
    if chain.matting is not None:
        network = chain.matting.network
        costs.insert(0, effect_cost(network.engine, measured(network), share, chain.matting.factor(video)))
    costs += [passes_cost(effect.name) for effect in chain.effects if not effect.parts]
    budget_seconds, purpose = budget(video, config.speed, live=live)
    factors = common_factors([part.engine for effect in automatic for part in effect.parts if part.scales])
    for presets in preset_choices(config, video, live=live):
        workload = workload_of(config, video, one_at_a_time=one_at_a_time, presets=presets)
        predicted = partial(predict, machine, workload, costs)
        choice = with_presets(choose_factor(factors, predicted, budget_seconds, purpose), presets)
        if choice.fits:
            break
    for effect in automatic:
        effect.controls = replace(effect.controls, factor=choice.factor)
    log.info("%s", choice.reason)
    return choice


def with_presets(choice: FactorChoice, presets: Mapping[str, str]) -> FactorChoice:
    """Return the choice with quicker presets of encoders, which its reason names."""
    if not presets:
        return choice
    named = " and ".join(f"{codec} at preset {preset}" for codec, preset in presets.items())
    reason = f"{choice.reason}; encoded as {named}, because no factor does with the usual one"
    return replace(choice, presets=presets, reason=reason)


def effect_cost(
    engine: Engine,
    measured: Calibration | None,
    share: float = 1.0,
    fixed_factor: float | None = None,
    doublings: int = 0,
) -> EffectCost:
    """Return what is known of an engine's cost.

    Args:
        engine: engine in question.
        measured: measured cost of its network; None: to be estimated.
        share: share of the processor that was measured with.
        fixed_factor: fixed factor that was asked for; None: it is to be chosen.
        doublings: number of times that the effect makes frames twice as large each way.
    """
    graph = engine.file(GRAPH)
    return EffectCost(
        name=engine.name,
        layers=layers_of(engine.folder, engine.spec),
        integers=graph is not None and has_ranges(graph),
        stride=engine.stride,
        factors=engine.spec.factors,
        fine_luma=engine.spec.fine_luma > 0,
        memory=engine.spec.memory_tolerance > 0,
        detail="detail" in engine.spec.heads,
        ink="ink" in engine.spec.heads,
        fixed_factor=fixed_factor,
        doublings=doublings,
        measured=None if measured is None else lambda pixels: share * measured.seconds(pixels),
    )


def passes_cost(name: str) -> EffectCost:
    """Return the cost of an effect without a network, which reads and writes the frame at full size."""
    return EffectCost(name, layers=(), stride=1, fixed_factor=DEFAULT_FACTOR, measured=lambda _pixels: 0.0)


def common_factors(engines: Sequence[Engine]) -> tuple[float, ...]:
    """Return the factors that all engines were trained for; the usual one as near as they allow if none."""
    shared = set(engines[0].spec.factors).intersection(*(engine.spec.factors for engine in engines))
    if shared:
        return tuple(sorted(shared))
    low = max(engine.factor_range[0] for engine in engines)
    high = min(engine.factor_range[1] for engine in engines)
    return (min(max(DEFAULT_FACTOR, low), max(low, high)),)


def budget(video: VideoFormat, speed: float, *, live: bool) -> tuple[float | None, str]:
    """Return the time for one frame in seconds, None where unknown, and what it follows from."""
    if video.rate_fps is None:
        return None, "the source states no frame rate"
    fps = float(video.rate_fps)
    if live:
        return LIVE_SHARE / fps, f"live at {fps:.4g} fps"
    at = "real time" if speed == 1 else f"{speed:g} times real time"
    return 1 / (fps * speed), f"{at} at {fps:.4g} fps"


def _reason(
    chosen: Prediction, predictions: Sequence[Prediction], budget_seconds: float, purpose: str
) -> str:
    resource, _ = chosen.busiest
    parts = ", ".join(
        f"{stage} {chosen.seconds(stage) * 1e3:.3g}"
        for stage in (Stage.DECODE, *EFFECT_STAGES, Stage.ENCODE)
        if chosen.seconds(stage)
    )
    time_ms, budget_ms = chosen.frame_seconds * 1e3, budget_seconds * 1e3
    text = f"factor {chosen.factor:g}: a frame takes {time_ms:.3g} of {budget_ms:.3g} ms ({purpose})"
    if chosen.frame_seconds > budget_seconds:
        text = f"factor {chosen.factor:g}, the largest: a frame takes {time_ms:.3g} ms, more than the "
        text += f"{budget_ms:.3g} ms there are ({purpose})"
    position = predictions.index(chosen)
    if position > 0:
        sharper = predictions[position - 1]
        text += f"; factor {sharper.factor:g} would take {sharper.frame_seconds * 1e3:.3g} ms"
    return f"{text}; busiest is {resource} ({parts} ms)"
