"""Attention in any dtype, at any scale and with any mask, against float64."""

from __future__ import annotations

import functools

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.models import attention

BATCH, HEADS, WIDTH, VALUE_WIDTH = 2, 2, 4, 3
ON_A_GRID = ('windowed', 'relative')

# float64 tells what mixing matrices of full rank and biases do.
source = np.random.default_rng(0)
PARAMS = {
  'talking_heads': {
    name: source.normal(size=(HEADS, HEADS)).astype(np.float32)
    for name in ('before', 'after')
  },
}


def params_of(name, n):
  if name == 'relative':
    side = 2 * round(n**0.5) - 1
    bias = np.random.default_rng(n).normal(size=(side, side, HEADS))
    return {'bias': bias.astype(np.float32)}
  return PARAMS.get(name, {})


def call(name, params, *arrays, mask=None):
  function = attention.ATTENTION[name]
  if not params:
    return function(*arrays, mask=mask)
  return function().apply({'params': params}, *arrays, mask=mask)


@functools.partial(jax.jit, static_argnums=0)
def value_and_gradients(name, params, arrays, direction, mask):
  def loss(arrays):
    output, _ = call(name, params, *arrays, mask=mask)
    # Small, so that gradients fit float16.
    return jnp.sum(output.astype(jnp.float32) * direction) / 64, output

  (_, output), gradients = jax.value_and_grad(loss, has_aux=True)(arrays)
  return output, gradients


def reference(name, params, query, key, value, counts):
  """Output and rounding of its exponents, in float64.

  `counts` [b, m] tells which keys count.
  """
  query, key, value = (np.asarray(x, np.float64) for x in (query, key, value))
  value = np.where(counts[..., None, None], value, 0)
  key = np.where(counts[..., None, None], key, 0)
  if name == 'linear':
    logs = [np.where(x > 0, np.log1p(np.abs(x)), x) for x in (query, key)]
    sums = np.einsum('bnhd->bhnd', logs[0])[:, :, :, None]
    sums = sums + np.einsum('bmhd->bhmd', logs[1])[:, :, None]
    scores = np.logaddexp.reduce(sums, -1)
    size = sum(np.abs(x).max() for x in logs)
  else:
    scores = np.einsum('bnhd,bmhd->bhnm', query, key) / WIDTH**0.5
    size = np.einsum('bnhd,bmhd->bhnm', np.abs(query), np.abs(key)).max()
  if name == 'talking_heads':
    scores = np.einsum('bhnm,hg->bgnm', scores, params['before'])
    size *= np.abs(params['before']).sum()
  n, m = scores.shape[-2:]
  side = round(n**0.5)
  row, column = np.divmod(np.arange(max(n, m)), side)
  down, right = (x[:m] - x[:n, None] for x in (row, column))
  seen = np.broadcast_to(counts[:, None, None], scores.shape)
  if name == 'windowed':
    seen = seen & (np.maximum(np.abs(down), np.abs(right)) <= 1)
  if name == 'relative':
    bias = params['bias'][down + side - 1, right + side - 1]
    scores = scores + np.moveaxis(bias, -1, 0)
  scores = np.where(seen, scores, -np.inf)
  largest = scores.max(-1, keepdims=True)
  weights = np.exp(scores - np.where(np.isfinite(largest), largest, 0))
  total = weights.sum(-1, keepdims=True)
  weights = weights / np.where(total, total, 1)
  mix = 1.0
  if name == 'talking_heads':
    weights = np.einsum('bhnm,hg->bgnm', weights, params['after'])
    mix = np.abs(params['after']).sum(0).max()
  rounding = 4 * WIDTH * 2.0**-23 * (size + m + 1)
  output = np.einsum('bhnm,bmhe->bnhe', weights, value)
  return output, rounding, mix * np.abs(value).max()


def draw(seed, scale, dtype, n, m):
  """Query, key, value and a direction; some rows lie far below zero."""
  source = np.random.default_rng(seed)
  query = source.uniform(-1, 1, (BATCH, n, HEADS, WIDTH))
  key = source.uniform(-1, 1, (BATCH, m, HEADS, WIDTH))
  value = source.uniform(-1, 1, (BATCH, m, HEADS, VALUE_WIDTH))
  query[0], key[0] = -np.abs(query[0]), -np.abs(key[0])
  arrays = [jnp.asarray(x, dtype) for x in (query * scale, key * scale, value)]
  return arrays, source.uniform(-1, 1, (BATCH, n, HEADS, VALUE_WIDTH))


def programs(name):
  """Dtype, queries, keys, whether there is a mask: few, as each compiles."""
  one, other, many = (4, 4), (3, 1), (2, 7)
  if name in ON_A_GRID:
    one, other, many = (9, 9), (1, 1), (9, 9)
  return [
    ('float32', *one, True),
    ('float32', *other, False),
    ('bfloat16', *many, True),
    ('float16', *one, True),
    ('float16', *many, False),
  ]


