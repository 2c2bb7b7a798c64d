"""Formats the scores of a run as rows of tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mejax.evaluation import baselines
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.evaluation import table_files

HEADLINE = 'last'


def rule_rows(numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
  """Returns the rows of rules and baselines, each with its parts below."""
  rows = []
  for rule, entries in numbers['selection'].items():
    mark = '' if selection.RULES[rule].honest else ' (test-selected)'
    rows += _table_rows(rule + mark, entries)
    if together := numbers['together'].get(rule):
      rows += _table_rows(summary.name_together(rule), together)
  for name, entries in numbers['baselines'].items():
    rows += _table_rows(name_baseline(name), entries)
  return rows


def together_rows(numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
  """Returns the rows of models alone and together, each with its parts."""
  rows = []
  named = [
    (name_baseline(one['name']), one['entries']) for one in numbers['members']
  ]
  for name, entries in [*named, ('together', numbers['together'])]:
    rows += _table_rows(name, entries, key='minus_best_baseline')
  return rows


def name_baseline(name: str) -> str:
  """Returns the usual name of a baseline."""
  return baselines.NAMES.get(name, name)


def _table_rows(label, entries, key='last_minus') -> list[dict[str, Any]]:
  rows = []
  for part, entry in entries.items():
    kind = 'oracle' if 'warning' in entry else ''
    whole = part == 'full'
    cells = [label if whole else part, *_cells(entry)]
    if minus := table_files.describe_minus(entry, key):
      cells.append(minus)
    place = 'first' if whole else 'part'
    rows.append({'kind': f'{kind} {place}', 'cells': cells})
  return rows


def describe_settings(numbers: Mapping[str, Any]) -> dict[str, Any]:
  """Returns a row for every setting of a grid, and the words above them."""
  names = summary.differing_values(numbers['settings'])
  rows = []
  for one in numbers['settings']:
    values = [f'{one["values"][name]:g}' for name in names]
    # Every setting has the same clips, and without precision the row fits the
    # page.
    cells = _cells(one['selection'][HEADLINE]['full'])[1:-1]
    if together := one['together'].get(HEADLINE):
      cells.append(f'{together["full"]["uf1"]:.3f}')
    rows.append({'kind': 'first', 'cells': [one['setting'], *values, *cells]})
  names = [name.replace('_', ' ') for name in names]
  return {
    'names': names,
    'rows': rows,
    'words': summary.NOT_CHOSEN,
    'has_together': bool(numbers['together']),
  }


def _cells(entry) -> list[str]:
  """Formats the number of clips, scores and intervals as text."""
  return [
    str(entry['n']),
    _spread(entry, 'uf1'),
    '{:.3f}–{:.3f}'.format(*entry['uf1_ci']),
    _spread(entry, 'uar'),
    '{:.3f}–{:.3f}'.format(*entry['uar_ci']),
    _spread(entry, 'accuracy'),
    _spread(entry, 'mean_precision'),
  ]


def kind_of(rule: str) -> str:
  """Returns a row's class, `oracle` if the rule chooses on test subjects."""
  return '' if selection.RULES[rule].honest else 'oracle'


def _spread(entry, name) -> str:
  """Formats a score, with its deviation over seeds if there are several."""
  several = len(entry[f'{name}_seeds']) > 1
  spread = f' ± {entry[f"{name}_std"]:.3f}' if several else ''
  return f'{entry[name]:.3f}{spread}'
