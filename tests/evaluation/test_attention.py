"""Maps of what models show of themselves, and what has nothing to show."""

from __future__ import annotations

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import models
from mejax.evaluation import attention
from mejax.models import capabilities


def test_uniform_attention_is_a_fair_share_everywhere():
  np.testing.assert_allclose(
    attention.received(np.full((4, 2, 9, 9), 1 / 9)), 1, rtol=1e-6
  )


def test_received_is_the_mean_over_queries_of_weights_brought_to_one():
  weights = np.array([[[0.2, 0.6], [0.1, -0.1]]])
  np.testing.assert_allclose(
    attention.received(weights), [[0.75, 1.25]], rtol=1e-6
  )


def shapes(name, shape, **fields):
  """`out` of a model of the house as shapes, nothing computed."""
  model = models.make(name, **fields)
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
  model = models.MODELS[name](**fields)
  declared = capabilities.declared_by(model)
  out = shapes(model, shape)

  def pictures(out):
    return attention.pictures(out, declared.shows, declared.levels or ())

  def make(out):
    return [picture.make() for picture in pictures(out)]

  assert [picture.title for picture in pictures(out)] == titles

  # And the maps are made of a batch as it is: regions of square maps.
  for each in jax.eval_shape(make, out):
    batch, regions, *sides = each.shape
    assert batch == 2 and regions in (1, 4) and sides[0] == sides[1]


def test_attention_without_weights_shows_nothing():
  out = {'attention': [(None,), (None, None)]}
  assert attention.pictures(out, 'hierarchies') == []
  out = {'gates': (None,), 'attention': (None,)}
  assert attention.pictures(out, 'gates') == []


@pytest.mark.parametrize(
  'weights',
  [
    [jnp.zeros((2, 4, 9, 9))],
    [(jnp.zeros((2, 4, 2, 8, 8)),)],
    [(jnp.zeros((1, 4, 2, 9, 9)), jnp.zeros((1, 4, 2, 4, 4)))],
  ],
)
def test_weights_of_another_shape_are_left_out(weights):
  assert attention.pictures({'attention': weights}, 'hierarchies') == []


@pytest.mark.parametrize('out', [None, (), {}, {'attention': ()}])
def test_an_out_that_lacks_what_is_declared_is_an_error(out):
  with pytest.raises(ValueError, match="shows 'gates', but its `out` has no"):
    attention.pictures(out, 'gates')


def test_an_unknown_form_is_an_error_that_names_the_known_ones():
  with pytest.raises(ValueError, match="'heat'; known forms are levels, hier"):
    attention.pictures({}, 'heat')


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
  assert attention.pictures(out, '') == []


def test_a_hierarchy_of_htnet_is_the_mean_of_its_heads_and_layers():
  source = np.random.default_rng(0)
  first, second = source.dirichlet(np.ones(4), (2, 3, 4, 2, 4))
  hierarchies = [(first, None, second)]
  (picture,) = attention.pictures({'attention': hierarchies}, 'hierarchies')
  expected = 4 * np.mean([first, second], 0).mean((2, 3))  # [b, r, n]
  np.testing.assert_allclose(
    picture.make(), expected.reshape(3, 4, 2, 2), rtol=1e-5
  )


def test_gates_are_shrunk_and_compared_with_their_mean():
  gate = np.random.default_rng(0).random((2, 64, 64, 1))
  out = {'gates': (gate, None), 'attention': (None,)}
  (picture,) = attention.pictures(out, 'gates')
  # The mean of each square of 2 x 2, as OpenCV shrinks by area.
  for made, one in zip(picture.make(), gate, strict=True):
    expected = cv2.resize(one, (32, 32), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(made[0], expected / one.mean(), rtol=1e-4)
