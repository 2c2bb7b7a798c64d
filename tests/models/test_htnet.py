"""What HTNet promises besides parity, which test_htnet_golden checks."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import models
from mejax.models import htnet
from tests import closeness
from tests.models import smallest

pytestmark = pytest.mark.unoptimised


@pytest.mark.parametrize(
  'depths, parameters', [((2, 2, 10), 139_582_982), ((2, 2, 8), 114_429_446)]
)
def test_released_model_has_the_published_parameters(depths, parameters):
  model = models.make('htnet', 'released', depths=depths)
  variables = jax.eval_shape(
    lambda key: model.init(key, jnp.ones((1, 28, 28, 3)), train=False),
    jax.random.key(0),
  )
  sizes = [leaf.size for leaf in jax.tree.leaves(variables)]
  assert sum(sizes) == parameters


TABLE = {
  'released': ('1, 1, 1', 139_582_982),
  'regions': ('49, 49', 571_045),
  'regions_small': ('49, 49', 81_861),
  'face': ('49, 49', 576_805),
  'face_small': ('49, 49', 84_741),
  'tiny': ('49, 49', 5_565),
  'paper': ('16, 16, 16', 139_768_627),
  'paper_small': ('16, 16, 16', 1_386_435),
  'paper_tiny': ('4, 4, 4', 24_311),
}


def test_table_holds_every_preset():
  assert list(TABLE) == list(htnet.PRESETS)


@pytest.mark.parametrize('name', TABLE)
def test_docstring_tells_tokens_and_parameters_of_every_preset(name):
  tokens, parameters = TABLE[name]
  model = models.make('htnet', name)
  (_, out), variables = jax.eval_shape(
    lambda key: model.init_with_output(key, blank(model), train=False),
    jax.random.key(0),
  )
  assert ', '.join(str(x.shape[2]) for x in out['regions']) == tokens
  assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == parameters
  pattern = rf'^{name} +{model.image_size} +{model.patch_size} +{tokens} '
  pattern += rf'+{parameters:,} '
  assert re.search(pattern, htnet.__doc__, re.MULTILINE), pattern


@pytest.mark.parametrize('name', ['regions_small', 'paper_small'])
def test_docstring_tells_what_xla_counts(name):
  model = models.make('htnet', name)
  variables = jax.eval_shape(
    lambda key: model.init(key, blank(model), train=False), jax.random.key(0)
  )
  run = jax.jit(lambda variables, x: model.apply(variables, x, train=False)[0])
  cost = run.lower(variables, blank(model)).compile().cost_analysis()
  told = float(re.search(rf'^{name} .* ([.\d]+)$', htnet.__doc__, re.M)[1])
  # Another XLA may fuse, and so count, otherwise.
  assert told == pytest.approx(cost['flops'] / 1e9, rel=0.1)


LONE = dict(patch_size=7, dim=8, heads=2, depths=(1, 1, 1))


def test_unread_weights_may_be_left_out_and_all_else_is_drawn_alike():
  x = jax.random.uniform(jax.random.key(1), (2, 28, 28, 3))
  whole, lean = (
    models.make('htnet', **LONE, unread_weights=each) for each in (True, False)
  )
  (logits, out), variables = whole.init_with_output(
    jax.random.key(0), x, train=False
  )
  (less, other), fewer = lean.init_with_output(
    jax.random.key(0), x, train=False
  )
  every, kept = (
    {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
    for leaves in map(jax.tree_util.tree_leaves_with_path, (variables, fewer))
  )
  unread = {x for x in every if "['query']" in x or "['key']" in x}
  assert len(unread) == 6 and kept.keys() == every.keys() - unread
  for name, leaf in kept.items():
    np.testing.assert_array_equal(leaf, every[name])
  closeness.assert_close(less, logits, 1e-6)
  closeness.assert_trees_close(other, out, 1e-6)


def test_without_unread_weights_the_released_model_is_a_sixth_smaller():
  model = models.make('htnet', 'released', unread_weights=False)
  shapes = jax.eval_shape(
    lambda: model.init(jax.random.key(0), blank(model), train=False)
  )
  # Of each block, query and key of floor(d / heads) * heads outputs.
  unread = sum(
    2 * count * d * (d // heads * heads)
    for count, d, heads in ((2, 256, 3), (2, 512, 6), (10, 1024, 12))
  )
  count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
  assert count == 139_582_982 - unread
  assert unread / 139_582_982 == pytest.approx(0.16, abs=0.005)


def test_blocks_of_many_tokens_keep_queries_and_keys():
  shapes = [
    jax.eval_shape(
      lambda model=model: model.init(
        jax.random.key(0), blank(model), train=False
      )
    )
    for model in (
      models.make('htnet', 'tiny', unread_weights=each)
      for each in (True, False)
    )
  ]
  assert jax.tree.map(jnp.shape, shapes[0]) == jax.tree.map(
    jnp.shape, shapes[1]
  )


def test_attention_that_may_read_a_lone_query_is_refused():
  model = models.make(
    'htnet', **LONE, unread_weights=False, attention_fn='talking_heads'
  )
  with pytest.raises(ValueError, match='TalkingHeads.*unread_weights to True'):
    model.init(jax.random.key(0), blank(model), train=False)


def blank(model):
  return jnp.ones((1, model.image_size, model.image_size, 3))


def test_paper_preset_looks_at_quarters_then_regions_then_the_whole():
  model = models.make('htnet', 'paper_tiny')
  x = jax.random.uniform(jax.random.key(1), (1, 64, 64, 3))
  # No convolution, so that patches meet in attention and max-pools only.
  model = model.clone(conv=lambda x, kernel, **_: x @ kernel[1, 1])
  variables = smallest.variables(model, x)
  # A corner of the picture that lies in no other region's pooling window.
  changed = x.at[:, :8, :8].set(0)
  (_, before), (_, after) = (
    smallest.apply(model, variables, image) for image in (x, changed)
  )
  moved = [
    np.abs(old - new).max((0, 2, 3)) > 1e-6
    for old, new in zip(before['regions'], after['regions'], strict=True)
  ]
  assert [list(np.flatnonzero(each)) for each in moved] == [[0], [0], [0]]
  assert [len(each) for each in moved] == [16, 4, 1]
  for weights in before['attention']:
    assert weights[0].shape[-1] == 4
    assert np.ptp(weights[0]) > 1e-3  # It weighs tokens differently.


def test_regions_block_sees_its_own_region_only_before_the_convolution():
  model = models.make('htnet', 'tiny')
  x = jax.random.uniform(jax.random.key(1), (2, 28, 28, 3), maxval=255)
  variables = smallest.variables(model, x)
  changed = x.at[:, 14:, :14].set(0)
  _, before = smallest.apply(model, variables, x)
  _, after = smallest.apply(model, variables, changed)
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
    models.make('htnet', 'tiny', **fields).init(
      jax.random.key(0), jnp.ones(shape), train=False
    )


def test_unknown_preset_is_an_error_that_lists_the_known():
  with pytest.raises(ValueError, match='released.*regions.*tiny'):
    models.make('htnet', 'nothing')


def test_stochastic_depth_changes_training_alone_and_no_parameter():
  plain = models.make('htnet', 'tiny')
  deep = models.make('htnet', 'tiny', drop_path=0.5)
  x = jax.random.uniform(jax.random.key(1), (8, 28, 28, 3), maxval=255)
  variables = smallest.variables(plain, x)
  shapes = jax.eval_shape(lambda: deep.init(jax.random.key(0), x, train=False))
  assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, shapes)

  def logits(model, seed, train):
    rngs = {'dropout': jax.random.key(seed)}
    return smallest.apply(model, variables, x, train=train, rngs=rngs)[0]

  np.testing.assert_array_equal(logits(deep, 0, False), logits(plain, 0, False))
  assert (logits(deep, 0, True) != logits(deep, 1, True)).any()


def with_kernel(variables, kernel):
  embed = {**variables['params']['embed'], 'kernel': kernel}
  return {'params': {**variables['params'], 'embed': embed}}


@pytest.mark.parametrize('patch_size, edge', [(2, 1), (7, 3)])
def test_an_overlapping_stem_also_reads_half_a_patch_around_its_own(
  patch_size, edge
):
  x = smallest.inputs('htnet', 2)
  plain = smallest.make('htnet', patch_size=patch_size)
  over = plain.clone(overlap=True)
  variables = smallest.variables(plain, x)
  kernel = variables['params']['embed']['kernel']
  kernel = kernel.reshape(patch_size, patch_size, 3, -1)
  pads = ((edge, edge), (edge, edge), (0, 0), (0, 0))
  wide = jnp.pad(kernel, pads)
  run = jax.jit(lambda variables: over.apply(variables, x)[0])
  flat = wide.reshape(-1, wide.shape[-1])
  expected = jax.jit(lambda: plain.apply(variables, x)[0])()
  closeness.assert_close(run(with_kernel(variables, flat)), expected, 1e-5)
  corner = wide.at[0, 0].set(1.0).reshape(flat.shape)
  assert np.any(run(with_kernel(variables, corner)) != expected)


def test_positions_of_each_channel_hold_the_original_scalar_as_a_special_case():
  x = smallest.inputs('htnet', 2)
  plain = smallest.make('htnet')
  variables = smallest.variables(plain, x)
  own = {
    name: jnp.tile(leaf[:, None], plain.dim * 2 ** int(name[-1]))
    for name, leaf in variables['params'].items()
    if name.startswith('pos_emb')
  }
  model = plain.clone(channel_positions=True)
  shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x))['params']
  assert {name: shapes[name].shape for name in own} == {
    name: leaf.shape for name, leaf in own.items()
  }
  logits = jax.jit(
    lambda: (
      plain.apply(variables, x)[0],
      model.apply({'params': {**variables['params'], **own}}, x)[0],
    )
  )()
  closeness.assert_close(*logits, 1e-6)
