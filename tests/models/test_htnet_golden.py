"""HTNet against the authors' model, through golden/htnet.

The golden weights follow a formula (its README), so that the logits of the
two synthetic samples are pinned here for when the shared folder is not there.
"""

from __future__ import annotations

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mejax import models
from mejax.models import convert
from mejax.models import originals
from tests import closeness
from tests import compiling

SMALL = {
  'A': ('A_patch7_h3', dict(patch_size=7, dim=16, heads=2, depths=(1, 1, 2))),
  'B': ('B_patch2_h2', dict(patch_size=2, dim=16, heads=2, depths=(1, 2))),
  'D': (
    'D_patch2_h2_heads3',
    dict(patch_size=2, dim=16, heads=3, depths=(1, 2)),
  ),
}
PINNED = {
  'A': [
    [-0.31832289, -0.49865715, -0.05448517],
    [-0.19661098, -0.59826913, -0.04289697],
  ],
  'B': [
    [-1.00521686, 0.00678199, -0.09269693],
    [-0.99766925, 0.08777331, -0.08053173],
  ],
  'D': [
    [-0.617563, 0.0543537, 0.42279287],
    [-0.60466585, 0.05559357, 0.39873039],
  ],
}
LEARNING_RATE = 5e-5


def hashed(count, position):
  """The README's pseudo-random u in [-1, 1) of parameter `position`."""
  h = np.arange(count, dtype=np.uint32)
  h += np.uint32(position * 0x9E3779B9 % 2**32)
  h ^= h >> 16
  h *= np.uint32(0x85EBCA6B)
  h ^= h >> 13
  h *= np.uint32(0xC2B2AE35)
  h ^= h >> 16
  return h / 2.0**31 - 1


