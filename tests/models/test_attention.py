from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import models
from mejax.models import attention
from mejax.models import base
from mejax.models import htnet
from mejax.models import layers
from tests import closeness
from tests.models import smallest

pytestmark = pytest.mark.unoptimised

FUNCTIONS = ('softmax', 'linear', 'windowed')
MODULES = ('talking_heads', 'relative')


def inputs(n=9, heads=2, width=4, *, value_width=3):
  keys = jax.random.split(jax.random.key(0), 3)
  widths = (width, width, value_width)
  return [
    jax.random.normal(key, (5, 3, n, heads, w))
    for key, w in zip(keys, widths, strict=True)
  ]


def call(name, *arrays, **options):
  """An entry of the table as a block calls it, freshly initialised."""
  function = attention.ATTENTION[name]
  if name in FUNCTIONS:
    return function(*arrays, **options)
  return function().init_with_output(jax.random.key(0), *arrays, **options)[0]


def loop_reference(query, key, value, kernel):
  """Attention one number at a time, in float64: sum_m k(q, k_m) v_m / sum."""
  query, key, value = (np.asarray(x, np.float64) for x in (query, key, value))
  *batch, n, heads, _ = query.shape
  output = np.zeros((*batch, n, heads, value.shape[-1]))
  for at in np.ndindex(*batch, n, heads):
    *b, i, h = at
    weight = [kernel(query[at], k, i, m) for m, k in enumerate(key[*b, :, h])]
    output[at] = np.array(weight) @ value[*b, :, h] / np.sum(weight)
  return output


def exponential(q, k, i, m):
  return np.exp(q @ k / len(q) ** 0.5)


def elu_features(q, k, i, m):
  return np.where(q > 0, q + 1, np.exp(q)) @ np.where(k > 0, k + 1, np.exp(k))


