"""What a reconstruction from an abstract can promise: its invariances."""

from __future__ import annotations

import math
import re

import jax
import jax.numpy as jnp
from jaxtyping import config as jaxtyping_config
import numpy as np
import pytest

from mejax import models
from mejax.models import artnet
from mejax.models import attention
from tests import closeness
from tests.models.smallest import apply

pytestmark = pytest.mark.unoptimised

ALPHAS = (1.0, 2.0, 4.0, 8.0)


@pytest.fixture(scope='module')
def model():
  return models.make('artnet', 'tiny', levels=ALPHAS)


@pytest.fixture(scope='module')
def x():
  return jax.random.normal(jax.random.key(1), (3, 4, 32, 32, 3))


@pytest.fixture(scope='module')
def variables(model, x):
  """Parameters far from their start, so that no part is nearly dead."""
  shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
  draw = np.random.default_rng(2).normal

  def fill(path, leaf):
    middle = 1.0 if path[-1].key == 'scale' else 0.0
    return jnp.asarray(middle + 0.35 * draw(size=leaf.shape), leaf.dtype)

  return jax.tree_util.tree_map_with_path(fill, shapes)


def assert_same(one, other):
  closeness.assert_close(one, other, 1e-5)


@pytest.mark.parametrize(
  'preset, parameters',
  [('base', 2_286_723), ('small', 432_835), ('tiny', 30_643)],
)
def test_presets_have_the_parameters_that_the_docstring_tells(
  preset, parameters
):
  model = models.make('artnet', preset, levels=ALPHAS)
  variables = jax.eval_shape(
    lambda key: model.init(key, jnp.ones((1, 4, 128, 128, 3)), train=False),
    jax.random.key(0),
  )
  assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == parameters
  assert re.search(rf'^{preset} +{parameters:,} ', artnet.__doc__, re.M)
  assert list(artnet.PRESETS) == ['base', 'small', 'tiny']


def test_it_calls_itself_a_reconstruction():
  assert 'RECONSTRUCTION FROM THE ABSTRACT' in artnet.__doc__


def test_order_of_levels_means_nothing(model, variables, x):
  logits, out = apply(model, variables, x)
  order = np.array([2, 0, 3, 1])
  shuffled, moved = apply(
    model, variables, x[:, order], levels=jnp.array(ALPHAS)[order]
  )
  assert_same(shuffled, logits)
  assert_same(moved['level_weights'], out['level_weights'][:, order])
  # Without their levels the levels are others.
  confused, _ = apply(model, variables, x[:, order])
  assert np.abs(confused - logits).max() > 1e-2


def test_levels_may_differ_between_examples(model, variables, x):
  other = (1.0, 3.0, 5.0, 7.0)
  rows = jnp.array([ALPHAS, other, ALPHAS])
  logits, _ = apply(model, variables, x, levels=rows)
  for levels, row in ((ALPHAS, 0), (other, 1)):
    alone, _ = apply(model, variables, x, levels=jnp.array(levels))
    assert_same(logits[row], alone[row])


@pytest.mark.parametrize('kept', [[0], [2], [0, 3], [1, 2, 3]])
def test_absent_levels_are_as_if_they_were_not_there(model, variables, x, kept):
  alone, out = apply(
    model, variables, x[:, kept], levels=jnp.array(ALPHAS)[np.array(kept)]
  )
  present = jnp.zeros(4, bool).at[jnp.array(kept)].set(True)
  broken = jnp.where(present[:, None, None, None], x, jnp.nan)
  masked, seen = apply(model, variables, broken, present=present)
  assert_same(masked, alone)
  assert_same(seen['level_weights'][:, kept], out['level_weights'])
  assert (seen['level_weights'][:, ~present] == 0).all()


def test_each_example_may_lack_other_levels(model, variables, x):
  present = jnp.array([[1, 1, 0, 1], [0, 0, 1, 0], [1, 1, 1, 1]], bool)
  together, _ = apply(model, variables, x, present=present)
  for row in range(3):
    alone, _ = apply(model, variables, x, present=present[row])
    assert_same(together[row], alone[row])


