from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.models import attention
from mejax.models import htnet


def inputs(n=9, heads=2, width=4, *, value_width=3):
  keys = jax.random.split(jax.random.key(0), 3)
  widths = (width, width, value_width)
  return [
    jax.random.normal(key, (5, 3, n, heads, w))
    for key, w in zip(keys, widths, strict=True)
  ]


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
  [('softmax', exponential), ('linear', elu_features), ('windowed', near)],
)
def test_attention_equals_the_sum_over_keys(name, kernel):
  query, key, value = inputs()
  output, weights = attention.ATTENTION[name](query, key, value)
  expected = loop_reference(query, key, value, kernel)
  np.testing.assert_allclose(output, expected, atol=1e-5)
  if weights is not None:
    weighted = jnp.einsum('...hnm,...mhe->...nhe', weights, value)
    np.testing.assert_allclose(weighted, expected, atol=1e-5)


@pytest.mark.parametrize('name', attention.ATTENTION)
def test_lone_token_attends_to_itself(name):
  query, key, value = inputs(n=1)
  output, _ = attention.ATTENTION[name](query, key, value)
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


def init(model, x):
  return jax.jit(model.init, static_argnames='train')(
    jax.random.key(1), x, train=False
  )


def apply(model, variables, x):
  return jax.jit(model.apply, static_argnames='train')(
    variables, x, train=False
  )[0]


def test_swapping_attention_keeps_the_parameter_tree_and_changes_the_logits():
  x = jax.random.uniform(jax.random.key(0), (2, 28, 28, 3))
  model = htnet.make('tiny')
  variables = init(model, x)
  wide = functools.partial(attention.windowed, radius=6)
  logits = {'softmax': apply(model, variables, x)}
  for name, function in (attention.ATTENTION | {wide: wide}).items():
    swapped = htnet.make('tiny', attention_fn=function)
    own = jax.eval_shape(lambda model=swapped: init(model, x))
    assert jax.tree.structure(own) == jax.tree.structure(variables)
    logits[name] = apply(swapped, variables, x)
  # A window that covers the block is softmax; the others are not.
  np.testing.assert_allclose(logits[wide], logits['softmax'], atol=1e-5)
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
  plain, own = htnet.make('tiny'), htnet.make('tiny', attention_fn=Tempered())
  variables = init(own, x)
  flat = jax.tree_util.tree_leaves_with_path(variables)
  paths = [jax.tree_util.keystr(path) for path, _ in flat]
  assert len([path for path in paths if 'temperature' in path]) == 2
  np.testing.assert_allclose(
    apply(own, variables, x), apply(plain, variables, x), atol=1e-6
  )
