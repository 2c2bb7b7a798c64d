"""The smallest form of every model, for tests of what all of them promise."""

from __future__ import annotations

import functools
from typing import Any
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mejax import models


class Small(NamedTuple):
  """A preset, fields that differ from it, and the shape of one example."""

  preset: str
  fields: dict[str, Any]
  shape: tuple[int, ...]


MODELS = {
  'artnet': Small('tiny', {'levels': (1.0, 2.0)}, (2, 32, 32, 3)),
  'cnn': Small('tiny', {}, (28, 28, 3)),
  'htnet': Small('tiny', {}, (28, 28, 3)),
  'linear': Small('linear', {}, (28, 28, 3)),
  'mmnet': Small('tiny', {}, (2, 32, 32, 3)),
  'offapexnet': Small('tiny', {}, (28, 28, 3)),
  'resnet': Small('tiny', {}, (28, 28, 3)),
  'sssnet': Small('tiny', {}, (28, 28, 3)),
  'ststnet': Small('ststnet', {}, (28, 28, 3)),
}
# A model that is not here would be in none of those tests.
assert MODELS.keys() == models.MODELS.keys()


def make(name: str, **fields: Any) -> nn.Module:
  """Builds a model, with fields that differ from the smallest preset's."""
  small = MODELS[name]
  return models.make(name, small.preset, **{**small.fields, **fields})


def inputs(name: str, count: int = 3, *, seed: int = 0) -> jax.Array:
  """Draws a batch of examples of size one."""
  shape = (count, *MODELS[name].shape)
  return jax.random.normal(jax.random.key(seed), shape, jnp.float32)


@functools.partial(jax.jit, static_argnames=('model', 'train'))
def apply(
  model: nn.Module, variables: Any, x: Any, *, train: bool = False, **options
) -> Any:
  """Calls a model; tests of equal models and shapes share one program."""
  return model.apply(variables, x, train=train, **options)


def variables(model: nn.Module, x: jax.Array) -> dict[str, Any]:
  """Draws variables of about the size of trained ones.

  Compiling a model's own initialisation takes longer than most tests.
  """
  shapes = jax.eval_shape(
    functools.partial(model.init, train=False), jax.random.key(0), x
  )
  draw = np.random.default_rng(0).uniform

  def fill(path, x):
    # Statistics hold variances, which are positive.
    low, high = (0.5, 1.5) if path[0].key == 'batch_stats' else (-0.3, 0.3)
    return jnp.array(draw(low, high, x.shape), x.dtype)

  return jax.tree_util.tree_map_with_path(fill, shapes)
