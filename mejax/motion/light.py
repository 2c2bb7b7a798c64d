"""Tells a smooth change of light from motion, for optical flow.

In a window of a few pixels let the residual of two frames, of which the second
was warped back by the flow known so far, be

  second - first = a * grey + b + slope . (du, dv) + noise.

The four numbers a, b, du, dv are fitted by weighted least squares. The motion
(du, dv) takes part so that none of it is counted as light; then only the change
of light, a * grey + b, is used. Negahdaripour, "Revised definition of optical
flow: integration of radiometric and geometric cues for dynamic scene analysis"
(1998), has the model.
"""

from __future__ import annotations

import functools

from jax import lax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
import numpy as np

# Standard deviation in pixels of the Gaussian windows, and the distance of
# their centres. Light between the centres is interpolated.
_WINDOW = 5.0
_EVERY = 5
_ROUNDS = 3  # Fits of what the fit before has left.
# Pulls a and (du, dv) to 0 where a window has no texture: variances in squared
# grey levels, and in those per pixel.
_RIDGE = (25.0, 1.0, 1.0)
_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))

Images = Float[Array, 'n h w']


def change(
  first: Images,
  second: Images,
  slope: Float[Array, '2 n h w'],
  known: Images,
) -> Images:
  """Returns by how much the second frame is lighter than the first.

  Args:
    first: grey values of 0 to 255.
    second: the same for the second frame, warped back to the first.
    slope: mean derivatives of both frames along x and y.
    known: weight of each pixel; 0 outside the second frame.
  """
  height, width = first.shape[-2:]
  rows, columns = _windows(height), _windows(width)
  up, along = _between(height), _between(width)
  # The mean of both frames: the noise of one alone would be in the residual
  # too, and would pass for a change of contrast. The middle grey is subtracted
  # since sums of small numbers lose less to rounding.
  grey = (first + second) / 2 - 128
  parts = jnp.stack([grey, *slope])
  products = [parts[i] * parts[j] for i, j in _PAIRS]
  total, *sums = _resampled(
    known * jnp.stack([jnp.ones_like(grey), *parts, *products]), rows, columns
  )
  total = total + 1e-3  # No pixel of the window may be known.
  means = jnp.stack(sums[:3]) / total
  spread = dict(zip(_PAIRS, sums[3:], strict=True))
  # Relative to its means the fit needs no constant, and b follows from them.
  matrix = jnp.stack(
    [
      jnp.stack(
        [
          spread[min(i, j), max(i, j)] / total
          - means[i] * means[j]
          + (_RIDGE[i] if i == j else 0)
          for j in range(3)
        ]
      )
      for i in range(3)
    ]
  )
  # The rows of the inverse of a symmetric matrix are cross products of its rows
  # over the determinant. A batched LAPACK solver is slow for such sizes.
  inverse = jnp.stack(
    [jnp.cross(matrix[i - 2], matrix[i - 1], axis=0) for i in range(3)]
  )
  inverse /= (matrix[0] * inverse[0]).sum(0)

  def fit(residual):
    mean, *moments = (
      _resampled(
        known * jnp.stack([residual, *(residual * parts)]), rows, columns
      )
      / total
    )
    moments = jnp.stack(moments) - means * mean
    values = (inverse * moments).sum(1)
    offset = mean - (values * means).sum(0)
    # Transposed twice, the fields have rows and columns again.
    contrast, offset = _resampled(jnp.stack([values[0], offset]), along, up)
    return contrast * grey + offset

  # A window averages a light that varies within it. Fitting what is left again
  # removes most of that error (Tukey's twicing).
  residual = second - first
  found = jnp.zeros_like(first)
  for _ in range(_ROUNDS):
    found = lax.optimization_barrier(found + fit(residual - found))
  return found


def _resampled(
  fields: Float[Array, 'k n i j'],
  rows: Float[np.ndarray, 'p i'],
  columns: Float[np.ndarray, 'q j'],
) -> Float[Array, 'k n q p']:
  """Applies a matrix to each axis; the result is transposed."""
  # Twice the last axis with a swap in between: XLA for a CPU has a fast matrix
  # product for the last axis only. And a TPU multiplies in bfloat16 by default.
  dot = functools.partial(jnp.matmul, precision='highest')
  return dot(jnp.swapaxes(dot(fields, columns.T), -1, -2), rows.T)


def _centres(length: int) -> Float[np.ndarray, ' p']:
  """Returns the places of the windows along a side, in pixels."""
  number = max(length // _EVERY, 2)
  return (np.arange(number) + 0.5) * length / number - 0.5


def _windows(length: int) -> Float[np.ndarray, 'p {length}']:
  """Returns the weight of each pixel in each window."""
  away = np.arange(length) - _centres(length)[:, None]
  return np.exp(-(away**2) / (2 * _WINDOW**2)).astype(np.float32)


def _between(length: int) -> Float[np.ndarray, '{length} p']:
  """Returns the weight of each window at each pixel: linear interpolation."""
  centres = _centres(length)
  hats = np.eye(len(centres))
  return np.stack(
    [np.interp(np.arange(length), centres, hat) for hat in hats], -1
  ).astype(np.float32)
