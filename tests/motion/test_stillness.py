"""A face in which nothing moves is told from one that moves a little."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mejax.motion import stillness
from tests.motion import sample_faces

SIDE = 128


def portrait(name: str) -> np.ndarray:
  """A face that fills a square, as an aligned one does."""
  picture = sample_faces.portrait(name)
  return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def moved(picture: np.ndarray, pixels: float) -> np.ndarray:
  y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
  bump = np.exp(-((x - 64) ** 2 + (y - 92) ** 2) / (2 * 8**2))
  return cv2.remap(
    picture,
    x,
    (y - pixels * bump).astype(np.float32),
    cv2.INTER_CUBIC,
    borderMode=cv2.BORDER_REPLICATE,
  )


def seen(picture: np.ndarray, noise: float, seed: int) -> np.ndarray:
  source = np.random.default_rng(seed).normal(0, noise, picture.shape)
  return np.clip(picture + source, 0, 255).round().astype(np.uint8)


def is_still(onset, apex, beside) -> bool:
  return stillness.is_still(onset, apex, beside, np.eye(2, 3), size=SIDE)


@pytest.mark.parametrize('name', sample_faces.SAMPLES)
@pytest.mark.parametrize('noise', [0.0, 1.0, 3.0])
def test_noise_is_no_motion_and_motion_is_no_noise(name, noise):
  face = portrait(name)
  onset, beside = (seen(face, noise, seed) for seed in (0, 1))
  for pixels in (0.0, 0.02):
    assert is_still(onset, seen(moved(face, pixels), noise, 2), beside)
  # Motion that noise hides is not seen, and nobody could.
  least = {0.0: 0.2, 1.0: 0.3, 3.0: 0.8}[noise]
  assert not is_still(onset, seen(moved(face, least), noise, 2), beside)


@pytest.mark.parametrize('name', sample_faces.SAMPLES)
def test_a_camera_that_shakes_does_not_make_a_clip_still(name):
  face = portrait(name)
  beside, apex = (np.roll(face, step, axis=(0, 1)) for step in ((2, 3), (1, 2)))
  assert not is_still(face, apex, beside)


def test_a_lamp_is_no_motion():
  face = portrait('astronaut')
  lit = np.clip(1.05 * face + 4, 0, 255).astype(np.uint8)
  assert is_still(face.clip(0, 230), lit.clip(0, 246), None)


def test_equal_and_empty_frames_are_still():
  black = np.zeros((SIDE, SIDE, 3), np.uint8)
  face = portrait('hopper')
  assert is_still(black, black, None)
  assert is_still(face, face, face)
  assert not is_still(black, face, black)
