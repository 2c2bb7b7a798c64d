"""Shows whether the probabilities of a run are true, and what they are for."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from numbers import Real
from typing import Any

from markupsafe import Markup

from mejax.pages import svg

_SIDE = 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 406, 12, 280


def describe(numbers: Mapping[str, Any]) -> dict[str, Any]:
  """Returns what `calibration.html` shows.

  Args:
    numbers: the result of `evaluation.calibration.describe`.
  """
  half = [each for each in numbers['coverage'] if each['share'] >= 0.5]
  return {
    'error': numbers['error'],
    'brier': numbers['brier'],
    'surer': mean_difference(numbers['bins']),
    'half': half[0],
    'reliability': reliability(numbers['bins']),
    'coverage': coverage(numbers['coverage']),
  }


def mean_difference(bins: Sequence[Mapping[str, Any]]) -> float:
  """Returns how far confidence is above accuracy, over all predictions."""
  return sum(x['share'] * (x['confidence'] - x['accuracy']) for x in bins)


def reliability(bins: Sequence[Mapping[str, Any]]) -> Markup:
  """Draws accuracy over confidence; the diagonal is what would be true."""
  marks = [
    svg.line('axis', _x(0), _y(0), _x(1), _y(1)),
    svg.text(_x(0.03), _y(0) - 8, 'line: as sure as right', 'small'),
  ]
  for each in bins:
    tip = (
      f'confidence {each["confidence"]:.2f}: {_words(each)}, '
      f'{100 * each["share"]:.0f} % of predictions'
    )
    # The area of a mark is that of its share.
    radius = 3 + 16 * each['share'] ** 0.5
    marks.append(_mark(each['confidence'], each, tip, radius))
  label = 'Accuracy over confidence'
  return _frame(marks, label, 'confidence', 'accuracy')


def coverage(points: Sequence[Mapping[str, Any]]) -> Markup:
  """Draws the accuracy of the most confident share of predictions."""
  path = 'M' + 'L'.join(
    f'{_x(each["share"]):.1f} {_y(each["accuracy"]):.1f}' for each in points
  )
  marks = [svg.element('path', class_='curve honest', d=path)]
  for each in points:
    tip = (
      f'the {100 * each["share"]:.0f} % of predictions with a confidence of '
      f'{each["confidence"]:.2f} or more: {_words(each)}'
    )
    marks.append(_mark(each['share'], each, tip, 5))
  label = 'Accuracy over the share of predictions that are kept'
  return _frame(marks, label, 'share kept, most confident first', 'accuracy')


def _words(part: Mapping[str, Any]) -> str:
  low, high = part['accuracy_ci']
  return f'accuracy {part["accuracy"]:.3f} [{low:.3f}, {high:.3f}]'


def _mark(share, part, tip, radius) -> Markup:
  low, high = part['accuracy_ci']
  x = _x(share)
  return svg.element(
    'g',
    svg.tooltip(tip),
    svg.line('seed honest', x, _y(low), x, _y(high)),
    svg.element(
      'circle', class_='mark honest', cx=x, cy=_y(part['accuracy']), r=radius
    ),
    class_='row',
  )


def _frame(marks, label, across, up) -> Markup:
  grid = []
  for share in (0, 0.25, 0.5, 0.75, 1):
    grid += [
      svg.line('grid', _LEFT, _y(share), _RIGHT, _y(share)),
      svg.text(_LEFT - 8, _y(share) + 4, f'{share:g}', 'small', 'end'),
      svg.text(_x(share), _BOTTOM + 17, f'{share:g}', 'small', 'middle'),
    ]
  words = [
    svg.text(_LEFT, _BOTTOM + 34, f'up: {up}', 'small'),
    svg.text(_RIGHT, _BOTTOM + 34, across, 'small', 'end'),
  ]
  return svg.drawing(_SIDE, _BOTTOM + 40, [grid, marks, words], label=label)


def _x(share: Real) -> Real:
  return _LEFT + share * (_RIGHT - _LEFT)


def _y(share: Real) -> Real:
  return _BOTTOM - share * (_BOTTOM - _TOP)
