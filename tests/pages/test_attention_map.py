"""Heat on faces: the right numbers in the right places."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import models
from mejax.models import attention
from mejax.pages import attention_map


def decoded(svg: str) -> list[np.ndarray]:
  """Every picture in an SVG, by OpenCV, RGB."""
  return [
    cv2.imdecode(
      np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR_RGB
    )
    for data in re.findall(r'base64,([^"]+)"', svg)
  ]


@pytest.mark.parametrize(
  ('channels', 'mode'),
  [
    (1, cv2.IMREAD_UNCHANGED),
    (3, cv2.IMREAD_COLOR_RGB),
    (4, cv2.IMREAD_UNCHANGED),
  ],
)
def test_png_is_what_opencv_reads_back(channels, mode):
  pixels = np.random.default_rng(0).integers(0, 256, (7, 5, channels), np.uint8)
  data = np.frombuffer(attention_map.png(pixels), np.uint8)
  read = cv2.imdecode(data, mode).reshape(pixels.shape)
  if channels == 4:
    read = cv2.cvtColor(read, cv2.COLOR_BGRA2RGBA)
  np.testing.assert_array_equal(read, pixels)


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
    keys = np.stack(blocks)[:, None, None]  # [r, 1, 1, n]
    weights = np.repeat(keys, inner**2, 2)
    ((panel,),) = attention_map.by_head([[weights]])
    quarters = [
      half[:, part]
      for half in (expected[:4], expected[4:])
      for part in (slice(4), slice(4, 8))
    ]
    np.testing.assert_allclose(panel.heat, quarters, rtol=1e-5)


def test_a_middle_row_is_drawn_in_both_halves():
  """49 tokens in one block, as the second hierarchy of HTNet at 28 pixels."""
  tokens = np.arange(49.0) + 1
  weights = np.tile(tokens, (1, 1, 49, 1))
  ((panel,),) = attention_map.by_head([[weights]])
  grid = np.kron(tokens.reshape(7, 7) / tokens.mean(), np.ones((2, 2)))
  np.testing.assert_allclose(panel.heat[0], grid[:7, :7], rtol=1e-5)
  np.testing.assert_allclose(panel.heat[3], grid[7:, 7:], rtol=1e-5)


def test_blocks_without_weights_or_places_are_left_out():
  hierarchies = [[None, np.ones((4, 2, 4, 4))], [np.ones((1, 3, 1, 1))]]
  (row,) = attention_map.by_head(hierarchies)
  assert [panel.title for panel in row] == [
    'hierarchy 0, block 1, head 0',
    'hierarchy 0, block 1, head 1',
  ]
  with pytest.raises(ValueError, match='nothing to draw'):
    attention_map.draw(
      attention_map.by_head([[None]]), np.zeros((8, 8, 3), np.uint8)
    )


SHARE = np.array([[0.1, 0.2, 0.0, 0.1], [0.3, 0.1, 0.1, 0.1]])


def test_levels_share_the_heat_as_the_pool_shares_its_weights():
  places = np.random.default_rng(0).dirichlet(np.ones(9), (2, 4))
  out = {
    'region_weights': SHARE,
    'place_weights': places,
    'encoder_attention': (None,),
  }
  (row,) = attention_map.by_level(out, (1, 4))
  assert [panel.title for panel in row] == ['as it is', 'amplified 4 times']
  assert [panel.note for panel in row] == ['40 % read', '60 % read']
  for level, panel in enumerate(row):
    assert panel.heat.shape == (4, 3, 3)
    np.testing.assert_allclose(
      panel.heat.mean((1, 2)), 8 * SHARE[level], rtol=1e-5
    )
    expected = 72 * SHARE[level][:, None] * places[level]
    np.testing.assert_allclose(panel.heat.reshape(4, 9), expected, rtol=1e-5)
  assert np.mean([panel.heat for panel in row]) == pytest.approx(1, rel=1e-5)


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
    (row,) = attention_map.by_level(out | {'encoder_attention': blocks}, (1, 4))
    heat = row[0].heat[1].ravel()
    np.testing.assert_allclose(heat / heat.sum(), traced, rtol=1e-5)


def alone(query, key, value):
  """Every place looks at itself only."""
  weights = jnp.eye(query.shape[-3])
  shape = (*query.shape[:-3], query.shape[-2], *weights.shape)
  return value, jnp.broadcast_to(weights, shape)


@pytest.mark.parametrize(
  ('attention_fn', 'others_count'), [(alone, False), (attention.softmax, True)]
)
def test_picture_of_a_model_is_hot_where_it_reads(attention_fn, others_count):
  """It gathers one place of each region: the lower left of four."""
  model = models.make(
    'artnet', 'tiny', levels=(1, 4), attention_fn=attention_fn
  )
  apply = jax.jit(lambda variables, x: model.apply(variables, x, train=False))
  init = jax.jit(lambda x: model.init(jax.random.key(0), x, train=False))
  x = jax.random.normal(jax.random.key(1), (1, 2, 32, 32, 3))
  variables = init(x)
  width = variables['params']['embed']['bias'].size
  gathered = jnp.repeat(jnp.arange(4) == 2, width)
  variables['params']['gather']['kernel'] *= gathered[:, None]
  logits, out = apply(variables, x)
  out = jax.tree.map(lambda leaf: np.asarray(leaf[0]), out)
  ((panel, _),) = attention_map.by_level(out, (1, 4))
  heat = panel.heat.reshape(4, 4)
  assert (heat.argmax(1) == 2).all()
  assert (heat[:, [0, 1, 3]] > 0).any() == others_count
  # As the picture has it: patches of 8 pixels, here two of the first region.
  for row, column, counts in ((8, 0, True), (0, 8, others_count)):
    patch = np.s_[:, :, row : row + 8, column : column + 8]
    changed, _ = apply(variables, x.at[patch].add(1))
    assert (np.abs(changed - logits).max() > 1e-6) == counts


def test_heat_is_drawn_where_its_region_is():
  heat = np.zeros((4, 2, 2))
  heat[1] = 4.0
  panels = [[attention_map.Panel('a < b', 'note', heat)]]
  corners = np.array([[0, 0], [4, 8], [8, 0], [8, 8]])
  image = np.full((16, 16, 3), 128, np.uint8)
  svg = attention_map.draw(panels, image, corners=corners)
  ElementTree.fromstring(svg)  # It is well-formed, words escaped.
  assert 'a &lt; b' in svg and '4.0 × a fair share' in svg
  (picture,) = decoded(svg)
  coloured = np.ptp(picture.astype(int), axis=2) > 30
  rows, columns = (np.flatnonzero(coloured.any(axis)) for axis in (1, 0))
  scale = len(picture) / 16
  assert (rows[0], columns[0]) == (4 * scale, 8 * scale)
  assert (rows[-1], columns[-1]) == (12 * scale - 1, 16 * scale - 1)
  assert coloured[rows[0] : rows[-1], columns[0] : columns[-1]].all()


def test_all_panels_have_one_scale():
  panels = [
    [
      attention_map.Panel(f'{top}', '', np.full((4, 1, 1), top))
      for top in (1.0, 4.0)
    ]
  ]
  faint, strong = decoded(
    attention_map.draw(panels, np.full((8, 8, 3), 0.5, np.float32))
  )
  assert np.ptp(strong[0, 0].astype(int)) > np.ptp(faint[0, 0].astype(int))
