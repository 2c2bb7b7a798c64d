"""The pictures of the report, as SVG text.

Colours and fonts come from the page's style sheet through classes, so that a
picture follows the light or dark page it stands in. Every mark that holds a
number tells it in its tooltip.
"""

from __future__ import annotations

from collections.abc import Sequence
import html
from typing import NamedTuple

from jaxtyping import Float
from jaxtyping import Num
import numpy as np

_LEFT = 168  # Room for row labels.


class Dot(NamedTuple):
  """A row of a dot plot.

  Attributes:
    label: what the row is.
    value: the number.
    low: lower end of its interval.
    high: upper end.
    kind: class of its mark: `honest`, `baseline`, `oracle` or `run0`, `run1`...
    seeds: one number a seed, shown as faint ticks.
  """

  label: str
  value: float
  low: float
  high: float
  kind: str
  seeds: Sequence[float] = ()


def dot_plot(
  rows: Sequence[Dot], *, label: str, axis: str = 'UF1', width: int = 860
) -> str:
  """Numbers with their intervals on one axis from 0 to 1, a row each."""
  right, step = width - 150, 34
  height = 18 + step * len(rows)

  def at(value):
    return _LEFT + value * (right - _LEFT)

  parts = _grid(at, 8, height)
  for i, row in enumerate(rows):
    y = 8 + step * (i + 0.5)
    low, high = (at(min(1.0, max(0.0, v))) for v in (row.low, row.high))
    tip = f'{row.label}: {axis} {row.value:.3f} [{row.low:.3f}, {row.high:.3f}]'
    ticks = [
      f'<line class="seed {row.kind}" x1="{at(v):.1f}" x2="{at(v):.1f}" '
      f'y1="{y - 9:.1f}" y2="{y + 9:.1f}"/>'
      for v in row.seeds
      if len(row.seeds) > 1
    ]
    parts += [
      f'<g class="row"><title>{html.escape(tip)}</title>',
      _text(_LEFT - 16, y + 4, row.label, 'label', 'end'),
      f'<rect class="range {row.kind}" x="{low:.1f}" y="{y - 4:.1f}" '
      f'width="{max(high - low, 1):.1f}" height="8" rx="4"/>',
      *ticks,
      _mark(at(row.value), y, row.kind),
      _text(right + 20, y + 4, f'{row.value:.3f}', 'number'),
      _text(right + 70, y + 4, f'[{row.low:.2f}, {row.high:.2f}]', 'small'),
      '</g>',
    ]
  parts += _scale(at, height, axis)
  return _svg(width, height + 24, parts, label)


def gap(honest: float, oracle: float, *, width: int = 860) -> str:
  """The honest score, and what choosing on the test subjects adds to it.

  The hatch is a pattern of the page.
  """
  right, height = width - 150, 118

  def at(value):
    return _LEFT + value * (right - _LEFT)

  extra = max(at(oracle) - at(honest), 0)
  parts = [
    *_grid(at, 26, height),
    _text(_LEFT - 16, 49, 'honest', 'label', 'end'),
    f'<rect class="bar honest" x="{_LEFT}" y="32" '
    f'width="{at(honest) - _LEFT:.1f}" height="26" rx="3"/>',
    _text(right + 20, 49, f'{honest:.3f}', 'number'),
    _text(_LEFT - 16, 91, 'test-selected', 'label oracle', 'end'),
    f'<rect class="bar honest faint" x="{_LEFT}" y="74" '
    f'width="{at(honest) - _LEFT:.1f}" height="26" rx="3"/>',
    f'<rect class="hatched" x="{at(honest):.1f}" y="74" '
    f'width="{extra:.1f}" height="26" rx="3"/>',
    _text(right + 20, 91, f'{oracle:.3f}', 'number oracle'),
    f'<path class="bracket" d="M{at(honest):.1f} 70V64H{at(oracle):.1f}V70"/>',
    _text(
      at(honest) + extra + 8, 69, f'{oracle - honest:+.3f}', 'number oracle'
    ),
    *_scale(at, height, 'UF1'),
  ]
  words = (
    f'Honest UF1 {honest:.3f}; choosing each epoch on the test subject shows '
    f'{oracle:.3f}'
  )
  return _svg(width, height + 24, parts, words)


