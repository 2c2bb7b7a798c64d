"""What MMNet promises besides parity, which test_mmnet_golden checks."""

from __future__ import annotations

import functools
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import models
from mejax.models import attention
from mejax.models import mmnet
from tests import closeness
from tests.models import smallest

pytestmark = pytest.mark.unoptimised


def noise(size, count=2, seed=0):
  return jax.random.normal(jax.random.key(seed), (count, 2, size, size, 3))


def run(model, variables):
  """What the model gives for noise."""
  return smallest.apply(model, variables, noise(model.image_size))


def start(model, key=1):
  size = model.image_size
  init = jax.jit(functools.partial(model.init, train=False))
  return init(jax.random.key(key), jnp.zeros((1, 2, size, size, 3)))


@pytest.fixture(scope='module')
def tiny():
  """Variables of the preset, and what it gives for noise."""
  model = models.make('mmnet', 'tiny')
  variables = smallest.variables(model, noise(model.image_size))
  return variables, run(model, variables)


def shapes_of(model):
  size = model.image_size
  return jax.eval_shape(
    lambda: model.init_with_output(
      jax.random.key(0), jnp.zeros((1, 2, size, size, 3)), train=False
    )
  )


def test_docstring_tells_tokens_and_parameters_of_every_preset():
  for name in mmnet.PRESETS:
    (_, out), variables = shapes_of(models.make('mmnet', name))
    size = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
    pixels, tokens = (
      models.make('mmnet', name).image_size,
      out['attention'][0].shape[-1],
    )
    pattern = rf'^{name} +{pixels} +{tokens} +{size:,} '
    assert re.search(pattern, mmnet.__doc__, re.MULTILINE), pattern


def test_released_models_have_the_parameters_of_the_originals_networks():
  sizes = {'released-5': 9_438_841, 'released-3': 9_442_425}
  for name, size in sizes.items():
    (logits, _), variables = shapes_of(models.make('mmnet', name))
    leaves = jax.tree.leaves(variables['params'])
    assert sum(leaf.size for leaf in leaves) == size
    assert logits.shape == (1, 5)


def test_weights_start_as_those_of_the_original():
  model = models.make('mmnet', 'small', widths=(16, 64, 64, 128), stem=(96, 16))
  params = start(model)['params']

  def spread(*path, uniform=False):
    x = functools.reduce(dict.__getitem__, path, params)
    return np.abs(x).max() if uniform else np.std(x)

  near = functools.partial(pytest.approx, rel=0.1)
  assert spread('stem0', 'conv', 'kernel', uniform=True) == near(27**-0.5)
  assert spread('stem1', 'conv', 'kernel') == near((2 / (9 * 16)) ** 0.5)
  assert spread('block3', 'conv', 'kernel') == near((2 / 128) ** 0.5)
  assert spread('block2', 'short', 'kernel') == near((2 / 64) ** 0.5)
  gates = [params[f'block{i}']['gate']['conv']['kernel'] for i in range(4)]
  assert 0.5 < np.std(gates) < 2.5
  assert spread('head', 'kernel', uniform=True) == near(2048**-0.5)
  assert spread('position', 'embed', 'kernel', uniform=True) == near(3**-0.5)
  assert spread('position', 'position') == near(0.02)
  assert spread('position', 'block0', 'query', 'kernel') == near(0.02)
  assert not np.any(params['position']['block0']['inner']['bias'])


def test_gates_hand_on_the_product_of_all_maps_so_far(tiny):
  _, (_, out) = tiny
  before = 1.0
  for gate, side in zip(out['gates'], (16, 8, 4, 2), strict=True):
    assert gate.shape == (2, side, side, 1)
    assert 0 < gate.min() and gate.max() < np.max(before)
    before = gate


def test_a_gate_may_be_a_function_and_then_has_no_parameters(tiny):
  seen = []

  def halve(x, prior):
    seen.append(None if prior is None else prior.shape[1:])
    prior = jnp.full((*x.shape[:3], 2), 0.5)
    return x * prior[..., :1], prior

  model = models.make('mmnet', 'tiny', gate=halve)
  (_, out), variables = shapes_of(model)
  assert seen == [None, (8, 8, 2), (4, 4, 2), (2, 2, 2)]
  assert out['gates'][3].shape == (1, 2, 2, 2)
  assert 'gate' not in variables['params']['block0']
  variables, (logits, _) = tiny
  halved, _ = run(model, variables)
  assert np.abs(halved - logits).max() > 1e-3


class Squeeze(nn.Module):
  @nn.compact
  def __call__(self, x, prior, *, train, mask=None):
    gain = nn.sigmoid(nn.Dense(x.shape[-1])(x.mean((1, 2))))
    return x * gain[:, None, None], prior


@pytest.mark.parametrize('gate', [Squeeze(), Squeeze])
def test_a_gate_may_be_a_module_with_parameters_in_every_block(gate):
  (_, out), variables = shapes_of(models.make('mmnet', 'tiny', gate=gate))
  kernels = [
    variables['params'][f'block{i}']['gate']['Dense_0']['kernel'].shape
    for i in range(4)
  ]
  assert kernels == [(4, 4), (8, 8), (8, 8), (16, 16)]
  assert out['gates'] == (None,) * 4