@pytest.mark.parametrize('name', attention.ATTENTION)
@settings(max_examples=12)
@given(data=st.data())
def test_output_is_that_of_float64_and_gradients_are_finite(name, data):
  dtype, n, m, masked = data.draw(st.sampled_from(programs(name)))
  scale = 10 ** data.draw(st.floats(-3, 4), 'log of the scale')
  arrays, direction = draw(data.draw(st.integers(0, 99)), scale, dtype, n, m)
  mask = None
  if masked:
    rows = st.lists(st.booleans(), min_size=m, max_size=m)
    mask = np.array([data.draw(rows), data.draw(rows)])
  params = params_of(name, n)
  output, gradients = value_and_gradients(name, params, arrays, direction, mask)
  counts = np.ones((BATCH, m), bool) if mask is None else mask
  expected, rounding, largest = reference(name, params, *arrays, counts)
  assert output.dtype == dtype
  # Weights are off by a factor of exp(+-rounding), and a mean never by more
  # than the values differ.
  error = min(np.expm1(min(2 * rounding, 1)), 1) + float(jnp.finfo(dtype).eps)
  np.testing.assert_allclose(
    np.asarray(output, np.float64), expected, rtol=0, atol=2 * error * largest
  )
  for gradient in gradients:
    assert np.isfinite(np.asarray(gradient, np.float32)).all()
  if mask is not None:
    assert not np.asarray(gradients[1], np.float32)[~mask].any()
    assert not np.asarray(gradients[2], np.float32)[~mask].any()
    assert not np.asarray(output, np.float32)[~mask.any(-1)].any()
    for gradient in gradients:
      assert not np.asarray(gradient, np.float32)[~mask.any(-1)].any()


@pytest.mark.parametrize('name', attention.ATTENTION)
@pytest.mark.parametrize('scale', [1.0, 40.0])
def test_gradients_are_the_slopes_of_float64(name, scale):
  """At 40, linear attention's features lie far below what elu + 1 can tell."""
  n = m = 4
  if name != 'linear':
    scale = min(scale, 4.0)
  arrays, direction = draw(1, scale, 'float32', n, m)
  mask = np.array([[1, 1, 0, 1], [1, 1, 1, 1]], bool)
  params = params_of(name, n)
  _, gradients = value_and_gradients(name, params, arrays, direction, mask)
  source = np.random.default_rng(2)
  for i, gradient in enumerate(gradients):
    along = source.normal(size=arrays[i].shape)

    def loss(step, i=i, along=along):
      moved = [np.asarray(x, np.float64) for x in arrays]
      moved[i] = moved[i] + step * along
      output = reference(name, params, *moved, mask)[0]
      return np.sum(output * direction) / 64

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    size = np.sum(np.abs(np.asarray(gradient) * along))
    assert np.sum(gradient * along) == pytest.approx(slope, abs=1e-4 * size)


@pytest.mark.parametrize('name', attention.ATTENTION)
@pytest.mark.parametrize('broken', [np.nan, np.inf, -np.inf])
def test_what_lies_behind_a_mask_has_no_effect(name, broken):
  arrays, direction = draw(3, 1.0, 'float32', 4, 4)
  mask = np.array([[1, 0, 0, 1], [0, 0, 0, 0]], bool)
  params = params_of(name, 4)
  whole = value_and_gradients(name, params, arrays, direction, mask)
  query, key, value = arrays
  key, value = (
    jnp.where(mask[..., None, None], x, broken) for x in (key, value)
  )
  found = value_and_gradients(
    name, params, [query, key, value], direction, mask
  )
  jax.tree.map(np.testing.assert_array_equal, found, whole)


@pytest.mark.parametrize('name', attention.ATTENTION)
def test_a_mask_for_all_examples_is_one_for_each(name):
  arrays, _ = draw(4, 1.0, 'float32', 4, 4)
  mask = np.array([[1, 0, 1, 1]], bool)
  params = params_of(name, 4)
  found = call(name, params, *arrays, mask=jnp.asarray(mask))
  each = call(name, params, *arrays, mask=jnp.asarray(mask.repeat(BATCH, 0)))
  jax.tree.map(np.testing.assert_array_equal, found, each)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
@pytest.mark.parametrize('name', attention.ATTENTION)
def test_hundreds_of_tokens_in_half_precision_are_summed_in_float32(
  name, dtype
):
  """784 tokens in a sum of bfloat16 were off by 4e-2."""
  source = np.random.default_rng(0)
  shape = (1, 784, HEADS, WIDTH)
  arrays = [jnp.asarray(source.normal(1, 1, shape), dtype) for _ in range(3)]
  params = params_of(name, 784)
  output, _ = jax.jit(call, static_argnums=0)(name, params, *arrays)
  counts = np.ones((1, 784), bool)
  expected, _, largest = reference(name, params, *arrays, counts)
  error = np.abs(np.asarray(output, np.float64) - expected).max()
  # Half a unit in the last place of the output, and no more than rounding.
  unit = float(jnp.finfo(dtype).eps)
  assert error < 0.55 * unit * max(np.abs(expected).max(), 1e-3 * largest)
