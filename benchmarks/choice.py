"""What a frame is said to take beside what it takes: every effect, three sizes, six factors.

    python -m benchmarks.choice [--effect NAME …] [--rounds 9] [--limit-seconds 150]

Predicted is the time of reduce, translate and fuse for one frame, as the choice of the factor has it: from
the attributes of the device alone (estimated), and with the calibration that an engine gets at its first use
(calibrated; measured anew here, nothing stored is used). Measured is the median of several frames of the
running effect, all threads on one frame as when live. All cases take turns, so that what else the machine
does meets all alike. A ratio above 1: predicted too long. On a machine that does something else it is only a
smoke test, and the program says so; the processor time, shared among the threads, then tells more.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from benchmarks.record import record
from benchmarks.turns import SETTLE_SECONDS
from streamfx.engine.library import list_effects
from streamfx.factor.calibration import fit, measure
from streamfx.factor.choice import effect_cost
from streamfx.factor.estimate import predict
from streamfx.factor.workload import Workload
from streamfx.generate.effect import Effect, EffectSettings, open_effect
from streamfx.hardware.cpu import cpu
from streamfx.hardware.machine import Machine
from streamfx.media.av_planes import plane_array
from streamfx.media.frame import Colour, Frame, Subsampling
from streamfx.media.stage import EFFECT_STAGES, Stage

CLIP = Path(__file__).parent.parent / "tests/clips/bigbuckbunny.mp4"
SIZES = ((360, 640), (720, 1280), (1080, 1920))
FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)

WAYS = ("estimated", "calibrated")
AIM = 0.25
MOST_STOLEN = 0.1  # of the processors' time, taken by others: more than that is a busy machine


@dataclass(slots=True, eq=False)
class Case:
    """One effect at one size and factor.

    Attributes:
        effect: effect that is run; its factor is set before each frame.
        factor: factor of this case.
        frame: frame to process.
        predicted: seconds by stage, by way of predicting.
        seconds: measured, by stage and in all ("frame"), one number for each round; "processor" is the time
            of all threads, shared among them.
    """

    effect: Effect
    factor: float
    frame: Frame
    predicted: Mapping[str, Mapping[Stage, float]]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def run(self) -> None:
        """Process the frame twice, and note what the second time took: the first fills the caches."""
        effect = replace(self.effect, _controls=replace(self.effect.controls, factor=self.factor))
        effect.measure = None
        effect.process(self.frame)
        effect.measure = self._add
        started, started_cpu = time.perf_counter(), time.process_time()
        effect.process(self.frame)
        self._add("processor", (time.process_time() - started_cpu) / cpu().usable_cores)
        self._add("frame", time.perf_counter() - started)

    def row(self) -> dict[str, Any]:
        """Return what came of it."""
        measured_ms = {name: statistics.median(taken) * 1e3 for name, taken in self.seconds.items()}
        row: dict[str, Any] = {
            "effect": self.effect.engine.name,
            "size": f"{self.frame.size[1]}x{self.frame.size[0]}",
            "factor": self.factor,
            "measured_ms": round(measured_ms["frame"], 3),
            "processor_ms": round(measured_ms["processor"], 3),
        }
        stages_ms = {stage: {"measured": round(measured_ms[stage], 3)} for stage in EFFECT_STAGES}
        for way, seconds in self.predicted.items():
            predicted_ms = sum(seconds.values()) * 1e3
            row[f"{way}_ms"] = round(predicted_ms, 3)
            row[f"{way}_ratio"] = round(predicted_ms / measured_ms["frame"], 3)
            for stage in EFFECT_STAGES:
                stages_ms[stage][way] = round(seconds[stage] * 1e3, 3)
        return {**row, "stages_ms": stages_ms}

    def _add(self, stage: str, seconds: float) -> None:
        self.seconds.setdefault(stage, []).append(seconds)


def main() -> None:
    """Predict, measure, print and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--effect", action="append", help="name of an effect, may be repeated; all if none")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--limit-seconds", type=float, default=150, help="time for measuring; then fewer rounds"
    )
    options = parser.parse_args()
    names = options.effect or [effect.name for effect in list_effects()]
    print(f"predicting and warming up: {', '.join(names)}", flush=True)
    measured = [case for name in names for case in cases(name)]
    rounds, stolen = take_turns(measured, options.rounds, options.limit_seconds)
    rows = [case.row() for case in measured]
    show(rows)
    found = {way: off(rows, way) for way in WAYS}
    for way, (median, worst) in found.items():
        print(f"{way:10}: off by {median:.0%} in the middle, {worst:.0%} at worst (aim: {AIM:.0%})")
    if stolen > MOST_STOLEN:
        print(f"the machine was busy: others had {stolen:.0%} of the processors; this is only a smoke test")
    summary = {
        f"{way} off by": f"{median:.0%}, at worst {worst:.0%}" for way, (median, worst) in found.items()
    }
    config = {**summary, "rounds": rounds, "threads": cpu().usable_cores, "others had": f"{stolen:.0%}"}
    print(f"written to {record('choice', rows, config).name}")


