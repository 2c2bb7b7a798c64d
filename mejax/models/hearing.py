"""Asks an attention function which tokens and heads hear of each other.

A function for the axes of PyTorch, `[*b, h, n, d]`, gives arrays of the right
shapes here, where they are `[*b, n, h, d]`: it attends among the heads of each
token, and no token hears of another. Shapes cannot tell, so numbers do: some
tokens are changed, and the output of the others is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
import functools
import itertools
from typing import NamedTuple
import warnings

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Bool
from jaxtyping import Float
import numpy as np

# A change of the output below this share of its largest value is rounding.
_ROUNDING = 1e-5
# Hard attention may happen to choose itself, most often among two tokens.
_DRAWS = 4


class Hearing(NamedTuple):
  """What depends on what.

  Attributes:
    tokens: whether the output of any token depends on another token.
    heads: whether the output of any head depends on the value of another.
  """

  tokens: bool
  heads: bool


class Sizes(NamedTuple):
  """Axes of a query: `batches` of them, n tokens, h heads, and widths d, e."""

  batches: int
  tokens: int
  heads: int
  width: int
  value_width: int


def check(
  function: Callable, name: str, sizes: Sizes, options: frozenset[str]
) -> None:
  """Refuses attention among the heads of each token; warns of odd kinds.

  What has no use other than by mistake is refused. A function in which each
  token hears itself alone is a fair ablation, and one may want to mix values of
  several heads: both are warned of, because a mistake looks like that, too.

  Args:
    function: the attention function, or a bound module.
    name: its name for messages.
    sizes: of the query that it was called with. Lone tokens are not asked.
    options: which of `train` and `mask` it is called with.

  Raises:
    ValueError: no token hears of another, and the heads of a token hear of each
      other.
  """
  if sizes.tokens < 2:
    return
  if isinstance(function, nn.Module):
    function = function.clone(parent=None, name=None)
  try:
    found = ask(function, sizes, options)
  except Exception:
    # It has worked in the model. Here it may lack what it finds there, such as
    # a value of the program that is traced; then it cannot be judged.
    return
  axes = (
    'The axes are [*b, n, h, d], tokens before heads, and not [b, h, n, d] as'
    " in PyTorch: scores are jnp.einsum('...nhd,...mhd->...hnm', query, key),"
    " the output is jnp.einsum('...hnm,...mhe->...nhe', weights, value)."
  )
  if not found.tokens and found.heads:
    raise ValueError(
      f'attention function {name} attends among the heads of each token, and no'
      f' token hears of another. {axes}'
    )
  if not found.tokens:
    warnings.warn(
      f'Attention function {name}: the output of each token depends on that'
      f' token alone, so nothing is attended to. {axes}',
      stacklevel=2,
    )
  elif found.heads:
    warnings.warn(
      f'Attention function {name}: the output of a head holds values of other'
      f' heads. {axes}',
      stacklevel=2,
    )


@functools.lru_cache(maxsize=256)
def ask(function: Callable, sizes: Sizes, options: frozenset[str]) -> Hearing:
  """Returns what hears of what, for random numbers; see `check`.

  The first trace of a model asks, once for each function and size. Nothing of
  it enters the program that is traced.
  """
  # Without this, the calls below would be traced into the program.
  with jax.ensure_compile_time_eval():
    call = _calling(function, sizes, options)

    def hears(axis: int, count: int, which: Collection[int]) -> bool:
      """Returns whether anything on an axis hears that others have changed."""
      shape = [1] * (sizes.batches + 3)
      shape[axis] = count
      for draw, half in itertools.product(range(_DRAWS), _halves(count)):
        old, new = (_inputs(sizes, 2 * draw + i) for i in range(2))
        changed = [
          np.where(half.reshape(shape) & (i in which), new[i], x)
          for i, x in enumerate(old)
        ]
        before, after = (np.asarray(call(*x)) for x in (old, changed))
        apart = np.compress(~half, np.abs(after - before), axis)
        # Of nan nothing is known, so it counts as heard.
        if not (apart <= _ROUNDING * np.abs(before).max()).all():
          return True
      return False

    return Hearing(
      tokens=hears(-3, sizes.tokens, (0, 1, 2)),
      heads=hears(-2, sizes.heads, (2,)),
    )


def _calling(
  function: Callable, sizes: Sizes, options: frozenset[str]
) -> Callable[..., jax.Array]:
  """Returns the function of query, key and value that computes an output."""
  inputs = _inputs(sizes, 0)
  known = {'train': False, 'mask': np.ones(inputs[1].shape[:-2], bool)}
  given = {name: known[name] for name in options}
  if isinstance(function, nn.Module):
    variables = function.init(jax.random.key(0), *inputs, **given)
    draw = np.random.default_rng(0).standard_normal
    # A module may start so that nothing is heard, for example at a gain of 0.
    variables['params'] = jax.tree.map(
      lambda x: jnp.asarray(draw(x.shape), x.dtype), variables.get('params', {})
    )
    function = functools.partial(function.apply, variables)
  call = functools.partial(function, **given)
  return jax.jit(lambda *arrays: call(*arrays)[0])


def _inputs(sizes: Sizes, seed: int) -> list[Float[np.ndarray, '*b n h d']]:
  """Returns a random query, key and value."""
  draw = np.random.default_rng(seed).standard_normal
  shape = (1,) * sizes.batches + (sizes.tokens, sizes.heads)
  widths = sizes.width, sizes.width, sizes.value_width
  return [draw((*shape, width), np.float32) for width in widths]


def _halves(count: int) -> Iterator[Bool[np.ndarray, ' k']]:
  """Yields which of some things change, so that any two are told apart twice.

  Two numbers differ in a bit, so each changes once while the other does not.
  """
  for bit in range((count - 1).bit_length()):
    half = np.arange(count) >> bit & 1 == 1
    yield from (half, ~half)
