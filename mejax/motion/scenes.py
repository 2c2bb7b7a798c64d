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
# Share of a picture that is compared; the rest, which changes most, may.
_KEPT = 0.75
# Difference across a cut, and how many times that of the steps around it. A
# face that moves by 3 pixels of 128 between two frames gives 0.01, by 10 pixels
# 0.1; another face gives 0.4 and more, a title 1.
_CUT, _ABOVE, _AROUND = 0.15, 3.0, 5


def difference(
  first: UInt8[np.ndarray, 'h w 3'], second: UInt8[np.ndarray, 'k l 3']
) -> float:
  """Returns how much of two pictures differs: 0 none, about 1 all.

  Brightness and contrast make no difference, nor does a change of a quarter of
  the picture.
  """
  one, two = _small(first), _small(second)
  return _difference(one, two)


def find_turn(
  first: UInt8[np.ndarray, 'h w 3'], second: UInt8[np.ndarray, 'k l 3']
) -> int:
  """Returns by how many degrees clockwise a picture was turned into another.

  It is 0 if they show the same as they are, or nothing that they share in any
  turn by quarters.
  """
  apart = difference(first, second)
  if apart < _CUT:
    return 0
  # The second one turned back.
  each = [difference(first, np.rot90(second, k)) for k in (1, 2, 3)]
  best = int(np.argmin(each))
  return 90 * (best + 1) if each[best] < min(_CUT, apart / 2) else 0


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


def _small(frame: UInt8[np.ndarray, 'h w 3']) -> Float[np.ndarray, ' n']:
  """Returns the cells of a small grey picture."""
  grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
  small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
  return small.ravel().astype(np.float64)


def _difference(
  one: Float[np.ndarray, ' n'], two: Float[np.ndarray, ' n']
) -> float:
  change = one - two
  change -= np.median(change)
  # A clock or a subtitle within the picture may change, or a hand may come.
  kept = np.argsort(abs(change), kind='stable')[: round(_KEPT * len(change))]
  (first, both), (_, second) = np.cov(one[kept], two[kept])
  # With the noise, two empty pictures are alike, and a face is unlike a title.
  first, both, second = (value + _NOISE**2 for value in (first, both, second))
  return float(1 - both / np.sqrt(first * second))
