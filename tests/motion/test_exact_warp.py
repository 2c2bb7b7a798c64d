"""The pictures of known motion move by what is said, unlike OpenCV's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.motion import exact_warp
from tests.motion import sample_faces

SHIFTS = (0.25, 0.5, 0.75)


def phase_shift(picture, warp, shift, *, finest=4):
  """Returns by how many pixels a warp moves a picture along x.

  That is the slope of the phase of the cross spectrum over frequencies, for
  waves of at least `finest` pixels, weighted by their power.
  """
  # Beside its mirror image a picture is periodic, so no window is needed, which
  # would hold the picture back. Only the middle one of three periods counts.
  period = np.concatenate([picture, picture[:, -2:0:-1]], 1)
  n = period.shape[1]
  x, y = exact_warp.pixels(len(picture), 3 * n)
  moved = warp(np.tile(period, 3), x + shift, y)[:, n : 2 * n]
  kept = slice(1, n // finest)
  cross = (np.fft.rfft(moved) * np.fft.rfft(period).conj()).sum(0)[kept]
  omega = 2 * np.pi * np.arange(n // 2 + 1)[kept] / n
  power = np.abs(cross)
  return (power * omega * np.angle(cross)).sum() / (power * omega**2).sum()


def opencv(picture, x, y):
  return cv2.remap(
    np.float32(picture), np.float32(x), np.float32(y), cv2.INTER_CUBIC
  )


@pytest.mark.parametrize('shift', SHIFTS)
@pytest.mark.parametrize('face', sample_faces.SAMPLES)
def test_a_face_moves_by_the_shift(face, shift):
  picture = sample_faces.portrait(face) @ [0.299, 0.587, 0.114]
  assert phase_shift(picture, exact_warp.sample, shift) == pytest.approx(
    shift, abs=5e-4
  )
  assert phase_shift(picture.T, exact_warp.sample, shift) == pytest.approx(
    shift, abs=5e-4
  )
  # The measure is able to see the error that this module is there for.
  theirs = phase_shift(picture, opencv, shift)
  assert abs(theirs - shift) > 0.02 or shift == 0.5


@pytest.mark.parametrize('shift', SHIFTS)
def test_a_wave_of_any_length_from_six_pixels_on_moves_by_the_shift(shift):
  n = 129
  x, y = exact_warp.pixels(n, n)
  for halves in (2, 8, 32, 48):
    omega = np.pi * halves / (n - 1)  # Such a cosine is its own mirror image.
    moved = exact_warp.sample(np.cos(omega * x), x + shift, y)
    np.testing.assert_allclose(moved, np.cos(omega * (x + shift)), atol=5e-4)


def test_colours_are_sampled_one_by_one_and_whole_pixels_are_kept():
  picture = np.random.default_rng(0).uniform(size=(20, 30, 3))
  x, y = exact_warp.pixels(20, 30)
  np.testing.assert_allclose(exact_warp.sample(picture, x, y), picture)
  x = x - 0.3
  for c in range(3):
    np.testing.assert_array_equal(
      exact_warp.sample(picture, x, y)[..., c],
      exact_warp.sample(picture[..., c], x, y),
    )
