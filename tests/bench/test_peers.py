"""Peers: the programs that streamfx is compared with really change a clip."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.peers import PEER_FRAMES, first_try, pyav_torch
from benchmarks.pipeline import CLIP, make_clip
from tests.engines import make_inked_engine


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(CLIP, tmp_path_factory.mktemp("clips") / "clip.mp4", (48, 64), PEER_FRAMES)


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_the_first_try_runs_networks_that_see_fine_luma(clip: Path, tmp_path: Path) -> None:
    first_try(str(make_inked_engine(tmp_path)))(clip, tmp_path / "made.mp4")
    made = pictures(tmp_path / "made.mp4")
    assert len(made) == PEER_FRAMES
    assert np.abs(made[0].astype(int) - pictures(clip)[0]).mean() > 5


def test_the_published_network_changes_pictures_of_their_size(clip: Path, tmp_path: Path) -> None:
    pyav_torch("")(clip, tmp_path / "made.mp4")
    made = pictures(tmp_path / "made.mp4")
    assert len(made) == PEER_FRAMES
    assert made[0].shape == (48, 64, 3)
    assert np.abs(made[0].astype(int) - pictures(clip)[0]).mean() > 5
