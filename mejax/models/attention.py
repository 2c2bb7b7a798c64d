"""Attention as a function, which a model calls wherever it mixes tokens.

An attention function takes query `[*b, n, h, d]`, key `[*b, m, h, d]` and value
`[*b, m, h, e]`. It returns the output `[*b, n, h, e]` and the weights
`[*b, h, n, m]`, or None if it never forms them. It has no parameters, so
swapping it changes nothing in a model's parameter tree. `functools.partial`
gives it options.

A variant with parameters of its own is a Linen module that is called the same
way: its class, or an instance with options. Each block has its own copy.

A function or module that takes them is called with two more arguments:
  train: bool, whether the model trains, for example for dropout of its own.
  mask: Bool `[*b, m]`, which marks the keys that count, or None if all do;
    needed where some tokens may be absent, as with ARTNet's levels.
"""

from __future__ import annotations

from collections.abc import Callable
import inspect
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
import numpy as np

from mejax.models import base

AttentionFn = Callable[..., tuple[Array, Array | None]]


def softmax(
  query: Float[Array, '*b n h d'],
  key: Float[Array, '*b m h d'],
  value: Float[Array, '*b m h e'],
  *,
  mask: Bool[Array, '*#b m'] | None = None,
) -> tuple[Float[Array, '*b n h e'], Float[Array, '*b h n m']]:
  """Computes scaled dot-product attention, softmax(q k / sqrt(d)) v."""
  # A single key gets weight one, whatever query and key hold. Both are left
  # unread then, so that jit drops the projections behind them (13 % of
  # the arithmetic of HTNet as released), and their gradient is exactly zero.
  *batch, queries, heads, _ = query.shape
  if key.shape[-3] == 1:
    weights = jnp.ones((*batch, heads, queries, 1), value.dtype)
    output = (*batch, queries, heads, value.shape[-1])
    return jnp.broadcast_to(value, output), weights
  return _weigh(_leave_out(_scores(query, key), mask), value)


def linear(
  query: Float[Array, '*b n h d'],
  key: Float[Array, '*b m h d'],
  value: Float[Array, '*b m h e'],
  *,
  mask: Bool[Array, '*#b m'] | None = None,
) -> tuple[Float[Array, '*b n h e'], None]:
  """Computes linear attention with features elu + 1.

  Katharopoulos et al., "Transformers are RNNs", arXiv 2006.16236. Its cost
  grows with n + m instead of n m, because the weights are never formed.
  """
  query, key = jax.nn.elu(query) + 1, jax.nn.elu(key) + 1
  if mask is not None:
    key = jnp.where(mask[..., None, None], key, 0)
  # Keys meet values before queries: a d x e matrix a head, whatever m is.
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
  """Computes softmax attention of each token to a square window around it.

  The tokens are a grid in row-major order. A token sees the tokens at most
  `radius` rows and columns away: a window of side 2 radius + 1, cut off at the
  edge of the grid, not wrapped.

  Args:
    query: what each token looks for.
    key: what each token is found by.
    value: what each token holds.
    radius: rows and columns seen on each side; 0 is the token alone.
    grid: rows and columns of the tokens; a square by default.
  """
  rows, columns = _grid(query.shape[-3], grid, 'windowed attention')
  # All scores are computed and most are left out: n is small in these models.
  near = _window(rows, columns, radius)
  scores = jnp.where(near, _scores(query, key), -jnp.inf)
  return _weigh(scores, value)


class TalkingHeads(nn.Module):
  """Softmax attention whose heads talk before and after the softmax.

  Two h x h matrices mix the heads (Shazeer et al., "Talking-Heads Attention",
  arXiv 2003.02436, section 2). Both start as the identity, so the module starts
  as `softmax`; after training, rows of weights need not sum to one.
  """

  @nn.compact
  def __call__(
    self,
    query: Float[Array, '*b n h d'],
    key: Float[Array, '*b m h d'],
    value: Float[Array, '*b m h e'],
    *,
    mask: Bool[Array, '*#b m'] | None = None,
  ) -> tuple[Float[Array, '*b n h e'], Float[Array, '*b h n m']]:
    def talk(x, name):
      mix = self.param(name, lambda key: jnp.eye(query.shape[-2]))
      return jnp.einsum('...hnm,hg->...gnm', x, mix)

    scores = _leave_out(talk(_scores(query, key), 'before'), mask)
    weights = talk(jax.nn.softmax(scores, axis=-1), 'after')
    return jnp.einsum('...hnm,...mhe->...nhe', weights, value), weights


