"""The command ``streamfx devices``: what there is here, and the factor each effect gets here or elsewhere."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamfx.backends.store import CompiledStore
    from streamfx.engine.folder import Engine
    from streamfx.factor.choice import FactorChoice
    from streamfx.factor.workload import EffectCost
    from streamfx.hardware.cpu import Cpu
    from streamfx.hardware.machine import Machine
    from streamfx.hardware.nvidia import Gpu

_SIZES = {"720p": (720, 1280), "1080p": (1080, 1920), "4K": (2160, 3840)}
_FPS = 30.0


def devices(options: Namespace) -> int:
    """Print this machine, or with ``--for`` what a device that need not be here would do."""
    if options.device is not None:
        from streamfx.hardware.known_devices import known_machine

        machine, here = known_machine(options.device), None
        costs = _costs(None)
    else:
        machine, here = _this_machine()
        costs = _costs(machine.cpu)
    choices = {
        name: {label: _choice(machine, cost, size) for label, size in _SIZES.items()}
        for name, cost in costs.items()
    }
    if options.json:
        facts = _facts(machine, here, choices)
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return 0
    print("\n".join(_attributes(machine)))
    if here is not None:
        print("\n".join(_surroundings(here)))
    print("\n".join(_table(costs, choices)))
    if here is None and choices:
        print("\n".join(_arithmetic(next(iter(choices)), next(iter(choices.values())))))
    return 0


def _this_machine() -> tuple[Machine, dict[str, Any]]:
    """Return this machine with its bandwidth, and what is around it: GPUs, backends, encoders and so on."""
    from streamfx.backends.registry import backends, choose
    from streamfx.backends.store import CompiledStore
    from streamfx.capture.live.video_devices import cameras
    from streamfx.encode.available_codecs import encoders
    from streamfx.factor.calibration import memory_bandwidth
    from streamfx.hardware.cpu import cpu
    from streamfx.hardware.machine import Machine
    from streamfx.hardware.nvidia import gpus
    from streamfx.media.ffmpeg_protocols import protocols

    processor = cpu()
    known = backends()
    reasons = {backend.name: backend.availability() for backend in known}
    usable = [name for name, reason in reasons.items() if reason is None]
    machine = Machine(processor.name, processor, None, memory_bandwidth(CompiledStore()))
    around = {
        "gpus": gpus(),
        "backends": reasons,
        "held_back": {
            backend.name: backend.held_back() for backend in known if reasons[backend.name] is None
        },
        "auto": choose("auto").name if usable else None,
        "encoders": encoders(),
        "protocols": protocols(),
        "cameras": cameras(),
    }
    return machine, around


def _costs(processor: Cpu | None) -> dict[str, EffectCost]:
    """Return the cost of every effect; calibrated where that was done, on the processor at hand."""
    from streamfx.backends.store import CompiledStore
    from streamfx.engine.folder import read_engine
    from streamfx.engine.library import list_effects
    from streamfx.errors import StreamfxError
    from streamfx.factor.choice import effect_cost

    found = {}
    for listed in list_effects():
        try:
            engine = read_engine(listed.folder)
            found[listed.name] = effect_cost(
                engine, *_measured(engine, processor, CompiledStore()) if processor else (None,)
            )
        except StreamfxError:
            continue  # `streamfx effects` says what is wrong with it
    return found


def _measured(engine: Engine, processor: Cpu, store: CompiledStore) -> tuple[Any, float]:
    """Return what was measured of an engine, and the share of the processor it was measured with."""
    from streamfx.backends.registry import choose
    from streamfx.errors import BackendUnavailableError
    from streamfx.factor.calibration import stored_calibration
    from streamfx.factor.rates import real_cores

    try:
        backend = choose("auto").name
    except BackendUnavailableError:
        return None, 1.0
    for threads in (processor.usable_cores, 1):  # live, and files
        for precision in ("int8", "bf16", "f32"):
            found = stored_calibration(engine, backend, precision, threads, store)
            if found is not None:
                return found, min(1.0, threads / real_cores(processor))
    return None, 1.0


def _choice(machine: Machine, cost: EffectCost, size: tuple[int, int]) -> FactorChoice:
    from streamfx.factor.choice import choose_factor
    from streamfx.factor.estimate import predict
    from streamfx.factor.governor import LIVE_SHARE
    from streamfx.factor.workload import Workload

    predicted = partial(predict, machine, Workload(size), (cost,))
    return choose_factor(cost.factors, predicted, LIVE_SHARE / _FPS, f"live at {_FPS:g} fps")


def _attributes(machine: Machine) -> list[str]:
    from streamfx.factor.rates import cpu_rate, gpu_rate

    cpu, gpu = machine.cpu, machine.gpu
    lines = [] if not machine.source else [f"{machine.name}: not measured; {machine.source}", ""]
    lines += [
        f"processor   {cpu.name} ({cpu.architecture})",
        f"cores       {cpu.usable_cores} usable by this process, {_known(cpu.physical_cores)} physical",
        f"clock       {_scaled(cpu.clock_hz, 1e9, 'GHz')}",
        f"extensions  {', '.join(cpu.extensions) or 'unknown'}",
        f"memory      {_scaled(cpu.memory_bytes, 2**30, 'GiB')}, "
        f"{_scaled(machine.bandwidth_bytes_per_second, 1e9, 'GB/s')}",
    ]
    rate = cpu_rate(cpu) if gpu is None else gpu_rate(gpu)
    if gpu is not None:
        lines.append(_gpu(gpu))
    if rate is not None:
        lines.append(f"networks    {_scaled(rate.operations_per_second, 1e9, 'G operations/s')}: {rate.how}")
    return lines


def _gpu(gpu: Gpu) -> str:
    major, minor = gpu.compute_capability or ("unknown", "")
    capability = f"{major}.{minor}".rstrip(".")
    return (
        f"GPU         {gpu.name}: compute capability {capability}, {_known(gpu.multiprocessors)} "
        f"multiprocessors, {_scaled(gpu.clock_hz, 1e9, 'GHz')}, "
        f"{_scaled(gpu.memory_bytes, 2**30, 'GiB')} at "
        f"{_scaled(gpu.bandwidth_bytes_per_second, 1e9, 'GB/s')}, decoders {_known(gpu.decoders)}, "
        f"encoders {_known(gpu.encoders)}"
    )


def _surroundings(here: dict[str, Any]) -> list[str]:
    lines = [_gpu(gpu) for gpu in here["gpus"]] or ["GPU         none that NVIDIA's driver knows of"]
    lines += ["", "backends, the fastest first:"]
    for name, reason in here["backends"].items():
        state = "used unless another is asked for" if name == here["auto"] else "can run here"
        if but := here["held_back"].get(name):
            state += f" if asked for: {but}"
        lines.append(f"  {name:<10}{state if reason is None else f'cannot run here: {reason}'}")
    usable = [name for name, problem in here["encoders"].items() if problem is None]
    lines += ["", f"encoders that open here: {', '.join(usable)}"]
    closed: dict[str, list[str]] = {}
    for name, problem in here["encoders"].items():
        if problem is not None:
            closed.setdefault(problem, []).append(name)
    lines += [f"  {', '.join(names)}: cannot be opened: {problem}" for problem, names in closed.items()]
    there = [name for name, problem in here["protocols"].items() if problem is None]
    lines += ["", f"protocols of addresses: {', '.join(there)}"]
    lines += [
        f"  {name:<12}cannot be used: {problem}"
        for name, problem in here["protocols"].items()
        if problem is not None
    ]
    lines += ["", "cameras:" if here["cameras"] else "cameras: none"]
    return lines + [f"  {path:<14}{name}" for path, name in here["cameras"].items()]


def _table(costs: dict[str, EffectCost], choices: dict[str, dict[str, FactorChoice]]) -> Sequence[str]:
    if not choices:
        return ["", "no effects found"]
    lines = ["", f"factor for each effect, live at {_FPS:g} fps, encoding h264, and time per frame of "
             f"{1e3 / _FPS:.1f} ms:"]  # fmt: skip
    lines.append("  " + " " * 12 + "".join(f"{label:<22}" for label in _SIZES))
    for name, by_size in choices.items():
        cells = []
        for choice in by_size.values():
            found = next(each for each in choice.predictions if each.factor == choice.factor)
            late = " (late)" if found.frame_seconds > 1 / _FPS else ""
            cells.append(f"{choice.factor:g}: {found.frame_seconds * 1e3:.3g} ms{late}")
        how = "network measured" if costs[name].measured else "estimated"
        lines.append(f"  {name:<12}" + "".join(f"{cell:<22}" for cell in cells) + how)
    return lines


def _arithmetic(name: str, choices: dict[str, FactorChoice]) -> list[str]:
    lines = []
    for label, choice in choices.items():
        lines += ["", f"{name} at {label}, {choice.reason}"]
        found = next(each for each in choice.predictions if each.factor == choice.factor)
        lines += [
            f"  {term.stage:<10}{term.resource:<8}{term.seconds * 1e3:>8.3g} ms = {term.how}"
            for term in found.terms
        ]
    return lines


def _facts(
    machine: Machine, here: dict[str, Any] | None, choices: dict[str, dict[str, FactorChoice]]
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "cpu": {**asdict(machine.cpu), "bandwidth_bytes_per_second": machine.bandwidth_bytes_per_second},
        "gpus": [asdict(gpu) for gpu in ((machine.gpu,) if machine.gpu else (here or {}).get("gpus", ()))],
    }
    if here is not None:
        facts |= {
            name: here[name] for name in ("backends", "held_back", "auto", "encoders", "protocols", "cameras")
        }
    facts["factors"] = {
        name: {
            label: {
                "factor": choice.factor,
                "frame_seconds": {f"{each.factor:g}": each.frame_seconds for each in choice.predictions},
                "terms": [
                    asdict(term)
                    for each in choice.predictions
                    if each.factor == choice.factor
                    for term in each.terms
                ],
            }
            for label, choice in by_size.items()
        }
        for name, by_size in choices.items()
    }
    return facts


def _known(number: object) -> str:
    return "unknown" if number is None else f"{number}"


def _scaled(number: float | None, unit: float, name: str) -> str:
    return f"{name} unknown" if number is None else f"{number / unit:.4g} {name}"
