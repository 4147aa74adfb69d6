"""The command ``streamfx compile``: compiles engines ahead of their first use; lists and removes them."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, NamedTuple

from streamfx.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from streamfx.backends.store import CompiledStore
    from streamfx.config.transcode import TranscodeConfig
    from streamfx.generate.chain import Chain
    from streamfx.generate.effect import EffectSettings
    from streamfx.media.frame import VideoFormat


def compile_engines(options: Namespace) -> int:
    """Compile effects for this machine and keep what was made; or list, or remove, what is kept.

    Raises:
        ConfigError: nothing to do was named, or both; a setting is wrong, or nothing would be kept.
    """
    if bool(options.effects) == (options.list or options.clear):
        raise ConfigError(
            "name effects to compile ahead ('streamfx effects' lists them), or give --list or --clear, alone"
        )
    return _compile(options) if options.effects else _show(options)


def _show(options: Namespace) -> int:
    """List, or remove, what is in the store of compiled engines."""
    from streamfx.backends.store import CompiledStore

    store = CompiledStore()
    entries = store.clear() if options.clear else store.entries()
    for entry in entries:
        what = (
            f"{entry.key.engine} for {entry.key.backend} on {entry.key.device}" if entry.key else "unreadable"
        )
        print(f"{entry.path.name}  {_megabytes(entry.size_bytes)}  {what}")
    total = _megabytes(sum(entry.size_bytes for entry in entries))
    print(f"{'removed ' if options.clear else ''}{_counted(len(entries))}, {total}, in {store.folder}")
    return 0


def _compile(options: Namespace) -> int:
    """Open effects and prepare them for the size and factors asked for, as a run does; say what was made."""
    from streamfx.cli.transcode import log_to_stderr, with_effects
    from streamfx.config.loading import load_config

    given = {name: getattr(options, name) for name in ("effects", "backend", "device", "factor")}
    config = with_effects(load_config(options={"input": "test:bars", "output": "null:", **given}))
    with log_to_stderr(debug=options.debug):
        _make(config, options.size)
    return 0


def _make(config: TranscodeConfig, size: tuple[int, int]) -> None:
    from fractions import Fraction

    from streamfx.backends.backend import Build
    from streamfx.backends.registry import backends, choose
    from streamfx.backends.store import CompiledStore
    from streamfx.capture.backdrop import read_backdrop
    from streamfx.generate.chain import output_format
    from streamfx.generate.effect import EffectSettings
    from streamfx.media.frame import Colour, Subsampling, VideoFormat
    from streamfx.run.placement import find_placement

    place = find_placement(config.device, config.backend, 1)
    chosen = choose(config.backend, device=place.device)
    backend = chosen.name
    if not chosen.keeps_compiled:
        keeping = " or ".join(each.name for each in reversed(backends()) if each.keeps_compiled)
        raise ConfigError(
            f"nothing that backend {backend} makes is kept from one run to the next, so there is nothing to "
            f"compile ahead; take --backend {keeping}"
        )
    store, video = CompiledStore(), VideoFormat(size, Subsampling.YUV420, 8, Colour(), Fraction(1, 25))
    factor = None if config.factor == "auto" else config.factor
    settings = EffectSettings(
        backend=backend,
        factor=factor,
        store=store,
        device=place.device,
        build=Build.WAIT,
        processing_device=place.processing_device(video),
        backdrops=read_backdrop,
    )
    output_format(config.effects, video)  # what is no effect is refused before anything is made
    before, started = _files(store), time.monotonic()
    there = sum(_made(config, text, video, settings, store) for text in config.effects)
    made = _changed(before, store)
    seconds, total_bytes = time.monotonic() - started, sum(file.size_bytes for file in made.values())
    print(
        f"{_counted(len(made))} made with {backend} for 8-bit video of {size[1]}x{size[0]} in "
        f"{seconds:.1f} s, {_megabytes(total_bytes)}; {there} there already; in {store.folder}"
    )


def _made(
    config: TranscodeConfig, text: str, video: VideoFormat, settings: EffectSettings, store: CompiledStore
) -> int:
    """Compile one effect for each of its factors and say what that made; return how many were there."""
    from streamfx.generate.chain import open_chain

    there, before, started = 0, _files(store), time.monotonic()
    with closing(open_chain([text], settings)) as chain:
        for factor in _factors(config, text, chain):
            chain.effects[0].warm_up(video, factor)
            if chain.matting is not None:
                chain.matting.warm_up(video)
            made = _changed(before, store)
            seconds = time.monotonic() - started
            print(f"{text}, factor {factor:g}: " + (f"made in {seconds:.1f} s" if made else "there already"))
            for path, file in made.items():
                print(f"  {path.name}  {_megabytes(file.size_bytes)}", flush=True)
            there += not made
            before, started = _files(store), time.monotonic()
    return there


def _factors(config: TranscodeConfig, text: str, chain: Chain) -> Sequence[float]:
    """Return the factor that was asked for; every one that a run may choose where none was."""
    from streamfx.factor.choice import automatic_effects, common_factors

    effect = chain.effects[0]
    if not automatic_effects(config.model_copy(update={"effects": (text,)}), chain):
        return (effect.controls.factor,)
    return common_factors([part.engine for part in effect.parts if part.scales])


class _File(NamedTuple):
    """A file of the store: how large, and when it was written."""

    size_bytes: int
    written_ns: int


def _files(store: CompiledStore) -> dict[Path, _File]:
    files = {}
    for entry in store.entries():
        with suppress(FileNotFoundError):  # removed by another process since it was listed
            files[entry.path] = _File(entry.size_bytes, entry.path.stat().st_mtime_ns)
    return files


def _changed(before: Mapping[Path, _File], store: CompiledStore) -> dict[Path, _File]:
    """Return the files that were written since."""
    return {path: file for path, file in _files(store).items() if before.get(path) != file}


def _counted(count: int) -> str:
    return "1 compiled engine" if count == 1 else f"{count} compiled engines"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
