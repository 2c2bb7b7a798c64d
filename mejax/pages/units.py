"""Makes the tables of action units on the page of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mejax.evaluation import units as units_lib

_TITLES = {
  'area': 'area',
  'f1': 'F1',
  'f1_macro': 'macro F1',
  'f1_half': 'F1 at .5',
  'f1_macro_half': 'macro F1 at .5',
}


def describe(numbers: Mapping[str, Any]) -> dict[str, Any]:
  """Returns headers and rows of the tables, for `units.html`.

  Args:
    numbers: the content of `units.json`: the result of
      `experiment.unit_scores.score` for a run that was told the units of its
      clips, or for another evaluation the result of
      `evaluation.units.score_against_classes` for each part of the clips.

  Returns:
    `scores` and `parts`, or `areas`, each with `header` and `rows`, and None
    for what there is not; and `chosen`, how the thresholds were.
  """
  if 'mean' not in numbers:
    return {'areas': _areas(numbers['full'])}
  limits = units_lib.describe_thresholds(numbers)
  header = ['action unit', *_TITLES.values(), 'shown by']
  rows = [
    _row(name, row, row['shown']) for name, row in numbers['units'].items()
  ]
  rows.append(_row('mean', numbers['mean'], '', kind='first'))
  if limits:
    header.insert(1, 'threshold')
    for row in rows:
      row['cells'].insert(1, limits.get(row['cells'][0], ''))
  parts = numbers.get('parts')
  return {
    'areas': None,
    'scores': {'header': header, 'rows': rows},
    'parts': _parts(parts) if parts else None,
    'chosen': numbers.get('chosen', ''),
  }


def _parts(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
  rows = [_row(name, row, row['examples']) for name, row in parts.items()]
  return {'header': ['held out', *_TITLES.values(), 'clips'], 'rows': rows}


def _areas(areas: Mapping[str, Mapping[str, float | None]]) -> dict[str, Any]:
  names = list(next(iter(areas.values())))
  rows = [
    {'kind': '', 'cells': [unit, *(_number(row[name]) for name in names)]}
    for unit, row in areas.items()
  ]
  return {'header': ['action unit', *names], 'rows': rows}


def _row(name: str, scores: Mapping[str, Any], count, *, kind: str = ''):
  cells = [_number(scores[key]) if key in scores else '' for key in _TITLES]
  return {'kind': kind, 'cells': [name, *cells, count]}


def _number(value: float | None) -> str:
  return '–' if value is None else f'{value:.3f}'