def test_a_gate_gets_train_and_mask_if_it_takes_them():
  class Bare(nn.Module):
    def __call__(self, x, prior):
      return x, prior

  seen = []

  def told(x, prior, *, train):
    seen.append(train)
    return x, prior

  for gate in (Bare(), told):
    shapes_of(models.make('mmnet', 'tiny', gate=gate))
  assert seen == [False] * 4


def test_a_gate_that_changes_the_shape_is_an_error():
  with pytest.raises(ValueError, match='the gate returned features'):
    shapes_of(
      models.make('mmnet', 'tiny', gate=lambda x, prior: (x[:, :1], prior))
    )


def position(**fields):
  """The position branch of the tiny model alone, as a model is called."""
  model = models.make('mmnet', 'tiny', **fields)
  names = ('heads', 'depth', 'mlp_mult', 'drop_path', 'antialias')
  return mmnet.Position(
    width=16,
    attention_fn=model.attention_fn,
    **{name: getattr(model, name) for name in names},
  )


@pytest.mark.parametrize('name', ['talking_heads', 'relative'])
def test_attention_may_be_a_module_of_the_table(name):
  module = attention.ATTENTION[name]
  trees = [
    shapes_of(models.make('mmnet', 'tiny', attention_fn=each))[1]['params']
    for each in (module, module())
  ]
  assert 'attention_fn' in trees[0]['position']['block0']
  assert trees[0] == trees[1]


def test_another_attention_changes_the_result_and_no_parameter():
  onset = noise(64)[:, 0]
  variables, results = {}, {}
  for name in ('softmax', 'linear', 'windowed'):
    branch = position(attention_fn=attention.ATTENTION[name])
    if not variables:
      # At the start all tokens attend alike: here they differ.
      variables = smallest.variables(branch, onset)
    apply = jax.jit(functools.partial(branch.apply, train=False))
    results[name] = apply(variables, onset)
  softmax, weights = results.pop('softmax')
  np.testing.assert_allclose(weights[0].sum(-1), 1, rtol=1e-5)
  for other, _ in results.values():
    assert np.abs(other - softmax).max() > 1e-3
  assert results['linear'][1] == (None,)


def test_masked_rows_do_not_touch_the_statistics_or_other_rows(tiny):
  model = models.make('mmnet', 'tiny')
  variables, _ = tiny
  inputs = noise(32, 4)

  @jax.jit
  def train(inputs):
    return model.apply(
      variables,
      inputs,
      train=True,
      mask=jnp.arange(4) < 3,
      mutable=['batch_stats'],
    )

  results = train(inputs), train(inputs.at[3].mul(10))
  (one, state), (other, other_state) = results
  np.testing.assert_array_equal(one[0][:3], other[0][:3])
  jax.tree.map(np.testing.assert_array_equal, state, other_state)
  assert np.abs(one[0][3] - other[0][3]).max() > 1e-3


@pytest.mark.parametrize('depth', [1, 2])
def test_drop_path_grows_over_the_blocks_and_spares_the_first(depth):
  branch = position(depth=depth, drop_path=0.5)
  onset = noise(32, 8)[:, 0]
  variables = smallest.variables(branch, onset)

  @jax.jit
  def train(key):
    rngs = {'dropout': key}
    return branch.apply(variables, onset, train=True, rngs=rngs)[0]

  one, other = map(train, jax.random.split(jax.random.key(0)))
  assert np.any(one != other) == (depth == 2)


def test_logits_depend_on_place_of_motion_and_on_the_onset(tiny):
  variables, (logits, out) = tiny
  inputs = noise(32)
  apply = functools.partial(
    smallest.apply, models.make('mmnet', 'tiny'), variables
  )
  _, shifted = apply(inputs + 1)
  # A change of both frames is no motion, but another face.
  closeness.assert_close(shifted['motion'], out['motion'], 1e-5)
  assert np.abs(shifted['position'] - out['position']).max() > 0.1
  mirrored, _ = apply(inputs[:, :, :, ::-1])
  assert np.abs(mirrored - logits).max() > 1e-3


@pytest.mark.parametrize(
  'fields, shape, message',
  [
    ({}, (1, 2, 64, 64, 3), r'expected pairs \[b, 2, 32, 32, 3\]'),
    ({'image_size': 40}, (1, 2, 40, 40, 3), 'a multiple of 16'),
    ({'heads': 3}, (1, 2, 32, 32, 3), 'do not fit'),
    ({'stem': (4, 5)}, (1, 2, 32, 32, 3), 'do not fit'),
  ],
)
def test_sizes_that_do_not_fit_are_an_error(fields, shape, message):
  model = models.make('mmnet', 'tiny', **fields)
  with pytest.raises(ValueError, match=message):
    model.init(jax.random.key(0), jnp.zeros(shape), train=False)


def test_unknown_preset_is_an_error_that_lists_the_known():
  with pytest.raises(ValueError, match='released-5.*released-3.*tiny'):
    models.make('mmnet', 'nothing')
