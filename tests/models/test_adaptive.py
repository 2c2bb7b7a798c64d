"""Levels are read at one factor: by the formula, differentiably, as a set."""

from __future__ import annotations

import functools

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import jax
from jax import export
import jax.numpy as jnp
from jaxtyping import config as jaxtyping_config
import numpy as np
import pytest

from mejax import models
from mejax.evaluation import attention
from mejax.models import adaptive
from tests import closeness
from tests.models import smallest

pytestmark = pytest.mark.unoptimised

ALPHAS = (1.0, 2.0, 4.0)
KINDS = pytest.mark.parametrize('kind', adaptive.FACTORS)


@functools.cache
def case(kind: str):
  """Returns model, variables and inputs, whose examples move differently."""
  model = models.make('artnet', 'tiny', levels=ALPHAS, adaptive=kind)
  x = jax.random.normal(jax.random.key(1), (3, 3, 32, 32, 3))
  x *= jnp.array([0.1, 1.0, 10.0])[:, None, None, None, None]
  return model, smallest.variables(model, x), x


def apply(kind, x=None, **options):
  model, variables, own = case(kind)
  return smallest.apply(model, variables, own if x is None else x, **options)


def read(x, factor, levels=ALPHAS, present=None):
  """Returns the image that is read, by jitted code of ours."""
  return read_image(
    x, jnp.asarray(factor), jnp.atleast_2d(jnp.array(levels)), present
  )


@jax.jit
def read_image(x, factor, levels, present):
  shares = adaptive.share_levels(jnp.log(levels), jnp.log(factor), present)
  return adaptive.read(x, shares)[:, 0]