def cases(name: str) -> list[Case]:
    """Return the cases of one effect, predicted and warmed up."""
    effect = open_effect(name, EffectSettings())
    engine, processor = effect.engine, cpu()
    machine = Machine(processor.name, processor)
    calibrated = fit(measure(engine, effect.compiled, processor.usable_cores))
    costs = dict(zip(WAYS, (effect_cost(engine, None), effect_cost(engine, calibrated)), strict=True))
    found = []
    for frame in map(picture, SIZES):
        job = Workload(frame.size, decode=None, encodings=())
        for factor in FACTORS:
            predicted: dict[str, Mapping[Stage, float]] = {}
            for way, cost in costs.items():
                made = predict(machine, job, [cost], factor)
                predicted[way] = {
                    term.stage: term.alone_seconds for term in made.terms if term.stage in EFFECT_STAGES
                }
            found.append(Case(effect, factor, frame, predicted))
            found[-1].run()
            found[-1].seconds.clear()  # the first time is no measurement
    return found


def take_turns(measured: Sequence[Case], rounds: int, limit_seconds: float) -> tuple[int, float]:
    """Run every case once in each round; return the rounds, three at least, and what others took.

    What others took is the share of the processors' time meanwhile that was neither ours nor idle.
    """
    started, ours, used = time.perf_counter(), time.process_time(), processors_seconds()
    for done in range(rounds):
        if done >= 3 and time.perf_counter() - started > limit_seconds * done / (done + 1):
            rounds = done
            break
        for case in measured:
            time.sleep(SETTLE_SECONDS)
            case.run()
    wall_seconds = time.perf_counter() - started
    others = processors_seconds() - used - (time.process_time() - ours)
    return rounds, max(others, 0.0) / (wall_seconds * cpu().usable_cores)


def processors_seconds() -> float:
    """Return what all processors together have worked so far, for whomever; 0 where nothing says."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / 100


def picture(size: tuple[int, int]) -> Frame:
    """Return a picture of the clip, scaled to ``size``."""
    with av.open(str(CLIP)) as container:
        first = next(container.decode(video=0)).reformat(width=size[1], height=size[0], format="yuv420p")
    y, u, v = (plane_array(plane, 8).copy() for plane in first.planes)
    return Frame((y, u, v), Subsampling.YUV420, 8, Colour(), 0, 0, Fraction(1, 25))


def off(rows: Sequence[dict[str, Any]], way: str) -> tuple[float, float]:
    """Return by how much predictions are off, in the middle and at worst: 1.25 and 1/1.25 are off by 25 %."""
    found = [max(row[f"{way}_ratio"], 1 / row[f"{way}_ratio"]) - 1 for row in rows]
    return statistics.median(found), max(found)


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the rows, with what each stage was predicted and measured to take."""
    for row in rows:
        stages = ", ".join(
            f"{stage} " + "/".join(f"{ms:.3g}" for ms in times.values())
            for stage, times in row["stages_ms"].items()
        )
        print(
            f"{row['effect']:10}{row['size']:>10}{row['factor']:5g}{row['measured_ms']:9.2f} ms"
            f" (processor {row['processor_ms']:.2f})"
            f"  estimated {row['estimated_ms']:8.2f} ({row['estimated_ratio']:.2f})"
            f"  calibrated {row['calibrated_ms']:8.2f} ({row['calibrated_ratio']:.2f})  {stages}"
        )


if __name__ == "__main__":
    main()
