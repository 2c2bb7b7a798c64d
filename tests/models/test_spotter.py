"""The network for spotting."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.models.spotter import Spotter
from mejax.motion.spotting import inputs as inputs_lib
from tests import closeness

pytestmark = pytest.mark.unoptimised


@pytest.fixture(scope='module')
def drawn():
  model = Spotter(dilations=(1, 4))
  inputs = (
    np.random.default_rng(0)
    .normal(size=(2, 40, inputs_lib.CHANNELS))
    .astype(np.float32)
  )
  inputs = jnp.asarray(inputs)
  return model, model.init(jax.random.key(0), inputs), inputs


def test_it_has_as_many_weights_as_its_docstring_says():
  shapes = jax.eval_shape(
    Spotter().init,
    jax.random.key(0),
    jnp.zeros((1, 8, inputs_lib.CHANNELS)),
  )
  count = sum(x.size for x in jax.tree.leaves(shapes))
  from mejax.models import spotter

  assert f'{count:,} weights' in spotter.__doc__
  assert Spotter().reach == 63


def test_a_frame_sees_its_reach_and_no_more(drawn):
  model, variables, inputs = drawn
  changed = inputs.at[:, 20].add(1)
  before, after = (
    np.asarray(model.apply(variables, x, train=False)[0])
    for x in (inputs, changed)
  )
  differs = (before != after).any((0, 2))
  assert model.reach == 5
  assert np.flatnonzero(differs).min() == 15
  assert np.flatnonzero(differs).max() == 25


def test_it_is_what_numpy_computes(drawn):
  model, variables, inputs = drawn
  params = jax.tree.map(
    lambda x: np.asarray(x, np.float64), variables['params']
  )

  def dense(x, name):
    return x @ params[name]['kernel'] + params[name]['bias']

  x = dense(np.asarray(inputs, np.float64), 'first')
  for i, step in enumerate(model.dilations):
    room = np.pad(x, ((0, 0), (step, step), (0, 0)))
    taps = [room[:, : -2 * step], x, room[:, 2 * step :]]
    x = x + np.maximum(dense(np.concatenate(taps, -1), f'layer_{i}'), 0)
  ours = model.apply(variables, inputs, train=False)[0]
  closeness.assert_close(ours, dense(x, 'head'), 1e-5)


def test_training_must_be_said_and_other_inputs_are_refused(drawn):
  model, variables, inputs = drawn
  with pytest.raises(ValueError, match='train=True or train=False'):
    model.apply(variables, inputs)
  with pytest.raises(ValueError, match=r'expected \[b, t, c\]'):
    model.apply(variables, inputs[0], train=False)