def interpolated(x, factor, levels):
  """The same in float64 NumPy, pixel by pixel; levels ascend."""
  x = np.asarray(x, np.float64)
  b, _, h, w, c = x.shape
  image = np.zeros((b, h, w, c))
  for i, row, column, channel in np.ndindex(*image.shape):
    own = np.broadcast_to(factor[i], 4)[2 * (2 * row // h) + 2 * column // w]
    image[i, row, column, channel] = np.interp(
      np.log(own), np.log(levels), x[i, :, row, column, channel]
    )
  return image


@given(
  logs=st.lists(st.floats(-1.0, 3.0), min_size=2, max_size=8),
  levels=st.lists(
    st.sampled_from([0.5, 1.0, 1.5, 2.0, 4.0, 8.0]),
    min_size=1,
    max_size=4,
    unique=True,
  ),
)
@settings(max_examples=10, deadline=None)
def test_the_read_image_is_interpolated_in_the_logarithm_of_the_factor(
  logs, levels
):
  factor = np.exp(np.resize(logs, (2, 4)))
  levels = sorted(levels)
  x = np.random.default_rng(0).normal(size=(2, len(levels), 4, 4, 2))
  found = read(x.astype(np.float32), factor.astype(np.float32), levels)
  closeness.assert_close(found, interpolated(x, factor, levels), 1e-5)


def test_at_the_factor_of_a_level_that_level_is_read_exactly():
  x = np.random.default_rng(0).normal(size=(3, 3, 4, 4, 2)).astype(np.float32)
  found = read(x, np.array(ALPHAS, np.float32)[:, None])
  np.testing.assert_array_equal(found, x[np.arange(3), np.arange(3)])


def test_outside_of_the_range_the_nearest_level_is_read_and_told():
  _, out = apply('clip', factor=np.array([0.1, 1.5, 100.0]))
  np.testing.assert_allclose(out['factor'][:, 0], [1, 1.5, 4], rtol=1e-5)
  weights = out['level_weights']
  np.testing.assert_array_equal(weights[0, 1:], 0)
  np.testing.assert_array_equal(weights[2, :2], 0)
  nearest, _ = apply('clip', factor=np.array([1.0, 1.5, 4.0]))
  logits, _ = apply('clip', factor=np.array([0.1, 1.5, 100.0]))
  np.testing.assert_array_equal(logits, nearest)


def test_the_predicted_factor_lies_between_the_levels_and_follows_the_motion():
  for kind, count in adaptive.FACTORS.items():
    _, out = apply(kind)
    factor = np.asarray(out['factor'])
    assert factor.shape == (3, count)
    assert (factor > 1).all() and (factor < 4).all()
    assert len(np.unique(factor)) == factor.size


@KINDS
def test_order_of_levels_means_nothing(kind):
  _, _, x = case(kind)
  order = np.array([2, 0, 1])
  logits, out = apply(kind)
  shuffled, moved = apply(kind, x[:, order], levels=jnp.array(ALPHAS)[order])
  closeness.assert_close(shuffled, logits, 1e-5)
  closeness.assert_close(moved['factor'], out['factor'], 1e-5)
  closeness.assert_close(
    moved['level_weights'], out['level_weights'][:, order], 1e-5
  )


@KINDS
def test_absent_levels_are_as_if_they_were_not_there(kind):
  _, _, x = case(kind)
  kept = np.array([0, 2])
  alone, out = apply(kind, x[:, kept], levels=jnp.array(ALPHAS)[kept])
  present = np.array([True, False, True])
  masked, seen = apply(kind, x.at[:, 1].set(jnp.nan), present=present)
  closeness.assert_close(masked, alone, 1e-5)
  closeness.assert_close(seen['factor'], out['factor'], 1e-5)
  np.testing.assert_array_equal(seen['level_weights'][:, 1], 0)


@KINDS
def test_examples_do_not_see_each_other(kind):
  _, _, x = case(kind)
  logits, out = apply(kind)
  others, changed = apply(kind, x.at[1:].multiply(3.0))
  np.testing.assert_array_equal(others[0], logits[0])
  assert np.abs(others[1:] - logits[1:]).min() > 0
  np.testing.assert_array_equal(changed['factor'][0], out['factor'][0])


@KINDS
def test_the_gradient_goes_through_the_factor_as_differences_say(kind):
  """By the weights of the head, of which nothing else reads a thing."""
  model, variables, x = case(kind)
  with jax.enable_x64(True):
    double = jax.tree.map(
      lambda leaf: jnp.asarray(leaf, jnp.float64), variables['params']
    )
    x = jnp.asarray(x, jnp.float64)
    model = model.clone(dtype='float64', param_dtype='float64')

    @jax.jit
    @jax.value_and_grad
    def loss(head):
      params = double | {'factor': head}
      logits, _ = model.apply({'params': params}, x, train=False)
      return jnp.square(logits).sum()

    head = double['factor']
    _, gradient = loss(head)
    for layer in ('inner', 'outer'):
      kernel = gradient[layer]['kernel']
      assert np.abs(kernel).max() > 0
      at = np.unravel_index(np.abs(kernel).argmax(), kernel.shape)
      step = 1e-5
      ends = []
      for sign in (1, -1):
        own = head[layer]['kernel'].at[at].add(sign * step)
        moved = head | {layer: head[layer] | {'kernel': own}}
        ends.append(loss(moved)[0])
      slope = (ends[0] - ends[1]) / (2 * step)
      np.testing.assert_allclose(kernel[at], slope, rtol=1e-4)


def test_the_given_factor_has_a_derivative_and_replaces_the_head():
  model, variables, x = case('region')

  @jax.jit
  def gradients(variables, factor):
    def loss(variables, factor):
      logits, _ = model.apply(variables, x, train=False, factor=factor)
      return jnp.square(logits).sum()

    return jax.grad(loss, (0, 1))(variables, factor)

  of_variables, of_factor = gradients(variables, jnp.full((3, 4), 1.7))
  assert (np.abs(of_factor) > 0).all()
  for leaf in jax.tree.leaves(of_variables['params']['factor']):
    np.testing.assert_array_equal(leaf, 0)
  _, outside = gradients(variables, jnp.full((3, 4), 5.0))
  np.testing.assert_array_equal(outside, 0)


def test_without_motion_nothing_is_nan():
  model, variables, x = case('clip')

  @jax.jit
  @jax.grad
  def gradient(x):
    return model.apply(variables, x, train=False)[0].sum()

  assert np.isfinite(gradient(jnp.zeros_like(x))).all()


@pytest.mark.parametrize(
  'options, words',
  [
    ({'factor': np.ones(2)}, r'factor of shape \(2,\) .* expected \[3\] or'),
    ({'factor': np.ones((3, 4))}, r"adaptive='clip'; expected .* \[3, 1\]"),
    ({'factor': np.array([1.0, 0.0, 2.0])}, r'factor \[0.0\] in example 1'),
    ({'factor': np.array([1.0, 2.0, np.nan])}, r'factor \[nan\] in example 2'),
  ],
)
def test_a_factor_that_does_not_fit_is_an_error(options, words, monkeypatch):
  # As outside of these tests, where nobody checks jaxtyping's shapes.
  monkeypatch.setattr(jaxtyping_config, 'jaxtyping_disable', True)
  model, variables, x = case('clip')
  with pytest.raises(ValueError, match=words):
    jax.eval_shape(
      functools.partial(model.apply, train=False, **options), variables, x
    )


def test_only_an_adaptive_model_takes_a_factor_and_knows_its_kinds():
  _, _, x = case('clip')
  key = jax.random.key(0)
  plain = models.make('artnet', 'tiny', levels=ALPHAS)
  with pytest.raises(ValueError, match="adaptive=''; expected none"):
    jax.eval_shape(functools.partial(plain.init, factor=np.ones(3)), key, x)
  wrong = plain.clone(adaptive='regions')
  with pytest.raises(ValueError, match="Did you mean 'region'"):
    jax.eval_shape(wrong.init, key, x)


def test_inside_jit_only_examples_with_a_factor_that_is_none_are_nan():
  model, variables, x = case('clip')
  counted = np.array([True, False, True])

  @jax.jit
  def gradients(variables, factor):
    def loss(variables):
      logits, _ = model.apply(variables, x, train=False, factor=factor)
      squares = jnp.square(logits).sum(1)
      return jnp.where(counted, squares, 0).sum(), logits

    return jax.grad(loss, has_aux=True)(variables)

  found, logits = gradients(variables, jnp.array([1.5, jnp.nan, 3.0]))
  expected, sound = gradients(variables, jnp.array([1.5, 2.0, 3.0]))
  assert np.isnan(logits[1]).all() and np.isfinite(sound).all()
  np.testing.assert_array_equal(logits[counted], sound[counted])
  closeness.assert_trees_close(found, expected, 1e-5)


def test_inside_jit_an_example_without_a_level_spoils_no_gradient():
  model, variables, x = case('clip')

  @jax.jit
  @jax.grad
  def gradient(variables, present):
    logits, _ = model.apply(variables, x, train=False, present=present)
    return jnp.where(jnp.isfinite(logits), jnp.square(logits), 0).sum()

  present = np.array([[True] * 3, [False] * 3, [True] * 3])
  found = gradient(variables, present)
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


@pytest.mark.parametrize('dtype', ['bfloat16', 'float32', 'float64'])
def test_factor_and_logits_are_wide_in_every_precision(dtype):
  model, variables, x = case('region')
  with jax.enable_x64(dtype == 'float64'):
    own = model.clone(dtype=dtype, param_dtype=dtype)
    params = jax.eval_shape(own.init, jax.random.key(0), x)
    logits, out = jax.eval_shape(
      functools.partial(own.apply, train=False), params, x
    )
  wide = 'float64' if dtype == 'float64' else 'float32'
  assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {dtype}
  assert logits.dtype == out['factor'].dtype == wide


def test_it_is_exported_for_a_batch_of_any_size(monkeypatch):
  # jaxtyping cannot compare sizes that are symbols.
  monkeypatch.setattr(jaxtyping_config, 'jaxtyping_disable', True)
  model, variables, x = case('clip')
  (size,) = export.symbolic_shape('b')
  predict = jax.jit(lambda x: model.apply(variables, x, train=False)[0])
  batch = jax.ShapeDtypeStruct((size, *x.shape[1:]), np.float32)
  exported = export.export(predict)(batch)
  closeness.assert_close(exported.call(x[:2]), predict(x)[:2], 1e-5)


def test_maps_of_where_it_looked_are_there_for_every_level():
  model, _, x = case('region')
  _, out = apply('region')
  found = attention.list_maps(out, 'levels', ALPHAS)
  heat = np.stack([each.make() for each in found], 1)
  assert heat.shape == (3, 3, 4, 2, 2)
  # Shares of all levels, regions and places, in units of the fair share.
  np.testing.assert_allclose(heat.mean((1, 2, 3, 4)), 1, rtol=1e-4)
  np.testing.assert_allclose(out['level_weights'].sum(1), 1, rtol=1e-5)
