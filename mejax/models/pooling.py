"""Max-pooling, with a gradient that is fast on a CPU.

Maps are `[b, h, w, c]`.
"""

from __future__ import annotations

import functools
import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float


def max_pool(
  x: Float[Array, 'b h w c'], size: int, *, ceil: bool = False
) -> Float[Array, 'b h2 w2 c']:
  """Returns the largest value of each `size` x `size` square.

  The squares lie side by side; rows and columns that are left over at the end
  are cut off, or with `ceil` make smaller squares of their own. Among equals
  the first gets the whole gradient, as in PyTorch.
  """
  b, h, w, c = x.shape
  if ceil:
    ends = ((0, -h % size), (0, -w % size))
    x = jnp.pad(x, ((0, 0), *ends, (0, 0)), constant_values=-jnp.inf)
  rows, columns = x.shape[1] // size, x.shape[2] // size
  x = x[:, : rows * size, : columns * size]
  x = x.reshape(b, rows, size, columns, size, c)
  places = itertools.product(range(size), repeat=2)
  return functools.reduce(
    _first_larger, (x[:, :, row, :, column] for row, column in places)
  )


def largest_of_last(x: Float[Array, '... c']) -> Float[Array, '...']:
  """Returns the largest value along the last axis.

  Among equals the first gets the whole gradient, as in PyTorch.
  """
  place = jnp.argmax(jax.lax.stop_gradient(x), -1, keepdims=True)
  # A sum over one value and zeros; a gather's gradient is slow on a CPU.
  index = jax.lax.broadcasted_iota(place.dtype, x.shape, x.ndim - 1)
  return jnp.where(index == place, x, 0).sum(-1)


# The gradient of `max` divides by the number of places that equal the maximum.
# XLA may compute the values twice, in two kernels that round differently: then
# none is equal, and the gradient is NaN. A choice always has a winner.
def _first_larger(one: Array, other: Array) -> Array:
  """Returns the larger of two values, the first of equals; NaN wins."""
  return jnp.where((one >= other) | (one != one), one, other)


def max_pool3x3(
  x: Float[Array, 'b h w c'], stride: int
) -> Float[Array, 'b h2 w2 c']:
  """Returns the largest value of each 3x3 window; padding is one, with -inf.

  Among equals the first gets the whole gradient, as in PyTorch. The derivative
  is written out because the gradient of `reduce_window` is very slow on a CPU,
  and that of a maximum over nine slices is slow.
  """
  return _max_pool(stride, x)[0]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _max_pool(stride, x):
  """Returns the maxima, and which of the nine neighbours won."""
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
  return jax.lax.reduce((parts, place), start, first_largest, (0,))


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


@_max_pool.defjvp
def _max_pool_jvp(stride, primals, tangents):
  """Returns the maxima, and the change of each winner."""
  largest, place = _max_pool(stride, *primals)
  # What an integer changes by has no values.
  still = jax.custom_derivatives.zero_from_primal(place)
  return (largest, place), (_winners(*tangents, place, stride), still)


# The gradient needs the places alone, not the nine masks made of them.
@functools.partial(jax.checkpoint, prevent_cse=False, static_argnums=2)
def _winners(x, place, stride):
  """Returns the value of each window's winner.

  A place lies in several windows, which differ with the remainder of its row
  and column by the stride. For each remainder the places form a dense map, and
  each adds to at most four windows. JAX makes the gradient by transposing this:
  there a place gathers from its windows, which is faster on a CPU than
  scattering each window's gradient.
  """
  b, h, w, c = x.shape
  rows, columns = place.shape[1:3]
  # Windows beyond the border have no winner (-1), so they get nothing.
  place = jnp.pad(place, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-1)
  # One row and column of padding before, and as many as fill windows after.
  sides = (rows + 1) * stride, (columns + 1) * stride
  after = (1, sides[0] - h - 1), (1, sides[1] - w - 1)
  x = jnp.pad(x, ((0, 0), *after, (0, 0)))
  x = x.reshape(b, rows + 1, stride, columns + 1, stride, c)
  x = x.transpose(2, 4, 0, 1, 3, 5).reshape(-1, b, rows + 1, columns + 1, c)
  # The transpose of `split` joins; that of slices would add padded maps.
  phases = jax.lax.split(x, (1,) * stride**2)
  total = 0
  for row, column in itertools.product(range(3), repeat=2):
    top, left = 1 - row // stride, 1 - column // stride
    near = place[:, top : top + rows + 1, left : left + columns + 1]
    phase = phases[row % stride * stride + column % stride][0]
    part = jnp.where(near == 3 * row + column, phase, 0)
    total += jnp.pad(part, ((0, 0), (top, 1 - top), (left, 1 - left), (0, 0)))
  return total[:, 1:-1, 1:-1]
