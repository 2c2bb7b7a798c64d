"""Makes the table and the chart of amplification levels on a run's page."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
import numpy as np

from mejax.evaluation import bootstrap
from mejax.evaluation import levels
from mejax.pages import bars as bars_lib
from mejax.pages import charts
from mejax.pages import svg
from mejax.pages.charts import Size


def describe(numbers: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the rows of the table, and the chart, for `levels.html`.

  Args:
    numbers: the result of `mejax.experiment.introspection.write_levels`.
  """
  rows = [
    {
      'kind': '' if i else 'first',
      'cells': [
        levels.name_levels(row['levels'], numbers['levels']),
        f'{row["uf1"]:.3f}',
        '{:.3f}–{:.3f}'.format(*row['uf1_ci']),
        f'{row["uar"]:.3f}',
        bootstrap.describe_difference(row['difference']) if i else '',
      ],
    }
    for i, row in enumerate(numbers['scores'])
  ]
  return {
    'rows': rows,
    'bars': charts.fluid(bars, numbers['subjects'], numbers['levels']),
    'factors': numbers.get('clips') and charts.fluid(factors, numbers),
  }


def bars(
  subjects: Sequence[Mapping[str, Any]],
  all_levels: Sequence[float | int],
  *,
  size: Size = charts.WIDE,
) -> Markup:
  """Draws a divided bar for each subject, the least amplified first."""
  left, top, height = 40, 34, 170
  rows = sorted(subjects, key=lambda row: row['amplification'])
  step = min((size.width - left - 8) / max(len(rows), 1), 40)
  # A single level has the full colour.
  faintest = 0.25 if len(all_levels) > 1 else 1.0
  shades = np.linspace(faintest, 1, len(all_levels))

  def bar(shade, *place, **others):
    style = f'opacity:{shade:.2f}'
    return svg.rect('bar honest', *place, style=style, **others)

  parts = [bars_lib.percent_grid(left, top, height, size)]
  for i, (alpha, shade) in enumerate(zip(all_levels, shades, strict=True)):
    x = left + 74 * i
    parts.append(bar(shade, x, 4, 12, 12, rx=2))
    parts.append(svg.text(x + 18, 14, f'{alpha:g} times', 'small'))
  for i, row in enumerate(rows):
    x, y, pieces = left + step * (i + 0.1), top + height, []
    for weight, shade in zip(row['weights'], shades, strict=True):
      y -= height * weight
      pieces.append(bar(shade, x, y, 0.8 * step, height * weight))
    parts.append(svg.element('g', svg.tooltip(_tip(row, all_levels)), pieces))
  label = 'Share of each amplification for each subject, in per cent'
  return svg.drawing(size.width, top + height + 8, parts, label=label)


def factors(numbers: Mapping[str, Any], *, size: Size = charts.WIDE) -> Markup:
  """Draws the factor at which each clip was read over its motion, both as logs.

  Args:
    numbers: as of `describe`, with `clips` and `unit`.
    size: of the screen.
  """
  left, right, top, bottom = 56, size.width - 16, 12, 260
  clips, unit = numbers['clips'], numbers.get('unit', '')
  factor, motion = (
    np.array([row[key] for row in clips], float) for key in ('factor', 'motion')
  )
  # A clip without any motion has no logarithm; it stands at the left edge.
  positive = motion[motion > 0]
  ends = (positive.min(), positive.max()) if positive.size else (0.5, 1.0)
  x = np.interp(
    np.log(np.maximum(motion, ends[0])), np.log(ends), (left + 8, right - 8)
  )
  alphas = sorted(numbers['levels'])

  def height(values):
    ends = np.log([alphas[0], alphas[-1]])
    return np.interp(np.log(values), ends, (bottom - 8, top + 8))

  parts = []
  for alpha in alphas:
    at = float(height(alpha))
    parts.append(svg.line('grid', left, at, right, at))
    parts.append(svg.text(left - 8, at + 4, f'{alpha:g} times', 'small', 'end'))
  for value, at, anchor in zip(
    ends, (left, right), ('start', 'end'), strict=True
  ):
    words = f'{value:.3g} {unit}'
    parts.append(svg.text(at, bottom + 18, words, 'small', anchor))
  for row, across, up in zip(
    clips, x.tolist(), height(factor).tolist(), strict=True
  ):
    tip = (
      f'{row["clip"]}: read at {row["factor"]:.2f} times, moves by'
      f' {row["motion"]:.3g} {unit}'
    )
    dot = svg.element('circle', svg.tooltip(tip), cx=across, cy=up, r=3.5,
                      class_='mark honest', style='opacity:.6')  # fmt: skip
    parts.append(dot)
  label = 'Factor at which each clip was read, over its motion'
  return svg.drawing(size.width, bottom + 26, parts, label=label)


def _tip(row, all_levels) -> str:
  shares = ', '.join(
    f'{alpha:g} times {100 * weight:.0f} %'
    for alpha, weight in zip(all_levels, row['weights'], strict=True)
  )
  return (
    f'{row["subject"]}, {row["clips"]} clips, mean '
    f'{row["amplification"]:.2f} times: {shares}'
  )
