"""Pictures of where the motion decides."""

from __future__ import annotations

import numpy as np

from mejax.experiment.predicting import showing


def test_a_fall_has_the_same_colour_whatever_the_largest_of_its_picture_is():
  face = np.full((showing.SIDE, showing.SIDE, 3), 120, np.uint8)
  small, large = np.zeros((2, 8, 8))
  small[2, 2] = large[2, 2] = 0.06
  large[6, 6] = 0.5
  one, other = (showing._heat(face, fall) for fall in (small, large))
  half = showing.SIDE // 2
  np.testing.assert_array_equal(one[:half, :half], other[:half, :half])
  assert (one[half:, half:] != other[half:, half:]).any()
