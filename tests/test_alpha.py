"""Alpha: kept where the output holds it, named where not; effects do not see what is hidden."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamfx.capture.files.preparation import Preparation
from streamfx.capture.opening import open_source
from streamfx.encode.files.verify import verify_output
from streamfx.encode.opening import holds_alpha
from streamfx.errors import FrameError
from streamfx.generate.transparency import opaque_within, without_hidden_colours
from streamfx.media.alpha import enlarged_plane
from streamfx.media.frame import Frame
from streamfx.media.notes import left_out
from tests.media import make_clip
from tests.passing import pass_file, pass_through

KEPT = Preparation(alpha=True)
SIZE = (40, 64)


def disc() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return an RGBA picture: a red disc with a soft edge, and around it nothing, which is green."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    distance = np.hypot(y - 20, x - 32)
    alpha = np.clip((16 - distance) * 64, 0, 255)
    red = distance < 18
    return np.stack(
        [np.where(red, 200, 0), np.where(red, 30, 255), np.where(red, 40, 0), alpha], axis=-1
    ).astype(np.uint8)


def picture_file(path: Path, rgba: np.ndarray[Any, Any]) -> Path:
    encoder: Any = av.CodecContext.create("png", "w")
    encoder.height, encoder.width, _ = rgba.shape
    encoder.pix_fmt, encoder.time_base = "rgba", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(rgba, "rgba")
    path.write_bytes(b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]))
    return path


def frames_of(text: Path | str, preparation: Preparation = KEPT) -> list[Frame]:
    source = open_source(str(text), preparation=preparation)
    frames = list(iter(source.read, None))
    source.close()
    return frames


def rgba_of(path: Path) -> np.ndarray[Any, Any]:
    with av.open(str(path)) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgba")


def test_alpha_of_a_picture_comes_through_exactly(tmp_path: Path) -> None:
    rgba = disc()
    pass_through(picture_file(tmp_path / "in.png", rgba), tmp_path / "out.png", preparation=KEPT)
    again = rgba_of(tmp_path / "out.png")
    np.testing.assert_array_equal(again[..., 3], rgba[..., 3])
    assert np.abs(again[..., :3].astype(int) - rgba[..., :3]).max() <= 3
    pass_through(tmp_path / "out.png", tmp_path / "opaque.jpg")


def test_a_picture_that_could_show_through_and_does_not_has_no_alpha(tmp_path: Path) -> None:
    rgba = disc()
    rgba[..., 3] = 255
    (frame,) = frames_of(picture_file(tmp_path / "in.png", rgba))
    assert frame.alpha is None


@pytest.mark.parametrize(
    ("target", "codec"),
    [("out.webm", None), ("out.webm", "vp8"), ("out.mkv", None), ("out.mkv", "ffv1"), ("out.mov", None)],
)
def test_alpha_of_a_film_comes_through(tmp_path: Path, target: str, codec: str | None) -> None:
    clip = make_clip(tmp_path / "in.mkv", codec="ffv1", pix_fmt="yuva420p", frames=3, size=SIZE)
    assert holds_alpha(target, codec)
    sink = pass_file(clip, tmp_path / target, preparation=KEPT, codec=codec)
    assert verify_output(sink.path, sink.expected()) == []
    assert left_out(sink.notes) == []
    before, after = frames_of(clip), frames_of(sink.path)
    assert len(after) == 3
    for one, other in zip(before, after, strict=True):
        assert one.alpha is not None
        assert other.alpha is not None
        unit = 1 << (other.depth - 8)
        difference = np.abs(one.alpha.astype(float) - other.alpha.astype(float) / unit)
        assert difference.mean() < 12  # a gradient that wraps around at 256, compressed


@pytest.mark.parametrize(("target", "codec"), [("out.mp4", None), ("out.mkv", "h264"), ("out.ts", None)])
def test_alpha_that_cannot_be_kept_is_named(tmp_path: Path, target: str, codec: str | None) -> None:
    clip = make_clip(tmp_path / "in.mkv", codec="ffv1", pix_fmt="yuva420p", frames=2, size=SIZE)
    assert not holds_alpha(target, codec)
    source = open_source(str(clip))
    assert left_out(source.notes) == ["alpha is left out: the output does not hold it"]
    source.close()
    sink = pass_file(clip, tmp_path / target, preparation=KEPT, codec=codec)
    assert any("alpha is left out" in note for note in left_out(sink.notes))


def test_an_opaque_gif_has_no_alpha_though_ffmpeg_gives_it_some(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.gif", codec="gif", pix_fmt="rgb8", frames=2, audio=False)
    source = open_source(str(clip), preparation=KEPT)
    assert not source.format.alpha
    assert left_out(source.notes) == []
    source.close()


def test_an_effect_sees_the_colours_around_and_not_the_hidden_ones(tmp_path: Path) -> None:
    (frame,) = frames_of(picture_file(tmp_path / "in.png", disc()))
    given: list[Frame] = []

    def darker(frame: Frame) -> Frame:
        given.append(frame)
        luma, u, v = frame.planes
        return frame.with_planes((luma // 2, u, v))

    made = opaque_within(darker)(frame)
    assert frame.alpha is not None
    hidden, shown = frame.alpha == 0, frame.alpha > 250
    red = [float(plane[shown].mean()) for plane in frame.planes]
    for plane, colour in zip(given[0].planes, red, strict=True):
        assert abs(float(plane[hidden].mean()) - colour) < 4
    np.testing.assert_array_equal(given[0].planes[0][~hidden], frame.planes[0][~hidden])
    np.testing.assert_array_equal(made.alpha, frame.alpha)


def test_where_nothing_is_changed_the_very_frame_comes_back(tmp_path: Path) -> None:
    (frame,) = frames_of(picture_file(tmp_path / "in.png", disc()))
    assert opaque_within(lambda given: given)(frame) is frame
    opaque = replace(frame, alpha=None)
    assert without_hidden_colours(opaque) is opaque


def test_a_picture_that_is_hidden_altogether_is_left_as_it_is(tmp_path: Path) -> None:
    rgba = disc()
    rgba[..., 3] = 0
    (frame,) = frames_of(picture_file(tmp_path / "in.png", rgba))
    np.testing.assert_array_equal(without_hidden_colours(frame).planes[0], frame.planes[0])


def test_alpha_grows_with_an_enlarged_frame_and_must_fit_otherwise(tmp_path: Path) -> None:
    (frame,) = frames_of(picture_file(tmp_path / "in.png", disc()))
    luma, u, v = (plane.repeat(2, 0).repeat(2, 1) for plane in frame.planes)
    larger = frame.with_planes((luma, u, v))
    assert larger.alpha is not None
    assert larger.alpha.shape == (80, 128)
    assert frame.alpha is not None
    np.testing.assert_array_equal(enlarged_plane(frame.alpha, SIZE), frame.alpha)
    with pytest.raises(FrameError, match="alpha must be"):
        replace(frame, alpha=frame.alpha[1:])
