"""Faces on their side and upside down are found by their eyes and mouth.

Pictures: two photographs and a rendered face, in four turns, tilted besides,
with blur, noise and little light; pictures without a face.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
import pytest

from mejax.motion import faces
from mejax.motion import upright
from tests.motion import sample_faces

skimage_data = pytest.importorskip('skimage.data')


def turned(points: np.ndarray, turn: int, shape) -> np.ndarray:
  """Returns where `np.rot90` with this turn takes points (x, y)."""
  points = np.array(points, float)
  height, width = shape[:2]
  for _ in range(turn):
    # Anticlockwise: the right edge becomes the upper one.
    points = np.stack([points[:, 1], width - 1 - points[:, 0]], axis=-1)
    height, width = width, height
  return points


@functools.cache
def upright_points(name: str) -> np.ndarray:
  return faces.locate(
    [sample_faces.image(name)], detector=faces.detect_dense
  ).points


@pytest.mark.parametrize('detector', [faces.detect, faces.detect_dense])
@pytest.mark.parametrize('turn', range(4))
@pytest.mark.parametrize('name', sample_faces.SAMPLES)
def test_points_lie_on_the_eyes_and_mouth_in_every_turn(name, turn, detector):
  picture = sample_faces.image(name)
  image = np.ascontiguousarray(np.rot90(picture, turn))
  found = faces.locate([image] * 2, detector=detector)
  expected = turned(upright_points(name), turn, picture.shape)
  miss = np.linalg.norm(found.points - expected, axis=1)
  apart = np.linalg.norm(expected[1] - expected[0])
  assert miss.max() < 0.2 * apart
  eyes = turned(sample_faces.EYES[name], turn, picture.shape)
  assert np.abs(found.points[:2] - eyes).max() < 0.15 * apart
  assert found.turn == (360 - 90 * turn) % 360


@pytest.mark.parametrize('turn', range(4))
@pytest.mark.parametrize('change', ['blur', 'noise', 'dark', 'small', 'tilt'])
def test_a_poor_picture_is_turned_too(change, turn):
  picture = sample_faces.image(
    'hopper', scale=0.3 if change == 'small' else 1.0
  )
  points = upright_points('hopper') * (0.3 if change == 'small' else 1.0)
  if change == 'blur':
    picture = cv2.GaussianBlur(picture, (0, 0), 4)
  elif change == 'noise':
    noise = np.random.default_rng(0).normal(0, 15, picture.shape)
    picture = (picture + noise).clip(0, 255).astype(np.uint8)
  elif change == 'dark':
    picture = picture // 3
  elif change == 'tilt':
    matrix = sample_faces.similarity(1.0, 15, (0, 0))
    picture = sample_faces.warped(picture, matrix)
    points = sample_faces.moved(points, matrix)
  image = np.ascontiguousarray(np.rot90(picture, turn))
  found = faces.locate([image], detector=faces.detect_dense)
  expected = turned(points, turn, picture.shape)
  apart = np.linalg.norm(expected[1] - expected[0])
  assert np.linalg.norm(found.points - expected, axis=1).max() < 0.35 * apart


def test_a_turned_face_is_aligned_upright():
  picture = sample_faces.image('astronaut')
  cuts = []
  for turn in range(4):
    image = np.ascontiguousarray(np.rot90(picture, turn))
    points = faces.locate([image], detector=faces.detect_dense).points
    matrix = faces.alignment(points, size=64)
    patches, inner = faces.cut([image], matrix, size=64)
    cuts.append(
      cv2.warpAffine(
        patches[0], inner, (64, 64), flags=cv2.WARP_INVERSE_MAP
      ).astype(float)
    )
  for other in cuts[1:]:
    assert np.corrcoef(cuts[0].ravel(), other.ravel())[0, 1] > 0.95


@pytest.mark.parametrize('name', ['text', 'coins', 'rocket', 'brick', 'coffee'])
def test_what_is_no_face_in_any_turn_is_refused(name):
  image = getattr(skimage_data, name)()
  image = np.dstack([image] * 3) if image.ndim == 2 else image
  with pytest.raises(faces.NoFace, match='upright and turned'):
    faces.locate([np.ascontiguousarray(image)], detector=faces.detect_dense)


def test_an_ordinary_face_is_searched_in_no_other_turn():
  picture = sample_faces.image('astronaut')
  calls = []

  def detector(image):
    calls.append(image.shape)
    return faces.detect_dense(image)

  found, turn = upright.search([picture] * 3, detector)
  assert turn == 0 and len(found) == 3
  assert calls == [picture.shape] * 3


def frames_of(turns) -> list[np.ndarray]:
  picture = sample_faces.image('hopper', scale=0.5)
  return [np.ascontiguousarray(np.rot90(picture, turn)) for turn in turns]


@pytest.mark.parametrize('turn', range(4))
def test_frames_of_a_recording_agree_on_its_turn(turn):
  images = iter(frames_of([turn] * 4))
  assert upright.turn_of(images, faces.detect) == (360 - 90 * turn) % 360
  assert len(list(images)) == 1  # Three of them are enough.


@pytest.mark.parametrize(
  'turns, degrees', [([1], 0), ([1, 0], 0), ([1, 1], 270), ([2, 0, 2], 180)]
)
def test_a_recording_is_turned_by_most_of_its_frames_only(turns, degrees):
  empty = np.full((60, 80, 3), 90, np.uint8)
  images = [empty, *frames_of(turns)]
  assert upright.turn_of(images, faces.detect) == degrees


def test_the_box_is_turned_with_its_face():
  picture = sample_faces.image('hopper')
  (face, *_) = faces.detect_dense(picture)
  for turn in (1, 2, 3):
    image = np.ascontiguousarray(np.rot90(picture, turn))
    found, _ = upright.search([image], faces.detect_dense)
    left, top, across, down = found[0][0].box
    corners = turned(
      [face.box[:2], np.add(face.box[:2], face.box[2:])], turn, picture.shape
    )
    expected = (*corners.min(0), *np.ptp(corners, axis=0))
    np.testing.assert_allclose((left, top, across, down), expected, atol=3)
