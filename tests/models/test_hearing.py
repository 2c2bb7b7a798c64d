"""Attention along the wrong axes is noticed, and sound attention is let be."""

from __future__ import annotations

import functools
import warnings

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import models
from mejax.models import attention

pytestmark = pytest.mark.unoptimised


def softmax_of_torch(query, key, value, visible=None):
  """Softmax attention for [b, h, n, d]."""
  scores = query @ key.swapaxes(-1, -2) / query.shape[-1] ** 0.5
  if visible is not None:
    scores = jnp.where(visible, scores, -1e9)
  return jax.nn.softmax(scores, -1) @ value


def torch(query, key, value):
  return softmax_of_torch(query, key, value), None


def scrambled(query, key, value):
  """Reshapes where it should swap axes."""
  b, n, h = query.shape[0], *query.shape[-3:-1]
  arrays = (x.reshape(b, -1, h, n, x.shape[-1]) for x in (query, key, value))
  return softmax_of_torch(*arrays).reshape(value.shape), None


def alone(query, key, value):
  return value, None


def swapped(query, key, value, visible):
  """Softmax attention to the keys that a matrix [n, n] leaves visible."""
  arrays = (jnp.swapaxes(x, -2, -3) for x in (query, key, value))
  return jnp.swapaxes(softmax_of_torch(*arrays, visible), -2, -3), None


def hardest(query, key, value):
  """Takes the value of the key with the highest score."""
  scores = jnp.einsum('...nhd,...mhd->...hnm', query, key)
  one = jax.nn.one_hot(scores.argmax(-1), scores.shape[-1])
  return jnp.einsum('...hnm,...mhe->...nhe', one, value), one


def relu(query, key, value):
  scores = jax.nn.relu(jnp.einsum('...nhd,...mhd->...hnm', query, key))
  weights = scores / (scores.sum(-1, keepdims=True) + 1e-6)
  return jnp.einsum('...hnm,...mhe->...nhe', weights, value), weights


class Gated(nn.Module):
  """Starts with every token alone, and may learn otherwise."""

  function: object = attention.softmax

  @nn.compact
  def __call__(self, query, key, value):
    gain = self.param('gain', nn.initializers.zeros, ())
    return value + gain * self.function(query, key, value)[0], None


def seen(n, *pairs):
  """Each token sees itself, and those of the pairs."""
  return functools.partial(
    swapped, visible=np.eye(n, dtype=bool) | np.isin(range(n * n), pairs)
    .reshape(n, n),
  )  # fmt: skip


def attend(function, n, heads):
  keys = jax.random.split(jax.random.key(0), 3)
  arrays = [jax.random.normal(key, (2, 3, n, heads, 4)) for key in keys]

  @jax.jit
  def model(arrays):
    return Caller(function).init_with_output(jax.random.key(0), *arrays)[0]

  return jax.eval_shape(model, arrays)


class Caller(nn.Module):
  function: object

  @nn.compact
  def __call__(self, *arrays):
    return attention.attend(attention.own(self.function), *arrays)


SOUND = {
  'relu': relu,
  'hard': hardest,
  'in a window': functools.partial(attention.windowed, radius=1),
  'linear': functools.partial(attention.linear),
  'in jax': attention.from_jax(jax.nn.dot_product_attention),
  'a module that starts without': Gated(),
  'causal': functools.partial(swapped, visible=np.tril(np.ones((9, 9), bool))),
  'each second token': functools.partial(
    swapped, visible=np.add.outer(range(9), range(9)) % 2 == 0
  ),
  'one token hears one other': seen(9, 9 * 7 + 3),
}


@pytest.mark.parametrize('name', SOUND)
def test_sound_attention_is_neither_refused_nor_warned_of(name):
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    attend(SOUND[name], 9, 2)


@pytest.mark.parametrize('function', [relu, hardest, Gated()])
@pytest.mark.parametrize('n, heads', [(1, 3), (2, 1), (2, 3)])
def test_few_tokens_or_heads_are_no_reason_to_refuse(function, n, heads):
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    attend(function, n, heads)


@pytest.mark.parametrize(
  'function', [torch, functools.partial(torch), Gated(torch)]
)
@pytest.mark.parametrize('n, heads', [(2, 2), (9, 3)])
def test_attention_among_the_heads_of_a_token_is_refused(function, n, heads):
  with pytest.raises(
    ValueError, match='among the heads of each token.*n, h, d'
  ):
    attend(function, n, heads)
  attend(function, 1, heads)  # Lone tokens are not asked.


def test_a_model_refuses_it_when_its_weights_are_drawn():
  model = models.make('htnet', 'tiny', attention_fn=torch)
  x = jnp.zeros((1, 28, 28, 3))
  with pytest.raises(ValueError, match='torch attends among the heads'):
    model.init(jax.random.key(0), x)
  # As released, every block holds one token.
  released = models.make('htnet', depths=(1, 1, 1), dim=8, attention_fn=torch)
  jax.eval_shape(released.init, jax.random.key(0), x)


@pytest.mark.parametrize(
  'function, words',
  [
    (alone, 'depends on that token alone'),
    (functools.partial(attention.windowed, radius=0), 'that token alone'),
    (scrambled, 'holds values of other heads'),
  ],
)
def test_what_may_be_meant_is_warned_of(function, words):
  with pytest.warns(UserWarning, match=words):
    attend(function, 9, 2)


def test_asking_leaves_no_trace_in_a_program_and_happens_once():
  calls = []

  def counted(query, key, value):
    calls.append(type(query))
    return relu(query, key, value)

  model = models.make('htnet', 'tiny', attention_fn=counted)
  x = jnp.zeros((1, 28, 28, 3))
  plain = models.make('htnet', 'tiny', attention_fn=relu)
  variables = jax.eval_shape(plain.init, jax.random.key(0), x)
  first, second = (
    str(jax.make_jaxpr(lambda v, x: model.apply(v, x)[0])(variables, x))
    for _ in range(2)
  )
  assert first == second
  # Two blocks in each of two traces, and one question for each size.
  assert len(calls) == 6
