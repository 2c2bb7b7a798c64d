"""Heat on faces: the right numbers in the right places."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from mejax.evaluation import attention_map


def decoded(svg: str) -> list[np.ndarray]:
  """Every picture in an SVG, by OpenCV, RGB."""
  return [
    cv2.imdecode(
      np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR_RGB
    )
    for data in re.findall(r'base64,([^"]+)"', svg)
  ]


def test_png_is_what_opencv_reads_back():
  pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
  data = np.frombuffer(attention_map.png(pixels), np.uint8)
  read = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
  np.testing.assert_array_equal(read, pixels)


def test_uniform_attention_is_a_fair_share_everywhere():
  np.testing.assert_allclose(
    attention_map.received(np.full((4, 2, 9, 9), 1 / 9)), 1
  )


def test_received_is_the_mean_over_queries_of_weights_brought_to_one():
  weights = np.array([[[0.2, 0.6], [0.1, -0.1]]])
  np.testing.assert_allclose(attention_map.received(weights), [[0.75, 1.25]])


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
    np.testing.assert_allclose(panel.heat, quarters)


def test_blocks_without_weights_or_places_are_left_out():
  attention = [[None, np.ones((4, 2, 4, 4))], [np.ones((1, 3, 1, 1))]]
  (row,) = attention_map.by_head(attention)
  assert [panel.title for panel in row] == [
    'level 0, block 1, head 0',
    'level 0, block 1, head 1',
  ]
  with pytest.raises(ValueError, match='nothing to draw'):
    attention_map.draw(
      attention_map.by_head([[None]]), np.zeros((8, 8, 3), np.uint8)
    )


def test_levels_share_the_heat_as_the_pool_shares_its_weights():
  share = np.array([[0.1, 0.2, 0.0, 0.1], [0.3, 0.1, 0.1, 0.1]])
  weights = np.full((2, 4, 2, 9, 9), 1 / 9)
  out = {'region_weights': share, 'encoder_attention': (weights,)}
  (row,) = attention_map.by_level(out, (1, 4))
  assert [panel.title for panel in row] == ['as it is', 'amplified 4 times']
  assert [panel.note for panel in row] == ['40 % read', '60 % read']
  for panel, part in zip(row, share, strict=True):
    assert panel.heat.shape == (4, 3, 3)
    np.testing.assert_allclose(panel.heat.mean((1, 2)), 8 * part)
  out['encoder_attention'] = (None,)
  (row,) = attention_map.by_level(out, (1, 4))
  np.testing.assert_allclose(row[1].heat[:, 0, 0], 8 * share[1])


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