def confusion_matrix(
  matrix: Num[np.ndarray, 'k o'], names: Sequence[str], *, normalised: bool
) -> str:
  """A confusion matrix, truth in rows; counts, or shares of each row."""
  rows, columns = matrix.shape
  names = [*names, *(f'spare {i}' for i in range(len(names), columns))]
  cell, left, top = min(104, 340 // columns), 92, 44
  share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1e-9)
  parts = [
    _text(left + cell * columns / 2, 14, 'predicted', 'small', 'middle'),
    *(
      _text(left + cell * (j + 0.5), 34, names[j], 'label', 'middle')
      for j in range(columns)
    ),
  ]
  for i in range(rows):
    y = top + cell * i
    parts.append(_text(left - 10, y + cell / 2 + 4, names[i], 'label', 'end'))
    for j in range(columns):
      x, value = left + cell * j, share[i, j]
      shown = f'{100 * value:.0f} %' if normalised else f'{matrix[i, j]:.4g}'
      tip = (
        f'{names[i]} taken for {names[j]}: {matrix[i, j]:.1f} clips, '
        f'{100 * value:.1f} %'
      )
      tone = 'cell-ink-high' if value > 0.6 else 'cell-ink'
      box = (
        f'x="{x + 1}" y="{y + 1}" width="{cell - 2}" height="{cell - 2}" rx="4"'
      )
      parts.append(
        f'<g><title>{html.escape(tip)}</title>'
        f'<rect class="cell-ground" {box}/>'
        f'<rect class="cell" style="opacity:{value**0.75:.3f}" {box}/>'
        f'{_text(x + cell / 2, y + cell / 2 + 6, shown, tone, "middle")}</g>'
      )
  kind = 'shares of each true class' if normalised else 'counts'
  return _svg(
    left + cell * columns + 8,
    top + cell * rows + 6,
    parts,
    f'Confusion matrix, {kind}; truth in rows',
  )


def subject_bars(
  subjects: Sequence[tuple[str, str, float, int]], *, width: int = 860
) -> str:
  """Accuracy of each subject, best first within each corpus.

  Args:
    subjects: (corpus, subject, accuracy, clips) in the order of the bars.
    width: of the picture.
  """
  left, top, height = 40, 26, 150
  corpora = list(dict.fromkeys(corpus for corpus, *_ in subjects))
  gap_width = 22
  room = width - left - 8 - gap_width * (len(corpora) - 1)
  step = min(room / len(subjects), 34)
  parts = [
    part
    for v in (0, 0.5, 1)
    for part in (
      f'<line class="grid" x1="{left}" x2="{width - 8}" '
      f'y1="{top + height * (1 - v)}" y2="{top + height * (1 - v)}"/>',
      _text(
        left - 8, top + height * (1 - v) + 4, f'{100 * v:.0f}', 'small', 'end'
      ),
    )
  ]
  x = float(left)
  for corpus in corpora:
    inside = [row for row in subjects if row[0] == corpus]
    parts.append(_text(x, 14, f'{corpus} ({len(inside)})', 'label'))
    for _, subject, accuracy, clips in inside:
      tall = max(height * accuracy, 1.5)
      tip = f'{corpus}/{subject}: {100 * accuracy:.0f} % of {clips} clips'
      parts.append(
        f'<g><title>{html.escape(tip)}</title><rect class="bar honest" '
        f'x="{x + 0.12 * step:.2f}" y="{top + height - tall:.1f}" '
        f'width="{0.76 * step:.2f}" height="{tall:.1f}" rx="1.5"/></g>'
      )
      x += step
    x += gap_width
  return _svg(
    width, top + height + 8, parts, 'Accuracy of each subject in per cent'
  )


