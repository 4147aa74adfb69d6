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
    from streamfx.config.live import LiveConfig
    from streamfx.config.transcode import TranscodeConfig, load_config
    from streamfx.errors import StreamfxError
    from streamfx.jobs.batch import batch
    from streamfx.jobs.verify import verify
    from streamfx.pipeline.pipeline import Pipeline
    from streamfx.run.report import Report
    from streamfx.streaming import live, run_live
    from streamfx.transcoding import run_config, transcode

__all__ = [
    "LiveConfig",
    "Pipeline",
    "Report",
    "StreamfxError",
    "TranscodeConfig",
    "__version__",
    "batch",
    "live",
    "load_config",
    "run_config",
    "run_live",
    "transcode",
    "verify",
]

# Loaded when asked for: `import streamfx` itself brings in no library that takes time to load.
_HOMES = {
    "LiveConfig": "streamfx.config.live",
    "Pipeline": "streamfx.pipeline.pipeline",
    "Report": "streamfx.run.report",
    "StreamfxError": "streamfx.errors",
    "TranscodeConfig": "streamfx.config.transcode",
    "load_config": "streamfx.config.transcode",
    "batch": "streamfx.jobs.batch",
    "live": "streamfx.streaming",
    "run_config": "streamfx.transcoding",
    "run_live": "streamfx.streaming",
    "transcode": "streamfx.transcoding",
    "verify": "streamfx.jobs.verify",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'streamfx' has no attribute {name!r}")
