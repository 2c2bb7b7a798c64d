"""Tells frames into which two fields are woven.

Interlaced video that was converted without care says that it is progressive.
Its even and odd rows show two moments, so every edge that moves is a comb.
"""

from __future__ import annotations

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

_HELP = (
  'Run `ffmpeg -i {name} -vf bwdif=1 progressive.mp4` and take that; it has '
  'two frames for each, so double the frame numbers of its labels'
)
INTERLACED = (
  'is interlaced: its frames are two fields woven into one, of which OpenCV '
  'gives no picture. ' + _HELP
)
WOVEN = (
  'seems to have frames of two fields woven into one, as of interlaced video: '
  'moving edges are combs. ' + _HELP
)
# How much more rows alternate than columns do. Fields of a moving head gave
# 0.65, clean frames at most 0.25, and 0.32 with a text of thin lines.
_COMBED = 0.5
# Deviation of the pixels of a row that is part of a bar, in grey levels: noise
# and compression leave some.
_FLAT = 3.0
# Share of the frames of a video that have to be combs.
_SHARE = 0.25


def are_woven(combs: list[float]) -> bool:
  """Returns whether a video is woven, by the `comb` of some of its frames."""
  woven = sum(comb > _COMBED for comb in combs)
  return woven > 0 and woven >= _SHARE * len(combs)


def comb(image: UInt8[np.ndarray, 'h w 3']) -> float:
  """Returns how much more the rows of a BGR image alternate than its columns.

  About 0 for pictures and for noise; up to 2 for combs alone. Bars above, below
  or beside the picture are left out: their edges are straight lines.
  """
  grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
  grey = _without_bars(_without_bars(grey).T).T
  return _alternation(grey) - _alternation(grey.T)


def _without_bars(grey: Float[np.ndarray, 'h w']) -> Float[np.ndarray, '_ w']:
  """Leaves out the rows of one colour at the top and the bottom."""
  if not grey.size:
    return grey
  rows = np.flatnonzero(grey.std(1) > _FLAT)
  return grey[rows[0] : rows[-1] + 1] if rows.size else grey[:0]


def _alternation(grey: Float[np.ndarray, 'h w']) -> float:
  if len(grey) < 5 or not grey.size:
    return 0.0
  bend = 2 * grey[1:-1] - grey[:-2] - grey[2:]
  energy = float((bend**2).mean())
  if energy < 1e-3:  # A blank picture.
    return 0.0
  # The bend of a comb is the same two rows on, and the opposite one row on.
  alike = (bend[2:] * bend[:-2]).mean() - (bend[1:] * bend[:-1]).mean()
  return float(alike) / energy
