"""Computes optical flow between two frames, and optical strain.

A flow is in pixels from the first frame to the second: u to the right, v down.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
from jaxtyping import Array
from jaxtyping import Float
import numpy as np

from mejax.motion.tvl1 import tvl1 as tvl1

# Three quantities are called "optical strain" in this field. Two differ by the
# weight of the squared shear (uy + vx)^2, given here; the third is no strain.
STRAIN_SHEAR = {'shreve': 0.5, 'quarter_shear': 0.25}
STRAIN_DEFINITIONS = (*STRAIN_SHEAR, 'magnitude')
DIS_PRESETS = {
  'ultrafast': cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
  'fast': cv2.DISOPTICAL_FLOW_PRESET_FAST,
  'medium': cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


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
  """Computes dense flow by polynomial expansion, with OpenCV.

  The defaults are the settings of HTNet's authors. Farneback, "Two-frame motion
  estimation based on polynomial expansion" (2003).

  Args:
    first: RGB in [0, 1].
    second: RGB in [0, 1].
    pyramid_scale: size of a pyramid level over that of the level below.
    levels: number of pyramid levels.
    window: side in pixels of the window that averages the expansions.
    iterations: rounds at each level.
    poly_n: side in pixels of the neighbourhood of an expansion.
    poly_sigma: standard deviation in pixels of its Gaussian weights.

  Returns:
    (u, v) in pixels.
  """
  settings = (
    pyramid_scale,
    levels,
    window,
    iterations,
    poly_n,
    poly_sigma,
    0,
  )
  return _each_pair(
    lambda a, b: cv2.calcOpticalFlowFarneback(a, b, None, *settings),
    first,
    second,
  )


def dis(
  first: Float[np.ndarray, '*b h w 3'],
  second: Float[np.ndarray, '*b h w 3'],
  *,
  preset: str = 'medium',
) -> Float[np.ndarray, '*b h w 2']:
  """Computes dense flow by inverse search of patches (DIS), with OpenCV.

  Kroeger, Timofte, Dai, Van Gool, "Fast optical flow using dense inverse
  search" (2016).

  Args:
    first: RGB in [0, 1]; OpenCV needs it rounded to 256 grey levels.
    second: RGB in [0, 1].
    preset: a name of `DIS_PRESETS`.

  Returns:
    (u, v) in pixels.

  Raises:
    ValueError: the preset is unknown.
  """
  if preset not in DIS_PRESETS:
    raise ValueError(f'unknown preset {preset!r}; known: {tuple(DIS_PRESETS)}')
  engine = cv2.DISOpticalFlow.create(DIS_PRESETS[preset])

  def one(a, b):
    a, b = (np.rint(frame).clip(0, 255).astype(np.uint8) for frame in (a, b))
    return engine.calc(a, b, None)

  return _each_pair(one, first, second)


def strain(
  flow: Float[Array | np.ndarray, '*b h w 2'],
  *,
  definition: str = 'shreve',
) -> Float[Array | np.ndarray, '*b h w']:
  """Returns the size of the deformation in a flow, for each pixel.

  Write ux for du/dx and so on, by central differences (one-sided at the
  border). The definitions are:
    shreve: sqrt(ux^2 + vy^2 + (uy + vx)^2 / 2), the norm of the strain tensor.
      It is blind to translation and to a small rotation. Shreve, Godavarthy,
      Goldgof, Sarkar, "Macro- and micro-expression spotting in long videos
      using spatio-temporal strain" (2011).
    quarter_shear: the same with 1/4 in place of 1/2.
    magnitude: sqrt(u^2 + v^2), the length of the flow, which some published
      code stores as strain.

  Args:
    flow: (u, v) in pixels, a NumPy or a JAX array.
    definition: one of `STRAIN_DEFINITIONS`.

  Returns:
    An array of the same kind; without unit, or in pixels for `magnitude`.

  Raises:
    ValueError: the definition is unknown.
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
  """Returns the derivative along one axis, which needs at least two values."""
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


def _each_pair(
  method: Callable,
  first: Float[np.ndarray, '*b h w 3'],
  second: Float[np.ndarray, '*b h w 3'],
) -> Float[np.ndarray, '*b h w 2']:
  """Applies a method for two grey frames in 0..255 to every pair of a batch."""
  *batch, height, width, _ = first.shape
  pairs = zip(
    first.reshape(-1, height, width, 3),
    second.reshape(-1, height, width, 3),
    strict=True,
  )
  flows = [method(_grey(a), _grey(b)) for a, b in pairs]
  return np.asarray(flows, np.float32).reshape(*batch, height, width, 2)


def _grey(frame: Float[np.ndarray, 'h w 3']) -> Float[np.ndarray, 'h w']:
  return cv2.cvtColor(np.float32(255) * frame, cv2.COLOR_RGB2GRAY)