def test_one_level_is_a_plain_region_transformer(model, variables, x):
  """No choice among levels is left, and alpha = 1 adds nothing."""
  one = jnp.ones(1)

  def spread(params):
    found = model.apply({'params': params}, x[:, :1], train=False, levels=one)
    return found[0].var()

  _, out = apply(model, variables, x[:, :1], levels=one)
  np.testing.assert_array_equal(out['level_attention'][0], 1)
  np.testing.assert_allclose(out['level_weights'], 1, rtol=1e-6)
  gradients = jax.jit(jax.grad(spread))(variables['params'])
  level = gradients['level_block0']['attention']
  for unread in ('query', 'key'):
    np.testing.assert_array_equal(level[unread]['kernel'], 0)
  for layer in ('alpha_inner', 'alpha_outer'):
    np.testing.assert_array_equal(gradients[layer]['kernel'], 0)
  for read in ('encoder_block0', 'region_block0'):
    kernel = gradients[read]['attention']['query']['kernel']
    assert np.abs(kernel).max() > 0


def test_one_level_equals_the_layers_written_out(variables, x):
  """Against float64 NumPy that knows neither levels nor blocks of ours."""
  model = models.make('artnet', 'tiny', levels=(1.0,))
  logits, _ = apply(model, variables, x[:, :1])
  params = jax.tree.map(
    lambda leaf: np.asarray(leaf, np.float64), variables['params']
  )
  expected = [plain(params, np.asarray(image[0], np.float64)) for image in x]
  closeness.assert_close(logits, expected, 2e-5)


def plain(params, image, *, patch=8, heads=2):
  """A region transformer for one image `[h, w, c]`."""
  half, rows = len(image) // 2, len(image) // 2 // patch
  tokens = np.zeros((4, rows**2, params['embed']['kernel'].shape[1]))
  for region, at in np.ndindex(4, rows**2):
    row = region // 2 * half + at // rows * patch
    column = region % 2 * half + at % rows * patch
    cut = image[row : row + patch, column : column + patch].ravel()
    tokens[region, at] = dense(params['embed'], cut)
  tokens += params['place'] + params['region']
  tokens = [block(params['encoder_block0'], part, heads) for part in tokens]
  regions = np.stack([dense(params['gather'], part.ravel()) for part in tokens])
  # Alone among its levels, each region attends to itself.
  regions = np.concatenate(
    [block(params['level_block0'], part[None], heads) for part in regions]
  )
  regions = norm(
    params['head_norm'], block(params['region_block0'], regions, heads)
  )
  scores = np.exp(regions @ params['pool']['kernel'])
  return dense(params['head'], (scores / scores.sum() * regions).sum(0))


def block(params, x, heads):
  attend = params['attention']
  y = norm(params['attention_norm'], x)
  mixed = []
  for q, k, v in zip(
    *(
      np.split(dense(attend[name], y), heads, -1)
      for name in ('query', 'key', 'value')
    ),
    strict=True,
  ):
    weights = np.exp(q @ k.T / q.shape[-1] ** 0.5)
    mixed.append(weights / weights.sum(-1, keepdims=True) @ v)
  x = x + dense(attend['out'], np.concatenate(mixed, -1))
  y = dense(params['mlp']['inner'], norm(params['mlp_norm'], x))
  y = y * 0.5 * (1 + np.vectorize(math.erf)(y / 2**0.5))
  return x + dense(params['mlp']['outer'], y)


def dense(params, x):
  return x @ params['kernel'] + params.get('bias', 0)


def norm(params, x):
  x = x - x.mean(-1, keepdims=True)
  x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
  return x * params['scale'] + params['bias']


