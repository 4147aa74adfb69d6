"""Video on a device: the calls that hand pictures from decoder to device to encoder, made here on the CPU,
where they must copy nothing; and whole files, equal to those of the ordinary flow."""

from __future__ import annotations

import gc
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av import VideoFrame
from numpy.typing import NDArray

import streamfx
from streamfx.capture.files import gpu_decode as decode
from streamfx.capture.files.file import FileSource
from streamfx.capture.files.gpu_decode import DevicePictures, decoder_missing, faster, surface_of
from streamfx.encode.encoding import Encoding
from streamfx.encode.files.file import FileSink
from streamfx.encode.gpu_encode import DevicePacker, device_format, picture_of, pixel_format
from streamfx.errors import DecodeError, SinkError, SourceOpenError
from streamfx.gpu.layout import Layout
from streamfx.gpu.transfer import DeviceContext, MemoryBudget, device_picture_of
from streamfx.hardware.cuda import Device
from streamfx.media.frame import CodeRange, Colour, Frame, Subsampling, VideoFormat
from streamfx.run.placement import Encoder, Placement
from tests import media
from tests.fakes import FakeSource
from tests.scenes import scene_frame, write_clip

CPU = torch.device("cpu")
SIZE = (72, 128)
FRAMES = 30


def device_context() -> DeviceContext:
    return DeviceContext(CPU, MemoryBudget(pool_bytes=1 << 18, least=24))


def decoded(pix_fmt: str) -> VideoFrame:
    picture = media.video_frame(
        SIZE, 3, "yuv420p10le" if pix_fmt.startswith(("p0", "yuv420p10")) else "yuv420p"
    )
    assert isinstance(picture, VideoFrame)
    return picture if picture.format.name == pix_fmt else picture.reformat(format=pix_fmt)


@pytest.mark.parametrize(
    ("pix_fmt", "form"),
    [
        ("nv12", Layout(SIZE, paired=True)),
        ("p010le", Layout(SIZE, depth=10, paired=True, high=True)),
        ("yuv420p", Layout(SIZE)),
        ("yuv420p10le", Layout(SIZE, depth=10)),
    ],
)
def test_pictures_become_surfaces_and_surfaces_pictures_without_a_copy(pix_fmt: str, form: Layout) -> None:
    picture = decoded(pix_fmt)
    places = [plane.buffer_ptr for plane in picture.planes]
    rows = [plane.line_size for plane in picture.planes]
    content = [bytes(plane) for plane in picture.planes]
    surface = surface_of(picture)
    assert Layout.of(surface) == form
    assert [plane.data_ptr() for plane in surface.planes] == places
    assert [plane.stride(1) * plane.itemsize for plane in surface.planes] == rows
    again = picture_of(surface)
    assert again.format.name == pixel_format(surface) == pix_fmt
    del picture, surface  # each keeps the memory of the one before
    gc.collect()
    assert [plane.buffer_ptr for plane in again.planes] == places
    assert [plane.line_size for plane in again.planes] == rows
    assert [bytes(plane)[: rows[0]] for plane in again.planes] == [plane[: rows[0]] for plane in content]


def test_a_picture_taken_over_lets_the_decoder_have_its_own_back() -> None:
    context, picture = device_context(), decoded("nv12")
    held = DevicePictures(context).hold(picture)
    expected = [plane.clone() for plane in surface_of(picture).planes]
    for plane in surface_of(picture).planes:
        plane.fill_(0)  # as the decoder does with its next picture
    there = device_picture_of(frame_of(held, 8)).surface
    assert all(torch.equal(plane, want) for plane, want in zip(there.planes, expected, strict=True))
    assert not {plane.data_ptr() for plane in there.planes} & {plane.buffer_ptr for plane in picture.planes}


def frame_of(held: Any, depth: int, pts: int = 0) -> Frame:
    form = VideoFormat(held.size, Subsampling.YUV420, depth, Colour(), Fraction(1, 25), Fraction(25))
    return form.frame((), index=pts, pts=pts, device_pixels=held)  # type: ignore[arg-type]


def test_a_frame_stays_held_until_the_encoder_has_returned_its_packet() -> None:
    context = device_context()
    form = frame_of(DevicePictures(context).hold(decoded("nv12")), 8).format
    packer = DevicePacker(context, form, "nv12", CodeRange.LIMITED)
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width, encoder.pix_fmt = *SIZE, "nv12"
    encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
    encoder.options = {"preset": "veryfast", "rc-lookahead": "5", "bf": "2"}
    (pool,) = context._pools.values()
    returned, most = 0, 0
    for number in range(20):
        picture = packer.pack(frame_of(DevicePictures(context).hold(decoded("nv12")), 8, number))
        packets = encoder.encode(picture)
        packer.returned(packets)
        returned += len(packets)
        del picture, packets
        assert packer.in_flight == number + 1 - returned
        assert pool.slots - pool.free == packer.in_flight
        most = max(most, packer.in_flight)
    assert most > 3  # it does look ahead
    packer.returned(encoder.encode(None))
    assert packer.in_flight == 0
    assert pool.free == pool.slots


