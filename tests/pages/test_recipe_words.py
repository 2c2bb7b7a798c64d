"""How a dataset was made is said in words, whatever its recipe is."""

from __future__ import annotations

import re

import pytest

from mejax.corpora import htnet_release
from mejax.datasets import recipe as recipe_lib
from mejax.motion import flow
from mejax.motion import magnify
from mejax.pages import recipe_words

# Names of our functions and of their options, which no page needs.
OURS = re.compile(
  'attachment|tightness|pairs_at_once|warps_|poly_n|minmax255|units|sha256 '
  '|_|None|True|False'
)


def _methods():
  yield from ({'flow': name} for name in recipe_lib.FLOWS)
  for name in magnify.MAGNIFY:
    if name != 'learned':
      yield {'levels': (1.0, 4.0), 'magnify': name}
  yield from ({'strain': name} for name in flow.STRAIN_DEFINITIONS)
  yield from ({'faces': name} for name in recipe_lib.FACES)
  yield from ({'apex': name} for name in recipe_lib.APEXES)
  yield {'which_face': 'left', 'neighbours': 2, 'mask_eyelids': True}


@pytest.mark.parametrize('options', list(_methods()))
def test_every_choice_of_a_recipe_has_words(options):
  metadata = recipe_lib.Recipe(**options).describe()
  rows = recipe_words.rows({'corpora': ['video'], **metadata})
  names = [name for name, _ in rows]
  assert len(set(names)) == len(names)
  assert {'databases', 'motion', 'strain', 'optical flow'} <= set(names)
  for row in rows:
    assert not OURS.search(' '.join(row)), row
  words = ' '.join(word for row in rows for word in row)
  for method in (metadata['flow'], metadata['magnify']):
    for name, value in method.items():
      # Every number of a method is on the page, behind its meaning.
      if isinstance(value, (int, float)) and not isinstance(value, bool):
        assert f'{recipe_words.OPTIONS[name]} {value:g}' in words
  if 'which_face' in options:
    assert 'of several faces left' in words
    assert '2 after the onset, 2 on each side' in words


def test_two_recipes_do_not_read_alike():
  texts = {
    str(recipe_words.rows(recipe_lib.Recipe(**options).describe()))
    for options in _methods()
  }
  # The defaults are there once for each table of names.
  assert len(texts) == len(list(_methods())) - 3


def test_ready_made_flow_says_what_is_lost():
  metadata = {
    'units': 'minmax255',
    'strain': 'as released',
    'flow': {'method': 'as released'},
    'levels': [1.0],
    'size': htnet_release.SIZE,
  }
  rows = dict(recipe_words.rows(metadata))
  assert rows['motion'].endswith('its length is lost')
  assert rows['strain'] == rows['optical flow'] == 'as released'
