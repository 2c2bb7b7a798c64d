"""Attention as a function: what a model calls where tokens meet.

An attention function takes query `[*b, n, h, d]`, key `[*b, m, h, d]` and value
`[*b, m, h, e]` and returns the output `[*b, n, h, e]` and the weights
`[*b, h, n, m]`, or None if it never forms them. It has no parameters, so
that swapping it changes nothing in a model's parameter tree; a variant with
parameters of its own is a Linen module called the same way. Options are given
by `functools.partial`.
"""

from __future__ import annotations

from collections.abc import Callable
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
import numpy as np

AttentionFn = Callable[[Array, Array, Array], tuple[Array, Array | None]]


def softmax(
  query: Float[Array, '*b n h d'],
  key: Float[Array, '*b m h d'],
  value: Float[Array, '*b m h e'],
) -> tuple[Float[Array, '*b n h e'], Float[Array, '*b h n m']]:
  """Scaled dot-product attention, softmax(q k / sqrt(d)) v.

  A single key gets weight one whatever query and key hold: then both are left
  unread, so that jit drops the projections behind them, and their gradient is
  exactly zero.
  """
  *batch, queries, heads, _ = query.shape
  if key.shape[-3] == 1:
    weights = jnp.ones((*batch, heads, queries, 1), value.dtype)
    output = (*batch, queries, heads, value.shape[-1])
    return jnp.broadcast_to(value, output), weights
  return _weigh(_scores(query, key), value)


def linear(
  query: Float[Array, '*b n h d'],
  key: Float[Array, '*b m h d'],
  value: Float[Array, '*b m h e'],
) -> tuple[Float[Array, '*b n h e'], None]:
  """Linear attention with features elu + 1 (Katharopoulos et al., 2020).

  Its cost grows with n + m instead of n m, because the weights are never
  formed.
  """
  query, key = jax.nn.elu(query) + 1, jax.nn.elu(key) + 1
  memory = jnp.einsum('...mhd,...mhe->...hde', key, value)
  output = jnp.einsum('...nhd,...hde->...nhe', query, memory)
  norm = jnp.einsum('...nhd,...hd->...nh', query, key.sum(-3))
  return output / norm[..., None], None


def windowed(
  query: Float[Array, '*b n h d'],
  key: Float[Array, '*b n h d'],
  value: Float[Array, '*b n h e'],
  *,
  radius: int = 1,
  grid: tuple[int, int] | None = None,
) -> tuple[Float[Array, '*b n h e'], Float[Array, '*b h n n']]:
  """Softmax attention of each token to a square window around it.

  The tokens are a grid in row-major order. A token sees the tokens at most
  `radius` rows and columns away: a window of side 2 radius + 1, cut off at the
  edge of the grid, not wrapped.

  Args:
    radius: rows and columns seen on each side; 0 is the token alone.
    grid: rows and columns of the tokens; a square by default.
  """
  count = query.shape[-3]
  rows, columns = grid or (math.isqrt(count),) * 2
  if rows * columns != count:
    raise ValueError(
      f'windowed attention got {count} tokens for a grid of {rows} x {columns};'
      ' give the grid: functools.partial(windowed, grid=(rows, columns))'
    )
  near = _window(rows, columns, radius)
  scores = jnp.where(near, _scores(query, key), -jnp.inf)
  return _weigh(scores, value)


def attend(
  attention_fn: AttentionFn,
  query: Float[Array, '*b n h d'],
  key: Float[Array, '*b m h d'],
  value: Float[Array, '*b m h e'],
) -> tuple[Float[Array, '*b n h e'], Array | None]:
  """Calls an attention function and checks the shape of what it returns.

  Raises:
    ValueError: the output is not `[*b, n, h, e]`, the weights are neither None
      nor `[*b, h, n, m]`, or no pair came back.
  """
  name = getattr(attention_fn, '__name__', repr(attention_fn))
  result = attention_fn(query, key, value)
  if not (isinstance(result, tuple) and len(result) == 2):
    raise ValueError(
      f'attention function {name} returned {type(result).__name__};'
      ' expected (output, weights), weights None if it has none'
    )
  output, weights = result
  *batch, queries, heads, _ = query.shape
  expected = (*batch, queries, heads, value.shape[-1])
  if output.shape != expected:
    raise ValueError(
      f'attention function {name} returned an output of shape {output.shape};'
      f' expected {expected}: [*b, n, h, e], tokens before heads'
    )
  expected = (*batch, heads, queries, key.shape[-3])
  if weights is not None and weights.shape != expected:
    raise ValueError(
      f'attention function {name} returned weights of shape {weights.shape};'
      f' expected {expected}: [*b, h, n, m], or None'
    )
  return output, weights


def _scores(query, key):
  scores = jnp.einsum('...nhd,...mhd->...hnm', query, key)
  return scores * query.shape[-1] ** -0.5


def _weigh(scores, value):
  weights = jax.nn.softmax(scores, axis=-1)
  return jnp.einsum('...hnm,...mhe->...nhe', weights, value), weights


def _window(rows, columns, radius) -> Bool[np.ndarray, 'n n']:
  row, column = np.divmod(np.arange(rows * columns), columns)
  apart = [np.abs(place[:, None] - place) for place in (row, column)]
  return np.maximum(*apart) <= radius


ATTENTION: dict[str, AttentionFn] = {
  'softmax': softmax,
  'linear': linear,
  'windowed': windowed,
}
