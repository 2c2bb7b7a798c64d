"""Every model has derivatives of second order, in both modes."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import models
from tests import closeness
from tests import compiling
from tests.models import smallest

# The smallest preset of each model, and the smallest input that it takes.
SMALLEST = {
  # Both levels stay: the query and key of a lone one have no derivative.
  'artnet': (
    'tiny',
    (2, 32, 32, 3),
    {'levels': (1.0, 4.0), 'level_dropout': 0.0},
  ),
  'cnn': ('tiny', (9, 8, 3), {}),
  'htnet': ('tiny', (28, 28, 3), {}),
  'linear': ('linear', (4, 4, 3), {}),
  'mmnet': ('tiny', (2, 32, 32, 3), {}),
  'offapexnet': ('tiny', (8, 8, 2), {}),
  'resnet': ('tiny', (9, 8, 3), {}),
  'sssnet': ('tiny', (16, 16, 3), {}),
  'ststnet': ('ststnet', (28, 28, 3), {}),
}
# So small that hardly any ReLU or maximum switches on the way; float64 rounds
# the difference of two gradients to about 1e-7 of it.
STEP = 1e-8


def normal_like(tree, seed):
  source = np.random.default_rng(seed)
  return jax.tree.map(lambda x: jnp.array(source.normal(size=x.shape)), tree)


def make_loss(name, train):
  """Returns a loss of parameters and inputs, and a point in float64."""
  preset, shape, fields = SMALLEST[name]
  model = models.make(name, preset, **fields)
  inputs = jnp.array(np.random.default_rng(0).normal(size=(2, *shape)))
  key = jax.random.key(0)
  # Away from where training starts, whose zeros and ones hide terms.
  variables = smallest.variables(model, inputs.astype(jnp.float32))
  variables = jax.tree.map(lambda x: x.astype(jnp.float64), variables)
  params = variables.pop('params')

  def loss(point):
    params, inputs = point
    (logits, _), _ = model.apply(
      {'params': params, **variables},
      inputs,
      train=train,
      mutable=list(variables),
      rngs={'dropout': key},
    )
    return jax.nn.logsumexp(logits, -1).sum() + jnp.square(logits).sum()

  return loss, (params, inputs)


def dot(one, other):
  return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, one, other)))


def test_all_models_are_here():
  assert SMALLEST.keys() == models.MODELS.keys()


def assert_derivatives_agree(name, train, *, in_both_modes):
  """Compares second derivatives with differences, and in both modes.

  The programs are large and run three times: optimising them takes longest.
  MMNet needs it: unoptimised, its gradient of first order is NaN already.
  """
  options = None if name == 'mmnet' else compiling.options()

  @functools.partial(jax.jit, compiler_options=options)
  def derive(point, direction):
    (_, gradient), (along, over_reverse) = jax.jvp(
      jax.value_and_grad(loss), (point,), (direction,)
    )
    twice = twice_reverse(point, direction) if in_both_modes else None
    return gradient, along, over_reverse, twice

  def twice_reverse(point, direction):
    return jax.grad(lambda p: dot(jax.grad(loss)(p), direction))(point)

  with jax.enable_x64(True):
    loss, point = make_loss(name, train)
    direction = normal_like(point, 2)
    gradient, along, over_reverse, twice = derive(point, direction)
    ends = [
      jax.tree.map(lambda x, d, s=s: x + s * d, point, direction)
      for s in (STEP, -STEP)
    ]
    gradients = [derive(end, direction) for end in ends]
    # Traced is enough: the same rules as in the gradient's own derivative.
    jax.eval_shape(lambda: jax.jvp(loss, (point,), (direction,)))
    jax.eval_shape(twice_reverse, point, direction)
    np.testing.assert_allclose(along, dot(gradient, direction), rtol=1e-9)
    difference = jax.tree.map(
      lambda one, other: (one - other) / (2 * STEP), *(g[0] for g in gradients)
    )
  assert max(np.abs(x).max() for x in jax.tree.leaves(over_reverse)) > 1e-3
  closeness.assert_trees_close(over_reverse, difference, 1e-5)
  if in_both_modes:
    closeness.assert_trees_close(over_reverse, twice, 1e-9)


# Attention and norms, and cells of a pool with a rule of their own. The rules
# of convolution and max-pool are tested in both modes where they are defined.
@pytest.mark.parametrize('name', ['htnet', 'linear', 'ststnet'])
def test_second_derivatives_agree_with_finite_differences(name):
  assert_derivatives_agree(name, train=True, in_both_modes=False)


# Training has all that evaluation has, and batch statistics and dropout.
@pytest.mark.slow
@pytest.mark.parametrize('train', [True, False])
@pytest.mark.parametrize('name', SMALLEST)
def test_derivatives_agree_in_both_modes_and_with_finite_differences(
  name, train
):
  assert_derivatives_agree(name, train, in_both_modes=True)


def test_shares_of_places_that_add_nothing_have_finite_derivatives():
  model = models.make('artnet', 'tiny', levels=(1.0,))
  x = jax.random.normal(jax.random.key(0), (1, 1, 32, 32, 3))
  params = smallest.variables(model, x)['params']
  kernel = params['gather']['kernel']

  def share(kernel):
    own = {**params, 'gather': {**params['gather'], 'kernel': kernel}}
    out = model.apply({'params': own}, x, train=False)[1]
    return jnp.square(out['place_weights']).sum()

  @jax.jit
  def derive(kernel, direction):
    return jax.jvp(jax.grad(share), (kernel,), (direction,))

  # The first place adds nothing; then no place does.
  places = kernel.at[: model.dim].set(0), jnp.zeros_like(kernel)
  for zeroed in places:
    for derivative in derive(zeroed, jnp.ones_like(kernel)):
      assert np.isfinite(derivative).all()
