"""Every model works in NNX, through Flax's own bridge, as it does in Linen."""

from __future__ import annotations

from flax import nnx
import jax
import jax.numpy as jnp
import pytest

from tests import closeness
from tests.models import smallest

pytestmark = pytest.mark.unoptimised


def in_nnx(module, variables, x):
  """What a training needs, in NNX: logits, gradients, batch statistics."""
  model = nnx.bridge.ToNNX(module, rngs=nnx.Rngs(params=0))
  model.lazy_init(x, train=False)
  for kind, name in ((nnx.Param, 'params'), (nnx.BatchStat, 'batch_stats')):
    # The structure that `lazy_init` made must be that of the variables.
    state = nnx.state(model, kind)
    nnx.replace_by_pure_dict(state, variables.get(name, {}))
    nnx.update(model, state)
  logits, _ = model(x, train=False)

  def loss(model):
    logits, _ = model(
      x, train=True, rngs=nnx.Rngs(dropout=1), mutable=['batch_stats']
    )
    return jnp.square(logits).sum()

  gradient = nnx.grad(loss)(model)
  moved = nnx.state(model, nnx.BatchStat)
  return logits, *map(nnx.to_pure_dict, (gradient, moved))


def in_linen(module, variables, x):
  """The same in Linen."""
  logits, _ = module.apply(variables, x, train=False)

  def loss(params):
    (logits, _), moved = module.apply(
      {**variables, 'params': params},
      x,
      train=True,
      rngs={'dropout': nnx.Rngs(dropout=1).dropout()},
      mutable=['batch_stats'],
    )
    return jnp.square(logits).sum(), moved

  gradient, moved = jax.grad(loss, has_aux=True)(variables['params'])
  return logits, gradient, moved.get('batch_stats', {})


# A program of MMNet or ARTNet takes longest to compile; what NNX must carry, as
# statistics, dropout and attention, the other models have too.
@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=[pytest.mark.slow] * (name in ('artnet', 'mmnet')))
    for name in smallest.MODELS
  ],
)
def test_nnx_and_linen_agree_on_all_that_a_training_needs(name):
  module, x = smallest.make(name), smallest.inputs(name)
  variables = smallest.variables(module, x)

  # One program for both: half of it is compiled.
  @jax.jit
  def both(variables, x):
    return in_nnx(module, variables, x), in_linen(module, variables, x)

  found, expected = both(variables, x)
  assert jnp.isfinite(jnp.concatenate(jax.tree.leaves(expected), None)).all()
  closeness.assert_trees_close(found, expected, 1e-5)
