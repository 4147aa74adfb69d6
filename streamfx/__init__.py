"""streamfx changes how a video looks, live or offline, at the full resolution of the source.

Example:
    >>> import streamfx
    >>> report = streamfx.transcode("in.mp4", "out.mp4", overwrite=True)
    >>> report.exit_code
    0
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from streamfx.version import __version__

if TYPE_CHECKING:
    from streamfx.capture.opening import open_source
    from streamfx.capture.source import Source
    from streamfx.config.live import LiveConfig
    from streamfx.config.loading import load_config
    from streamfx.config.serve import ServeConfig
    from streamfx.config.transcode import TranscodeConfig
    from streamfx.encode.encoding import Encoding
    from streamfx.encode.opening import open_sink
    from streamfx.encode.sink import Sink
    from streamfx.errors import (
        BackendUnavailableError,
        ConfigError,
        DecodeError,
        DeviceMemoryError,
        EngineCorruptError,
        EngineMismatchError,
        EngineNotFoundError,
        FrameError,
        SinkAwayError,
        SinkClosedError,
        SinkError,
        SourceAwayError,
        SourceLostError,
        SourceOpenError,
        StageFailedError,
        StreamfxError,
    )
    from streamfx.generate.effect import Effect, EffectSettings, open_effect
    from streamfx.jobs.batch import batch
    from streamfx.jobs.verify import verify
    from streamfx.media.frame import (
        ChromaLocation,
        CodeRange,
        Colour,
        Frame,
        Matrix,
        Subsampling,
        VideoFormat,
    )
    from streamfx.pipeline.pipeline import Pipeline
    from streamfx.pipeline.stats import Snapshot
    from streamfx.run.assembly import Progress
    from streamfx.run.report import Report
    from streamfx.serving import serve
    from streamfx.sheets.preview import Preview, preview
    from streamfx.streaming import live, run_live
    from streamfx.transcoding import run_config, transcode

# Loaded when asked for: `import streamfx` itself brings in no library that takes time to load.
_MODULES = {
    "streamfx.capture.opening": ("open_source",),
    "streamfx.capture.source": ("Source",),
    "streamfx.config.live": ("LiveConfig",),
    "streamfx.config.loading": ("load_config",),
    "streamfx.config.serve": ("ServeConfig",),
    "streamfx.config.transcode": ("TranscodeConfig",),
    "streamfx.encode.encoding": ("Encoding",),
    "streamfx.encode.opening": ("open_sink",),
    "streamfx.encode.sink": ("Sink",),
    "streamfx.errors": (
        "BackendUnavailableError", "ConfigError", "DecodeError", "DeviceMemoryError", "EngineCorruptError",
        "EngineMismatchError", "EngineNotFoundError", "FrameError", "SinkAwayError", "SinkClosedError",
        "SinkError", "SourceAwayError", "SourceLostError", "SourceOpenError", "StageFailedError",
        "StreamfxError",
    ),
    "streamfx.generate.effect": ("Effect", "EffectSettings", "open_effect"),
    "streamfx.jobs.batch": ("batch",),
    "streamfx.jobs.verify": ("verify",),
    "streamfx.media.frame": (
        "ChromaLocation",
        "CodeRange",
        "Colour",
        "Frame",
        "Matrix",
        "Subsampling",
        "VideoFormat",
    ),
    "streamfx.pipeline.pipeline": ("Pipeline",),
    "streamfx.pipeline.stats": ("Snapshot",),
    "streamfx.run.assembly": ("Progress",),
    "streamfx.run.report": ("Report",),
    "streamfx.serving": ("serve",),
    "streamfx.sheets.preview": ("Preview", "preview"),
    "streamfx.streaming": ("live", "run_live"),
    "streamfx.transcoding": ("run_config", "transcode"),
}  # fmt: skip
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "BackendUnavailableError",
    "ChromaLocation",
    "CodeRange",
    "Colour",
    "ConfigError",
    "DecodeError",
    "DeviceMemoryError",
    "Effect",
    "EffectSettings",
    "Encoding",
    "EngineCorruptError",
    "EngineMismatchError",
    "EngineNotFoundError",
    "Frame",
    "FrameError",
    "LiveConfig",
    "Matrix",
    "Pipeline",
    "Preview",
    "Progress",
    "Report",
    "ServeConfig",
    "Sink",
    "SinkAwayError",
    "SinkClosedError",
    "SinkError",
    "Snapshot",
    "Source",
    "SourceAwayError",
    "SourceLostError",
    "SourceOpenError",
    "StageFailedError",
    "StreamfxError",
    "Subsampling",
    "TranscodeConfig",
    "VideoFormat",
    "__version__",
    "batch",
    "live",
    "load_config",
    "open_effect",
    "open_sink",
    "open_source",
    "preview",
    "run_config",
    "run_live",
    "serve",
    "transcode",
    "verify",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'streamfx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