def test_weights_of_levels_and_regions_are_shares(model, variables, x):
  _, out = apply(model, variables, x)
  assert out['region_weights'].shape == (3, 4, 4)
  assert out['encoder_attention'][0].shape == (3, 4, 4, 2, 4, 4)
  assert out['level_attention'][0].shape == (3, 4, 2, 4, 4)
  assert out['region_attention'][0].shape == (3, 4, 2, 4, 4)
  assert (out['region_weights'] > 0).all()
  np.testing.assert_allclose(out['level_weights'].sum(1), 1, rtol=1e-6)
  assert_same(out['region_weights'].sum(2), out['level_weights'])
  assert out['place_weights'].shape == (3, 4, 4, 4)
  np.testing.assert_allclose(out['place_weights'].sum(-1), 1, rtol=1e-5)


def test_level_dropout_drops_whole_levels_and_never_all(variables, x):
  model = models.make(
    'artnet', 'tiny', levels=ALPHAS, dropout=0.0, level_dropout=0.5
  )
  many = jnp.repeat(x, 400, 0)
  rngs = {'dropout': jax.random.key(3)}
  _, out = apply(model, variables, many, train=True, rngs=rngs)
  kept = np.asarray(out['level_weights']) > 0
  np.testing.assert_array_equal(
    kept, (np.asarray(out['region_weights']) > 0).all(-1)
  )
  assert kept.any(1).all()
  # A half of each level, and one level where all four had fallen.
  assert kept.sum(1).mean() == pytest.approx(2 + 1 / 16, abs=0.1)
  assert len(np.unique(kept, axis=0)) == 15
  np.testing.assert_allclose(kept.mean(0), 0.516, atol=0.06)
  assert_same(
    apply(model, variables, x)[0],
    apply(model.clone(level_dropout=0.0), variables, x)[0],
  )


def test_level_dropout_keeps_to_the_levels_that_are_present(variables, x):
  model = models.make('artnet', 'tiny', levels=ALPHAS, level_dropout=0.75)
  rngs = {'dropout': jax.random.key(3)}
  present = jnp.array([False, True, True, False])
  _, out = apply(
    model,
    variables,
    jnp.repeat(x, 50, 0),
    train=True,
    present=present,
    rngs=rngs,
  )
  kept = np.asarray(out['level_weights']) > 0
  assert kept.any(1).all()
  assert not kept[:, [0, 3]].any()
  assert kept.sum(1).min() == 1 and kept.sum(1).max() == 2


def test_swapping_attention_keeps_the_parameter_tree(variables, x):
  for name in ('linear', 'windowed', 'softmax'):
    swapped = models.make(
      'artnet', 'tiny', levels=ALPHAS, attention_fn=attention.ATTENTION[name]
    )
    own = jax.eval_shape(
      lambda swapped=swapped: swapped.init(jax.random.key(0), x, train=False)
    )
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, variables)


NOT_FACTORS = (0.0, -1.0, np.nan, np.inf)
WITHOUT_LAST = np.array([True, True, True, False])


def test_factor_and_content_of_an_absent_level_have_no_effect(
  model, variables, x
):
  @jax.jit
  def gradients(variables, x, levels):
    def loss(variables, x):
      logits, _ = model.apply(
        variables, x, train=False, levels=levels, present=WITHOUT_LAST
      )
      return jnp.square(logits).sum(), logits

    return jax.value_and_grad(loss, (0, 1), has_aux=True)(variables, x)

  expected = gradients(variables, x, np.array(ALPHAS, np.float32))
  assert np.isfinite(expected[0][0])
  assert not expected[1][1][:, 3].any()
  for broken in NOT_FACTORS:
    levels = np.array([*ALPHAS[:3], broken], np.float32)
    found = gradients(variables, x.at[:, 3].set(broken), levels)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    # Here the factors are known, and still no error.
    logits = jax.jit(
      lambda x, levels=levels: model.apply(
        variables, x, train=False, levels=levels, present=WITHOUT_LAST
      )[0]
    )(x)
    assert_same(logits, expected[0][1])


