"""Renders the page of a nested search, and its table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup
import numpy as np

from mejax.evaluation import bootstrap
from mejax.pages import charts
from mejax.pages import frame

# Settings and folds that a terminal lists.
_LISTED = 8
# Below it, importances are remarked.
_ENOUGH_SETTINGS = 8
_KINDS = {'searched': 'honest', 'as configured': 'honest'}


def render(numbers: Mapping[str, Any], *, name: str, seconds: float) -> str:
  """Returns the page of a search.

  Args:
    numbers: the content of `search.json`.
    name: name of the search.
    seconds: time of all units together.
  """
  return frame.render(
    'search.html',
    title=name,
    numbers=numbers,
    few=bootstrap.describe_few(numbers['scores']['searched']),
    searched=_full(numbers, 'searched'),
    difference=_difference(numbers),
    dots=draw_scores(numbers),
    trace=draw_trace(numbers),
    chosen=[
      {'kind': '', 'cells': [each['folds'], _words(each['values'])]}
      for each in numbers['chosen']
    ],
    folds=[
      {
        'kind': '',
        'cells': [
          each['fold'],
          f'{each["inner_uf1"]:.3f}',
          _words(each['values']),
        ],
      }
      for each in numbers['folds']
    ],
    keys=[
      {
        'kind': 'first' if i == 0 else 'part',
        'cells': [
          *([key['key'], _importance(key)] if i == 0 else ['', '']),
          effect['label'],
          f'{effect["difference"]:+.3f}',
          effect['trials'],
        ],
      }
      for key in numbers['keys']
      for i, effect in enumerate(key['effects'])
    ],
    few_settings=describe_few_settings(numbers),
    unnested=numbers['unnested'] and _words(numbers['unnested']['values']),
    cost=describe_cost(numbers, seconds),
  )


def draw_scores(numbers: Mapping[str, Any]) -> charts.Fluid:
  """Draws the score of the search beside those without nested folds."""
  return charts.fluid(
    charts.dot_plot, _dots(numbers), label='UF1 of held-out people'
  )


def draw_trace(numbers: Mapping[str, Any]) -> Markup:
  """Draws the best inner score so far over the settings, for all folds."""
  trace = np.array(numbers['trace'])
  return charts.curves(
    np.arange(1, trace.shape[1] + 1),
    trace,
    label='Best inner UF1 so far over settings',
    kind='honest',
    top=1.0,
    axis='setting',
  )


def format_numbers(numbers: Mapping[str, Any], *, seconds: float) -> str:
  """Returns the same as text; see `render`."""
  lines = ['', numbers['protocol'], '', f'{"":<24} {"UF1":<24} UAR']
  for row, entries in numbers['scores'].items():
    for part, entry in entries.items():
      label = row if part == 'full' else f'  {part}'
      mark = ' *' if 'warning' in entry and part == 'full' else ''
      low, high = entry['uf1_ci']
      lines.append(
        f'{label + mark:<24} {entry["uf1"]:.3f} [{low:.3f}, {high:.3f}]'
        f'     {entry["uar"]:.3f}'
      )
  lines += [
    '[95 % interval, from resampling the subjects]',
    *bootstrap.describe_few(numbers['scores']['searched']),
    f'searched minus as configured: {_difference(numbers)}',
  ]
  if best := numbers['unnested']:
    lines.append(f'* {best["warning"]}; it is {_words(best["values"])}')
  lines += ['', 'Chosen, and by how many folds:']
  for each in numbers['chosen'][:_LISTED]:
    lines.append(f'{each["folds"]:>6}  {_words(each["values"])}')
  if more := len(numbers['chosen']) - _LISTED:
    lines += [f'        and {more} more'] * (more > 0)
  lines += ['', 'Importance (PED-ANOVA), and inner UF1 minus that of the fold:']
  lines += describe_few_settings(numbers)
  for key in numbers['keys']:
    effects = ', '.join(
      f'{each["label"]}: {each["difference"]:+.3f}' for each in key['effects']
    )
    lines.append(f'{key["key"]:<28} {_importance(key):<6} {effects}')
  trace = np.mean(numbers['trace'], 0)
  course = ', '.join(
    f'{trace[i]:.3f} after {i + 1}' + ' setting' * (i == 0)
    for i in sorted({0, len(trace) // 2, len(trace) - 1})
  )
  lines += [
    '',
    f'Best inner UF1 so far, mean over folds: {course}',
    *describe_cost(numbers, seconds),
  ]
  return '\n'.join(lines)


def describe_few_settings(numbers: Mapping[str, Any]) -> list[str]:
  """Returns a warning of importances that say little; [] for none."""
  tried = len(numbers['trace'][0])
  if tried >= _ENOUGH_SETTINGS:
    return []
  return [
    f'Only {frame.plural(tried, "setting")}: values that changed together'
    ' cannot be told apart.'
  ]


def describe_cost(numbers: Mapping[str, Any], seconds: float) -> list[str]:
  """Returns sentences on what a search cost."""
  cost = numbers['cost']
  lines = [
    f'{cost["trainings"]} trainings of inner folds,'
    f' {cost["outer_trainings"]} of outer folds; {seconds / 60:.1f} minutes in'
    ' all units together, as far as they were not interrupted. Outer'
    ' folds train settings, and the config as it is.'
  ]
  if cost['epochs'] != cost['epochs_without_halving']:
    saved = 1 - cost['epochs'] / cost['epochs_without_halving']
    lines.append(
      f'Halving saved {100 * saved:.0f} % of the epochs of inner folds:'
      f' {cost["epochs"]} in place of {cost["epochs_without_halving"]}.'
    )
  if numbers['diverged']:
    lines.append(
      f'{frame.plural(numbers["diverged"], "setting")} of single folds'
      ' diverged, which counts as 0.'
    )
  return lines


def _full(numbers, row) -> Mapping[str, Any]:
  return numbers['scores'][row]['full']


def _dots(numbers) -> list[charts.Dot]:
  return [
    charts.Dot(
      row,
      entries['full']['uf1'],
      *entries['full']['uf1_ci'],
      _KINDS.get(row, 'oracle'),
      entries['full']['uf1_seeds'],
    )
    for row, entries in numbers['scores'].items()
  ]


def _difference(numbers) -> str:
  return bootstrap.describe_difference(numbers['minus_config'])


def _importance(key) -> str:
  return '' if key['importance'] is None else f'{key["importance"]:.2f}'


def _words(values: Mapping[str, Any]) -> str:
  return ', '.join(
    f'{key.removeprefix("setting.")}'
    f' {f"{value:.3g}" if isinstance(value, float) else value}'
    for key, value in values.items()
  )
