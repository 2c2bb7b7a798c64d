"""Scores and weights of attention, in float32, with keys that may not count."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
import numpy as np


def wide(*arrays: Array) -> np.dtype:
  """Returns the dtype of sums: float32, or wider if the arrays are."""
  return jnp.promote_types(jnp.result_type(*arrays), jnp.float32)


def hide(
  mask: Bool[Array, '*#b m'] | None,
  key: Float[Array, '*b m h d'],
  value: Float[Array, '*b m h e'],
) -> tuple[Array, Array, Bool[Array, '*#b 1 1 m'] | None]:
  """Returns keys and values with zeros for those that do not count.

  The third result tells which scores count, as `masked_softmax` and
  `softly_weigh` take it.
  """
  if mask is None:
    return key, value, None
  # A weight of zero is not enough: zero times NaN is NaN.
  key, value = (jnp.where(mask[..., None, None], x, 0) for x in (key, value))
  return key, value, mask[..., None, None, :]


def dot_product(
  query: Float[Array, '*b n h d'], key: Float[Array, '*b m h d']
) -> Float[Array, '*b h n m']:
  """Computes the scores q k / sqrt(d)."""
  dtype = wide(query, key)
  scale = query.shape[-1] ** -0.5
  # Queries are mostly fewer than scores; but a narrow type would round them.
  early = query.dtype == dtype
  scores = jnp.einsum(
    '...nhd,...mhd->...hnm',
    query * scale if early else query,
    key,
    preferred_element_type=dtype,
  )
  return scores if early else scores * scale


def masked_softmax(
  scores: Float[Array, '*s'],
  counts: Bool[Array | np.ndarray, '...'] | None,
  *,
  axis: int | tuple[int, ...] = -1,
) -> Float[Array, '*s']:
  """Computes the softmax of the scores that count; others get zero.

  Args:
    scores: logarithms of the weights.
    counts: which scores count, in a shape that broadcasts; all if None. Where
      none does, all weights are zero.
    axis: axis or axes over which the weights sum to one.
  """
  shares, total = _shares(scores, counts, axis)
  return shares / total


def _shares(scores, counts, axis):
  """Returns what the weights are in proportion to, and the sum to divide by."""
  if counts is not None:
    # Not -inf, of which a row alone would be NaN, forward and backward.
    scores = jnp.where(counts, scores, jnp.finfo(scores.dtype).min)
  # The largest cancels in the ratio, so it has no gradient.
  top = jax.lax.stop_gradient(scores).max(axis, keepdims=True)
  shares = jnp.exp(scores - top)
  if counts is not None:
    shares = jnp.where(counts, shares, 0)
  # At least one, the share of the largest score; zero if no key counts.
  return shares, jnp.maximum(shares.sum(axis, keepdims=True), 0.5)


def weigh(
  weights: Float[Array, '*b h n m'], value: Float[Array, '*b m h e']
) -> Float[Array, '*b n h e']:
  """Sums the values by their weights, in the dtype of the values."""
  output = jnp.einsum('...hnm,...mhe->...nhe', weights, value)
  return output.astype(value.dtype)


def softly_weigh(
  scores: Float[Array, '*b h n m'],
  counts: Bool[Array | np.ndarray, '...'] | None,
  value: Float[Array, '*b m h e'],
) -> tuple[Float[Array, '*b n h e'], Float[Array, '*b h n m']]:
  """Sums the values by the softmax of the scores; returns that and the weights.

  The weights are those of `masked_softmax`, the sum is that of `weigh`. Except
  on a GPU it is divided after it is taken, not each weight before: so n x e
  numbers are divided, not n x m, and backward no more than n x e are summed.
  Under `jit` the weights are not computed then if nobody reads them.
  """

  def divide_before(scores, value):
    weights = masked_softmax(scores, counts)
    return weigh(weights, value), weights

  def divide_after(scores, value):
    shares, total = _shares(scores, counts, -1)
    output = jnp.einsum('...hnm,...mhe->...nhe', shares, value)
    # As rows: see `layers.LayerNorm`.
    norm = jnp.swapaxes(total, -3, -2).reshape(-1, 1)
    rows = output.reshape(-1, output.shape[-1]) / norm
    return rows.reshape(output.shape).astype(value.dtype), shares / total

  # XLA makes one kernel for a GPU of a softmax, and several of its parts.
  return jax.lax.platform_dependent(
    scores, value, cuda=divide_before, rocm=divide_before, default=divide_after
  )