def state_shapes(patch_size, dim, heads, depths):
  """Names and shapes of the original's parameters, in its own order."""
  shapes = {'to_patch_embedding.1.weight': (dim, 3 * patch_size**2, 1, 1)}
  shapes['to_patch_embedding.1.bias'] = (dim,)
  tokens = (28 // patch_size // 2 ** (len(depths) - 1)) ** 2
  for hierarchy, depth in enumerate(depths):
    d, h = dim * 2**hierarchy, heads * 2**hierarchy
    inner = d // h * h
    shapes[f'layers.{hierarchy}.0.pos_emb'] = (tokens,)
    for block in range(depth):
      at = f'layers.{hierarchy}.0.layers.{block}'
      shapes |= {f'{at}.0.norm.{x}': (1, d, 1, 1) for x in 'gb'}
      shapes[f'{at}.0.fn.to_qkv.weight'] = (3 * inner, d, 1, 1)
      shapes[f'{at}.0.fn.to_out.0.weight'] = (d, inner, 1, 1)
      shapes[f'{at}.0.fn.to_out.0.bias'] = (d,)
      shapes |= {f'{at}.1.norm.{x}': (1, d, 1, 1) for x in 'gb'}
      shapes[f'{at}.1.fn.net.0.weight'] = (4 * d, d, 1, 1)
      shapes[f'{at}.1.fn.net.0.bias'] = (4 * d,)
      shapes[f'{at}.1.fn.net.3.weight'] = (d, 4 * d, 1, 1)
      shapes[f'{at}.1.fn.net.3.bias'] = (d,)
    if hierarchy < len(depths) - 1:
      shapes[f'layers.{hierarchy}.1.0.weight'] = (2 * d, d, 3, 3)
      shapes[f'layers.{hierarchy}.1.0.bias'] = (2 * d,)
      shapes |= {f'layers.{hierarchy}.1.1.{x}': (1, 2 * d, 1, 1) for x in 'gb'}
  shapes |= {f'mlp_head.0.{x}': (1, d, 1, 1) for x in 'gb'}
  return shapes | {'mlp_head.2.weight': (3, d), 'mlp_head.2.bias': (3,)}


def hash_weights(shapes):
  """The golden weights by their formula, float32, under the original names."""
  weights, fan_in = {}, 1
  for position, (name, shape) in enumerate(shapes.items(), 1):
    u = hashed(np.prod(shape), position).reshape(shape)
    kind = name.split('.')[-1]
    if kind == 'weight':
      fan_in = np.prod(shape[1:])
    scale = {'g': 0.1, 'b': 0.1, 'pos_emb': 1.0}.get(kind, fan_in**-0.5)
    weights[name] = ((kind == 'g') + scale * u).astype(np.float32)
  return weights


def from_torch(state, **fields):
  """Our parameters from arrays under the original's names."""
  return convert.from_state('htnet', state, **fields).variables['params']


def synthetic_samples():
  """Samples 3 and 4 of every golden file, as our layout has them."""
  values = np.floor((hashed(4704, 999) + 1) * 128).reshape(2, 3, 28, 28)
  return jnp.array(values.transpose(0, 2, 3, 1), jnp.float32)


@pytest.fixture(params=SMALL)
def small(request):
  """Letter, model, our parameters and formula weights of a golden model."""
  fields = SMALL[request.param][1]
  weights = hash_weights(state_shapes(**fields))
  params = from_torch(weights, **fields)
  return request.param, models.make('htnet', **fields), params, weights


def golden(shared, file):
  return dict(np.load(shared / 'golden' / 'htnet' / f'{file}.npz'))


def samples(data):
  return jnp.array(data['input'].transpose(0, 2, 3, 1))


def loss_fn(model, inputs, labels):
  """Mean cross-entropy as a function of the parameters, with the logits."""

  def loss(params):
    logits, _ = model.apply({'params': params}, inputs, train=True)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return loss.mean(), logits

  return loss


def make_adam_step(loss, options=None):
  """One step: parameters, optimiser state, loss, logits, gradients."""

  @functools.partial(jax.jit, donate_argnums=(0, 1), compiler_options=options)
  def step(params, state):
    (value, logits), grads = jax.value_and_grad(loss, has_aux=True)(params)
    updates, state = optax.adam(LEARNING_RATE).update(grads, state)
    return optax.apply_updates(params, updates), state, value, logits, grads

  return step


def test_logits_of_synthetic_samples_equal_the_original(small):
  letter, model, params, _ = small
  logits, _ = jax.jit(model.apply, static_argnames='train')(
    {'params': params}, synthetic_samples(), train=True
  )
  np.testing.assert_allclose(logits, PINNED[letter], rtol=0, atol=5e-6)


def test_logits_gradients_and_adam_steps_equal_the_original(small, shared):
  letter, model, params, weights = small
  data = golden(shared, SMALL[letter][0])
  for name in data['names']:
    np.testing.assert_array_equal(weights[name], data[f'sd/{name}'])
  np.testing.assert_array_equal(samples(data)[3:], synthetic_samples())
  check_steps(data, model, params)


def check_steps(data, model, params):
  """Compares logits, loss, gradients and five steps of Adam."""
  # The released model is compiled as users compile it, see below.
  loss = loss_fn(model, samples(data), data['labels'])
  step = make_adam_step(loss, compiling.options())
  table = originals.htnet_table(model)
  state, losses = optax.adam(LEARNING_RATE).init(params), []
  for i in range(5):
    params, state, value, logits, grads = step(params, state)
    losses.append(float(value))
    if i == 0:
      np.testing.assert_allclose(logits, data['logits64'], rtol=0, atol=5e-6)
      assert losses[0] == pytest.approx(float(data['loss64']), abs=5e-6)
      for name in set(table) - {last_position(table)}:
        # Weights that are left out have a gradient of zero there, and here.
        check_gradient(data, name, table[name].theirs({'params': grads}))
        if None not in table[name].paths:
          check_step(data, name, table[name].theirs({'params': params}))
  np.testing.assert_allclose(losses, data['adam_losses'], rtol=0, atol=1e-4)


def check_gradient(data, name, ours):
  closeness.assert_close(ours, data[f'grad64/{name}'], 1e-5, err_msg=name)


def check_step(data, name, ours):
  """Where rounding does not decide the sign: Adam's first step is a sign."""
  gradient = np.abs(data[f'grad64/{name}'])
  sure = (gradient > 1e-4 * gradient.max()) | (gradient == 0)
  error = np.abs(ours - data[f'adam1/{name}'])[sure]
  assert error.max() <= 2e-7 + 2e-2 * LEARNING_RATE, name


def last_position(table):
  """The parameter whose gradient is zero but for rounding (golden README)."""
  return [name for name in table if name.endswith('pos_emb')][-1]


def test_lone_tokens_leave_query_and_key_without_gradient(small):
  letter, model, params, _ = small
  labels = np.array([1, 2])
  loss = loss_fn(model, synthetic_samples(), labels)
  gradient = jax.grad(loss, has_aux=True)
  grads, _ = jax.jit(gradient, compiler_options=compiling.options())(params)
  table = originals.htnet_table(model)
  for name in (name for name in table if 'to_qkv' in name):
    query, key, value = np.split(table[name].theirs({'params': grads}), 3)
    assert np.any(query) == np.any(key) == (letter != 'A')
    assert np.any(value)


def test_without_unread_weights_steps_equal_the_original(shared):
  file, fields = SMALL['A']
  data = golden(shared, file)
  model = models.make('htnet', **fields, unread_weights=False)
  weights = {name: data[f'sd/{name}'] for name in data['names']}
  params = from_torch(weights, **fields, unread_weights=False)
  assert 'query' not in params['level2_block1']['attention']
  check_steps(data, model, params)


def test_regions_match_the_original_at_each_hierarchy(shared):
  data = golden(shared, 'B_patch2_h2')
  model = models.make('htnet', **SMALL['B'][1])
  weights = {name: data[f'sd/{name}'] for name in data['names']}
  params = from_torch(weights, **SMALL['B'][1])
  inputs = samples(data)
  apply = jax.jit(model.apply, static_argnames='train')
  _, out = apply({'params': params}, inputs, train=False)
  for hierarchy, tokens in enumerate(out['regions']):
    b, r, n, d = tokens.shape
    truth = data[f'act/transformer{hierarchy}_blocks'].reshape(b, r, d, n)
    closeness.assert_close(tokens, truth.transpose(0, 1, 3, 2), 5e-6)
  closeness.assert_close(out['head'], data['act/head_mean'], 2.5e-6)
  for hierarchy, weights in enumerate(out['attention']):
    assert len(weights) == model.depths[hierarchy]
    regions, heads = 4 ** (1 - hierarchy), 2 * 2**hierarchy
    assert weights[0].shape == (5, regions, heads, 49, 49)
    np.testing.assert_allclose(weights[0].sum(-1), 1, atol=1e-5)


def test_released_model_equals_the_original(shared):
  data = golden(shared, 'C_released_2_2_10_hash')
  config = json.loads(str(data['config']))
  shapes = state_shapes(
    *(config[x] for x in ('patch_size', 'dim', 'heads', 'block_repeats'))
  )
  weights = hash_weights(shapes)
  assert list(shapes) == list(data['names'])
  for value, (total, norm, first, last) in zip(
    weights.values(), data['wcheck'], strict=True
  ):
    assert (value.flat[0], value.flat[-1]) == (first, last)
    assert np.sum(value, dtype=np.float64) == pytest.approx(total, abs=1e-4)
    assert np.linalg.norm(value.ravel()) == pytest.approx(norm, rel=1e-4)
  params = from_torch(weights)
  del weights
  model = models.make('htnet', 'released')
  table = originals.htnet_table(model)
  step = make_adam_step(loss_fn(model, samples(data), data['labels']))
  state, losses = optax.adam(LEARNING_RATE).init(params), []
  for i in range(3):
    params, state, value, logits, grads = step(params, state)
    losses.append(float(value))
    if i == 0:
      np.testing.assert_allclose(logits, data['logits64'], rtol=0, atol=2e-5)
      assert losses[0] == pytest.approx(float(data['loss64']), abs=2e-5)
      for name in set(table) - {last_position(table)}:
        ours = table[name].theirs({'params': grads})
        check_released_gradient(data, name, ours)
    del grads
  np.testing.assert_allclose(losses, data['adam_losses'], rtol=1e-3)


def check_released_gradient(data, name, ours):
  total, norm, largest = data[f'gradstat64/{name}']
  bound = 1e-4 * largest
  assert np.linalg.norm(ours.ravel()) == pytest.approx(norm, rel=1e-4), name
  assert np.abs(ours).max() == pytest.approx(largest, abs=bound), name
  assert ours.sum(dtype=np.float64) == pytest.approx(
    total, abs=bound * ours.size**0.5
  ), name
  if f'grad64/{name}' in data:
    assert np.abs(ours - data[f'grad64/{name}']).max() <= bound, name
  else:
    head, tail = data[f'gradhead64/{name}'], data[f'gradtail64/{name}']
    assert np.abs(ours.flat[:64] - head).max() <= bound, name
    assert np.abs(ours.flat[-64:] - tail).max() <= bound, name
  if 'to_qkv' in name:
    assert not np.any(ours[: len(ours) // 3 * 2]), name
