"""Charts and bars fit wide and narrow screens."""

from __future__ import annotations

import functools
import importlib.resources
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from mejax.pages import bars
from mejax.pages import charts
from mejax.pages import frame

DOTS = [
  charts.Dot('logistic regression', 0.712, 0.64, 0.78, 'baseline', (0.7, 0.72)),
  charts.Dot('last epoch', 1.0, 0.99, 1.0, 'honest'),
]
PEOPLE = [('casme2', f'sub{i:02}', i / 30, 5) for i in range(24)]
PEOPLE += [('video', 'a long name', 0.5, 2)]
DRAWN = {
  'dots': functools.partial(charts.dot_plot, DOTS, label='UF1'),
  'gap': functools.partial(charts.gap, 0.651, 0.815),
  'epochs': functools.partial(
    charts.epoch_histogram, np.arange(1, 61), np.array([3, 60, 60])
  ),
  'classes': functools.partial(
    bars.class_bar, [250, 109, 3], ['negative', 'positive', 'surprise']
  ),
  'people': functools.partial(bars.subject_bars, PEOPLE),
}


def _texts(drawing):
  return [
    each
    for each in ElementTree.fromstring(drawing).iter('text')
    if each.text and not each.get('transform')
  ]


def _ends(each) -> tuple[float, float]:
  """Returns where words begin and end, in a font that is rather wide."""
  height = 12.5 if each.get('class') == 'small' else 14
  narrow = sum(each.text.count(c) for c in ' [](),.')
  long = height * (0.32 * narrow + 0.57 * (len(each.text) - narrow))
  share = {'end': 1, 'middle': 0.5}.get(each.get('text-anchor'), 0)
  left = float(each.get('x')) - share * long
  return left, left + long


@pytest.mark.parametrize('name', DRAWN)
def test_no_word_of_a_chart_is_cut_off(name):
  for size in (charts.WIDE, charts.NARROW):
    drawing = DRAWN[name](size=size)
    width = float(ElementTree.fromstring(drawing).get('width'))
    assert width == size.width
    for each in _texts(drawing):
      left, right = _ends(each)
      assert left >= 0 and right <= width, each.text


@pytest.mark.parametrize('name', ['dots', 'people'])
def test_a_narrow_chart_says_what_a_wide_one_says(name):
  wide, narrow = (
    {each.text for each in _texts(DRAWN[name](size=size))} - {'UF1'}
    for size in (charts.WIDE, charts.NARROW)
  )
  assert wide == narrow


def test_words_above_the_rows_of_a_narrow_chart_do_not_meet():
  found = {}
  for each in _texts(DRAWN['dots'](size=charts.NARROW)):
    found.setdefault(each.get('y'), []).append(_ends(each))
  rows = [row for row in found.values() if len(row) == 3]
  assert len(rows) == len(DOTS)
  for label, number, interval in rows:
    assert label[1] < number[0] < number[1] < interval[0]


def test_a_page_shows_one_of_the_two_sizes():
  style = re.sub(r'\s+', ' ', frame.render('page.css'))
  assert '.on-narrow { display: none; }' in style
  phone = style.partition('@media (max-width: 600px) {')[2]
  assert '.on-wide { display: none; } .on-narrow { display: block; }' in phone
  drawn = charts.fluid(charts.gap, 0.5, 0.6).__html__()
  assert drawn.count('<svg') == 2
  assert drawn.startswith(f'<div class="{charts.WIDE.name}"><svg')


def test_people_are_named_below_their_bars_where_there_is_room():
  for size in (charts.WIDE, charts.NARROW):
    drawing = bars.subject_bars(PEOPLE, size=size)
    tree = ElementTree.fromstring(drawing)
    named = [x.text for x in tree.iter('text') if x.get('transform')]
    assert named == [*(f'sub{i:02}' for i in range(24)), 'a lon…']
    # The whole name is in the tooltip.
    assert 'video/a long name: 50 % of 2 clips' in drawing
  many = [('dfme', f's{i}', 0.5, 9) for i in range(600)]
  drawing = bars.subject_bars(many)
  assert 'transform' not in drawing and 'dfme/s599: 50 %' in drawing


def test_each_of_eight_classes_has_a_colour_of_its_own():
  # SAMM has eight emotions; on a narrow screen only colours tell the parts.
  drawing = bars.class_bar([1] * 8, list('abcdefgh'), size=charts.NARROW)
  parts = ElementTree.fromstring(drawing).iter('rect')
  kinds = {part.get('class').split()[1] for part in parts}
  templates = importlib.resources.files('mejax.pages') / 'templates'
  rules = (templates / 'charts.css').read_text()
  names = {
    re.search(rf'\.{kind} {{ --c: var\((--\w+)\)', rules)[1] for kind in kinds
  }
  for page in ('page.css', 'figure.css'):
    # Light, and dark if the page knows it.
    for theme in (
      (templates / page).read_text().split('prefers-color-scheme')[:2]
    ):
      colours = {re.search(rf'{name}: (#\w+)', theme)[1] for name in names}
      assert len(colours) == 8
