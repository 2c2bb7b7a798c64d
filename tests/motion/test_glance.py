"""A glance shows what moves in a face, and where."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mejax.motion import glance as glance_lib
from mejax.motion.detection import DetectedFace

SIZE, EYES = 200, 50.0
POINTS = np.array(
  [[75, 80], [125, 80], [100, 105], [82, 130], [118, 130]], np.float32
)
BOX_OF_FACE = (60.0, 60.0, 80.0, 90.0)
# The side of the square around such a face.
BOX = round(glance_lib._SQUARE * EYES)


def detector(image):
  face = DetectedFace(points=POINTS, box=BOX_OF_FACE, score=1.0)
  return [face] if image.std() > 20 else []


def skin() -> np.ndarray:
  noise = np.random.default_rng(0).normal(size=(SIZE, SIZE, 3))
  soft = cv2.GaussianBlur(noise, (0, 0), 2.0)
  return (128 + 45 * soft / soft.std()).clip(0, 255).astype(np.uint8)


def moved(image, field):
  """Moves what the image shows by a smooth field of pixels."""
  y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
  return cv2.remap(
    image,
    x - field[..., 0],
    y - field[..., 1],
    cv2.INTER_CUBIC,
    borderMode=cv2.BORDER_REFLECT,
  )


def bump(at, by):
  """Returns a field of pixels that is `by` at a place, and falls around it."""
  y, x = np.mgrid[:SIZE, :SIZE]
  height = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 12.0**2))
  return (height[..., None] * by).astype(np.float32)


def last_seen(images):
  glance = glance_lib.Glance(5.0, detector)  # It compares neighbours.
  return [glance.see(image) for image in images][-1]


@pytest.mark.parametrize('by', [(0.0, -2.0), (2.0, 1.0)])
def test_flow_points_where_a_place_moves_and_has_half_of_its_length(by):
  at = (85, 88)
  seen = last_seen([skin(), moved(skin(), bump(at, by))])
  left, top, side = seen.box
  assert side == BOX and seen.eyes == EYES
  place = (np.array(at) - (left, top)) / side * glance_lib.SIDE
  column, row = np.rint(place).astype(int)
  pixels = seen.flow * side
  ratio = (pixels[row, column] @ (1, 1j)) / (by @ np.array([1, 1j]))
  # The smoothing takes some of so narrow a bump.
  assert 0.5 < ratio.real < 1.1 and abs(ratio.imag) < 0.1
  length = np.linalg.norm(pixels, axis=-1)
  assert length[glance_lib.SIDE * 3 // 4 :].max() < 0.3


def test_the_head_is_left_out():
  y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
  head = np.stack([1.5 + 0.01 * (x - 100), -1 + 0.01 * (y - 100)], -1)
  seen = last_seen([skin(), moved(skin(), head)])
  assert np.linalg.norm(seen.flow * seen.box[2], axis=-1).max() < 0.35


def test_without_a_face_nothing_is_seen():
  wall = np.full((SIZE, SIZE, 3), 90, np.uint8)
  assert last_seen([wall, wall]) is None
  glance = glance_lib.Glance(2.0, detector)  # It looks at each frame.
  found = [glance.see(image) is not None for image in (skin(), wall, skin())]
  assert found == [True, False, True]


def test_a_face_at_the_border_is_seen():
  image = np.roll(skin(), -70, axis=1)

  def near(_):
    points = POINTS - np.float32([70, 0])
    return [DetectedFace(points=points, box=BOX_OF_FACE, score=1.0)]

  glance = glance_lib.Glance(5.0, near)
  assert glance.see(image).box[0] < 0
  assert glance.see(image).flow.shape == (glance_lib.SIDE, glance_lib.SIDE, 2)