def curves(
  epochs: Num[np.ndarray, ' e'],
  values: Float[np.ndarray, 's e'],
  *,
  label: str,
  kind: str,
  top: float | None = None,
  width: int = 420,
) -> str:
  """Mean over seeds against epochs, in a band from lowest to highest seed."""
  left, right, upper, lower = 44, width - 14, 12, 196
  finite = np.isfinite(values).all(0)
  epochs, values = epochs[finite], values[:, finite]
  if not epochs.size:
    return '<p>No finite values to draw.</p>'
  limit = top or max(float(values.max()) * 1.05, 1e-6)
  span = max(float(epochs[-1] - epochs[0]), 1.0)
  x = left + (epochs - epochs[0]) / span * (right - left)

  def points(row):
    y = lower - row / limit * (lower - upper)
    return [f'{a:.1f},{b:.1f}' for a, b in zip(x, y, strict=True)]

  parts = []
  for v in np.linspace(0, limit, 5):
    y = lower - v / limit * (lower - upper)
    parts += [
      f'<line class="grid" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>',
      _text(left - 8, y + 4, f'{v:.2g}', 'small', 'end'),
    ]
  if len(values) > 1:
    outline = points(values.max(0)) + points(values.min(0))[::-1]
    parts.append(f'<polygon class="band {kind}" points="{" ".join(outline)}"/>')
  line = points(values.mean(0))
  last_x, last_y = line[-1].split(',')
  parts += [
    f'<polyline class="curve {kind}" points="{" ".join(line)}"/>',
    f'<circle class="mark {kind}" cx="{last_x}" cy="{last_y}" r="4"/>',
    _text(left, 216, f'{epochs[0]}', 'small', 'middle'),
    _text(right, 216, f'epoch {epochs[-1]}', 'small', 'end'),
  ]
  return _svg(width, 224, parts, label)


def epoch_histogram(
  epochs: Num[np.ndarray, ' e'],
  picked: Num[np.ndarray, ' p'],
  *,
  width: int = 860,
) -> str:
  """How often each epoch was picked."""
  left, height = _LEFT, 64
  right = width - 150
  counts = np.array([(picked == epoch).sum() for epoch in epochs])
  step = (right - left) / len(epochs)
  parts = [
    _text(left - 16, 40, 'epochs it picked', 'label oracle', 'end'),
    f'<path class="axis" d="M{left} {height}H{right}"/>',
    _text(left, height + 17, f'epoch {epochs[0]}', 'small'),
    _text(right, height + 17, f'{epochs[-1]}', 'small', 'end'),
  ]
  for i, count in enumerate(counts.tolist()):
    tall = (height - 8) * count / max(counts.max(), 1)
    parts.append(
      f'<g><title>epoch {epochs[i]}: picked {count} times</title>'
      f'<rect class="bar oracle" x="{left + i * step + 0.1 * step:.2f}" '
      f'y="{height - tall:.1f}" width="{0.8 * step:.2f}" '
      f'height="{tall:.1f}"/></g>'
    )
  return _svg(
    width, height + 24, parts, 'How often the oracle picked each epoch'
  )


def class_bar(counts: Sequence[int], names: Sequence[str]) -> str:
  """Clips of each class as one divided bar."""
  width, parts, x = 860.0, [], 0.0
  for i, (count, name) in enumerate(zip(counts, names, strict=True)):
    long = width * count / max(sum(counts), 1)
    parts += [
      f'<rect class="bar part{i % 4}" x="{x:.1f}" y="0" '
      f'width="{max(long - 2, 0):.1f}" height="10" rx="2"/>',
      _text(x, 28, f'{name} {count}', 'small') if long > 70 else '',
    ]
    x += long
  return _svg(int(width), 34, parts, 'Clips of each class')


def _grid(at, upper, lower):
  return [
    f'<line class="grid" x1="{at(v / 5):.1f}" x2="{at(v / 5):.1f}" '
    f'y1="{upper}" y2="{lower}"/>'
    for v in range(6)
  ]


def _scale(at, lower, axis):
  y = lower + 17
  return [_text(_LEFT - 16, y, axis, 'small', 'end')] + [
    _text(at(v / 5), y, f'{v / 5:.1f}', 'small', 'middle') for v in range(6)
  ]


def _mark(x, y, kind):
  """Circle, square or diamond, so that kinds differ without colour."""
  if kind == 'baseline':
    return (
      f'<rect class="mark baseline" x="{x - 5:.1f}" y="{y - 5:.1f}" '
      'width="10" height="10"/>'
    )
  if kind == 'oracle':
    path = f'M{x:.1f} {y - 7:.1f}l7 7-7 7-7-7z'
    return f'<path class="mark oracle" d="{path}"/>'
  return f'<circle class="mark {kind}" cx="{x:.1f}" cy="{y:.1f}" r="6.5"/>'


def _text(x, y, words, kind, anchor='start'):
  return (
    f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" '
    f'text-anchor="{anchor}">{html.escape(str(words))}</text>'
  )


def _svg(width, height, parts, label):
  return (
    f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
    f'role="img" aria-label="{html.escape(label, quote=True)}">'
    f'{"".join(parts)}</svg>'
  )
