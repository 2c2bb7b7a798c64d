"""The matrix product of layers, in the form whose gradient is fast on a CPU.

The gradient of `x @ kernel` by the kernel sums over the rows of `x`. XLA asks
its CPU library of matrix products only for sums along the rows of the left
factor, and JAX puts the gradient of the output there, which must be transposed
first. If the output is no wider than `x`, the library is faster all the same;
but XLA asks it only if the product is written with the transposed kernel. If
the output is wider, a product of both as they lie in memory is faster, without
the library; XLA makes it only if `x` has two axes. So it is where `x` has fewer
rows than either side of the kernel: then the kernel, its gradient and the
moments of Adam are what takes time to read, and a transposed one takes twice
as long. Convolutions always take the second way: see `convolution.py`.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
from jaxtyping import Array
from jaxtyping import Float


def by_rows(
  x: Float[Array, '*b c'], kernel: Float[Array, 'c d'], precision: Any = None
) -> Float[Array, '*b d']:
  """Returns `x @ kernel`; its gradients read both factors as they lie."""
  rows = x.reshape(-1, x.shape[-1])
  y = jax.lax.dot(rows, kernel, precision=precision)
  return y.reshape(*x.shape[:-1], kernel.shape[1])


def dot_general(
  x: Float[Array, '*b c'],
  kernel: Float[Array, 'c d'],
  dimension_numbers: Any,
  precision: Any = None,
) -> Float[Array, '*b d']:
  """Returns `x @ kernel`, called as `nn.Dense` calls `jax.lax.dot_general`."""

  def plain(x, kernel):
    return jax.lax.dot_general(x, kernel, dimension_numbers, precision)

  def turned(x, kernel):
    # Without the barrier XLA would turn the gradient back.
    kernel = jax.lax.optimization_barrier(kernel.T)
    numbers = ((x.ndim - 1,), (1,)), ((), ())
    return jax.lax.dot_general(x, kernel, numbers, precision)

  rows = functools.partial(by_rows, precision=precision)
  # An int, or a symbol where a model is exported for batches of any size.
  count = x.size // kernel.shape[0]
  few = isinstance(count, int) and count < min(kernel.shape)
  wide = kernel.shape[0] < kernel.shape[1]
  fast = rows if few or wide else turned
  # The choice is made when the program is compiled; it leaves no branch in it.
  return jax.lax.platform_dependent(x, kernel, cpu=fast, default=plain)
