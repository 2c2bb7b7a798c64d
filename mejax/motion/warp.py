"""Interpolates images between their pixels.

A point is (x, y): x to the right, y down, whole numbers at pixel centres. All
warps here are backward: each pixel of the result takes the value at some place
in the image. So `by_flow(second, flow)`, with the flow from the first frame to
the second, looks like the first frame.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Int
import numpy as np

METHODS = ('bilinear', 'bicubic')
BORDERS = ('edge', 'zero')


@functools.partial(jax.jit, static_argnames=('method', 'border'))
def sample(
  image: Float[Array | np.ndarray, '*b h w c'],
  points: Float[Array | np.ndarray, '*b p q 2'],
  *,
  method: str = 'bilinear',
  border: str = 'edge',
) -> Float[Array, '*b p q c']:
  """Interpolates images at points that need not be whole pixels.

  Args:
    image: a batch of images.
    points: (x, y) in pixels, for each image.
    method: `bilinear`, or `bicubic`: cubic convolution with a = -1/2, which is
      exact for quadratic images. Keys, "Cubic convolution interpolation for
      digital image processing" (1981).
    border: beyond its border the image repeats its last pixel (`edge`) or is 0
      (`zero`).

  Raises:
    ValueError: the method or the border is unknown.
  """
  _check_known(method, METHODS, 'method')
  _check_known(border, BORDERS, 'border')
  *batch, height, width, channels = image.shape
  one = functools.partial(_sample_one, method=method, border=border)
  values = jax.vmap(one)(
    image.reshape(-1, height, width, channels),
    points.reshape(-1, *points.shape[-3:]),
  )
  return values.reshape(*batch, *values.shape[1:])


def by_flow(
  image: Float[Array | np.ndarray, '*b h w c'],
  flow: Float[Array | np.ndarray, '*b h w 2'],
  *,
  method: str = 'bilinear',
  border: str = 'edge',
) -> Float[Array, '*b h w c']:
  """Samples the image at each pixel's place plus its flow (u, v) in pixels.

  `method` and `border` are those of `sample`.
  """
  points = grid(*flow.shape[-3:-1]) + flow
  return sample(image, points, method=method, border=border)


def by_matrix(
  image: Float[Array | np.ndarray, '*b h w c'],
  matrix: Float[Array | np.ndarray, '*b 2 3'],
  *,
  size: tuple[int, int],
  method: str = 'bilinear',
  border: str = 'edge',
) -> Float[Array, '*b p q c']:
  """Returns images of `size`, whose value at x is the input's at A x + b.

  Args:
    image: a batch of images.
    matrix: [A b] for each image, from places in the result to places in the
      image, as OpenCV's warpAffine takes it with WARP_INVERSE_MAP.
    size: rows and columns of the result.
    method: as for `sample`.
    border: as for `sample`.
  """
  points = apply_matrix(matrix, grid(*size))
  return sample(image, points, method=method, border=border)


def grid(height: int, width: int) -> Float[Array, '{height} {width} 2']:
  """Returns the (x, y) of every pixel."""
  x, y = jnp.meshgrid(
    jnp.arange(width, dtype=jnp.float32), jnp.arange(height, dtype=jnp.float32)
  )
  return jnp.stack([x, y], -1)


def apply_matrix(
  matrix: Float[Array | np.ndarray, '*b 2 3'],
  points: Float[Array | np.ndarray, 'p q 2'],
) -> Float[Array, '*b p q 2']:
  """Returns A x + b for every point x and every matrix [A b]."""
  # A TPU multiplies in bfloat16 by default, whose 8 bits would round a place at
  # pixel 200 to a whole pixel.
  turned = jnp.einsum(
    '...ij,pqj->...pqi', matrix[..., :2], points, precision='highest'
  )
  return turned + matrix[..., None, None, :, 2]


def _sample_one(
  image: Float[Array, 'h w c'],
  points: Float[Array, 'p q 2'],
  *,
  method: str,
  border: str,
) -> Float[Array, 'p q c']:
  """Interpolates one image as a weighted sum of 2 x 2 or 4 x 4 pixels."""
  # In a flat list of pixels each tap is one gather along one axis.
  height, width, channels = image.shape
  pixels = image.reshape(height * width, channels)
  columns = _taps(points[..., 0], width, method, border)
  rows = _taps(points[..., 1], height, method, border)
  value = 0.0
  for row, weight_y in rows:
    line = 0.0
    for column, weight_x in columns:
      index = row * width + column
      # `_taps` has clamped the indices, so the gather need not check them.
      tap = pixels.at[index].get(mode='promise_in_bounds')
      line += weight_x[..., None] * tap
    value += weight_y[..., None] * line
  return value


def _taps(
  place: Float[Array, 'p q'], size: int, method: str, border: str
) -> list[tuple[Int[Array, 'p q'], Float[Array, 'p q']]]:
  """Returns the pixels along one axis that make up a value, and their weights.

  The kernels are separable, so each axis is computed alone.
  """
  # The result is the same further out, and far places would overflow an int32.
  place = jnp.clip(place, -3, size + 2)
  start = jnp.floor(place)
  t = place - start
  if method == 'bilinear':
    first, weights = 0, [1 - t, t]
  else:
    first, weights = -1, _keys(t)
  # Weights come from the float and indices from the integer: a gradient flows
  # through the weights alone.
  start = start.astype(jnp.int32)
  taps = []
  for offset, weight in enumerate(weights, first):
    index = start + offset
    if border == 'zero':
      # The index is clamped below to a pixel that exists: its weight drops it.
      weight = jnp.where((index >= 0) & (index < size), weight, 0)
    taps.append((jnp.clip(index, 0, size - 1), weight))
  return taps


def _keys(t: Float[Array, 'p q']) -> list[Float[Array, 'p q']]:
  """Returns the weights of pixels -1, 0, 1, 2 for a place t in [0, 1)."""
  # The four cubic pieces of Keys' kernel for a = -1/2, the only a with which it
  # reproduces quadratics. At t = 0 they are exactly 0, 1, 0, 0, so that a warp
  # by nothing changes no bit.
  return [
    t * (-0.5 + t * (1 - 0.5 * t)),
    1 + t * t * (1.5 * t - 2.5),
    t * (0.5 + t * (2 - 1.5 * t)),
    t * t * (0.5 * t - 0.5),
  ]


def _check_known(value: str, known: tuple[str, ...], what: str) -> None:
  if value not in known:
    raise ValueError(f'unknown {what} {value!r}; known: {known}')
