"""The matrix product of layers, in the form whose gradient is fast on a CPU.

The gradient of `x @ kernel` by the kernel sums over the rows of `x`. XLA asks
its CPU library of matrix products only for sums along the rows of the left
factor, and otherwise falls back to a product that is half as fast. JAX's own
gradient has such a fallback. Written with the transposed kernel, the same sum
has a form that the library takes.
"""

from __future__ import annotations

from typing import Any

import jax
from jaxtyping import Array
from jaxtyping import Float


def multiply(
  x: Float[Array, '*b c'], kernel: Float[Array, 'c d']
) -> Float[Array, '*b d']:
  """Returns `x @ kernel`."""
  return dot_general(x, kernel, (((x.ndim - 1,), (0,)), ((), ())))


def dot_general(
  x: Float[Array, '*b c'],
  kernel: Float[Array, 'c d'],
  dimension_numbers: Any,
  precision: Any = None,
) -> Float[Array, '*b d']:
  """Does the same, called as `nn.Dense` calls `jax.lax.dot_general`."""

  def plain(x, kernel):
    return jax.lax.dot_general(x, kernel, dimension_numbers, precision)

  def turned(x, kernel):
    # Without the barrier XLA would turn the gradient back.
    kernel = jax.lax.optimization_barrier(kernel.T)
    numbers = ((x.ndim - 1,), (1,)), ((), ())
    return jax.lax.dot_general(x, kernel, numbers, precision)

  # The choice is made when the program is compiled; it leaves no branch in it.
  return jax.lax.platform_dependent(x, kernel, cpu=turned, default=plain)
