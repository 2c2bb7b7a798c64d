"""Attention as a function, which a model calls wherever it mixes tokens.

An attention function takes query `[*b, n, h, d]`, key `[*b, m, h, d]` and value
`[*b, m, h, e]`. It returns the output `[*b, n, h, e]` and the weights
`[*b, h, n, m]`, or None if it never forms them. It has no parameters, so
swapping it changes nothing in a model's parameter tree. `functools.partial`
gives it options.

A variant with parameters of its own is a Linen module that is called the same
way: its class, or an instance with options. Each block has its own copy. If it
has the field `param_dtype` and that is None, the model fills in its own.

A function or module that takes them is called with two more arguments:
  train: bool, whether the model trains, for example for dropout of its own.
  mask: Bool `[*b, m]`, which marks the keys that count, or None if all do;
    needed where some tokens may be absent, as with ARTNet's levels.

When a model first meets a function, `hearing` asks it whether tokens hear of
each other, because one for the axes `[b, h, n, d]` has the same shapes.

What is computed here, for inputs of any floating dtype:
- Scores, weights and sums are float32, or float64 if an input is. The output
  has the dtype of `value`.
- A query for which no key counts gets an output and weights of zero.
- A key or value that does not count has no effect, even if it is NaN; nothing
  flows back to it.
- Nothing is NaN, neither forward nor backward, if the products of finite inputs
  and their sums over all keys fit float32. Weights are exact up to the rounding
  of their exponents, a factor of 1 +- about 1e-7 times the size of the products
  that a score sums. (An accelerator may round the factors of float32 products;
  see `jax_default_matmul_precision`.)
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import inspect
import math

import flax.linen as nn
from flax.typing import Dtype
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
import numpy as np

from mejax.models import base
from mejax.models import hearing
from mejax.models import scores as scores_lib

AttentionFn = Callable[..., tuple[Array, Array | None]]


def softmax(
  query: Float[Array, '*b n h d'],
  key: Float[Array, '*b m h d'],
  value: Float[Array, '*b m h e'],
  *,
  mask: Bool[Array, '*#b m'] | None = None,
) -> tuple[Float[Array, '*b n h e'], Float[Array, '*b h n m']]:
  """Computes scaled dot-product attention, softmax(q k / sqrt(d)) v."""
  key, value, counts = scores_lib.hide(mask, key, value)
  # A single key gets weight one, whatever query and key hold. Both are left
  # unread then, so that jit drops the projections behind them (13 % of
  # the arithmetic of HTNet as released), and their gradient is exactly zero.
  *batch, queries, heads, _ = query.shape
  if key.shape[-3] == 1:
    weights = jnp.ones((*batch, heads, queries, 1), scores_lib.wide(value))
    # A value that does not count has become zero above.
    if counts is not None:
      weights = jnp.where(counts, weights, 0)
    output = (*batch, queries, heads, value.shape[-1])
    return jnp.broadcast_to(value, output), weights
  scores = scores_lib.dot_product(query, key)
  return scores_lib.softly_weigh(scores, counts, value)


def linear(
  query: Float[Array, '*b n h d'],
  key: Float[Array, '*b m h d'],
  value: Float[Array, '*b m h e'],
  *,
  mask: Bool[Array, '*#b m'] | None = None,
) -> tuple[Float[Array, '*b n h e'], None]:
  """Computes linear attention with features elu + 1.

  Katharopoulos et al., "Transformers are RNNs", arXiv 2006.16236. Its cost
  grows with n + m instead of n m, because the weights are never formed. It is
  exact however small or large the features are: a factor that all weights of a
  query share is taken out before it could overflow or vanish.
  """
  dtype = scores_lib.wide(query, key, value)
  key, value, _ = scores_lib.hide(mask, key, value)
  keys = _log_features(key.astype(dtype))
  if mask is not None:
    keys = jnp.where(mask[..., None, None], keys, jnp.finfo(dtype).min)
  # The largest key of each feature moves over to the queries, and then the
  # largest feature of each query cancels in the ratio. What is left is at most
  # one, and the norm is at least one: the largest feature times its largest
  # key. Neither changes the result, so neither has a gradient.
  largest = jax.lax.stop_gradient(keys.max(-3, keepdims=True))
  queries = _log_features(query.astype(dtype)) + largest
  top = jax.lax.stop_gradient(queries.max(-1, keepdims=True))
  queries, keys = jnp.exp(queries - top), jnp.exp(keys - largest)
  if mask is not None:
    keys = jnp.where(mask[..., None, None], keys, 0)
  # Keys meet values before queries: a d x e matrix a head, whatever m is.
  memory = jnp.einsum('...mhd,...mhe->...hde', keys, value.astype(dtype))
  output = jnp.einsum('...nhd,...hde->...nhe', queries, memory)
  norm = jnp.einsum('...nhd,...hd->...nh', queries, keys.sum(-3))
  # The norm is zero if no key counts, and so is the output.
  output = output / jnp.maximum(norm, 0.5)[..., None]
  return output.astype(value.dtype), None


def windowed(
  query: Float[Array, '*b n h d'],
  key: Float[Array, '*b m h d'],
  value: Float[Array, '*b m h e'],
  *,
  radius: int = 1,
  grid: tuple[int, int] | None = None,
  mask: Bool[Array, '*#b m'] | None = None,
) -> tuple[Float[Array, '*b n h e'], Float[Array, '*b h n m']]:
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
    mask: keys that count; all by default.

  Raises:
    ValueError: queries and keys are not the tokens of one grid, or the radius
      is negative.
  """
  rows, columns = _grid(query, key, grid, 'windowed attention')
  if radius < 0:
    raise ValueError(f'radius is {radius}; expected 0 or more')
  # All scores are computed and most are left out: n is small in these models.
  near = _window(rows, columns, radius)
  key, value, counts = scores_lib.hide(mask, key, value)
  counts = near if counts is None else near & counts
  scores = scores_lib.dot_product(query, key)
  return scores_lib.softly_weigh(scores, counts, value)


