"""Maps of what models show of themselves, and what has nothing to show."""

from __future__ import annotations

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import models
from mejax.evaluation import attention
from mejax.models import attention as attention_fns
from mejax.models import capabilities
from tests.models import smallest

pytestmark = pytest.mark.unoptimised


def test_uniform_attention_is_a_fair_share_everywhere():
  np.testing.assert_allclose(
    attention.attention_per_key(np.full((4, 2, 9, 9), 1 / 9)), 1, rtol=1e-6
  )


def test_received_is_the_mean_over_queries_of_weights_brought_to_one():
  weights = np.array([[[0.2, 0.6], [0.1, -0.1]]])
  np.testing.assert_allclose(
    attention.attention_per_key(weights), [[0.75, 1.25]], rtol=1e-6
  )


def test_blocks_of_any_hierarchy_land_in_the_quarters_of_the_mosaic():
  """A number for each place, cut into blocks as HTNet cuts it."""
  mosaic = np.arange(64.0).reshape(8, 8) + 1
  for side in (4, 2, 1):
    inner, blocks, expected = 8 // side, [], np.zeros((8, 8))
    for row, column in np.ndindex(side, side):
      place = np.s_[
        row * inner : (row + 1) * inner, column * inner : (column + 1) * inner
      ]
      blocks.append(mosaic[place].ravel())
      expected[place] = mosaic[place] / mosaic[place].mean()
    keys = np.stack(blocks)[None, :, None, None]  # [1, r, 1, 1, n]
    weights = np.repeat(keys, inner**2, 3)
    (found,) = attention.list_maps({'attention': [(weights,)]}, 'hierarchies')
    quarters = [
      half[:, part]
      for half in (expected[:4], expected[4:])
      for part in (slice(4), slice(4, 8))
    ]
    np.testing.assert_allclose(found.make()[0], quarters, rtol=1e-5)


def test_a_middle_row_is_in_both_halves():
  """49 tokens in one block, as the second hierarchy of HTNet at 28 pixels."""
  tokens = np.arange(49.0) + 1
  weights = np.tile(tokens, (1, 1, 1, 49, 1))
  (found,) = attention.list_maps({'attention': [(weights,)]}, 'hierarchies')
  heat = found.make()[0]
  grid = np.kron(tokens.reshape(7, 7) / tokens.mean(), np.ones((2, 2)))
  np.testing.assert_allclose(heat[0], grid[:7, :7], rtol=1e-5)
  np.testing.assert_allclose(heat[3], grid[7:, 7:], rtol=1e-5)


def test_blocks_without_weights_or_places_are_left_out():
  hierarchies = [
    (None, np.ones((2, 4, 2, 4, 4))),
    (np.ones((2, 1, 3, 1, 1)),),
  ]
  (found,) = attention.list_maps({'attention': hierarchies}, 'hierarchies')
  assert found.title == 'within each region'
  assert found.make().shape == (2, 4, 2, 2)


SHARE = np.array([[0.1, 0.2, 0.0, 0.1], [0.3, 0.1, 0.1, 0.1]])


def test_levels_share_the_heat_as_the_pool_shares_its_weights():
  places = np.random.default_rng(0).dirichlet(np.ones(9), (2, 4))
  out = {
    'level_weights': SHARE.sum(1)[None],
    'region_weights': SHARE[None],
    'place_weights': places[None],
    'encoder_attention': (None,),
  }
  found = attention.list_maps(out, 'levels', (1, 4))
  assert [one.title for one in found] == ['as it is', 'amplified 4 times']
  heat = np.stack([one.make()[0] for one in found])
  assert heat.shape == (2, 4, 3, 3)
  for level, each in enumerate(heat):
    np.testing.assert_allclose(
      each.mean((1, 2)), 8 * SHARE[level], rtol=1e-5, atol=1e-7
    )
    expected = 72 * SHARE[level][:, None] * places[level]
    np.testing.assert_allclose(each.reshape(4, 9), expected, rtol=1e-5)
  assert heat.mean() == pytest.approx(1, rel=1e-5)


def test_what_a_place_adds_is_traced_to_where_it_looked():
  """All is gathered from place 0, which looks at place 3, and that at 1."""
  places = np.zeros((2, 4, 4))
  places[..., 0] = 1
  looks = np.broadcast_to(np.eye(4)[[3, 1, 2, 1]], (2, 4, 2, 4, 4))
  out = {'region_weights': SHARE, 'place_weights': places}
  for blocks, traced in (
    ((looks,), [1 / 2, 0, 0, 1 / 2]),
    # The last block first: what it found at 3 came there from 1.
    ((looks, looks), [1 / 4, 1 / 4, 0, 1 / 2]),
    ((looks, None), [1 / 2, 0, 0, 1 / 2]),
  ):
    found = attention.trace_to_places(out | {'encoder_attention': blocks})
    heat = np.asarray(found)[0, 1].ravel()
    np.testing.assert_allclose(heat / heat.sum(), traced, rtol=1e-5)


