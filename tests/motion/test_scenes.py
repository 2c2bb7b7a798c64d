"""A scene cut is told from motion, light and noise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mejax.motion import faces
from mejax.motion import scenes
from tests.motion import sample_faces


def patch(name: str) -> np.ndarray:
  picture = sample_faces.image(name)
  points = faces.detect_dense(picture)[0].points
  matrix = faces.alignment(points, size=128)
  return faces.cut([picture], matrix, size=128)[0][0]


def film(*pictures: np.ndarray, each: int = 8) -> list[np.ndarray]:
  """Shows each picture for some frames, with noise."""
  source = np.random.default_rng(0)
  return [
    (picture + source.normal(0, 3, picture.shape)).clip(0, 255).astype(np.uint8)
    for picture in pictures
    for _ in range(each)
  ]


@pytest.fixture(scope='module')
def face():
  return patch('hopper')


def test_a_cut_to_a_title_a_face_or_another_scene_is_found(face):
  title = np.full_like(face, (180, 150, 90))
  turned = np.ascontiguousarray(face[::-1])
  for other in (title, patch('astronaut'), turned):
    assert scenes.find_cut(film(face, other)) == 8
    assert scenes.find_cut(film(other, face)) == 8
    assert scenes.find_cut(film(face, other)[6:]) == 2
    assert scenes.find_cut([face, other]) == 1


def test_a_flash_of_another_picture_is_found(face):
  frames = film(face, each=20)
  frames[11] = np.zeros_like(face)
  assert scenes.find_cut(frames) == 11


@pytest.mark.parametrize('step', [0, 1, 4, 12])
def test_motion_is_no_cut(face, step):
  moving = [np.roll(face, step * t, axis=1) for t in range(12)]
  assert scenes.find_cut(moving) is None


def test_light_noise_and_an_empty_picture_are_no_cut(face):
  bright = (face * 1.4).clip(0, 255).astype(np.uint8)
  assert scenes.find_cut(film(face, bright, face // 2)) is None
  assert scenes.find_cut(film(np.full_like(face, 90))) is None
  assert scenes.find_cut([face]) is None
  noise = np.random.default_rng(0).integers(0, 256, (9, *face.shape), np.uint8)
  assert scenes.find_cut(list(noise)) is None


def test_a_clock_in_the_picture_is_no_cut(face):
  frames = film(face, each=12)
  for n, frame in enumerate(frames):
    frame[-24:] = np.repeat([255 * (n >> bit & 1) for bit in range(8)], 30)[
      :, None
    ]
  assert scenes.find_cut(frames) is None


def test_a_dissolve_is_no_cut(face):
  other = patch('astronaut')
  frames = [
    cv2.addWeighted(face, 1 - s, other, s, 0) for s in np.linspace(0, 1, 12)
  ]
  assert scenes.find_cut(frames) is None


def test_the_difference_of_one_person_is_small_and_of_two_large(face):
  mirrored = np.ascontiguousarray(face[:, ::-1])
  brighter = (face * 1.2).clip(0, 255).astype(np.uint8)
  assert scenes.difference(face, brighter) < 0.02
  assert scenes.difference(face, np.roll(face, 4, axis=0)) < 0.02
  assert scenes.difference(face, patch('astronaut')) > 0.3
  assert scenes.difference(face, mirrored) > scenes.difference(face, brighter)