def test_frames_that_an_encoder_was_not_opened_for_are_refused() -> None:
    context = device_context()
    frame = frame_of(DevicePictures(context).hold(decoded("yuv420p")), 8, 5)
    with pytest.raises(SinkError, match=r"frame 5 is yuv420p; the output was opened for nv12"):
        DevicePacker(context, frame.format, "nv12", CodeRange.LIMITED).pack(frame)


def test_only_what_encoders_of_gpus_take_is_given_to_them() -> None:
    def form(size: tuple[int, int], subsampling: Subsampling, depth: int) -> VideoFormat:
        return VideoFormat(size, subsampling, depth, Colour(), Fraction(1, 25))

    assert device_format(form(SIZE, Subsampling.YUV420, 8)) == "nv12"
    assert device_format(form(SIZE, Subsampling.YUV420, 10)) == "p010le"
    assert device_format(form(SIZE, Subsampling.YUV444, 8)) is None
    assert device_format(form((71, 128), Subsampling.YUV420, 8)) is None
    assert device_format(form(SIZE, Subsampling.YUV420, 12)) is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, whose decoder may well work")
def test_without_a_gpu_its_decoder_is_missing_with_a_reason() -> None:
    reason = decoder_missing()
    assert reason is not None
    assert reason.startswith("FFmpeg cannot use NVIDIA's decoder: ")
    assert len(reason) > 45


def test_the_faster_decoder_is_found_by_trying_both() -> None:
    def slow_at(index: int) -> None:
        import time

        time.sleep(0.02)

    def quick() -> FakeSource:
        return FakeSource(count=60)

    def slow() -> FakeSource:
        return FakeSource(count=60, before_read=slow_at)

    def damaged() -> FakeSource:
        return FakeSource(count=60, broken=lambda index: index % 3 == 0)

    assert faster(quick, slow)
    assert not faster(slow, quick)
    assert faster(damaged, slow)  # what is broken is for the run to judge


@pytest.fixture
def clip(at_home: Path) -> Path:
    """A clip with sound, B-frames and times that are not even."""
    steps = np.cumsum([0, *([40, 33, 47] * FRAMES)])[:FRAMES]
    return media.make_clip(
        at_home / "in.mkv", frames=FRAMES, times=[int(step) for step in steps], b_frames=2, lossless=True
    )


@pytest.fixture
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> DeviceContext:
    """Let ``device=cuda`` mean surfaces on the CPU, decoded and encoded through the calls made for a GPU."""
    context = device_context()
    place = Placement(Device.CPU, context)

    def encoder(config: Any, video: VideoFormat, there: DeviceContext) -> Encoder:
        return Encoder("h264", "nv12", partial(DevicePacker, there), "encoded where frames live")

    monkeypatch.setattr(
        "streamfx.run.film.find_placement",
        lambda asked, *others: place if asked == "cuda" else Placement(Device.CPU),
    )
    monkeypatch.setattr("streamfx.run.film.encoder_of", lambda *given: encoder(*given) if given[2] else None)
    monkeypatch.setattr(decode, "faster", lambda device, processor: True)
    return context


def pixels(path: Path | str) -> list[NDArray[Any]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]


def times(path: Path | str) -> list[object]:
    with av.open(str(path)) as container:
        return [
            (packet.stream_index, packet.pts, packet.duration) for packet in container.demux() if packet.size
        ]