def alone(query, key, value):
  """Every place looks at itself only."""
  weights = jnp.eye(query.shape[-3])
  shape = (*query.shape[:-3], query.shape[-2], *weights.shape)
  return value, jnp.broadcast_to(weights, shape)


@pytest.mark.parametrize(
  ('attention_fn', 'others_count'),
  [(alone, False), (attention_fns.softmax, True)],
)
def test_map_of_a_model_is_hot_where_it_reads(attention_fn, others_count):
  """It gathers one place of each region: the lower left of four."""
  model = models.make(
    'artnet', 'tiny', levels=(1, 4), attention_fn=attention_fn
  )
  apply = jax.jit(lambda variables, x: model.apply(variables, x, train=False))
  x = jax.random.normal(jax.random.key(1), (1, 2, 32, 32, 3))
  variables = smallest.variables(model, x)
  width = variables['params']['embed']['bias'].size
  gathered = jnp.repeat(jnp.arange(4) == 2, width)
  variables['params']['gather']['kernel'] *= gathered[:, None]
  logits, out = apply(variables, x)
  heat = np.asarray(attention.trace_to_places(out))[0, 0].reshape(4, 4)
  assert (heat.argmax(1) == 2).all()
  assert (heat[:, [0, 1, 3]] > 0).any() == others_count
  # As the picture has it: patches of 8 pixels, here two of the first region.
  for row, column, counts in ((8, 0, True), (0, 8, others_count)):
    patch = np.s_[:, :, row : row + 8, column : column + 8]
    changed, _ = apply(variables, x.at[patch].add(1))
    assert (np.abs(changed - logits).max() > 1e-6) == counts


def shapes(model, shape):
  """`out` of a model as shapes, nothing computed."""
  (_, out), _ = jax.eval_shape(
    lambda: model.init_with_output(
      jax.random.key(0), jnp.zeros(shape), train=False
    )
  )
  return out


@pytest.mark.parametrize(
  ('name', 'shape', 'fields', 'titles'),
  [
    ('ststnet', (2, 28, 28, 3), {}, []),
    ('resnet', (2, 28, 28, 3), {}, []),
    ('cnn', (2, 28, 28, 3), {}, []),
    # Every block holds one token: there is nothing to choose from.
    ('htnet', (2, 28, 28, 3), {'preset': 'released'}, []),
    (
      'htnet',
      (2, 28, 28, 3),
      {'preset': 'tiny'},
      ['within each region', 'over all regions'],
    ),
    (
      'htnet',
      (2, 64, 64, 3),
      {'preset': 'paper_tiny'},
      ['within 16 parts', 'within each region', 'over all regions'],
    ),
    (
      'mmnet',
      (2, 2, 32, 32, 3),
      {'preset': 'tiny'},
      ['gate 1', 'gate 2', 'gate 3', 'gate 4', 'onset'],
    ),
    (
      'artnet',
      (2, 2, 32, 32, 3),
      {'preset': 'tiny', 'levels': (1, 4)},
      ['as it is', 'amplified 4 times'],
    ),
  ],
)
def test_models_show_what_they_have(name, shape, fields, titles):
  model = models.make(name, **fields)
  declared = capabilities.declared_by(model)
  out = shapes(model, shape)

  def maps(out):
    return attention.list_maps(out, declared.shows, declared.levels or ())

  def make(out):
    return [each.make() for each in maps(out)]

  assert [each.title for each in maps(out)] == titles

  # And the maps are made of a batch as it is: regions of square maps.
  for each in jax.eval_shape(make, out):
    batch, regions, *sides = each.shape
    assert batch == 2 and regions in (1, 4) and sides[0] == sides[1]


def test_attention_without_weights_shows_nothing():
  out = {'attention': [(None,), (None, None)]}
  assert attention.list_maps(out, 'hierarchies') == []
  out = {'gates': (None,), 'attention': (None,)}
  assert attention.list_maps(out, 'gates') == []


@pytest.mark.parametrize(
  'weights',
  [
    [jnp.zeros((2, 4, 9, 9))],
    [(jnp.zeros((2, 4, 2, 8, 8)),)],
    [(jnp.zeros((1, 4, 2, 9, 9)), jnp.zeros((1, 4, 2, 4, 4)))],
  ],
)
def test_weights_of_another_shape_are_left_out(weights):
  assert attention.list_maps({'attention': weights}, 'hierarchies') == []


@pytest.mark.parametrize('out', [None, (), {}, {'attention': ()}])
def test_an_out_that_lacks_what_is_declared_is_an_error(out):
  with pytest.raises(ValueError, match="shows 'gates', but its `out` has no"):
    attention.list_maps(out, 'gates')


