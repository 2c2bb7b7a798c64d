"""Tells a smooth change of light from motion, for optical flow.

Of two frames the second was warped back by the flow known so far. In a window
of a few pixels let their difference be

  second - first = a * grey + b + slope . (du, dv) + noise,

where grey is the mean of both. The four numbers a, b, du, dv are fitted by
weighted least squares. The motion (du, dv) takes part so that none of it is
counted as light; then only a and b are used. Negahdaripour, "Revised definition
of optical flow: integration of radiometric and geometric cues for dynamic scene
analysis" (1998), has the model.

Before that, the same is fitted to the whole image, with an a that is linear in
x and y: most changes of light are such, and windows need not average them.
After that, a window gives up its light as far as the motion fitted with it
explains more: where much moves, motion that varies within the window passes for
light.

An image below 20 pixels cannot always tell light from motion: a gradient of
light over all of it may explain the difference as well as a shift does.
"""

from __future__ import annotations

import functools

from jax import lax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
import numpy as np

# Datasets say by this number which fit made them. It grows whenever the flow
# changes.
FIT = 2
# Standard deviation in pixels of the Gaussian windows, and the distance of
# their centres. Light between the centres is interpolated.
_WINDOW = 3.5
_EVERY = 5
_ROUNDS = 4  # Fits of what the fit before has left.
# From this many pixels of the shorter side on, means of two by two pixels are
# fitted: the model is linear, so it holds for them, at a quarter of the cost.
_LARGE = 64
# Added to the variances of grey and slope, these pull a and (du, dv) to 0 where
# a window has no texture.
_RIDGE = (25.0, 1.0, 1.0)
# Motion that varies changes grey values where they are steep. A pixel of as
# many grey levels per pixel counts half, in windows and in the whole image.
_STEEP, _STEEP_WHOLE = 16.0, 8.0
_MIDDLE = 128.0  # Grey value.
# A window keeps L / (L + M) of its light, where L is the energy of that light
# and M so many times that of the motion fitted with it.
_DOUBT = 4.0
_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))

Images = Float[Array, 'n h w']
# A TPU multiplies in bfloat16 by default.
_dot = functools.partial(jnp.matmul, precision='highest')


def change(
  first: Images,
  second: Images,
  slope: Float[Array, '2 n h w'],
  known: Images,
) -> tuple[Images, Images]:
  """Returns gain and offset: by how much the second frame is lighter.

  Its change of light is gain * (first + second) / 2 + offset.

  Args:
    first: grey values of 0 to 255.
    second: the same for the second frame, warped back to the first.
    slope: mean derivatives of both frames along x and y.
    known: weight of each pixel; 0 outside the second frame, and where a frame
      is white, because a camera cuts light off there.
  """
  # The mean of both frames: the noise of one alone would be in the residual
  # too, and would pass for a change of contrast. The middle grey is subtracted
  # since sums of small numbers lose less to rounding.
  images = jnp.stack([second - first, (first + second) / 2 - _MIDDLE, *slope])
  steep = (slope**2).sum(0)
  weights = [known / (1 + steep / half**2) for half in (_STEEP, _STEEP_WHOLE)]
  shape = first.shape[-2:]
  block = 2 if min(shape) >= _LARGE else 1
  if block == 2:
    # Weighted means, so that what is not known has no share in a block.
    products = _halved(jnp.stack([*weights, *(weights[0] * images)]))
    weights, images = products[:2], products[2:] / (products[0] + 1e-6)
  weight, whole, residual, grey, *slope = lax.optimization_barrier(
    (*weights, *images)
  )
  # The places of the blocks in pixels, and those of the pixels themselves.
  places = [block * (np.arange(n) + 0.5) - 0.5 for n in grey.shape[-2:]]
  pixels = [np.arange(float(n)) for n in shape]
  plane, level = _fit_whole(residual, grey, slope, whole, places, shape)
  at_blocks = _plane(plane, places, shape) * (grey + _MIDDLE) + level
  windows = _fit_windows(
    residual - at_blocks, grey, slope, weight, places, shape
  )
  down, across = map(_between, shape, pixels)
  gain, offset = _resampled(windows, across, down)
  # The fit in windows is relative to the middle grey, that of the whole to 0.
  return gain + _plane(plane, pixels, shape), offset - _MIDDLE * gain + level


def _fit_whole(residual, grey, slope, weight, places, shape):
  """Returns the numbers of a gain linear in x and y, and of an offset."""
  y, x = _coordinates(places, shape)
  # Numbers of about 1 keep the sums well conditioned.
  full = (grey + _MIDDLE) / 64
  basis = [full, full * x, full * y, jnp.ones_like(grey)]
  basis = jnp.stack([*basis, slope[0] / 8, slope[1] / 8], 1)
  n, height, width = residual.shape  # n may be 0.
  basis = basis.reshape(n, 6, height * width)
  weighted = basis * weight.reshape(n, 1, height * width)
  # The ridge is for images without texture.
  gram = _dot(weighted, basis.swapaxes(1, 2)) + 0.1 * jnp.eye(6)
  moments = _dot(weighted, residual.reshape(n, height * width, 1))
  values = jnp.linalg.solve(gram, moments)[..., None]
  return values[:, :3] / 64, values[:, 3]


