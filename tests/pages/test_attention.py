"""Pictures of where models looked: the right colours at the right places."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from mejax.pages import attention
from mejax.pages import frame
from mejax.pages import svg


def layers(svg: str) -> list[np.ndarray]:
  """Every picture with transparency in an SVG, by OpenCV, BGRA."""
  data = re.findall(r'base64,([^"]+)"', svg)
  read = [
    cv2.imdecode(
      np.frombuffer(base64.b64decode(one), np.uint8), cv2.IMREAD_UNCHANGED
    )
    for one in data
  ]
  return [picture for picture in read if picture.shape[2:] == (4,)]


def section(maps) -> str:
  """The part of the report, as it is laid out."""
  return frame.render('attention.html', attention=attention.describe(maps))


def coloured(picture: np.ndarray) -> np.ndarray:
  return np.ptp(picture[..., :3].astype(int), axis=2) > 40


@pytest.fixture
def numbers():
  """Two classes; the first is looked at in its upper right region alone."""
  heat = np.ones((3, 4, 2, 2), np.float32)
  heat[0, 1] = 4
  return {
    'classes': np.array(['a < b', 'c', 'nobody']),
    'clips': np.array([3, 4, 0]),
    'seeds': np.array(2),
    'titles': np.array(['within each region']),
    'kinds': np.array(['attention']),
    'map0': heat,
  }


def test_heat_is_where_its_region_is_cut_out(numbers):
  corners = np.array([[0, 0], [4, 10], [10, 0], [10, 10]])
  scene = {'corners': corners, 'motion': np.zeros((3, 20, 20), np.float32)}
  moved, hot, _, fair = layers(attention.draw(numbers | scene))
  assert not coloured(moved)[moved[..., 3] > 128].any()
  rows, columns = (np.flatnonzero(coloured(hot).any(i)) for i in (1, 0))
  scale = len(hot) / 20
  # The part of the region that no other holds, at least, and nothing outside.
  assert rows[0] == pytest.approx(4 * scale, abs=1)
  assert columns[0] == pytest.approx(10 * scale, abs=1)
  assert rows[-1] < 14 * scale and columns[-1] == len(hot) - 1
  # What is looked at no more than its share has no colour.
  assert not coloured(fair).any()
  # Outside the regions it is pale.
  assert hot[5, -5, 3] > 150 > hot[5, 5, 3]


def test_a_map_of_the_whole_face_is_not_cut(numbers):
  numbers['map0'] = np.zeros((3, 1, 4, 4), np.float32)
  numbers['map0'][:, 0, 3, 0] = 16
  hot, *_ = layers(attention.draw(numbers))
  rows, columns = np.nonzero(coloured(hot))
  assert rows.min() > len(hot) / 2 and columns.max() < len(hot) / 2


def test_there_is_a_row_for_each_class_with_clips(numbers):
  shown = section(numbers)
  assert 'a &lt; b' in shown and '3 clips' in shown
  assert 'nobody' not in shown
  picture = re.search('<svg.*</svg>', shown, re.DOTALL).group()
  tree = ElementTree.fromstring(picture)
  assert tree.get('role') == 'img' and tree.get('aria-label')


def test_words_are_those_of_what_is_shown(numbers):
  shown = section(numbers)
  assert 'no explanation' in shown and 'never saw' in shown
  assert 'mean over heads' in shown and 'rollout' not in shown
  assert 'Moved' not in shown and 'mean of all people' not in shown
  assert 'inputs as the model has them' in shown
  numbers['face'] = np.full((8, 8), 7, np.uint8)
  assert 'mean of all people' in section(numbers)


def test_the_share_of_each_amplification_stands_below_it(numbers):
  numbers['titles'] = np.array(['as it is', 'amplified 4 times'])
  numbers['kinds'] = np.array(['read', 'read'])
  numbers['map1'] = 3 * numbers['map0']
  shown = section(numbers)
  assert '25 % read' in shown and '75 % read' in shown
  assert 'rollout' in shown


def test_the_face_stands_in_the_page_once(numbers):
  face = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
  picture = attention.draw(numbers | {'face': face})
  name = re.search('symbol id="([^"]+)"', picture).group(1)
  assert picture.count(f'href="#{name}"') == 2
  # Runs on other people beside it have a name of their own for theirs.
  assert name not in attention.draw(numbers | {'face': face.T.copy()})


def test_all_maps_have_one_scale(numbers):
  numbers['map0'] = np.ones((3, 1, 2, 2), np.float32)
  numbers['map0'][0], numbers['map0'][1] = 2, 4
  faint, strong, *_ = layers(attention.draw(numbers))
  assert faint[0, 0, 3] < strong[0, 0, 3]


def test_a_picture_can_stand_alone(numbers):
  picture = svg.standalone(attention.draw(numbers))
  tree = ElementTree.fromstring(picture)
  assert tree.tag == '{http://www.w3.org/2000/svg}svg'
  assert tree[0].tag.endswith('style') and tree.get('class') == 'alone'


def test_models_that_look_nowhere_or_evenly_have_a_picture(numbers):
  for value in (0, 1):
    numbers['map0'][:] = value
    assert 'nan' not in attention.draw(numbers)
