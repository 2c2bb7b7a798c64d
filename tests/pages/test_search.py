"""The page and the table of a search say the same, and nothing else."""

from __future__ import annotations

import pytest

from mejax.pages import search
from tests.pages import html_page


def entry(uf1, **more):
  interval = [uf1 - 0.1, uf1 + 0.1]
  return {
    'full': {
      'uf1': uf1,
      'uf1_ci': interval,
      'uar': uf1,
      'uf1_seeds': [uf1],
      'subjects': 9,
    }
    | more
  }


@pytest.fixture
def numbers():
  values = {'setting.mixup': 0.25, 'model.preset': '<b>'}
  return {
    'protocol': 'Ours.',
    'num_seeds': 1,
    'scores': {
      'searched': entry(0.7),
      'as configured': entry(0.6),
      'un-nested best': entry(0.8, warning='not an estimate'),
    },
    'minus_config': [0.1, -0.02, 0.2],
    'unnested': {'values': values, 'warning': 'not an estimate'},
    'folds': [{'fold': 'a/<i>', 'inner_uf1': 0.5, 'values': values}],
    'chosen': [{'values': values, 'folds': i} for i in range(12, 0, -1)],
    'keys': [
      {
        'key': 'setting.mixup',
        'importance': 0.75,
        'effects': [{'label': '0.25', 'difference': -0.01, 'trials': 4}],
      },
      {'key': 'model.preset', 'importance': None, 'effects': []},
    ],
    'trace': [[0.2, 0.4, 0.4], [0.4, 0.4, 0.6]],
    'diverged': 1,
    'cost': {
      'trainings': 30,
      'epochs': 60,
      'epochs_without_halving': 120,
      'outer_trainings': 5,
    },
  }


def test_the_table_has_every_number_and_the_warning(numbers):
  text = search.format_numbers(numbers, seconds=90.0)
  for words in (
    'searched                 0.700 [0.600, 0.800]     0.700',
    'un-nested best *',
    '* not an estimate; it is mixup 0.25, model.preset <b>',
    'searched minus as configured: +0.100 [-0.020, +0.200]',
    'and 4 more',
    'setting.mixup                0.75   0.25: -0.010',
    '0.300 after 1 setting, 0.400 after 2, 0.500 after 3',
    '30 trainings of inner folds, 5 of outer folds; 1.5 minutes',
    'Halving saved 50 % of the epochs of inner folds: 60 in place of 120.',
    '1 setting of single folds diverged, which counts as 0.',
  ):
    assert words in text, words


def test_the_page_escapes_names_and_leads_to_the_report_of_the_run(numbers):
  page = search.render(numbers, name='<s>', seconds=90.0)
  for bad in ('<s>', '<b>,', 'a/<i>'):
    assert bad not in page
  assert html_page.Page(page).links == ['../report/index.html']
  for words in ('0.700', 'not an estimate', 'too few to publish', '+0.100'):
    assert words in page
  assert 'Only 9 people' in page
  assert 'Only 9 people' in search.format_numbers(numbers, seconds=90.0)


def test_without_an_un_nested_best_nothing_is_said_of_it(numbers):
  del numbers['scores']['un-nested best']
  numbers['unnested'] = None
  page = search.render(numbers, name='a', seconds=1.0)
  text = search.format_numbers(numbers, seconds=1.0)
  assert 'un-nested' not in page + text
