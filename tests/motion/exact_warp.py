"""Samples pictures between their pixels, so that a known motion is exact.

OpenCV's remap and warpAffine round places to 1/32 pixel, and their bicubic
kernel (a = -3/4) moves a picture by .297 pixels where .25 was asked for, and by
.703 where .75 was. A spline of fifth order moves what is coarser than four
pixels by .25 +- .0003.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage


def sample(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Returns f64[p, q] or [p, q, c]: the picture at x and y, in pixels.

  Beyond its border the picture is mirrored about its last pixels.
  """
  grey = picture.ndim == 2
  planes = np.moveaxis(np.atleast_3d(picture).astype(np.float64), -1, 0)
  planes = [
    scipy.ndimage.map_coordinates(plane, [y, x], order=5, mode='mirror')
    for plane in planes
  ]
  return planes[0] if grey else np.stack(planes, -1)


def pixels(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
  """Returns the x and y of every pixel, f64[h, w]."""
  return tuple(np.meshgrid(np.arange(float(width)), np.arange(float(height))))
