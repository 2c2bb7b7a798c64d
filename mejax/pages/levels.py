"""The part of a run's page on amplification levels."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import html
from typing import Any

import numpy as np

from mejax.evaluation import levels
from mejax.pages import frame


def section(numbers: Mapping[str, Any]) -> str:
  """The part of the report on amplifications, as HTML."""
  rows = [
    (
      'first' if not i else '',
      [
        levels.which(row['levels'], numbers['levels']),
        f'{row["uf1"]:.3f}',
        '{:.3f}–{:.3f}'.format(*row['uf1_ci']),
        f'{row["uar"]:.3f}',
        '{:+.3f} [{:+.3f}, {:+.3f}]'.format(*row['difference']) if i else '',
      ],
    )
    for i, row in enumerate(numbers['scores'])
  ]
  return (
    '<h3>What amplification adds</h3><p class="soft">The models of the last '
    'epoch, as trained on all levels, shown some of them. What a model trained '
    'on one level alone would reach is another run.</p>'
    + frame.table(['levels read', 'UF1', '95 %', 'UAR', 'difference'], rows)
    + '<h3>Which amplification was read for whom</h3>'
    + frame.figure(
      bars(numbers['subjects'], numbers['levels']),
      'Share of each amplification in what was read of a subject held out, '
      'mean over seeds and clips; the mean amplification rises from left to '
      'right. A share says where the answer was read off, not what alone it '
      'rests on.',
    )
  )


def bars(
  subjects: Sequence[Mapping[str, Any]],
  all_levels: Sequence[float | int],
  *,
  width: int = 860,
) -> str:
  """A divided bar for each subject as SVG, the least amplified first."""
  left, top, height = 40, 34, 170
  rows = sorted(subjects, key=lambda row: row['amplification'])
  step = min((width - left - 8) / max(len(rows), 1), 40)
  parts = []
  for share in (0, 0.5, 1):
    y = top + height * (1 - share)
    parts += [
      f'<line class="grid" x1="{left}" x2="{width - 8}" y1="{y}" y2="{y}"/>',
      f'<text class="small" x="{left - 8}" y="{y + 4}" text-anchor="end">'
      f'{100 * share:.0f}</text>',
    ]
  shades = (
    np.linspace(0.25, 1, len(all_levels)) if len(all_levels) > 1 else [1.0]
  )
  for i, (alpha, shade) in enumerate(zip(all_levels, shades, strict=True)):
    x = left + 74 * i
    parts.append(
      f'<rect class="bar honest" style="opacity:{shade:.2f}" x="{x}" y="4" '
      f'width="12" height="12" rx="2"/><text class="small" x="{x + 18}" '
      f'y="14">{alpha:g} times</text>'
    )
  for i, row in enumerate(rows):
    x, y = left + step * i + 0.1 * step, top + height
    tip = html.escape(
      f'{row["subject"]}, {row["clips"]} clips, mean '
      f'{row["amplification"]:.2f} times: '
      + ', '.join(
        f'{alpha:g} times {100 * weight:.0f} %'
        for alpha, weight in zip(all_levels, row['weights'], strict=True)
      )
    )
    parts.append(f'<g><title>{tip}</title>')
    for weight, shade in zip(row['weights'], shades, strict=True):
      y -= height * weight
      parts.append(
        f'<rect class="bar honest" style="opacity:{shade:.2f}" x="{x:.2f}" '
        f'y="{y:.2f}" width="{0.8 * step:.2f}" '
        f'height="{height * weight:.2f}"/>'
      )
    parts.append('</g>')
  label = 'Share of each amplification for each subject, in per cent'
  return (
    f'<svg viewBox="0 0 {width} {top + height + 8}" width="{width}" '
    f'height="{top + height + 8}" role="img" aria-label="{label}">'
    f'{"".join(parts)}</svg>'
  )
