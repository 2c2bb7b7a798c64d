"""Draws the charts of a run as SVG.

Colours and fonts come from the page's style sheet through classes, so that a
chart fits a light or a dark page. The tooltip of a mark gives its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple

from jaxtyping import Float
from jaxtyping import Num
from markupsafe import Markup
import numpy as np

from mejax.pages import svg

WIDTH = 860
_LEFT = 168  # Room for row labels.
_RIGHT = WIDTH - 150  # Numbers are written to the right of it.


class Dot(NamedTuple):
  """A row of a dot plot.

  Attributes:
    label: name of the row.
    value: the number.
    low: lower end of its interval.
    high: upper end of its interval.
    kind: class of its mark: `honest`, `baseline`, `oracle` or `run0`, `run1`...
    seeds: the number for each seed, shown as a faint tick.
  """

  label: str
  value: float
  low: float
  high: float
  kind: str
  seeds: Sequence[float] = ()


def dot_plot(rows: Sequence[Dot], *, label: str, axis: str = 'UF1') -> Markup:
  """Draws numbers with their intervals on an axis from 0 to 1, a row each."""
  step = 34
  height = 18 + step * len(rows)
  marks = [
    _dot_row(row, 8 + step * (i + 0.5), axis) for i, row in enumerate(rows)
  ]
  parts = [_share_grid(8, height), marks, _share_axis(height, axis)]
  return svg.drawing(WIDTH, height + 24, parts, label=label)


def _dot_row(row, y, axis) -> Markup:
  """Draws the interval, seeds, mark and numbers of a row."""
  low, high = (_share_at(min(1.0, max(0.0, v))) for v in (row.low, row.high))
  ticks = [
    svg.line(f'seed {row.kind}', _share_at(v), y - 9, _share_at(v), y + 9)
    for v in row.seeds
    if len(row.seeds) > 1
  ]
  return svg.element(
    'g',
    svg.tooltip(
      f'{row.label}: {axis} {row.value:.3f} [{row.low:.3f}, {row.high:.3f}]'
    ),
    svg.text(_LEFT - 16, y + 4, row.label, 'label', 'end'),
    svg.rect(f'range {row.kind}', low, y - 4, max(high - low, 1), 8, rx=4),
    ticks,
    _mark(_share_at(row.value), y, row.kind),
    svg.text(_RIGHT + 20, y + 4, f'{row.value:.3f}', 'number'),
    svg.text(_RIGHT + 70, y + 4, f'[{row.low:.2f}, {row.high:.2f}]', 'small'),
    class_='row',
  )


def gap(honest: float, oracle: float) -> Markup:
  """Draws the honest score, and what choosing on the test subjects adds to it.

  The hatch is a pattern that `page.html` defines.
  """
  height = 118
  start, end = _share_at(honest), _share_at(oracle)
  extra = max(end - start, 0)

  parts = [
    _share_grid(26, height),
    svg.text(_LEFT - 16, 49, 'honest', 'label', 'end'),
    svg.rect('bar honest', _LEFT, 32, start - _LEFT, 26, rx=3),
    svg.text(_RIGHT + 20, 49, f'{honest:.3f}', 'number'),
    svg.text(_LEFT - 16, 91, 'test-selected', 'label oracle', 'end'),
    svg.rect('bar honest faint', _LEFT, 74, start - _LEFT, 26, rx=3),
    svg.rect('hatched', start, 74, extra, 26, rx=3),
    svg.text(_RIGHT + 20, 91, f'{oracle:.3f}', 'number oracle'),
    svg.element('path', class_='bracket', d=f'M{start:.1f} 70V64H{end:.1f}V70'),
    svg.text(start + extra + 8, 69, f'{oracle - honest:+.3f}', 'number oracle'),
    _share_axis(height, 'UF1'),
  ]
  words = (
    f'Honest UF1 {honest:.3f}; choosing each epoch on the test subject shows '
    f'{oracle:.3f}'
  )
  return svg.drawing(WIDTH, height + 24, parts, label=words)


def confusion_matrix(
  matrix: Num[np.ndarray, 'k o'], names: Sequence[str], *, normalised: bool
) -> Markup:
  """Draws a confusion matrix, truth in rows: counts, or shares of each row."""
  rows, columns = matrix.shape
  names = [*names, *(f'spare {i}' for i in range(len(names), columns))]
  side, left, top = min(104, 340 // columns), 92, 44
  shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1e-9)
  middle = left + side * columns / 2
  parts = [svg.text(middle, 14, 'predicted', 'small', 'middle')]
  for j in range(columns):
    middle = left + side * (j + 0.5)
    parts.append(svg.text(middle, 34, names[j], 'label', 'middle'))
  for i in range(rows):
    y = top + side * i
    parts.append(
      svg.text(left - 10, y + side / 2 + 4, names[i], 'label', 'end')
    )
    for j in range(columns):
      count, share = float(matrix[i, j]), float(shares[i, j])
      tip = f'{names[i]} predicted as {names[j]}: '
      tip += f'{count:.1f} clips, {100 * share:.1f} %'
      shown = f'{100 * share:.0f} %' if normalised else f'{count:.4g}'
      parts.append(_cell(left + side * j, y, side, share, shown, tip))
  kind = 'shares of each true class' if normalised else 'counts'
  return svg.drawing(
    left + side * columns + 8,
    top + side * rows + 6,
    parts,
    label=f'Confusion matrix, {kind}; truth in rows',
  )


def _cell(x, y, side, share, shown, tip) -> Markup:
  """Draws a cell of a matrix, darker for a larger share."""
  box = (x + 1, y + 1, side - 2, side - 2)
  tone = 'cell-ink-high' if share > 0.6 else 'cell-ink'
  shade = f'opacity:{share**0.75:.3f}'
  return svg.element(
    'g',
    svg.tooltip(tip),
    svg.rect('cell-ground', *box, rx=4),
    svg.rect('cell', *box, rx=4, style=shade),
    svg.text(x + side / 2, y + side / 2 + 6, shown, tone, 'middle'),
  )


def subject_bars(subjects: Sequence[tuple[str, str, float, int]]) -> Markup:
  """Draws the accuracy of each subject as a bar.

  Args:
    subjects: (corpus, subject, accuracy, clips) in the order of the bars; those
      of a corpus stand together.
  """
  left, top, height, between = 40, 26, 150, 22
  corpora = list(dict.fromkeys(corpus for corpus, *_ in subjects))
  room = WIDTH - left - 8 - between * (len(corpora) - 1)
  step = min(room / len(subjects), 34)
  parts, x = [percent_grid(left, top, height)], float(left)
  for corpus in corpora:
    own = [row for row in subjects if row[0] == corpus]
    parts.append(svg.text(x, 14, f'{corpus} ({len(own)})', 'label'))
    for _, subject, accuracy, clips in own:
      tall = max(height * accuracy, 1.5)
      tip = f'{corpus}/{subject}: {100 * accuracy:.0f} % of {clips} clips'
      place = (x + 0.12 * step, top + height - tall, 0.76 * step, tall)
      bar = svg.rect('bar honest', *place, rx=1.5)
      parts.append(svg.element('g', svg.tooltip(tip), bar))
      x += step
    x += between
  label = 'Accuracy of each subject in per cent'
  return svg.drawing(WIDTH, top + height + 8, parts, label=label)


def percent_grid(left: Real, top: Real, height: Real) -> list[Markup]:
  """Draws lines at 0, 50 and 100 % across a chart, with their labels."""
  parts = []
  for share in (0, 0.5, 1):
    y = top + height * (1 - share)
    parts += [
      svg.line('grid', left, y, WIDTH - 8, y),
      svg.text(left - 8, y + 4, f'{100 * share:.0f}', 'small', 'end'),
    ]
  return parts


def curves(
  epochs: Num[np.ndarray, ' e'],
  values: Float[np.ndarray, 's e'],
  *,
  label: str,
  kind: str,
  top: float | None = None,
  axis: str = 'epoch',
) -> Markup:
  """Draws the mean over seeds by epoch, and a band from lowest to highest.

  On another axis than the epochs, `values` are those of other things than
  seeds.
  """
  width = 420
  left, right, upper, lower = 44, width - 14, 12, 196
  finite = np.isfinite(values).all(0)
  epochs, values = epochs[finite], values[:, finite]
  if not epochs.size:
    return svg.element('p', 'No finite values to draw.')
  limit = top or max(float(values.max()) * 1.05, 1e-6)
  span = max(float(epochs[-1] - epochs[0]), 1.0)
  x = left + (epochs - epochs[0]) / span * (right - left)

  def points(row):
    y = lower - row / limit * (lower - upper)
    return [f'{a:.1f},{b:.1f}' for a, b in zip(x, y, strict=True)]

  parts = []
  for value in np.linspace(0, limit, 5):
    y = lower - value / limit * (lower - upper)
    parts += [
      svg.line('grid', left, y, right, y),
      svg.text(left - 8, y + 4, f'{value:.2g}', 'small', 'end'),
    ]
  if len(values) > 1:
    outline = ' '.join(points(values.max(0)) + points(values.min(0))[::-1])
    parts.append(svg.element('polygon', class_=f'band {kind}', points=outline))
  line = points(values.mean(0))
  last_x, last_y = line[-1].split(',')
  parts += [
    svg.element('polyline', class_=f'curve {kind}', points=' '.join(line)),
    svg.element('circle', class_=f'mark {kind}', cx=last_x, cy=last_y, r=4),
    svg.text(left, 216, epochs[0], 'small', 'middle'),
    svg.text(right, 216, f'{axis} {epochs[-1]}', 'small', 'end'),
  ]
  return svg.drawing(width, 224, parts, label=label)


def epoch_histogram(
  epochs: Num[np.ndarray, ' e'], picked: Num[np.ndarray, ' p']
) -> Markup:
  """Draws how often each epoch was picked."""
  height = 64
  counts = [int((picked == epoch).sum()) for epoch in epochs]
  step = (_RIGHT - _LEFT) / len(epochs)
  parts = [
    svg.text(_LEFT - 16, 40, 'epochs picked', 'label oracle', 'end'),
    svg.element('path', class_='axis', d=f'M{_LEFT} {height}H{_RIGHT}'),
    svg.text(_LEFT, height + 17, f'epoch {epochs[0]}', 'small'),
    svg.text(_RIGHT, height + 17, epochs[-1], 'small', 'end'),
  ]
  for i, count in enumerate(counts):
    tall = (height - 8) * count / max(*counts, 1)
    place = (_LEFT + (i + 0.1) * step, height - tall, 0.8 * step, tall)
    bar = svg.rect('bar oracle', *place)
    tip = svg.tooltip(f'epoch {epochs[i]}: picked {count} times')
    parts.append(svg.element('g', tip, bar))
  label = 'How often the oracle picked each epoch'
  return svg.drawing(WIDTH, height + 24, parts, label=label)


def class_bar(counts: Sequence[int], names: Sequence[str]) -> Markup:
  """Draws the clips of each class as one divided bar."""
  parts, x = [], 0.0
  for i, (count, name) in enumerate(zip(counts, names, strict=True)):
    long = WIDTH * count / max(sum(counts), 1)
    parts.append(svg.rect(f'bar part{i % 4}', x, 0, max(long - 2, 0), 10, rx=2))
    if long > 70:
      parts.append(svg.text(x, 28, f'{name} {count}', 'small'))
    x += long
  return svg.drawing(WIDTH, 34, parts, label='Clips of each class')


def _share_at(share: Real) -> Real:
  """Returns the x of a number from 0 to 1 on the axis that charts share."""
  return _LEFT + share * (_RIGHT - _LEFT)


def _share_grid(upper, lower) -> list[Markup]:
  at = [_share_at(i / 5) for i in range(6)]
  return [svg.line('grid', x, upper, x, lower) for x in at]


def _share_axis(lower, name) -> list[Markup]:
  y = lower + 17
  return [svg.text(_LEFT - 16, y, name, 'small', 'end')] + [
    svg.text(_share_at(i / 5), y, f'{i / 5:.1f}', 'small', 'middle')
    for i in range(6)
  ]


def _mark(x, y, kind) -> Markup:
  """Draws a circle, square or diamond, so that kinds differ without colour."""
  if kind == 'baseline':
    return svg.rect('mark baseline', x - 5, y - 5, 10, 10)
  if kind == 'oracle':
    path = f'M{x:.1f} {y - 7:.1f}l7 7-7 7-7-7z'
    return svg.element('path', class_='mark oracle', d=path)
  return svg.element('circle', class_=f'mark {kind}', cx=x, cy=y, r=6.5)