def test_a_file_transcoded_on_a_device_is_that_of_the_ordinary_flow(
    clip: Path, on_the_cpu: DeviceContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    common: dict[str, Any] = {"effects": ["tiny:factor=2,strength=0.9"], "backend": "eager", "workers": 3}
    common["quality"] = 0  # without loss: x264 does not make the same of the same frames every time
    ordinary = streamfx.transcode(clip, "ordinary.mkv", device="cpu", **common)
    resident = streamfx.transcode(clip, "resident.mkv", device="cuda", **common)
    assert resident.exit_code == ordinary.exit_code == 0
    assert resident.differences == ()
    assert resident.result.account == ordinary.result.account
    assert resident.result.account.encoded == resident.result.packets_written == FRAMES
    # Every packet of sound and picture has its time, in the same order.
    assert times("resident.mkv") == times("ordinary.mkv")
    for one, other in zip(pixels("resident.mkv"), pixels("ordinary.mkv"), strict=True):
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 1
    assert "encoded where frames live" in resident.notes
    assert "effect tiny: frames stay on cpu" in caplog.text
    assert all(pool.free == pool.slots for pool in on_the_cpu._pools.values())


def test_a_file_of_two_shots_has_new_noise_with_the_second_on_a_device_too(
    at_home: Path, on_the_cpu: DeviceContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    clip = write_clip(at_home / "cut.mkv", [scene_frame(index // 8, index) for index in range(16)])
    common: dict[str, Any] = {
        "effects": ["snow:factor=2,noise_amplitude=1"],
        "backend": "eager",
        "workers": 2,
        "quality": 0,  # without loss: x264 does not make the same of the same frames every time
    }
    ordinary = streamfx.transcode(clip, "ordinary.mkv", device="cpu", **common)
    resident = streamfx.transcode(clip, "resident.mkv", device="cuda", **common)
    assert resident.exit_code == ordinary.exit_code == 0
    for one, other in zip(pixels("resident.mkv"), pixels("ordinary.mkv"), strict=True):
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 1
    assert "effect snow: frames stay on cpu" in caplog.text
    assert all(pool.free == pool.slots for pool in on_the_cpu._pools.values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, whose encoder may well work")
def test_an_encoder_that_nobody_asked_for_and_that_fails_is_left_out(
    clip: Path, on_the_cpu: DeviceContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refusing(config: Any, video: VideoFormat, there: DeviceContext) -> Encoder:
        return Encoder("h264_nvenc", "nv12", partial(DevicePacker, there), "not to be seen")

    monkeypatch.setattr("streamfx.run.film.encoder_of", refusing)
    common: dict[str, Any] = {
        "effects": ["tiny:factor=4"],
        "backend": "eager",
        "workers": 2,
        "device": "cuda",
    }
    report = streamfx.transcode(clip, "out.mkv", **common)
    assert report.exit_code == 0
    assert "not to be seen" not in report.notes
    assert "out.mkv: encoded by the processor: out.mkv: encoder h264_nvenc does not start" in caplog.text
    with pytest.raises(SinkError, match="h264_nvenc does not start"):
        streamfx.transcode(clip, "asked.mkv", codec="h264_nvenc", **common)


def test_at_strength_0_frames_pass_through_the_device_untouched(
    clip: Path, on_the_cpu: DeviceContext
) -> None:
    report = streamfx.transcode(
        clip, "out.mkv", effects=["tiny:strength=0"], backend="eager", device="cuda", workers=2
    )
    assert report.exit_code == 0
    assert not any("converted" in note for note in report.notes)
    with_frames = FileSource(str(clip), pictures=DevicePictures(on_the_cpu))
    frame = with_frames.read()
    with_frames.close()
    assert frame is not None
    assert all(np.array_equal(a, b) for a, b in zip(frame.fetched().planes, planes_of(clip), strict=True))


def read_all(source: FileSource) -> int:
    count = 0
    while source.read() is not None:
        count += 1
    return count


def planes_of(clip: Path) -> Any:
    source = FileSource(str(clip))
    frame = source.read()
    source.close()
    assert frame is not None
    return frame.planes


def test_a_video_that_changes_its_size_on_the_way_cannot_be_scaled_there(at_home: Path) -> None:
    first = media.make_clip(at_home / "a.ts", frames=3, audio=False, codec="mpeg2video")
    second = media.make_clip(at_home / "b.ts", frames=3, audio=False, codec="mpeg2video", size=(96, 160))
    joined = at_home / "c.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    source = FileSource(str(joined), pictures=DevicePictures(device_context()))
    try:
        with pytest.raises(DecodeError, match="not like the first, and is not scaled on a device"):
            read_all(source)
    finally:
        source.close()


def test_odd_sizes_are_not_decoded_on_a_device(at_home: Path) -> None:
    clip = media.make_clip(at_home / "odd.mkv", size=(71, 127), codec="ffv1", frames=3)
    with pytest.raises(SourceOpenError, match=r"odd.mkv: cannot be decoded on the device: 127x71 is odd"):
        FileSource(str(clip), pictures=DevicePictures(device_context()))


def test_a_sink_that_fails_lets_go_of_every_frame(at_home: Path) -> None:
    context = device_context()
    frame = frame_of(DevicePictures(context).hold(decoded("nv12")), 8)
    settings = Encoding(pixel_format="nv12")
    sink = FileSink(
        at_home / "out.mkv", frame.format, encoding=settings, packing=partial(DevicePacker, context)
    )
    sink.write(frame)
    sink.abort()
    del frame, sink
    gc.collect()
    assert all(pool.free == pool.slots for pool in context._pools.values())
