"""Maps of what models show of themselves, and what has nothing to show."""

from __future__ import annotations

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import models
from mejax.evaluation import attention


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
  out = shapes(name, shape, **fields)
  levels = fields.get('levels', ())
  assert [p.title for p in attention.pictures(out, levels)] == titles

  def make(out):
    return [picture.make() for picture in attention.pictures(out, levels)]

  # And the maps are made of a batch as it is: regions of square maps.
  for each in jax.eval_shape(make, out):
    batch, regions, *sides = each.shape
    assert batch == 2 and regions in (1, 4) and sides[0] == sides[1]


def test_attention_without_weights_shows_nothing():
  assert attention.pictures({'attention': [(None,), (None, None)]}) == []
  gates = {'gates': (None,), 'attention': (None,)}
  assert attention.pictures(gates) == []


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
def test_whatever_else_a_model_of_ones_own_returns_is_left_alone(out):
  assert attention.pictures(out) == []


def test_a_hierarchy_of_htnet_is_the_mean_of_its_heads_and_layers():
  source = np.random.default_rng(0)
  first, second = source.dirichlet(np.ones(4), (2, 3, 4, 2, 4))
  hierarchies = [(first, None, second)]
  (picture,) = attention.pictures({'attention': hierarchies})
  expected = 4 * np.mean([first, second], 0).mean((2, 3))  # [b, r, n]
  np.testing.assert_allclose(
    picture.make(), expected.reshape(3, 4, 2, 2), rtol=1e-5
  )


def test_gates_are_shrunk_and_compared_with_their_mean():
  gate = np.random.default_rng(0).random((2, 64, 64, 1))
  (picture,) = attention.pictures({'gates': (gate, None)})
  # The mean of each square of 2 x 2, as OpenCV shrinks by area.
  for made, one in zip(picture.make(), gate, strict=True):
    expected = cv2.resize(one, (32, 32), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(made[0], expected / one.mean(), rtol=1e-4)