BROKEN_LEVELS = [
  ([0.0, 2, 4, 8], [True] * 4),
  ([1.0, -2, 4, 8], [True] * 4),
  ([1.0, 2, np.nan, 8], [True] * 4),
  ([1.0, 2, 4, np.inf], [True] * 4),
  (ALPHAS, [False] * 4),
]


@pytest.mark.parametrize('levels, present', BROKEN_LEVELS)
def test_known_levels_that_cannot_be_read_are_an_error(
  model, variables, x, levels, present
):
  present = np.array([[True] * 4, present, [True] * 4])
  levels = np.array([ALPHAS, levels, ALPHAS])
  words = 'in example 1; expected at least one level.*finite numbers'
  with pytest.raises(ValueError, match=words):
    model.apply(variables, x, train=False, levels=levels, present=present)


@pytest.mark.parametrize('train', [False, True])
def test_inside_jit_only_examples_whose_levels_cannot_be_read_are_nan(
  model, variables, x, train
):
  rows = [*BROKEN_LEVELS, (ALPHAS, [True] * 4)]
  levels, present = (np.array(x) for x in zip(*rows, strict=True))
  good = np.full_like(levels, ALPHAS), np.ones_like(present)
  counted = np.arange(6) == 5
  x = jnp.concatenate([x, x])

  @jax.jit
  def gradients(variables, levels, present, counted):
    def loss(variables):
      rngs = {'dropout': jax.random.key(0)}
      logits, _ = model.apply(
        variables, x, train=train, levels=levels, present=present, rngs=rngs
      )
      return jnp.where(counted, jnp.square(logits).sum(1), 0).sum(), logits

    return jax.grad(loss, has_aux=True)(variables)

  found, logits = gradients(variables, levels, present, counted)
  expected, expected_logits = gradients(variables, *good, counted)
  assert np.isnan(logits[:5]).all()
  assert_same(logits[5], expected_logits[5])
  # Whether the loss counts these examples or not, its gradient is that of the
  # others.
  closeness.assert_trees_close(found, expected, 1e-5)
  found, _ = gradients(variables, levels, present, np.ones(6, bool))
  closeness.assert_trees_close(found, expected, 1e-5)


@pytest.mark.parametrize('factor', [0.0, -1.0, float('nan'), float('inf')])
def test_the_field_levels_is_checked_even_inside_jit(x, factor):
  model = models.make('artnet', 'tiny', levels=(1, 2, 4, factor))
  with pytest.raises(ValueError, match='levels is .1.0, .* finite numbers'):
    jax.eval_shape(model.init, jax.random.key(0), x)


def test_present_of_another_shape_is_an_error(model, x, monkeypatch):
  # As outside of these tests, where nobody checks jaxtyping's shapes.
  monkeypatch.setattr(jaxtyping_config, 'jaxtyping_disable', True)
  with pytest.raises(ValueError, match=r'present of shape \(3,\); expected'):
    jax.eval_shape(
      lambda x: model.init(jax.random.key(0), x, present=np.ones(3, bool)), x
    )


@pytest.mark.parametrize(
  'fields, shape, message',
  [
    ({}, (1, 3, 32, 32, 3), r'3 levels and factors of shape \(4,\)'),
    ({'levels': ()}, (1, 3, 32, 32, 3), r'factors of shape \(0,\)'),
    ({}, (1, 4, 32, 48, 3), 'images of 32 x 48 .* multiple of 16'),
    ({'patch_size': 7}, (1, 4, 32, 32, 3), 'multiple of 14'),
  ],
)
def test_sizes_that_do_not_fit_are_an_error(fields, shape, message):
  model = models.make('artnet', 'tiny', **({'levels': ALPHAS} | fields))
  with pytest.raises(ValueError, match=message):
    model.init(jax.random.key(0), jnp.ones(shape), train=False)


def test_unknown_preset_is_an_error_that_lists_the_known():
  with pytest.raises(ValueError, match='base.*small.*tiny'):
    models.make('artnet', 'nothing')
