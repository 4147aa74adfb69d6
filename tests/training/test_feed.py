"""Reading training pictures: lazily, by chance that is repeatable, broken ones skipped."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import closing
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.media import make_clip
from tests.training.test_pictures import write_pictures
from training.clip import open_clip
from training.feed import Feed, FeedOptions
from training.picture_store import PictureStore
from training.pictures import Still, find_stills, read_clip
from training.pool import Pool

CLIP = Path(__file__).parents[1] / "clips" / "bigbuckbunny.mp4"


def options(folder: Path, **changes: object) -> FeedOptions:
    values: dict[str, object] = {"content": [folder], "crop": 32, "batch": 3}
    return FeedOptions.model_validate(values | changes)


def trainable(folder: Path) -> list[Still]:
    return [still for still in find_stills([folder]) if not still.held_out]


def test_a_batch_depends_on_seed_and_number_alone(tmp_path: Path) -> None:
    write_pictures(tmp_path, 8)
    with Feed(options(tmp_path), seed=3) as feed:
        batches = [feed.batch(number) for number in range(4)]
    with Feed(options(tmp_path, readers=1, ahead=1), seed=3) as again:
        assert (again.batch(3) == batches[3]).all()
        assert (again.batch(1) == batches[1]).all()
    with Feed(options(tmp_path), seed=4) as other:
        assert not (other.batch(3) == batches[3]).all()
    assert batches[0].shape == (3, 1, 32, 32, 3)
    assert batches[0].dtype == np.uint8


def test_held_out_pictures_are_never_fed(tmp_path: Path) -> None:
    for number in range(20):
        cv2.imwrite(str(tmp_path / f"{number:02}.png"), np.full((32, 32, 3), 10 * number + 1, np.uint8))
    held = {int(still.path.stem) for still in find_stills([tmp_path]) if still.held_out}
    with Feed(options(tmp_path, batch=16), seed=1) as feed:
        seen = {
            int(feed.batch(number)[place, 0, 0, 0, 0]) // 10 for number in range(8) for place in range(16)
        }
    assert held
    assert not held & seen
    assert len(seen) > 10


def test_frames_of_a_clip_follow_one_another(tmp_path: Path) -> None:
    frames = read_clip(CLIP)
    with Feed(options(CLIP, clip_share=1.0, frames=2, crop=240, batch=4), seed=2) as feed:
        batch = feed.batch(0)
    assert batch.shape == (4, 2, 240, 240, 3)
    clip = open_clip(CLIP)
    assert clip is not None
    assert clip.frames == len(frames)
    for number in (0, 7, len(frames) - 1):
        found = clip.read(number, 1)[0].astype(int)
        assert np.abs(found - frames[number]).mean() < 3  # two converters to RGB
    clip.close()


def test_pictures_are_resized_before_they_are_cut(tmp_path: Path) -> None:
    write_pictures(tmp_path, 4, side=20)
    with Feed(options(tmp_path, short_sides=[40], crop=32), seed=2) as feed:
        assert feed.batch(0).shape[2:] == (32, 32, 3)


def test_broken_and_small_pictures_are_named_skipped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_pictures(tmp_path / "good", 3)
    write_pictures(tmp_path / "small", 1, side=16)
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    (tmp_path / "broken.mp4").write_bytes(b"not a clip")
    stills = [Still(path, path.name) for path in tmp_path.rglob("*.*") if path.suffix != ".mp4"]
    chosen = options(tmp_path, content=[tmp_path, tmp_path / "broken.mp4"], batch=20)
    with caplog.at_level(logging.WARNING):
        with Feed(chosen, seed=1, stills=stills) as feed:
            feed.batch(0)
        assert {path.name for path in feed.picture_store.skipped} == {"broken.jpg", "broken.mp4", "00.png"}
    assert "smaller than 32 pixels" in caplog.text
    assert "3 pictures or clips could not be used" in caplog.text


def break_off(path: Path, first: int) -> None:
    """Overwrite all frames of an MJPEG clip from one on."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.pts is not None]
    data = bytearray(path.read_bytes())
    for packet in packets[first:]:
        assert packet.pos is not None
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(data)


def test_what_is_taken_of_a_partly_broken_clip_does_not_depend_on_what_was_taken_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_clip(
        tmp_path / "clip.mp4", frames=20, codec="mjpeg", pix_fmt="yuvj420p", audio=False, size=(48, 64)
    )
    break_off(clip, 10)

    def takes(order: Iterable[int]) -> dict[int, bytes]:
        with closing(PictureStore([], [clip], 1 << 20)) as picture_store:
            found = {
                seed: picture_store.take(np.random.default_rng(seed), 1.0)[0].tobytes() for seed in order
            }
            assert picture_store.skipped == {clip}
            return found

    forth = takes(range(12))
    assert takes(reversed(range(12))) == forth
    assert len(set(forth.values())) > 3
    assert "1 pictures or clips could not be used, at all or in part" in caplog.text


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no training picture"):
        Feed(options(tmp_path), seed=1)
    picture_store = PictureStore([Still(tmp_path / "missing.png", "missing")], [], 1 << 20)
    with pytest.raises(ValueError, match="no readable training picture"):
        picture_store.take(np.random.default_rng(1), 0.0)


def test_options_name_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere does not exist"):
        options(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="short_sides must be at least crop, 32"):
        options(tmp_path, short_sides=[20])


def test_every_crop_of_a_pool_is_used_once_per_round_and_read_when_needed(tmp_path: Path) -> None:
    write_pictures(tmp_path, 6)
    pool = Pool(find_stills([tmp_path]), [], 6, 32, 0.0, seed=1)
    rounds = [pool.indices(step, 2) for step in range(6)]
    for turn in (rounds[:3], rounds[3:]):
        assert sorted(chain(*turn)) == list(range(6))
    assert rounds[:3] != rounds[3:]
    first = pool.crop(4)
    assert pool.crop(4) is first
    again = Pool(find_stills([tmp_path]), [], 6, 32, 0.0, seed=1)
    assert (again.crop(4).rgb() == first.rgb()).all()