def near(q, k, i, m):
  """Softmax within one row and column on a 3 x 3 grid."""
  apart = max(abs(i // 3 - m // 3), abs(i % 3 - m % 3))
  return exponential(q, k, i, m) if apart <= 1 else 0.0


@pytest.mark.parametrize(
  'name, kernel',
  [
    ('softmax', exponential),
    ('linear', elu_features),
    ('windowed', near),
    # As they start.
    ('talking_heads', exponential),
    ('relative', exponential),
  ],
)
def test_attention_equals_the_sum_over_keys(name, kernel):
  query, key, value = inputs()
  output, weights = call(name, query, key, value)
  expected = loop_reference(query, key, value, kernel)
  closeness.assert_close(output, expected, 1e-5)
  if weights is not None:
    weighted = jnp.einsum('...hnm,...mhe->...nhe', weights, value)
    closeness.assert_close(weighted, expected, 1e-5)


@pytest.mark.parametrize('name', attention.ATTENTION)
def test_lone_token_attends_to_itself(name):
  query, key, value = inputs(n=1)
  output, _ = call(name, query, key, value)
  np.testing.assert_allclose(output, value, rtol=1e-6)


def test_window_follows_the_given_grid():
  query, key, value = inputs(n=8)
  _, weights = attention.windowed(query, key, value, radius=1, grid=(2, 4))
  seen = np.asarray(weights[0, 0, 0] > 0)
  assert list(np.flatnonzero(seen[0])) == [0, 1, 4, 5]
  assert list(np.flatnonzero(seen[6])) == [1, 2, 3, 5, 6, 7]
  with pytest.raises(ValueError, match='8 tokens for a grid of 2 x 2'):
    attention.windowed(query, key, value)


@pytest.mark.parametrize(
  'function, message',
  [
    (lambda q, k, v: v, 'expected .output, weights.'),
    (lambda q, k, v: (jnp.swapaxes(v, -2, -3), None), 'tokens before heads'),
    (
      lambda q, k, v: (v, jnp.ones((5, 3, 9, 9))),
      r'expected \(5, 3, 2, 9, 9\)',
    ),
  ],
)
def test_wrong_result_is_an_error_that_says_what_came(function, message):
  with pytest.raises(ValueError, match=message):
    attention.attend(function, *inputs())


@pytest.mark.parametrize(
  'function, message',
  [
    (jax.nn.dot_product_attention, 'dot_product_attention failed.*from_jax'),
    (lambda q, k, v, scale, bias: (v, None), "argument: 'scale'.*partial"),
  ],
)
def test_a_function_that_is_called_otherwise_is_told_how(function, message):
  query, key, value = (x[None] for x in inputs())
  with pytest.raises(ValueError, match=message):
    attention.attend(function, query, key, value)


def test_a_name_in_the_place_of_a_function_is_told():
  with pytest.raises(ValueError, match="'softmax' is no function.*models.make"):
    base.takes('softmax', 'train')


def init(model, x):
  return jax.jit(model.init, static_argnames='train')(
    jax.random.key(1), x, train=False
  )


def apply(model, variables, x):
  return smallest.apply(model, variables, x)[0]


def test_swapping_attention_keeps_the_parameter_tree_and_changes_the_logits():
  x = jax.random.uniform(jax.random.key(0), (2, 28, 28, 3))
  model = models.make('htnet', 'tiny')
  variables = init(model, x)
  wide = functools.partial(attention.windowed, radius=6)
  logits = {'softmax': apply(model, variables, x)}
  functions = {name: attention.ATTENTION[name] for name in FUNCTIONS}
  for name, function in (functions | {wide: wide}).items():
    swapped = models.make('htnet', 'tiny', attention_fn=function)
    own = jax.eval_shape(lambda model=swapped: init(model, x))
    assert jax.tree.structure(own) == jax.tree.structure(variables)
    logits[name] = apply(swapped, variables, x)
  # A window that covers the block is softmax; the others are not.
  closeness.assert_close(logits[wide], logits['softmax'], 1e-5)
  for name in ('linear', 'windowed'):
    assert np.abs(logits[name] - logits['softmax']).max() > 1e-4


class Tempered(nn.Module):
  """Softmax attention with a learned temperature."""

  @nn.compact
  def __call__(self, query, key, value):
    temperature = self.param('temperature', nn.initializers.ones, ())
    return attention.softmax(query * temperature, key, value)


def test_attention_module_has_parameters_of_its_own_in_every_block():
  x = jax.random.uniform(jax.random.key(0), (2, 28, 28, 3))
  plain = models.make('htnet', 'tiny')
  own = models.make('htnet', 'tiny', attention_fn=Tempered())
  variables = init(own, x)
  flat = jax.tree_util.tree_leaves_with_path(variables)
  paths = [jax.tree_util.keystr(path) for path, _ in flat]
  assert len([path for path in paths if 'temperature' in path]) == 2
  closeness.assert_close(
    apply(own, variables, x), apply(plain, variables, x), 5e-6
  )


@pytest.mark.parametrize('name', MODULES)
def test_module_of_the_table_starts_as_softmax_and_learns_of_its_own(name):
  x = jax.random.normal(jax.random.key(0), (2, 3, 4, 8))

  def block(attention_fn):
    return htnet.Block(2, 2, 0.0, 0.0, attention_fn)

  function = attention.ATTENTION[name]
  plain, own = block(attention.softmax), block(function)
  variables, without = init(own, x), init(plain, x)
  closeness.assert_close(
    apply(own, variables, x), apply(plain, without, x), 5e-6
  )

  def loss(variables):
    return own.apply(variables, x, train=False)[0].var()

  gradients = jax.jit(jax.grad(loss))(variables)['params']
  mine = gradients['attention'].pop('attention_fn')
  assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(mine))
  # All else is what a function has.
  assert jax.tree.structure(gradients) == jax.tree.structure(without['params'])
  # An instance is as good as its class.
  instance = init(block(function()), x)
  assert jax.tree.structure(instance) == jax.tree.structure(variables)


def test_heads_talk_before_and_after_the_softmax():
  query, key, value = inputs()
  one, other = np.random.default_rng(0).normal(size=(2, 2, 2))
  variables = {'params': {'before': jnp.array(one), 'after': jnp.array(other)}}
  output, weights = attention.TalkingHeads().apply(variables, query, key, value)
  scores = np.einsum('...nhd,...mhd->...hnm', query, key) / 2
  mixed = np.exp(np.einsum('...hnm,hg->...gnm', scores, one))
  expected = np.einsum(
    '...hnm,hg->...gnm', mixed / mixed.sum(-1, keepdims=True), other
  )
  closeness.assert_close(weights, expected, 1e-5)
  expected = np.einsum('...hnm,...mhe->...nhe', expected, value)
  closeness.assert_close(output, expected, 1e-5)


def test_relative_bias_depends_on_the_offset_alone():
  _, _, value = inputs(n=6)
  zero = jnp.zeros((5, 3, 6, 2, 4))
  module = attention.RelativeBias(grid=(2, 3))
  bias = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)
  _, weights = module.apply({'params': {'bias': bias}}, zero, zero, value)
  logs = np.log(np.asarray(weights[0, 0], np.float64))
  for head, query, key in np.ndindex(2, 6, 6):
    down = key // 3 - query // 3
    right = key % 3 - query % 3
    expected = bias[down + 1, right + 2, head] - bias[1, 2, head]
    found = logs[head, query, key] - logs[head, query, query]
    assert found == pytest.approx(expected, abs=1e-5)
  with pytest.raises(ValueError, match='RelativeBias got 6 tokens'):
    attention.RelativeBias().init(jax.random.key(0), zero, zero, value)


