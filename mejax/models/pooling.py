"""Max-pooling, with a gradient that is fast on a CPU.

Maps are `[b, h, w, c]`.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float


def max_pool(
  x: Float[Array, 'b h w c'], size: int
) -> Float[Array, 'b h2 w2 c']:
  """Returns the largest value of each `size` x `size` square.

  The squares lie side by side; rows and columns that are left over at the end
  are cut off.
  """
  b, h, w, c = x.shape
  rows, columns = h // size, w // size
  x = x[:, : rows * size, : columns * size]
  return x.reshape(b, rows, size, columns, size, c).max((2, 4))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def max_pool3x3(
  x: Float[Array, 'b h w c'], stride: int
) -> Float[Array, 'b h2 w2 c']:
  """Returns the largest value of each 3x3 window; padding is one, with -inf.

  Among equals the first gets the whole gradient, as in PyTorch. The gradient is
  written out because that of `reduce_window` is very slow on a CPU, and that of
  a maximum over nine slices is slow.
  """
  return _max_pool(x, stride)[0]


def _max_pool(x, stride):
  """Returns the maxima, and what the gradient needs: which neighbour won."""
  h, w = (stride * ((side - 1) // stride) + 1 for side in x.shape[1:3])
  pads = ((0, 0), (1, 1), (1, 1), (0, 0))
  # Padding with -inf never wins against a pixel of the map.
  padded = jnp.pad(x, pads, constant_values=-jnp.inf)
  # The nine neighbours of each window, one slice of the map for each.
  parts = jnp.stack(
    [
      padded[:, row : row + h : stride, column : column + w : stride]
      for row in range(3)
      for column in range(3)
    ]
  )
  place = jax.lax.broadcasted_iota(jnp.int32, parts.shape, 0)
  start = (jnp.array(-jnp.inf, x.dtype), jnp.int32(0))
  largest, place = jax.lax.reduce((parts, place), start, first_largest, (0,))
  return largest, (place, x.shape)


def first_largest(
  one: tuple[Array, Array], other: tuple[Array, Array]
) -> tuple[Array, Array]:
  """Reduces two (value, place) to that of the larger value; NaN wins.

  Among equal values the lower place is kept, whatever order XLA reduces in. On
  a CPU XLA's own maximum over a leading axis is 40 times slower.
  """
  (value, place), (new_value, new_place) = one, other
  equal = (new_value == value) & (new_place < place)
  # Only NaN differs from itself: a broken input must not be hidden.
  better = (new_value > value) | (new_value != new_value) | equal
  return (
    jnp.where(better, new_value, value),
    jnp.where(better, new_place, place),
  )


def _max_pool_backward(stride, saved, gradient):
  """Returns the gradient of the map.

  A place lies in several windows, which differ with the remainder of its row
  and column by the stride. For each remainder the places form a dense map, to
  which at most four windows contribute: gathering them is faster on a CPU than
  scattering each window's gradient.
  """
  place, (b, h, w, c) = saved
  rows, columns = place.shape[1:3]
  # Windows beyond the border have no winner (-1), so they add nothing.
  place = jnp.pad(place, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-1)
  gradient = jnp.pad(gradient, ((0, 0), (1, 1), (1, 1), (0, 0)))

  def received(row, column):
    """Returns for each place what it gets as neighbour (row, column)."""
    near = (
      slice(None),
      slice(1 - row // stride, rows + 2 - row // stride),
      slice(1 - column // stride, columns + 2 - column // stride),
    )
    return jnp.where(place[near] == 3 * row + column, gradient[near], 0)

  phases = jnp.stack(
    [
      sum(
        received(row, column)
        for row in range(first, 3, stride)
        for column in range(second, 3, stride)
      )
      for first in range(stride)
      for second in range(stride)
    ]
  )
  phases = phases.reshape(stride, stride, b, rows + 1, columns + 1, c)
  # Interleave the maps of the remainders, then cut off the padding.
  x = phases.transpose(2, 3, 0, 4, 1, 5)
  x = x.reshape(b, (rows + 1) * stride, (columns + 1) * stride, c)
  return (x[:, 1 : h + 1, 1 : w + 1],)


max_pool3x3.defvjp(_max_pool, _max_pool_backward)