class TalkingHeads(nn.Module):
  """Softmax attention whose heads talk before and after the softmax.

  Two h x h matrices mix the heads (Shazeer et al., "Talking-Heads Attention",
  arXiv 2003.02436, section 2). Both start as the identity, so the module starts
  as `softmax`; after training, rows of weights need not sum to one.

  Attributes:
    param_dtype: what the matrices are kept in; None for that of the model.
  """

  param_dtype: Dtype | None = None

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
      size, dtype = query.shape[-2], self.param_dtype or jnp.float32
      mix = self.param(name, lambda key: jnp.eye(size, dtype=dtype))
      return jnp.einsum('...hnm,hg->...gnm', x, mix.astype(x.dtype))

    key, value, counts = scores_lib.hide(mask, key, value)
    scores = talk(scores_lib.dot_product(query, key), 'before')
    weights = talk(scores_lib.masked_softmax(scores, counts), 'after')
    return scores_lib.weigh(weights, value), weights


class RelativeBias(nn.Module):
  """Softmax attention with a learned bias for each offset of key from query.

  The tokens are a grid in row-major order; every head has a bias for each
  difference of rows and of columns (Liu et al., "Swin Transformer", arXiv
  2103.14030, equation 4). All biases start at zero, so the module starts as
  `softmax`.

  Attributes:
    grid: rows and columns of the tokens; a square by default.
    param_dtype: what the biases are kept in; None for that of the model.
  """

  grid: tuple[int, int] | None = None
  param_dtype: Dtype | None = None

  @nn.compact
  def __call__(
    self,
    query: Float[Array, '*b n h d'],
    key: Float[Array, '*b m h d'],
    value: Float[Array, '*b m h e'],
    *,
    mask: Bool[Array, '*#b m'] | None = None,
  ) -> tuple[Float[Array, '*b n h e'], Float[Array, '*b h n m']]:
    rows, columns = _grid(query, key, self.grid, 'RelativeBias')
    shape = (2 * rows - 1, 2 * columns - 1, query.shape[-2])
    dtype = self.param_dtype or jnp.float32
    bias = self.param('bias', nn.initializers.zeros, shape, dtype)
    row, column = np.divmod(np.arange(rows * columns), columns)
    # Differences run from -(rows - 1): shifted to start at 0, they are indices.
    bias = bias[
      row - row[:, None] + rows - 1,
      column - column[:, None] + columns - 1,
    ]
    key, value, counts = scores_lib.hide(mask, key, value)
    scores = scores_lib.dot_product(query, key)
    scores += jnp.moveaxis(bias, -1, 0).astype(scores.dtype)
    return scores_lib.softly_weigh(scores, counts, value)


def from_jax(function: Callable[..., Array]) -> AttentionFn:
  """Makes an attention function of one that is called as JAX's own.

      attention_fn=attention.from_jax(jax.nn.dot_product_attention)

  Its weights are None. `functools.partial` around `function` gives it options.

  Args:
    function: takes query `[b, n, h, d]`, key and value `[b, m, h, d]`, and
      returns the output `[b, n, h, d]`. Where some tokens may be absent, it is
      called with `mask=`, Bool `[b, 1, 1, m]`.
  """
  # A partial function, not a closure: a run knows it by the source of both.
  return functools.partial(_call_jax, function)