@pytest.mark.parametrize('name', ['softmax', 'linear', 'talking_heads'])
def test_masked_keys_are_as_if_they_were_not_there(name):
  query, key, value = inputs()
  mask = jnp.zeros((5, 1, 9), bool).at[:, :, jnp.array([1, 4, 5])].set(True)
  output, weights = call(name, query, key, value, mask=mask)
  expected, _ = call(name, query, key[:, :, [1, 4, 5]], value[:, :, [1, 4, 5]])
  closeness.assert_close(output, expected, 1e-5)
  if weights is not None:
    assert (weights[..., [0, 2, 3, 6, 7, 8]] == 0).all()


def test_function_without_mask_is_an_error_where_one_is_needed():
  query, key, value = inputs()
  mask = jnp.ones((5, 3, 9), bool)
  with pytest.raises(ValueError, match='plain takes no mask.*`mask=None`'):
    attention.attend(plain, query, key, value, mask=mask)
  adapted = attention.from_jax(lambda query, key, value: value)
  with pytest.raises(ValueError, match='takes no mask.*b, 1, 1, m'):
    attention.attend(adapted, query, key, value, mask=mask)


def plain(query, key, value):
  return attention.softmax(query, key, value)


@pytest.mark.parametrize('name', ['windowed', 'relative'])
def test_attention_on_a_grid_says_that_keys_are_its_tokens(name):
  query, key, value = inputs()
  with pytest.raises(ValueError, match='got 9 queries and 4 keys; expected'):
    call(name, query, key[:, :, :4], value[:, :, :4])


def test_a_negative_radius_is_an_error():
  with pytest.raises(ValueError, match='radius is -1'):
    attention.windowed(*inputs(), radius=-1)


@pytest.mark.parametrize('masked', [False, True])
def test_a_function_of_jax_is_softmax_attention(masked):
  query, key, value = inputs(value_width=4)
  mask = None
  if masked:
    mask = jnp.arange(9) < jnp.array([0, 3, 9])[:, None]
    value = value.at[:, :2, 5].set(jnp.nan)
  function = attention.from_jax(jax.nn.dot_product_attention)
  options = {'mask': mask, 'train': True}
  output, weights = attention.attend(function, query, key, value, **options)
  expected, _ = attention.attend(
    attention.softmax, query, key, value, **options
  )
  assert weights is None
  closeness.assert_close(output, expected, 1e-5)
  single = [x[0, 2] for x in (query, key, value)]
  closeness.assert_close(function(*single)[0], expected[0, 2], 1e-5)


class Forgetful(nn.Module):
  """Attention with dropout of its own on its weights."""

  rate: float = 0.5

  @nn.compact
  def __call__(self, query, key, value, *, train, mask=None):
    _, weights = attention.softmax(query, key, value, mask=mask)
    weights = layers.Dropout(self.rate)(weights, train=train)
    return jnp.einsum('...hnm,...mhe->...nhe', weights, value), weights


MODELS_WITH_ATTENTION = [
  ('htnet', 'attention_fn', 'attention', (28, 28, 3)),
  ('mmnet', 'attention_fn', 'attention', (2, 32, 32, 3)),
  ('artnet', 'attention_fn', 'encoder_attention', (2, 32, 32, 3)),
  ('artnet', 'level_attention_fn', 'level_attention', (2, 32, 32, 3)),
]


@pytest.mark.parametrize('name, field, shown, shape', MODELS_WITH_ATTENTION)
def test_attention_with_dropout_of_its_own_is_told_train(
  name, field, shown, shape
):
  fields = {field: Forgetful()}
  if name == 'artnet':
    fields |= {'levels': (1, 2), 'dropout': 0.0, 'level_dropout': 0.0}
  model = models.make(name, 'tiny', **fields)
  x = jax.random.normal(jax.random.key(0), (2, *shape))
  variables = smallest.variables(model, x)

  @functools.partial(jax.jit, static_argnums=0)
  def zeros(train, key):
    # The share of weights that were dropped.
    (_, out), _ = model.apply(
      variables, x, train=train, rngs={'dropout': key}, mutable='batch_stats'
    )
    weights = jax.tree.leaves(out[shown])
    return jnp.mean(jnp.concatenate([w.ravel() for w in weights]) == 0)

  assert zeros(False, jax.random.key(1)) == 0
  assert 0.2 < zeros(True, jax.random.key(1)) < 0.8
  # `train` matters to this model now, whatever its rates.
  with pytest.raises(ValueError, match='train=True or train=False'):
    jax.eval_shape(model.apply, variables, x)


@pytest.mark.parametrize('option', ['train', 'mask'])
def test_a_function_gets_the_options_that_it_takes(option):
  query, key, value = inputs()
  given = {'train': True, 'mask': jnp.ones((5, 3, 9), bool)}
  seen = {}

  def named(query, key, value, *, mask=None, train=None):
    seen.update(mask=mask, train=train)
    return value, None

  def any_option(query, key, value, **options):
    seen.update(options)
    return value, None

  for function in (named, any_option, functools.partial(named)):
    seen.clear()
    attention.attend(function, query, key, value, **given)
    assert seen[option] is given[option]
