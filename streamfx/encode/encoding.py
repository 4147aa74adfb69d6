"""How an output is encoded: what a user may choose, handed whole to `streamfx.encode.opening.open_sink`."""

from __future__ import annotations

from dataclasses import dataclass, field

from streamfx.media.track_choice import TrackChoice


@dataclass(frozen=True, slots=True)
class Pass:
    """One of two passes: the first finds out what each picture needs, the second shares out what there is.

    Attributes:
        number: 1 or 2.
        statistics: file that the first writes and the second reads.
    """

    number: int
    statistics: str


@dataclass(frozen=True, slots=True)
class Encoding:
    """How an output is encoded; None is the codec's default, or the video's own.

    Attributes:
        codec: h264, hevc, av1, vp9, ffv1, prores, …; None: what suits the container and the video.
        preset: a name of the codec's presets.
        quality: a number on the codec's quality scale (CRF for most); smaller is better.
        bits_per_second: bit rate of the pictures, instead of a quality; None: by quality.
        turn: number of the pass of two, for encoders that know passes; None: there is one.
        most_bytes: size that the finished file must not exceed; None: any.
        threads: encoder threads; None: the encoder chooses.
        pixel_format: FFmpeg's name of a format to convert to, such as yuv420p; may lose detail.
        options: further options for the encoder, as FFmpeg spells them.
        tracks: form in which tracks beside the pictures are wanted; the source knows which ones.
        overwrite: whether a file of that name may be replaced (once the new one is complete).
        written: whether anything is written; else all that would be refused is refused, and nothing is there.
    """

    codec: str | None = None
    preset: str | None = None
    quality: int | None = None
    bits_per_second: int | None = None
    turn: Pass | None = None
    most_bytes: int | None = None
    threads: int | None = None
    pixel_format: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    tracks: TrackChoice = field(default_factory=TrackChoice)
    overwrite: bool = True
    written: bool = True
