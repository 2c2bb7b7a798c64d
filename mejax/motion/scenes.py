"""Tells a scene cut from motion."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

# Side of the small grey pictures that are compared, and grey levels of noise
# that make no difference between two empty pictures.
_SIDE, _NOISE = 24, 6.0
# Difference across a cut, and how many times that of the steps around it. With
# a face in the picture, motion by a pixel of 128 between two frames gives 0.02,
# by five 0.3; another face gives 0.9, a title 1.
_CUT, _ABOVE, _AROUND = 0.4, 3.0, 5


def difference(
  first: UInt8[np.ndarray, 'h w 3'], second: UInt8[np.ndarray, 'h w 3']
) -> float:
  """Returns how much of two pictures differs: 0 none, about 1 all.

  Brightness makes no difference, contrast little.
  """
  one, two = _small(first), _small(second)
  return _difference(one, two)


def find_cut(frames: Sequence[UInt8[np.ndarray, 'h w 3']]) -> int | None:
  """Returns the position of the first frame of a new scene; None without one.

  A cut is one step that differs from those around it: of a shaking camera all
  steps are large.
  """
  small = [_small(frame) for frame in frames]
  steps = np.array(
    [_difference(*pair) for pair in zip(small, small[1:], strict=False)]
  )
  for at in np.flatnonzero(steps > _CUT):
    around = np.delete(
      steps[max(at - _AROUND, 0) : at + _AROUND + 1], min(at, _AROUND)
    )
    if not len(around) or steps[at] > _ABOVE * np.median(around):
      return int(at) + 1
  return None


def _small(frame: UInt8[np.ndarray, 'h w 3']) -> Float[np.ndarray, 's s']:
  """Returns a grey picture without its brightness."""
  grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
  small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
  return small - small.mean(dtype=np.float64)


def _difference(
  one: Float[np.ndarray, 's s'], two: Float[np.ndarray, 's s']
) -> float:
  energy = (one**2).mean() + (two**2).mean() + 2 * _NOISE**2
  return float(((one - two) ** 2).mean() / energy)