class RelativeBias(nn.Module):
  """Softmax attention with a learned bias for each offset of key from query.

  The tokens are a grid in row-major order; every head has a bias for each
  difference of rows and of columns (Liu et al., "Swin Transformer", arXiv
  2103.14030, equation 4). All biases start at zero, so the module starts as
  `softmax`.

  Attributes:
    grid: rows and columns of the tokens; a square by default.
  """

  grid: tuple[int, int] | None = None

  @nn.compact
  def __call__(
    self,
    query: Float[Array, '*b n h d'],
    key: Float[Array, '*b n h d'],
    value: Float[Array, '*b n h e'],
  ) -> tuple[Float[Array, '*b n h e'], Float[Array, '*b h n n']]:
    rows, columns = _grid(query.shape[-3], self.grid, 'RelativeBias')
    shape = (2 * rows - 1, 2 * columns - 1, query.shape[-2])
    bias = self.param('bias', nn.initializers.zeros, shape)
    row, column = np.divmod(np.arange(rows * columns), columns)
    # Differences run from -(rows - 1): shifted to start at 0, they are indices.
    bias = bias[
      row - row[:, None] + rows - 1,
      column - column[:, None] + columns - 1,
    ]
    return _weigh(_scores(query, key) + jnp.moveaxis(bias, -1, 0), value)


def own(
  function: Callable | type[nn.Module], *, name: str = 'attention_fn'
) -> Callable:
  """Returns the callable for one block.

  A function is returned as it is. A module is returned as a fresh copy with
  its own parameters, which are found below `name`. `own` must be called inside
  a compact `__call__`.
  """
  # The module in a field is shared by all blocks; called there directly, it
  # would have one set of parameters for all of them.
  if inspect.isclass(function):
    return function(name=name)
  if isinstance(function, nn.Module):
    return function.copy(name=name)
  return function


def attend(
  attention_fn: AttentionFn,
  query: Float[Array, '*b n h d'],
  key: Float[Array, '*b m h d'],
  value: Float[Array, '*b m h e'],
  *,
  mask: Bool[Array, '*#b m'] | None = None,
  train: bool = False,
) -> tuple[Float[Array, '*b n h e'], Array | None]:
  """Calls an attention function and checks the shape of what it returns.

  Args:
    attention_fn: the function, or a bound module.
    query: what each token looks for.
    key: what each token is found by.
    value: what each token holds.
    mask: keys that count; passed on only if it is given.
    train: whether the model trains; passed on only to a function that takes it.

  Raises:
    ValueError: the output is not `[*b, n, h, e]`, the weights are neither None
      nor `[*b, h, n, m]`, the result is not a pair, or the function takes no
      mask where one is needed.
  """
  name = getattr(attention_fn, '__name__', repr(attention_fn))
  # The simplest function, of query, key and value, works in most models.
  options = {'train': train} if base.takes(attention_fn, 'train') else {}
  if mask is not None:
    options['mask'] = mask
  if mask is not None and not base.takes(attention_fn, 'mask'):
    raise ValueError(
      f'attention function {name} takes no mask, but some of the tokens may be'
      ' absent here; add `mask=None`, Bool [*b, m], which marks the keys that'
      ' count'
    )
  result = attention_fn(query, key, value, **options)
  if not (isinstance(result, tuple) and len(result) == 2):
    raise ValueError(
      f'attention function {name} returned {type(result).__name__};'
      ' expected (output, weights), where weights may be None'
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


def _leave_out(scores, mask):
  """Sets the scores of absent keys to -inf, so that they get no weight."""
  if mask is None:
    return scores
  return jnp.where(mask[..., None, None, :], scores, -jnp.inf)


def _grid(count: int, grid: tuple[int, int] | None, who: str):
  """Returns rows and columns of the grid of tokens, a square by default."""
  rows, columns = grid or (math.isqrt(count),) * 2
  if rows * columns != count:
    raise ValueError(
      f'{who} got {count} tokens for a grid of {rows} x {columns}; give it the'
      ' option grid=(rows, columns)'
    )
  return rows, columns


def _weigh(scores, value):
  weights = jax.nn.softmax(scores, axis=-1)
  return jnp.einsum('...hnm,...mhe->...nhe', weights, value), weights


def _window(rows, columns, radius) -> Bool[np.ndarray, 'n n']:
  """Returns which tokens of the grid see each other."""
  row, column = np.divmod(np.arange(rows * columns), columns)
  apart = [np.abs(place[:, None] - place) for place in (row, column)]
  return np.maximum(*apart) <= radius


ATTENTION: dict[str, AttentionFn | type[nn.Module]] = {
  'softmax': softmax,
  'linear': linear,
  'windowed': windowed,
  'talking_heads': TalkingHeads,
  'relative': RelativeBias,
}
