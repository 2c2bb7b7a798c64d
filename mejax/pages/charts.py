"""Draws the charts of a run as SVG.

Colours and fonts come from the page's style sheet through classes, so that a
chart fits a light or a dark page. The tooltip of a mark gives its number.
Charts that are as wide as a page are drawn for wide and for narrow screens, see
`fluid`.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple

from jaxtyping import Float
from jaxtyping import Num
from markupsafe import Markup
import numpy as np

from mejax.pages import svg


class Size(NamedTuple):
  """How wide a chart is, and where its axis from 0 to 1 begins and ends.

  On a wide screen labels are written to the left of the axis and numbers to the
  right of it; on a narrow one both stand above.
  """

  name: str
  width: int
  left: int
  right: int
  above: int = 0  # Room for words above each row.


WIDE = Size('on-wide', 860, 168, 710)
NARROW = Size('on-narrow', 340, 12, 328, above=18)


class Fluid(NamedTuple):
  """A chart in both sizes; the style of a page shows one of them."""

  wide: Markup
  narrow: Markup

  def __html__(self) -> Markup:
    return svg.join(
      svg.element('div', drawn, class_=size.name)
      for size, drawn in zip((WIDE, NARROW), self, strict=True)
    )


def fluid(draw: Callable[..., Markup], *args, **options) -> Fluid:
  """Draws a chart in both sizes; `draw` has an option `size`."""
  return Fluid(*(draw(*args, **options, size=size) for size in (WIDE, NARROW)))


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


def dot_plot(
  rows: Sequence[Dot], *, label: str, axis: str = 'UF1', size: Size = WIDE
) -> Markup:
  """Draws numbers with their intervals on an axis from 0 to 1, a row each."""
  step = 34 + size.above
  height = 18 + step * len(rows)
  marks = [
    _dot_row(row, 8 + step * (i + 1) - 17, axis, size)
    for i, row in enumerate(rows)
  ]
  parts = [_share_grid(8, height, size), marks, _share_axis(height, axis, size)]
  return svg.drawing(size.width, height + 24, parts, label=label)


def _dot_row(row, y, axis, size) -> Markup:
  """Draws the interval, seeds, mark and numbers of a row."""
  low, high = (
    _share_at(min(1.0, max(0.0, v)), size) for v in (row.low, row.high)
  )
  ticks = [
    svg.line(f'seed {row.kind}', x, y - 9, x, y + 9)
    for x in (_share_at(v, size) for v in row.seeds)
    if len(row.seeds) > 1
  ]
  return svg.element(
    'g',
    svg.tooltip(
      f'{row.label}: {axis} {row.value:.3f} [{row.low:.3f}, {row.high:.3f}]'
    ),
    svg.rect(f'range {row.kind}', low, y - 4, max(high - low, 1), 8, rx=4),
    ticks,
    _mark(_share_at(row.value, size), y, row.kind),
    _words(
      size, y, row.label, f'{row.value:.3f}', f'[{row.low:.2f}, {row.high:.2f}]'
    ),
    class_='row',
  )


def _words(size, y, label, number, small='', kind='') -> list[Markup]:
  """Writes label and numbers beside a row whose middle is at y, or above it."""
  if size.above:
    end = size.right - (80 if small else 0)
    return [
      svg.text(size.left, y - 15, label, f'label {kind}'),
      svg.text(end, y - 15, number, f'number {kind}', 'end'),
      svg.text(size.right, y - 15, small, 'small', 'end'),
    ]
  return [
    svg.text(size.left - 16, y + 4, label, f'label {kind}', 'end'),
    svg.text(size.right + 20, y + 4, number, f'number {kind}'),
    svg.text(size.right + 70, y + 4, small, 'small'),
  ]


def gap(honest: float, oracle: float, *, size: Size = WIDE) -> Markup:
  """Draws the honest score, and what choosing on the test subjects adds to it.

  The hatch is a pattern that `page.html` defines.
  """
  first, second = 45 + size.above, 87 + 2 * size.above
  height, lift = second + 31, 4 if size.above else 0
  left, start, end = (_share_at(v, size) for v in (0, honest, oracle))
  extra = max(end - start, 0)
  added = f'{oracle - honest:+.3f}'
  # Where words stand above the bars there is no room for a bracket.
  number = f'{oracle:.3f} ({added})' if size.above else f'{oracle:.3f}'
  bracket = f'M{start:.1f} {second - 17}v-6H{end:.1f}v6'
  parts = [
    _share_grid(first - 19, height, size),
    svg.rect('bar honest', left, first - 13, start - left, 26, rx=3),
    _words(size, first - lift, 'honest', f'{honest:.3f}'),
    svg.rect('bar honest faint', left, second - 13, start - left, 26, rx=3),
    svg.rect('hatched', start, second - 13, extra, 26, rx=3),
    _words(size, second - lift, 'test-selected', number, kind='oracle'),
    _share_axis(height, 'UF1', size),
  ]
  if not size.above:
    parts += [
      svg.element('path', class_='bracket', d=bracket),
      svg.text(start + extra + 8, second - 18, added, 'number oracle'),
    ]
  words = (
    f'Honest UF1 {honest:.3f}; choosing each epoch on the test subject shows '
    f'{oracle:.3f}'
  )
  return svg.drawing(size.width, height + 24, parts, label=words)


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
  epochs: Num[np.ndarray, ' e'],
  picked: Num[np.ndarray, ' p'],
  *,
  size: Size = WIDE,
) -> Markup:
  """Draws how often each epoch was picked."""
  left, right, height = size.left, size.right, 64 + size.above
  counts = [int((picked == epoch).sum()) for epoch in epochs]
  step = (right - left) / len(epochs)
  parts = [
    _words(size, 36 - size.above / 2, 'epochs picked', '', kind='oracle'),
    svg.element('path', class_='axis', d=f'M{left} {height}H{right}'),
    svg.text(left, height + 17, f'epoch {epochs[0]}', 'small'),
    svg.text(right, height + 17, epochs[-1], 'small', 'end'),
  ]
  for i, count in enumerate(counts):
    tall = 56 * count / max(*counts, 1)
    place = (left + (i + 0.1) * step, height - tall, 0.8 * step, tall)
    bar = svg.rect('bar oracle', *place)
    tip = svg.tooltip(f'epoch {epochs[i]}: picked {count} times')
    parts.append(svg.element('g', tip, bar))
  label = 'How often the oracle picked each epoch'
  return svg.drawing(size.width, height + 24, parts, label=label)


def _share_at(share: Real, size: Size) -> Real:
  """Returns the x of a number from 0 to 1 on the axis that charts share."""
  return size.left + share * (size.right - size.left)


def _share_grid(upper, lower, size) -> list[Markup]:
  at = [_share_at(i / 5, size) for i in range(6)]
  return [svg.line('grid', x, upper, x, lower) for x in at]


def _share_axis(lower, name, size) -> list[Markup]:
  y = lower + 17
  # On a narrow screen the caption alone names the axis.
  named = [svg.text(size.left - 16, y, name, 'small', 'end')]
  return named[: not size.above] + [
    svg.text(_share_at(i / 5, size), y, f'{i / 5:.1f}', 'small', 'middle')
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
