"""Tells whether anything moves between two frames of an aligned face."""

from __future__ import annotations

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

# Smoothing in sides of the face, which leaves a tenth of the noise of a pixel.
_BLUR = 2 / 128
# The largest change that counts, as a percentile over the face.
_PERCENT = 99
# Nothing moves if two frames differ by at most this many times what neighbours
# differ by, or by this many grey levels. On two photographs, a mouth that moves
# by 0.2 pixels of 128 changes by 0.7 and 1.5 levels, noise of 1 level by 0.4.
_TIMES, _LEVELS = 1.25, 0.5
# Neighbours that differ by more grey levels differ by motion, not by noise:
# noise of 4 levels changes by 1.6.
_NOISIEST = 3.0


def is_still(
  onset: UInt8[np.ndarray, 'p p 3'],
  apex: UInt8[np.ndarray, 'p p 3'],
  beside: UInt8[np.ndarray, 'p p 3'] | None,
  matrix: Float[np.ndarray, '2 3'],
  *,
  size: int,
) -> bool:
  """Returns whether onset and apex differ by no more than noise.

  Args:
    onset, apex: patches of a clip.
    beside: the patch of a frame beside the onset, which shows the noise of the
      clip; None if there is none.
    matrix: from places in the aligned face to places in the patches.
    size: side of the aligned face.
  """
  first, second = (_smooth(patch, matrix, size) for patch in (onset, apex))
  floor = _LEVELS
  if beside is not None:
    noise = _change(first, _smooth(beside, matrix, size))
    floor = max(floor, _TIMES * noise) if noise <= _NOISIEST else floor
  return _change(first, second) <= floor


def _smooth(
  patch: UInt8[np.ndarray, 'p p 3'],
  matrix: Float[np.ndarray, '2 3'],
  size: int,
) -> Float[np.ndarray, 's s']:
  grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY).astype(np.float32)
  aligned = cv2.warpAffine(
    grey,
    np.asarray(matrix, np.float64),
    (size, size),
    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    borderMode=cv2.BORDER_REPLICATE,
  )
  return cv2.GaussianBlur(aligned, (0, 0), _BLUR * size)


def _change(
  first: Float[np.ndarray, 's s'], second: Float[np.ndarray, 's s']
) -> float:
  """Returns the largest change; that of light over the whole face is none."""
  x, y = first.ravel(), second.ravel()
  if np.ptp(x) > 0:
    slope, offset = np.polyfit(x, y, 1)
    x = slope * x + offset
  return float(np.percentile(abs(y - x), _PERCENT))
