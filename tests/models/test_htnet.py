"""What HTNet promises besides parity, which test_htnet_golden checks."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.models import htnet


@pytest.mark.parametrize(
  'depths, parameters', [((2, 2, 10), 139_582_982), ((2, 2, 8), 114_429_446)]
)
def test_released_model_has_the_published_parameters(depths, parameters):
  model = htnet.make('released', depths=depths)
  variables = jax.eval_shape(
    lambda key: model.init(key, jnp.ones((1, 28, 28, 3)), train=False),
    jax.random.key(0),
  )
  sizes = [leaf.size for leaf in jax.tree.leaves(variables)]
  assert sum(sizes) == parameters


def test_docstring_tells_tokens_and_parameters_of_every_preset():
  for name, fields in htnet.PRESETS.items():
    model = htnet.make(name)
    variables, (_, out) = jax.eval_shape(
      lambda key, model=model: (
        model.init(key, jnp.ones((1, 28, 28, 3)), train=False),
        model.init_with_output(key, jnp.ones((1, 28, 28, 3)), train=False)[0],
      ),
      jax.random.key(0),
    )
    tokens = ', '.join(str(level.shape[2]) for level in out['regions'])
    size = sum(leaf.size for leaf in jax.tree.leaves(variables))
    assert len(out['regions']) == len(fields['depths'])
    pattern = rf'^{name} +{tokens} +{size:,} '
    assert re.search(pattern, htnet.__doc__, re.MULTILINE), pattern


def test_regions_block_sees_its_own_region_only_before_the_convolution():
  model = htnet.make('tiny')
  x = jax.random.uniform(jax.random.key(1), (2, 28, 28, 3), maxval=255)
  variables = jax.jit(model.init, static_argnames='train')(
    jax.random.key(0), x, train=False
  )
  changed = x.at[:, 14:, :14].set(0)
  apply = jax.jit(model.apply, static_argnames='train')
  _, before = apply(variables, x, train=False)
  _, after = apply(variables, changed, train=False)
  moved = np.abs(before['regions'][0] - after['regions'][0]).max((0, 2, 3))
  assert moved[2] > 1
  np.testing.assert_array_equal(moved[[0, 1, 3]], 0)


@pytest.mark.parametrize(
  'fields, shape, message',
  [
    ({}, (1, 32, 32, 3), r'expected \[b, 28, 28, c\]'),
    ({'patch_size': 3}, (1, 28, 28, 3), 'does not divide into patches of 3'),
    ({'heads': 9}, (1, 28, 28, 3), 'less than 9 heads'),
  ],
)
def test_sizes_that_do_not_fit_are_an_error(fields, shape, message):
  with pytest.raises(ValueError, match=message):
    htnet.make('tiny', **fields).init(
      jax.random.key(0), jnp.ones(shape), train=False
    )


def test_unknown_preset_is_an_error_that_lists_the_known():
  with pytest.raises(ValueError, match='released.*regions.*tiny'):
    htnet.make('nothing')


def test_stochastic_depth_changes_training_alone_and_no_parameter():
  plain, deep = htnet.make('tiny'), htnet.make('tiny', drop_path=0.5)
  x = jax.random.uniform(jax.random.key(1), (8, 28, 28, 3), maxval=255)
  variables = jax.jit(plain.init, static_argnames='train')(
    jax.random.key(0), x, train=False
  )
  shapes = jax.eval_shape(lambda: deep.init(jax.random.key(0), x, train=False))
  assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, shapes)

  def logits(model, seed, train):
    rngs = {'dropout': jax.random.key(seed)}
    return jax.jit(model.apply, static_argnames='train')(
      variables, x, train=train, rngs=rngs
    )[0]

  np.testing.assert_array_equal(logits(deep, 0, False), logits(plain, 0, False))
  assert (logits(deep, 0, True) != logits(deep, 1, True)).any()