def test_an_unknown_form_is_an_error_that_names_the_known_ones():
  with pytest.raises(ValueError, match="'heat'; known forms are levels, hier"):
    attention.list_maps({}, 'heat')


@pytest.mark.parametrize(
  'out',
  [
    None,
    (),
    jnp.zeros((2, 3)),
    {'attention': jnp.zeros((2, 4, 9, 9))},
    {'attention': [jnp.zeros((2, 4, 9, 9))]},
    {'attention': [(jnp.zeros((2, 4, 2, 8, 8)),)]},
    {'attention': [((jnp.zeros((2, 4, 2, 9, 9)),),)]},
    {'attention': [(jnp.zeros((1, 4, 2, 9, 9)), jnp.zeros((1, 4, 2, 4, 4)))]},
    {'gates': (jnp.zeros((2, 4, 3, 1)), jnp.zeros((2, 5)))},
    {'gates': None, 'attention': 'none'},
  ],
)
def test_what_a_model_that_declares_nothing_returns_is_left_alone(out):
  assert attention.list_maps(out, '') == []


def test_a_hierarchy_of_htnet_is_the_mean_of_its_heads_and_layers():
  source = np.random.default_rng(0)
  first, second = source.dirichlet(np.ones(4), (2, 3, 4, 2, 4))
  hierarchies = [(first, None, second)]
  (found,) = attention.list_maps({'attention': hierarchies}, 'hierarchies')
  expected = 4 * np.mean([first, second], 0).mean((2, 3))  # [b, r, n]
  np.testing.assert_allclose(
    found.make(), expected.reshape(3, 4, 2, 2), rtol=1e-5
  )


def test_gates_are_shrunk_and_compared_with_their_mean():
  gate = np.random.default_rng(0).random((2, 64, 64, 1))
  out = {'gates': (gate, None), 'attention': (None,)}
  (found,) = attention.list_maps(out, 'gates')
  # The mean of each square of 2 x 2, as OpenCV shrinks by area.
  for made, one in zip(found.make(), gate, strict=True):
    expected = cv2.resize(one, (32, 32), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(made[0], expected / one.mean(), rtol=1e-4)


MAPS = {
  'classes': np.array(['a', 'b', 'c']),
  'clips': np.array([3, 0, 1]),
  'seeds': np.array(2),
  'titles': np.array(['t', 'u']),
  'kinds': np.array(['read', 'gate']),
  'map0': np.ones((3, 4, 2, 2), np.float32),
  'map1': np.ones((3, 1, 5, 5), np.float32),
}
SCENE = {
  'face': np.zeros((6, 6), np.uint8),
  'motion': np.zeros((3, 6, 6), np.float32),
  'corners': np.zeros((4, 2), np.int64),
}


def test_stored_maps_are_taken_with_and_without_what_lies_behind_them():
  attention.check(MAPS)
  attention.check(MAPS | SCENE)
  attention.check({**MAPS, 'face': SCENE['face']})


@pytest.mark.parametrize(
  ('changed', 'said'),
  [
    (
      {'map1': np.ones((3, 1, 5, 4), np.float32)},
      r'map1 is float32\[3, 1, 5, 4',
    ),
    ({'map0': np.ones((2, 4, 2, 2), np.float32)}, 'map0 has 2 classes'),
    (
      {'map0': np.ones((3, 2, 2, 2), np.float32)},
      'map0 has 3 classes and 2 reg',
    ),
    ({'map0': np.ones((3, 4, 0, 0), np.float32)}, 'map0 is empty'),
    ({'map0': np.full((3, 4, 2, 2), np.nan)}, 'map0 .* not finite'),
    ({'map0': np.array('<script>')}, 'map0 is <U8'),
    ({'titles': np.array(['t', 'u', 'v'])}, 'kinds .* does not fit'),
    ({'titles': np.array('t'), 'kinds': np.array('r')}, 'titles .* fit'),
    ({'clips': np.zeros(3, int)}, 'no map of any class'),
    ({'clips': np.array(['3', '0', '1'])}, 'clips is <U1'),
    ({'classes': np.array([1, 2, 3])}, 'classes is int'),
    ({'motion': np.zeros((3, 6, 5), np.float32)}, 'motion is float32'),
    ({'motion': np.full((3, 6, 6), np.inf)}, 'motion .* not finite'),
    ({'corners': np.zeros((4, 2), int)}, 'corners do not fit'),
    ({**SCENE, 'corners': np.zeros((3, 2), int)}, 'corners do not fit'),
    ({'face': np.zeros((6, 6))}, 'face is float64'),
  ],
)
def test_arrays_that_are_no_maps_are_refused(changed, said):
  with pytest.raises(ValueError, match=said):
    attention.check(MAPS | changed)


@pytest.mark.parametrize('key', MAPS)
def test_maps_that_lack_an_array_are_refused(key):
  with pytest.raises(ValueError, match=key):
    attention.check({k: v for k, v in MAPS.items() if k != key})
