"""What optimisers keep between steps, and what they do to unread weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.training import optimizer
from mejax.training import trial

RATE, DECAY, STEPS = 0.01, 0.5, 7


def run(name, params, gradients):
  """Parameters and state of the optimiser after a step along each gradient."""
  setting = trial.Setting(
    weight_decay=DECAY if name.startswith('adamw') else 0.0
  )
  # As in a trial. By plain numbers optax would multiply in bfloat16.
  setting = jax.tree.map(jnp.float32, setting)
  transformation = optimizer.OPTIMIZERS[name](setting)
  state = transformation.init(params)
  for each in gradients:
    updates, state = transformation.update(each, state, params)
    params = jax.tree.map(lambda p, u: p - RATE * u, params, updates)
  return params, state


@pytest.mark.parametrize('name', optimizer.OPTIMIZERS)
def test_weights_without_a_gradient_change_by_their_decay_alone(name):
  """So are those that nothing reads; see `unread_weights` of HTNet."""
  params = {'unread': jnp.linspace(-2.0, 2.0, 9)}
  zero = jax.tree.map(jnp.zeros_like, params)
  after, state = run(name, params, [zero] * STEPS)
  if name.startswith('adamw'):
    shrunk = np.asarray(params['unread'], float) * (1 - RATE * DECAY) ** STEPS
    np.testing.assert_allclose(after['unread'], shrunk, rtol=1e-6)
  else:
    np.testing.assert_array_equal(after['unread'], params['unread'])
  moments = [x for x in jax.tree.leaves(state) if x.shape == (9,)]
  assert moments and not any(np.any(each) for each in moments)


def adam_by_hand(params, gradients, decay):
  """Adam in float64, with a first moment that is kept in bfloat16."""
  setting = trial.Setting()
  first, second = np.zeros(params.shape), np.zeros(params.shape)
  for step, gradient in enumerate(gradients, 1):
    first = setting.b1 * first + (1 - setting.b1) * gradient
    second = setting.b2 * second + (1 - setting.b2) * gradient**2
    away = np.sqrt(second / (1 - setting.b2**step)) + setting.eps
    direction = first / (1 - setting.b1**step) / away
    params = params - RATE * (direction + decay * params)
    first = first.astype(jnp.bfloat16).astype(float)
  return params


@pytest.mark.parametrize('name', ['adam', 'adamw'])
def test_bfloat16_rounds_the_first_moment_alone_and_only_between_steps(name):
  source = np.random.default_rng(0)
  start = source.normal(size=1000).astype(np.float32)
  gradients = source.normal(size=(STEPS, 1000)).astype(np.float32)
  given = {'w': jnp.asarray(start)}, [{'w': jnp.asarray(x)} for x in gradients]
  whole, kept = run(name, *given)
  rounded, narrow = run(f'{name}_bf16', *given)
  types = [
    sorted(str(x.dtype) for x in jax.tree.leaves(state) if x.shape == (1000,))
    for state in (kept, narrow)
  ]
  assert types == [['float32'] * 2, ['bfloat16', 'float32']]
  true = adam_by_hand(start, gradients, DECAY if name == 'adamw' else 0.0)
  error = np.abs(rounded['w'] - true)
  # Where a number lies between two of bfloat16, float32 may take the other.
  assert np.mean(error > 1e-6) < 0.01 and error.max() < RATE / 50
  assert np.mean(np.abs(whole['w'] - true) > 1e-6) > 0.9