def _call_jax(function, query, key, value, *, mask=None):
  """Calls a function that has one axis of examples and returns no weights."""
  batch = query.shape[:-3]
  examples = math.prod(batch)
  options = {}
  if mask is not None:
    if not base.takes(function, 'mask'):
      raise ValueError(
        f'{function} takes no mask, but some of the tokens may be absent here;'
        ' add `mask=None`, Bool [b, 1, 1, m], which marks the keys that count'
      )
    key, value, _ = scores_lib.hide(mask, key, value)
    mask = jnp.broadcast_to(mask, (*batch, key.shape[-3]))
    options = {'mask': mask.reshape(examples, 1, 1, -1)}
  inputs = (x.reshape(examples, *x.shape[-3:]) for x in (query, key, value))
  output = function(*inputs, **options)
  output = output.reshape(*batch, *output.shape[1:])
  if mask is not None:
    # JAX's function returns the mean of all values if no key counts.
    output = jnp.where(mask.any(-1)[..., None, None, None], output, 0)
  return output, None


def own(
  function: Callable | type[nn.Module],
  param_dtype: Dtype = jnp.float32,
  *,
  name: str = 'attention_fn',
) -> Callable:
  """Returns the callable for one block.

  A function is returned as it is. A module is returned as a fresh copy with
  its own parameters, which are found below `name`. `own` must be called inside
  a compact `__call__`.

  Args:
    function: the function, the module or its class.
    param_dtype: that of the model, for a module that has the field and leaves
      it None.
    name: name of the copy.
  """
  # The module in a field is shared by all blocks; called there directly, it
  # would have one set of parameters for all of them.
  if inspect.isclass(function):
    if not issubclass(function, nn.Module):
      raise ValueError(
        f'{name} is the class {function.__name__}, which is no Flax module.'
        f' Give an instance, {function.__name__}(...), or a function; what has'
        ' parameters is a flax.linen.Module, whose class will do.'
      )
    function = function(parent=None)
  if not isinstance(function, nn.Module):
    return function
  fields = {'name': name}
  if getattr(function, 'param_dtype', param_dtype) is None:
    fields['param_dtype'] = param_dtype
  return function.copy(**fields)


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
      mask where one is needed; or it cannot be called in this way; or it
      attends among heads, see `hearing`.
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
  result = _call(attention_fn, name, (query, key, value), options)
  if not (isinstance(result, tuple) and len(result) == 2):
    raise ValueError(
      f'attention function {name} returned {type(result).__name__};'
      ' expected (output, weights), where weights may be None; from_jax adapts'
      ' a function that returns the output alone'
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
  # Ours are known to be sound.
  own_code = getattr(attention_fn, '__module__', None) != __name__
  if own_code and queries == key.shape[-3]:
    sizes = hearing.Sizes(
      len(batch), queries, heads, query.shape[-1], value.shape[-1]
    )
    hearing.check(attention_fn, name, sizes, frozenset(options))
  return output, weights


def _call(attention_fn, name, arrays, options):
  """Calls the function; what it raises says how functions are called here."""
  if isinstance(attention_fn, nn.Module):
    return attention_fn(*arrays, **options)
  try:
    inspect.signature(attention_fn).bind(*arrays, **options)
  except TypeError as error:
    raise ValueError(
      f'attention function {name} cannot be called with (query, key, value):'
      f' {error}. functools.partial gives it values for further arguments'
    ) from error
  try:
    return attention_fn(*arrays, **options)
  except (TypeError, ValueError) as error:
    if arrays[0].ndim == 4:  # The shapes of JAX's functions.
      raise
    raise ValueError(
      f'attention function {name} failed on a query of shape'
      f' {arrays[0].shape}: {error}. If it takes one axis of examples alone, as'
      ' jax.nn.dot_product_attention does, mejax.models.attention.from_jax'
      ' adapts it'
    ) from error


def _log_features(x):
  """Returns log(elu(x) + 1); the sum itself would cancel below about -17."""
  return jnp.where(x > 0, jnp.log1p(jnp.maximum(x, 0)), x)


def _grid(query, key, grid: tuple[int, int] | None, who: str):
  """Returns rows and columns of the grid of tokens, a square by default."""
  count, keys = query.shape[-3], key.shape[-3]
  if count != keys:
    raise ValueError(
      f'{who} got {count} queries and {keys} keys; expected as many of both,'
      ' because each token of a grid is a query and a key'
    )
  rows, columns = grid or (math.isqrt(count),) * 2
  if rows * columns != count:
    raise ValueError(
      f'{who} got {count} tokens for a grid of {rows} x {columns}; give it the'
      ' option grid=(rows, columns)'
    )
  return rows, columns


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
