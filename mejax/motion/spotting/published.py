"""Curves of published spotters without a network, to compare with."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

# Blocks to a side, and directions.
_BLOCKS, _DIRECTIONS = 6, 4


def frame_difference(
  greys: Sequence[UInt8[np.ndarray, 'h w']],
) -> Float[np.ndarray, ' t']:
  """Returns the mean change of brightness from each frame to the next."""
  steps = [
    float(cv2.absdiff(one, other).mean())
    for one, other in zip(greys, greys[1:], strict=False)
  ]
  return np.array([0.0, *steps][: len(greys)])


def main_directional(
  greys: Sequence[UInt8[np.ndarray, 'h w']], *, k: int
) -> Float[np.ndarray, ' t']:
  """Returns the main directional maximal difference (MDMD) of each frame.

  Of the pixels of a block that move in its main direction, the third that moved
  most from k frames before to now, compared to k frames later, has a mean; so
  do the third of the blocks with the largest means. `floors.main_directional`
  makes intervals of it. He et al. (2020); theirs has another optical flow. The
  first and the last k frames have 0.

  Args:
    greys: frames of a face.
    k: about half an expression.
  """
  flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
  curve = np.zeros(len(greys))
  for i in range(k, len(greys) - k):
    now = flow.calc(greys[i - k], greys[i], None)
    later = flow.calc(greys[i - k], greys[i + k], None)
    curve[i] = difference(now, later)
  return curve


def difference(
  now: Float[np.ndarray, 'h w 2'], later: Float[np.ndarray, 'h w 2']
) -> float:
  """Returns the maximal difference in the main direction of two flows."""
  more = np.linalg.norm(now, axis=-1) - np.linalg.norm(later, axis=-1)
  turn = np.arctan2(now[..., 1], now[..., 0]) / (2 * np.pi / _DIRECTIONS)
  direction = np.floor(turn).astype(int) % _DIRECTIONS
  values = []
  for rows in np.array_split(np.arange(now.shape[0]), _BLOCKS):
    for columns in np.array_split(np.arange(now.shape[1]), _BLOCKS):
      block = np.ix_(rows, columns)
      counts = np.bincount(direction[block].ravel(), minlength=_DIRECTIONS)
      main = more[block][direction[block] == counts.argmax()]
      values.append(_mean_of_top_third(main))
  return _mean_of_top_third(np.array(values))


def _mean_of_top_third(values: Float[np.ndarray, ' n']) -> float:
  return float(np.sort(values)[-max(len(values) // 3, 1) :].mean())
