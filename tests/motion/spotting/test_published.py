"""Curves of published spotters on flows and frames that are known."""

from __future__ import annotations

import cv2
import numpy as np

from mejax.motion.spotting import published


def noise(seed=0):
  small = np.random.default_rng(seed).integers(0, 255, (24, 24), np.uint8)
  return cv2.resize(small, (96, 96), interpolation=cv2.INTER_CUBIC)


def test_difference_is_the_mean_change():
  greys = [np.full((4, 4), value, np.uint8) for value in (10, 13, 3)]
  assert published.frame_difference(greys).tolist() == [0, 3, 10]
  assert published.frame_difference([]).tolist() == []


def test_only_the_main_direction_of_a_block_counts():
  now, later = np.zeros((12, 12, 2)), np.zeros((12, 12, 2))
  now[..., 0] = 1.0
  # One pixel of each block goes up, and further.
  now[::2, ::2] = [0.0, -3.0]
  assert published.difference(now, later) == 1.0
  assert published.difference(now, now) == 0.0


def test_movement_that_comes_back_has_the_highest_value_at_its_apex():
  face = noise()
  path = 2 * np.sin(np.pi * np.clip((np.arange(31) - 9) / 12, 0, 1))
  greys = [
    cv2.warpAffine(
      face, np.float32([[1, 0, s], [0, 1, 0]]), (96, 96), borderMode=2
    )
    for s in path
  ]
  curve = published.main_directional(greys, k=6)
  assert abs(int(curve.argmax()) - 15) <= 1
  assert (curve[:6] == 0).all() and (curve[-6:] == 0).all()
