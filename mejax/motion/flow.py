"""Optical flow between two frames, and the strain of a flow.

Flow is in pixels from the first frame to the second: u to the right, v down.
"""

from __future__ import annotations

import cv2
from jaxtyping import Array
from jaxtyping import Float
import numpy as np

# Three quantities are called "optical strain" in this field. The weight is that
# of the squared shear (uy + vx); the third is no strain at all.
STRAIN_SHEAR = {'shreve': 0.5, 'quarter_shear': 0.25}
STRAIN_DEFINITIONS = (*STRAIN_SHEAR, 'magnitude')


def farneback(
  first: Float[np.ndarray, '*b h w 3'],
  second: Float[np.ndarray, '*b h w 3'],
  *,
  pyramid_scale: float = 0.5,
  levels: int = 3,
  window: int = 15,
  iterations: int = 3,
  poly_n: int = 5,
  poly_sigma: float = 1.2,
) -> Float[np.ndarray, '*b h w 2']:
  """Dense flow by polynomial expansion, computed by OpenCV.

  Frames are RGB in [0, 1]; the flow is (u, v) in pixels. Farneback, "Two-frame
  motion estimation based on polynomial expansion" (2003).
  """
  *batch, height, width, _ = first.shape
  pairs = zip(
    first.reshape(-1, height, width, 3),
    second.reshape(-1, height, width, 3),
    strict=True,
  )
  flows = [
    cv2.calcOpticalFlowFarneback(
      _grey(a),
      _grey(b),
      None,
      pyramid_scale,
      levels,
      window,
      iterations,
      poly_n,
      poly_sigma,
      0,
    )
    for a, b in pairs
  ]
  return np.asarray(flows, np.float32).reshape(*batch, height, width, 2)


def strain(
  flow: Float[Array | np.ndarray, '*b h w 2'],
  *,
  definition: str = 'shreve',
) -> Float[Array | np.ndarray, '*b h w']:
  """Size of the deformation in a flow, per pixel.

  With ux = du/dx and so on, by central differences (one-sided at the border):
  `shreve` is sqrt(ux^2 + vy^2 + (uy + vx)^2 / 2), the norm of the strain
  tensor, which neither translation nor a small rotation changes;
  `quarter_shear` has 1/4 in place of 1/2; `magnitude` is sqrt(u^2 + v^2), the
  length of the flow, which some published code stores as strain.

  Takes NumPy and JAX arrays and returns the same kind.

  Raises:
    ValueError: unknown definition.
  """
  if definition not in STRAIN_DEFINITIONS:
    raise ValueError(
      f'unknown strain definition {definition!r}; known: {STRAIN_DEFINITIONS}'
    )
  sqrt = flow.__array_namespace__().sqrt
  u, v = flow[..., 0], flow[..., 1]
  if definition == 'magnitude':
    return sqrt(u**2 + v**2)
  shear = _difference(u, -2) + _difference(v, -1)
  stretch = _difference(u, -1) ** 2 + _difference(v, -2) ** 2
  return sqrt(stretch + STRAIN_SHEAR[definition] * shear**2)


def _difference(
  field: Float[Array | np.ndarray, '*b h w'], axis: int
) -> Float[Array | np.ndarray, '*b h w']:
  """Derivative along one axis, which needs at least two values."""
  xp = field.__array_namespace__()
  field = xp.moveaxis(field, axis, -1)
  slope = xp.concat(
    [
      field[..., 1:2] - field[..., :1],
      (field[..., 2:] - field[..., :-2]) / 2,
      field[..., -1:] - field[..., -2:-1],
    ],
    axis=-1,
  )
  return xp.moveaxis(slope, -1, axis)


def _grey(frame: Float[np.ndarray, 'h w 3']) -> Float[np.ndarray, 'h w']:
  return cv2.cvtColor(np.float32(255) * frame, cv2.COLOR_RGB2GRAY)
