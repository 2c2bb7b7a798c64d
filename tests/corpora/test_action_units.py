"""The grammar of action units."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from mejax.corpora.action_units import ActionUnit
from mejax.corpora.action_units import parse

U = ActionUnit


@pytest.mark.parametrize(
  ('text', 'units'),
  [
    ('', []),
    ('?', []),
    ('4', [U(4)]),
    ('4+7', [U(4), U(7)]),
    ('4+7+L10', [U(4), U(7), U(10, 'L')]),
    ('R6+R12', [U(6, 'R'), U(12, 'R')]),
    ('12+12', [U(12)]),
    ('14?', [U(14)]),
    ('A24C', [U(24, 'A', 'C')]),
    ('10A/B', [U(10, '', 'A/B')]),
    ('A/L12', [U(12, 'A/L')]),
    ('4/7', [U(4, certain=False), U(7, certain=False)]),
    ('10A/L12', [U(10, '', 'A', False), U(12, 'L', '', False)]),
    ('L12 or L14', [U(12, 'L', certain=False), U(14, 'L', certain=False)]),
    (
      '(R6 or R12)+R15',
      [U(6, 'R', certain=False), U(12, 'R', certain=False), U(15, 'R')],
    ),
    (
      'R14A or 17A or 24A',
      [
        U(14, 'R', 'A', False),
        U(17, '', 'A', False),
        U(24, '', 'A', False),
      ],
    ),
    ('AU4(k)+AU12', [U(4, static=True), U(12)]),
    ('4(k)', [U(4, static=True)]),
    ('4,7,14', [U(4), U(7), U(14)]),
    ('4，7, 14', [U(4), U(7), U(14)]),
    ('4+', [U(4)]),
  ],
)
def test_what_sheets_write_is_read(text, units):
  assert parse(text) == tuple(units)


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    ('blink', "has 'BLINK'"),
    ('4 7', 'nothing between'),
    ('(4+7', 'not closed'),
    ('4)', 'bracket too many'),
    ('or 4', 'where a unit should be'),
    ('4 or', 'where a unit should be'),
    ('2014-07-04 00:00:00', 'has'),
  ],
)
def test_what_is_no_action_unit_is_an_error_with_the_text(text, words):
  with pytest.raises(ValueError, match='action units') as error:
    parse(text)
  assert words in str(error.value)
  assert repr(text) in str(error.value)


_SIDES = st.sampled_from(['', 'L', 'R', 'A', 'A/L', 'L/R'])
_STRENGTHS = st.sampled_from(['', *'ABCDE', 'A/B', 'D/E'])
_UNITS = st.builds(
  ActionUnit,
  number=st.integers(1, 99),
  side=_SIDES,
  intensity=_STRENGTHS,
  static=st.booleans(),
)


@settings(deadline=None)
@given(
  terms=st.lists(st.lists(_UNITS, min_size=1, max_size=3), max_size=5),
  data=st.data(),
)
def test_written_units_are_read_again(terms, data):
  """Terms with + between them, in each of which one of several was seen."""
  space = st.sampled_from(['', ' ', '  '])

  def join(parts, signs):
    text = ''
    for i, part in enumerate(parts):
      sign = data.draw(st.sampled_from(signs)) if i else ''
      text += data.draw(space) + sign + data.draw(space) + part
    return text

  words, units = [], set()
  for term in terms:
    word = join([str(unit) for unit in term], [' or ', ' / ', ' OR '])
    words.append(f'({word})' if data.draw(st.booleans()) else word)
    units |= {
      ActionUnit(u.number, u.side, u.intensity, len(term) == 1, u.static)
      for u in term
    }
  text = join(words, ['+', ',', '，'])
  if data.draw(st.booleans()):
    text = text.lower()
  assert parse(text) == tuple(sorted(units))


@given(st.text(alphabet='LRABEU0123456789+/()?, orkx', max_size=12))
def test_any_text_is_read_or_refused(text):
  try:
    units = parse(text)
  except ValueError:
    return
  assert list(units) == sorted(set(units))


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    ('(' * 3000, 'has 3000 characters'),
    ('(' * 100 + '4' + ')' * 100, 'has too many brackets'),
    ('9' * 300, "has '999"),
    ('1 or ' * 20_000, 'has 100000 characters'),
  ],
)
def test_a_cell_beyond_all_measure_is_an_error_that_shows_its_beginning(
  text, words
):
  with pytest.raises(ValueError, match=re.escape(words)) as error:
    parse(text)
  assert len(str(error.value)) < 600
