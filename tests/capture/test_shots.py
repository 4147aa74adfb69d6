"""Shots: cuts are found where they are, and nothing else is taken for one; frames pass as they came."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfx.capture.cuts import is_blank, thumbnail, unlike
from streamfx.capture.shots import ShotSource
from streamfx.errors import DecodeError, SourceLostError
from streamfx.media.frame import Frame, Plane, Subsampling
from streamfx.pipeline.flow import Ending, Flow
from streamfx.pipeline.pipeline import Pipeline
from tests.asserts import assert_no_stage_thread_is_left
from tests.fakes import FakeSink, FakeSource
from tests.scenes import FORMAT, scene_frame

Picture = Callable[[int], Frame]


@dataclass
class Run:
    """What came out of a source whose frames are numbered by shot."""

    frames: list[Frame] = field(default_factory=list)
    looked: list[int] = field(default_factory=list)

    @property
    def begins(self) -> list[int]:
        """Index of the first frame of each shot."""
        shots = [frame.shot for frame in self.frames]
        assert sorted(set(shots)) == list(range(len(set(shots))))
        assert shots == sorted(shots)
        return [self.frames[shots.index(shot)].index for shot in sorted(set(shots))]


def run(pictures: Sequence[Frame] | Picture, count: int | None = None, *, live: bool = False) -> Run:
    """Read a source to its end."""
    if isinstance(pictures, Sequence):
        listed = pictures
        count, pictures = len(listed), lambda index: replace(listed[index], index=index, pts=index)
    source, result = FakeSource(count, live, picture=pictures, format=FORMAT), Run()
    shots = ShotSource(source, [lambda frame: result.looked.append(frame.index)])
    while (frame := shots.read()) is not None:
        result.frames.append(frame)
    return result


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_a_shot_begins_with_the_first_frame_after_a_cut(live: bool) -> None:
    found = run([scene_frame(index // 10, index) for index in range(30)], live=live)
    assert found.begins == [0, 10, 20]
    assert found.looked == [0, 10, 20]


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("a flash that leaves the picture visible", [scene_frame(1, 10, glare=60)]),
        ("a flash that blots out most", [scene_frame(1, 10, glare=170)]),
        ("a white picture", [scene_frame(1, 10, light=0, glare=219)] * 5),
        ("a black picture", [scene_frame(1, 10, light=0)] * 5),
        ("a damaged picture", [scene_frame(7, 3)]),
    ],
)
def test_what_passes_is_no_cut(name: str, odd: list[Frame], live: bool) -> None:
    before = [scene_frame(1, time) for time in range(10)]
    after = [scene_frame(1, 11 + time) for time in range(10)]
    found = run([*before, *odd, *after], live=live)
    assert found.begins == [0], name
    assert found.looked == [0]


def test_a_file_is_read_far_enough_ahead_for_longer_flashes() -> None:
    before, after = ([scene_frame(1, begin + time) for time in range(10)] for begin in (0, 13))
    assert run([*before, *[scene_frame(7, 3)] * 3, *after]).begins == [0]
    assert run([*before, *[scene_frame(7, 3)] * 4, *after]).begins == [0, 10, 14]


def test_after_a_flash_the_next_cut_is_found_again() -> None:
    pictures = [scene_frame(1, time) for time in range(20)]
    pictures[5] = scene_frame(1, 5, glare=170)
    assert run([*pictures, *(scene_frame(2, time) for time in range(10))]).begins == [0, 20]


def test_a_scene_that_fades_out_and_in_again_is_one_shot() -> None:
    lights = [1.0] * 5 + [1 - step / 12 for step in range(13)] + [0.0] * 4 + [step / 12 for step in range(13)]
    found = run([scene_frame(1, time, light=light) for time, light in enumerate(lights)])
    assert found.begins == [0]
    assert found.looked == [0]


def test_a_fade_through_black_to_another_scene_is_one_cut_and_looked_at_again_when_it_is_over() -> None:
    down, up = [1 - step / 10 for step in range(11)], [step / 10 for step in range(11)]
    pictures = [scene_frame(1, time, light=light) for time, light in enumerate([1.0] * 5 + down)]
    pictures += [scene_frame(2, time, light=light) for time, light in enumerate(up + [1.0] * 9)]
    found = run(pictures)
    first_seen = 5 + len(down) + 1  # its first picture is black
    assert found.begins == [0, first_seen]
    assert found.looked[:2] == [0, first_seen]
    assert len(found.looked) == 3
    assert found.looked[2] in range(first_seen + 8, first_seen + 12)


def test_a_video_that_fades_in_is_looked_at_when_something_shows_and_when_all_does() -> None:
    lights = [0.0] * 3 + [step / 10 for step in range(1, 11)] + [1.0] * 5
    found = run([scene_frame(1, time, light=light) for time, light in enumerate(lights)])
    assert found.begins == [0]
    assert found.looked == [0, 3, 13]


def test_quick_motion_is_no_cut() -> None:
    def pan(index: int) -> Frame:
        frame = scene_frame(3, 0)
        wide = np.hstack([frame.planes[0]] * 2)
        shift = 10 * index % frame.size[1]
        luma = np.ascontiguousarray(wide[:, shift : shift + frame.size[1]])
        return replace(frame, planes=(luma, *frame.planes[1:]), index=index)

    assert unlike(thumbnail(pan(0)), thumbnail(pan(1))) > 0.5
    assert run(pan, 30).begins == [0]


def test_a_cut_between_scenes_in_quick_motion_is_found() -> None:
    def pan(index: int) -> Frame:
        frame = scene_frame(3 + index // 15, 0)
        luma = np.roll(frame.planes[0], 4 * index, axis=1)
        return replace(frame, planes=(luma, *frame.planes[1:]), index=index)

    assert run(pan, 30).begins == [0, 15]


def test_another_colour_is_another_scene() -> None:
    assert run([scene_frame(1, time, "red" if time < 8 else "blue") for time in range(16)]).begins == [0, 8]


@pytest.mark.parametrize("subsampling", list(Subsampling))
@pytest.mark.parametrize("depth", [8, 10, 16])
def test_thumbnails_are_alike_whatever_the_depth_size_and_subsampling(
    subsampling: Subsampling, depth: int
) -> None:
    frame = scene_frame(4)
    steps = subsampling.steps
    factors = ((3, 3), (6 // steps[0], 6 // steps[1]), (6 // steps[0], 6 // steps[1]))

    def enlarged(plane: Plane, factors: tuple[int, int]) -> Plane:
        wide = plane.repeat(factors[0], 0).repeat(factors[1], 1)
        return wide if depth == 8 else (wide.astype(np.uint16) << (depth - 8)).astype(np.uint16)

    first, second, third = map(enlarged, frame.planes, factors)
    large = Frame((first, second, third), subsampling, depth, frame.colour, 0, 0, frame.time_base)
    assert unlike(thumbnail(frame), thumbnail(large)) < 0.35
    assert thumbnail(large).dtype == np.float32
    assert thumbnail(large).max() < 256


def test_tiny_frames_have_thumbnails_too() -> None:
    source = FakeSource(3)
    pictures = [ShotSource(source).read() for _ in range(3)]
    assert [frame.shot for frame in pictures if frame] == [0, 0, 0]


def test_blank_is_what_shows_nothing() -> None:
    assert is_blank(thumbnail(scene_frame(1, light=0)))
    assert not is_blank(thumbnail(scene_frame(1, light=0.2)))


# --------------------------------------------------------------------------------- the source around it


@pytest.mark.parametrize(("live", "ahead"), [(False, 3), (True, 1)])
def test_frames_are_read_ahead_only_where_a_cut_is_suspected(live: bool, ahead: int) -> None:
    source = FakeSource(20, live, picture=lambda index: scene_frame(index // 10, index), format=FORMAT)
    shots = ShotSource(source)
    reads = []
    for _ in range(14):
        assert shots.read() is not None
        reads.append(source.reads)
    assert reads[:10] == list(range(1, 11))
    assert reads[10] == 11 + ahead
    assert reads[13] == 14


def test_a_broken_frame_that_was_read_ahead_is_told_in_its_turn() -> None:
    source = FakeSource(
        20,
        broken=lambda index: index == 11,
        picture=lambda index: scene_frame(index // 10, index),
        format=FORMAT,
    )
    shots, found = ShotSource(source), []
    for _ in range(20):
        try:
            frame = shots.read()
            assert frame is not None
            found.append((frame.index, frame.shot))
        except DecodeError:
            found.append((11, -1))
    assert [index for index, _ in found] == list(range(20))
    assert found[10:13] == [(10, 1), (11, -1), (12, 1)]
    assert shots.read() is None


def test_frames_that_were_read_ahead_come_before_the_loss_of_the_source() -> None:
    source = FakeSource(20, lost_at=12, picture=lambda index: scene_frame(index // 10, index), format=FORMAT)
    shots = ShotSource(source)
    assert [frame.shot for _ in range(12) if (frame := shots.read())] == [0] * 10 + [1, 1]
    with pytest.raises(SourceLostError, match="fake: gone at read 12"):
        shots.read()


def test_frames_that_stand_in_belong_to_the_shot_before() -> None:
    def picture(index: int) -> Frame:
        if 5 <= index < 8:  # black, because the source is away
            return replace(scene_frame(1, index, light=0), repeated=True)
        return scene_frame(0 if index < 5 else 2, index)

    found = run(picture, 16)
    assert found.begins == [0, 8]
    assert found.looked == [0, 8]


def test_a_picture_that_is_shown_again_is_not_looked_at_again() -> None:
    pictures = [scene_frame(index // 10, index) for index in range(30)]
    again = [replace(frame, again=time > 0) for frame in pictures for time in range(3)]
    found = run(again)
    assert found.begins == [0, 30, 60]
    assert found.looked == [0, 30, 60]
    assert [frame.again for frame in found.frames] == [frame.again for frame in again]


def test_what_describes_the_source_is_handed_on() -> None:
    source = FakeSource(2, live=True, shortfall=0)
    shots = ShotSource(source)
    assert (shots.name, shots.format, shots.live, shots.other_tracks) == ("fake", source.format, True, None)
    source.notes.append("late")
    assert shots.notes == ["late"]
    source.shortfall = 7
    assert [shots.read() is None for _ in range(3)] == [False, False, True]
    assert shots.shortfall == 7
    shots.close()
    assert source.closes == 1


def test_a_source_that_hangs_while_it_is_read_ahead_can_be_stopped() -> None:
    source = FakeSource(
        None, hang_at=11, picture=lambda index: scene_frame(index // 10, index), format=FORMAT
    )
    sink = FakeSink()
    pipeline = Pipeline(ShotSource(source), lambda frame: frame, sink, Flow(stop_grace_seconds=0.01))

    def stop() -> None:
        assert source.hanging.wait(30)
        pipeline.stop()

    stopping = threading.Thread(target=stop)
    stopping.start()
    result = pipeline.run()
    stopping.join()
    assert result.ending is Ending.STOPPED
    assert result.account.encoded == 10
    assert_no_stage_thread_is_left()


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 1, 1, 1]), st.sampled_from([0, 0, 170]))))
def test_whatever_comes_is_handed_over_in_order_and_unchanged(kinds: list[tuple[int, int, int]]) -> None:
    pictures = [
        scene_frame(number, time, light=light, glare=glare)
        for time, (number, light, glare) in enumerate(kinds)
    ]
    found = run(pictures)
    assert [frame.index for frame in found.frames] == list(range(len(pictures)))
    assert all(a.planes[0] is b.planes[0] for a, b in zip(found.frames, pictures, strict=True))
    assert found.frames == [] or found.begins[0] == 0
