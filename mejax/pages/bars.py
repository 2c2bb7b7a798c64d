"""Draws the bars of people and of classes as SVG, as `charts` its charts."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

from markupsafe import Markup

from mejax.pages import charts
from mejax.pages import svg
from mejax.pages.charts import Size

# The names of people below their bars, which are turned, and the room for them.
_NAMED, _ROOM = 9, 44
# Colours of parts in charts.css: no database has more classes. Several together
# may, and repeat them.
_COLOURS = 8


def subject_bars(
  subjects: Sequence[tuple[str, str, float, int]], *, size: Size = charts.WIDE
) -> Markup:
  """Draws the accuracy of each subject as a bar.

  On a narrow screen, each corpus has a row of its own. Bars that are wide
  enough have the name of the subject below; tooltips always have it.

  Args:
    subjects: (corpus, subject, accuracy, clips) in the order of the bars; those
      of a corpus stand together.
    size: of the screen.
  """
  corpora = {corpus: [] for corpus, *_ in subjects}
  for corpus, *row in subjects:
    corpora[corpus].append(row)
  lines = [corpora]
  if size.above:
    lines = [{corpus: rows} for corpus, rows in corpora.items()]
  parts, top = [], 0
  for line in lines:
    drawn, height = _line_of_bars(line, top, size)
    parts.append(drawn)
    top += height
  label = 'Accuracy of each subject in per cent'
  return svg.drawing(size.width, top, parts, label=label)


def _line_of_bars(corpora, top, size) -> tuple[list[Markup], int]:
  """Draws corpora side by side; returns the height of the line, too."""
  left, height, between = 40, 150, 22
  upper, lower = top + 26, top + 26 + height
  count = sum(map(len, corpora.values()))
  room = size.width - left - 8 - between * (len(corpora) - 1)
  step = min(room / count, 34)
  parts, x = percent_grid(left, upper, height, size), float(left)
  for corpus, rows in corpora.items():
    words = f'{corpus} ({len(rows)})'
    # Words that are longer than the bars below do not leave the drawing.
    start = min(x, size.width - 9 * len(words))
    parts.append(svg.text(start, top + 14, words, 'label'))
    for subject, accuracy, clips in rows:
      tall = max(height * accuracy, 1.5)
      tip = f'{corpus}/{subject}: {100 * accuracy:.0f} % of {clips} clips'
      place = (x + 0.12 * step, lower - tall, 0.76 * step, tall)
      bar = svg.rect('bar honest', *place, rx=1.5)
      named = _turned(x + step / 2, lower, subject) if step >= _NAMED else ''
      parts.append(svg.element('g', svg.tooltip(tip), bar, named))
      x += step
    x += between
  return parts, 26 + height + (_ROOM if step >= _NAMED else 8)


def _turned(x: Real, lower: Real, name: str) -> Markup:
  """Writes a short name below a bar, from bottom to top."""
  shown = name if len(name) <= 6 else f'{name[:5]}…'
  return svg.element(
    'text',
    shown,
    class_='tiny',
    text_anchor='end',
    transform=f'translate({x + 3.5:.1f} {lower + 5:.1f}) rotate(-90)',
  )


def percent_grid(
  left: Real, top: Real, height: Real, size: Size = charts.WIDE
) -> list[Markup]:
  """Draws lines at 0, 50 and 100 % across a chart, with their labels."""
  parts = []
  for share in (0, 0.5, 1):
    y = top + height * (1 - share)
    parts += [
      svg.line('grid', left, y, size.width - 8, y),
      svg.text(left - 8, y + 4, f'{100 * share:.0f}', 'small', 'end'),
    ]
  return parts


def class_bar(
  counts: Sequence[int], names: Sequence[str], *, size: Size = charts.WIDE
) -> Markup:
  """Draws the clips of each class as one divided bar.

  Names stand below their parts; on a narrow screen below each other, with the
  colour of the part.
  """
  parts, x = [], 0.0
  for i, (count, name) in enumerate(zip(counts, names, strict=True)):
    long = size.width * count / max(sum(counts), 1)
    kind, words = f'bar part{i % _COLOURS}', f'{name} {count}'
    parts.append(svg.rect(kind, x, 0, max(long - 2, 0), 10, rx=2))
    if size.above:
      y = 28 + 20 * i
      parts.append(svg.rect(kind, 0, y - 9, 9, 9, rx=2))
      parts.append(svg.text(16, y, words, 'small'))
    elif long > 70:
      parts.append(svg.text(x, 28, words, 'small'))
    x += long
  height = 34 + 20 * (len(names) - 1) if size.above else 34
  return svg.drawing(size.width, height, parts, label='Clips of each class')