def _plane(values, places, shape):
  """Returns a gain that is linear in x and y."""
  y, x = _coordinates(places, shape)
  return values[:, 0] + values[:, 1] * x + values[:, 2] * y


def _coordinates(places, shape):
  """Returns places as y and x of -1 to 1 across an image."""
  y, x = (
    np.float32(2 * place / (side - 1) - 1)
    for place, side in zip(places, shape, strict=True)
  )
  return y[:, None], x


def _fit_windows(residual, grey, slope, weight, places, shape):
  """Returns gain and offset [2, n, p, q] in windows."""
  rows, columns = map(_windows, shape, places)
  down, across = map(_between, shape, places)
  parts = jnp.stack([grey, *slope])
  products = [parts[i] * parts[j] for i, j in _PAIRS]
  total, *sums = _resampled(
    weight * jnp.stack([jnp.ones_like(grey), *parts, *products]), rows, columns
  )
  total = total + 1e-3  # No pixel of the window may be known.
  means = jnp.stack(sums[:3]) / total
  matrix = _covariances(jnp.stack(sums[3:]) / total, means)
  inverse = _inverse(matrix)

  # A window averages a light that varies within it. Fitting what is left again
  # removes most of that error (Tukey's twicing).
  def improve(_, state):
    found, _, light = state
    rest = residual - light
    mean, *moments = (
      _resampled(weight * jnp.stack([rest, *(rest * parts)]), rows, columns)
      / total
    )
    moments = jnp.stack(moments) - means * mean
    gain, *motion = values = (inverse * moments).sum(1)
    offset = mean - (values * means).sum(0)
    found += jnp.stack([gain, offset])
    # Transposed twice, the fields have rows and columns again.
    gain, offset = _resampled(found, across, down)
    return found, jnp.stack(motion), gain * grey + offset

  none = jnp.zeros((2, *total.shape), residual.dtype)
  found, motion, light = lax.fori_loop(
    0, _ROUNDS, improve, (none, none, jnp.zeros_like(residual))
  )
  lit = _resampled(weight * light[None] ** 2, rows, columns)[0] / total
  moved = (motion * (matrix[1:, 1:] * motion).sum(1)).sum(0)
  return found * lit / (lit + _DOUBT * moved + 1e-6)


def _covariances(products, means):
  """Returns the covariances [3, 3, ...] with the ridge on their diagonal."""
  spread = dict(zip(_PAIRS, products, strict=True))
  # Relative to its means the fit needs no constant, and b follows from them.
  return jnp.stack(
    [
      jnp.stack(
        [
          spread[min(i, j), max(i, j)]
          - means[i] * means[j]
          + (_RIDGE[i] if i == j else 0)
          for j in range(3)
        ]
      )
      for i in range(3)
    ]
  )


def _inverse(matrix):
  """Returns the inverse of symmetric matrices [3, 3, ...]."""
  # Its rows are cross products of the rows over the determinant. A batched
  # LAPACK solver is slow for such sizes.
  inverse = jnp.stack(
    [jnp.cross(matrix[i - 2], matrix[i - 1], axis=0) for i in range(3)]
  )
  return inverse / (matrix[0] * inverse[0]).sum(0)


def _halved(images: Float[Array, 'k n h w']) -> Float[Array, 'k n p q']:
  """Returns the means of blocks of 2 x 2; beyond an odd side lie zeros."""
  odd = [(0, 0), (0, 0), *((0, side % 2) for side in images.shape[-2:])]
  images = jnp.pad(images, odd)
  images = images[..., 0::2, :] + images[..., 1::2, :]
  return (images[..., 0::2] + images[..., 1::2]) / 4


def _resampled(
  fields: Float[Array, 'k n i j'],
  rows: Float[np.ndarray, 'p i'],
  columns: Float[np.ndarray, 'q j'],
) -> Float[Array, 'k n q p']:
  """Applies a matrix to each axis; the result is transposed."""
  # Twice the last axis with a swap in between: XLA for a CPU has a fast matrix
  # product for the last axis only.
  return _dot(jnp.swapaxes(_dot(fields, columns.T), -1, -2), rows.T)


def _centres(length: int) -> Float[np.ndarray, ' p']:
  """Returns the places of the windows along a side, in pixels."""
  number = max(length // _EVERY, 2)
  return (np.arange(number) + 0.5) * length / number - 0.5


def _windows(
  length: int, places: Float[np.ndarray, ' i']
) -> Float[np.ndarray, 'p i']:
  """Returns the weight of each place in each window."""
  away = places - _centres(length)[:, None]
  return np.exp(-(away**2) / (2 * _WINDOW**2)).astype(np.float32)


def _between(
  length: int, places: Float[np.ndarray, ' i']
) -> Float[np.ndarray, 'i p']:
  """Returns the weight of each window at each place: linear interpolation."""
  centres = _centres(length)
  hats = np.eye(len(centres))
  return np.stack([np.interp(places, centres, hat) for hat in hats], -1).astype(
    np.float32
  )
