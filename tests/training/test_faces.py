"""Faces and their points: what the networks give, made sense of; on known numbers and on one real face."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.evaluation.faces import TILE, Face, FaceDetector, anchors, decode, distinct, overlap
from training.evaluation.landmarks import POINTS, LandmarkFinder, Landmarks, crop_map, moved
from training.evaluation.people import FaceComparison, kept
from training.pictures import Picture, read_still

FACE = Path(__file__).parents[1] / "pictures" / "face.jpg"
LEVEL = np.array([[30, 40], [70, 40], [50, 60], [50, 80], [20, 50], [80, 50]], np.float32)


def face(*box: float, score: float = 0.9) -> Face:
    return Face((box[0], box[1], box[2], box[3]), LEVEL, score)


def street(top: int, left: int, height: int = 480, width: int = 640) -> Picture:
    """A grey picture with a real face of 85 pixels in it."""
    picture = np.full((height, width, 3), 120, np.uint8)
    portrait = read_still(FACE)
    assert portrait is not None
    picture[top : top + portrait.shape[0], left : left + portrait.shape[1]] = portrait
    return picture


def test_anchors_lie_in_the_middles_of_the_cells_of_two_grids() -> None:
    places_A2 = anchors()
    assert places_A2.shape == (896, 2)
    assert places_A2[:3].tolist() == [[1 / 32, 1 / 32], [1 / 32, 1 / 32], [3 / 32, 1 / 32]]
    assert places_A2[512:519].tolist() == [[1 / 16, 1 / 16]] * 6 + [[3 / 16, 1 / 16]]
    assert places_A2[-1].tolist() == [15 / 16, 15 / 16]


def test_a_find_is_read_from_its_anchor_on_and_an_unsure_one_is_left_out() -> None:
    finds_AK = np.zeros((2, 16), np.float32)
    finds_AK[0, :6] = [12.8, 0, 64, 32, 0, 6.4]
    (found,) = decode(finds_AK, np.array([0.0, -0.1], np.float32), np.full((2, 2), 0.5, np.float32))
    assert found.box == pytest.approx((0.35, 0.375, 0.85, 0.625))
    assert found.points_62[0].tolist() == pytest.approx([0.5, 0.55])
    assert found.score == 0.5


def test_boxes_that_share_a_third_of_their_union_overlap_by_a_third() -> None:
    assert overlap(face(0, 0, 2, 2), face(1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap(face(0, 0, 2, 2), face(5, 0, 7, 2)) == 0


def test_finds_of_one_face_become_their_mean_weighted_by_score() -> None:
    near = [face(0, 0, 10, 10, score=0.6), face(3, 0, 13, 10, score=0.9)]
    one, other = distinct([*near, face(50, 50, 60, 60, score=0.7)])
    assert one.box == pytest.approx((0.9 * 3 / 1.5, 0, (0.6 * 10 + 0.9 * 13) / 1.5, 10))
    assert (one.score, other.score) == (0.9, 0.7)


def test_a_face_is_frontal_where_the_nose_is_between_the_eyes() -> None:
    assert face(0, 0, 100, 100).frontal
    turned = LEVEL.copy()
    turned[2, 0] = 62
    assert not Face((0, 0, 100, 100), turned, 0.9).frontal


def test_the_crop_of_a_face_is_half_as_large_again_and_level() -> None:
    whole_23 = crop_map(face(10, 20, 74, 84))
    assert whole_23 @ [42, 52, 1] == pytest.approx([96, 96], abs=1e-3)
    assert whole_23 @ [42 + 48, 52, 1] == pytest.approx([192, 96], abs=1e-3)
    upside_down = Face((10, 20, 74, 84), LEVEL[[1, 0, 2, 3, 5, 4]], 0.9)
    assert crop_map(upside_down) @ [42 + 48, 52, 1] == pytest.approx([0, 96], abs=1e-3)


def test_points_that_all_moved_by_a_twentieth_of_the_distance_of_the_eyes_moved_by_that() -> None:
    points_682 = np.random.default_rng(1).uniform(0, 50, (68, 2)).astype(np.float32)
    points_682[36:42], points_682[42:48] = (10, 20), (70, 20)
    source = Landmarks(points_682, 90.0, True)
    assert source.eye_distance == 60
    assert moved(Landmarks(points_682 + np.array([0, 3], np.float32), 90.0, True), source) == pytest.approx(
        0.05
    )


def test_sixty_eight_different_points_of_the_mesh_are_compared() -> None:
    assert len(POINTS) == len(set(POINTS)) == 68


@pytest.mark.parametrize(("top", "left"), [(150, 430), (0, 0), (304, 201)])
def test_a_face_is_found_wherever_it_is_in_a_frame(top: int, left: int) -> None:
    found = FaceDetector()(street(top, left))[0]
    x0, y0, x1, y1 = found.box
    assert ((x0 + x1) / 2 - left, (y0 + y1) / 2 - top) == pytest.approx((99, 68), abs=5)
    assert found.frontal


def test_no_face_is_found_where_there_is_none_in_a_picture_smaller_than_a_tile() -> None:
    picture = np.random.default_rng(2).integers(0, 256, (TILE // 2, TILE // 3, 3), np.uint8)
    assert FaceDetector()(picture) == []


def test_points_of_a_mirrored_face_are_the_mirrored_points() -> None:
    picture = street(100, 200)
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    points, others = (LandmarkFinder()(one, FaceDetector()(one)[0]) for one in (picture, mirrored))
    assert points.is_face
    assert 75 < points.height < 95
    chin, nose = 8, 30
    for index in (chin, nose):
        x, y = others.points_682[index]
        assert (639 - x, y) == pytest.approx(tuple(points.points_682[index]), abs=3)


def test_a_witness_sees_whether_a_face_is_still_there_and_how_far_its_points_moved() -> None:
    source = street(150, 300)
    known = FaceComparison().faces(source)
    assert len(known) == 1
    assert FaceComparison().look(known, source) == [(True, 0.0)]
    (soft,) = FaceComparison().look(known, cv2.GaussianBlur(source, (0, 0), 1.0).astype(np.uint8))
    assert soft[0]
    assert 0 < soft[1] < 0.03
    (gone,) = FaceComparison().look(known, np.full_like(source, 120))
    assert not gone[0]
    assert gone[1] > 0.03


def test_a_face_larger_than_those_that_count_is_passed_over() -> None:
    large = cv2.resize(street(20, 20, 200, 200), (480, 480), interpolation=cv2.INTER_CUBIC)
    assert FaceComparison().faces(large.astype(np.uint8)) == []


def test_shares_are_of_all_faces_and_the_movement_is_the_median() -> None:
    found = kept([(True, 0.01), (True, 0.02), (True, 0.05), (False, 0.02)])
    assert (found.faces, found.found, found.stayed) == (4, 0.75, 0.5)
    assert found.movement == pytest.approx(0.02)
    assert kept([]).faces == 0
