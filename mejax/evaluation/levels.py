"""Which amplification a model read for whom, and what each level tells alone.

The weights are those with which the model pools its levels. A token of a level
has seen the other levels by then, so that a weight says where the answer was
read off, not what alone it rests on; what a level tells alone is in the scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import html
from typing import Any

from jaxtyping import Float
from jaxtyping import Integer
import numpy as np

from mejax.evaluation import bootstrap
from mejax.evaluation import metrics
from mejax.evaluation import page

Levels = tuple[float, ...]


def per_subject(
  weights: Float[np.ndarray, 's n a'],
  groups: np.ndarray,
  alphas: Sequence[float | int],
) -> list[dict[str, Any]]:
  """What was read for each subject, mean over seeds and clips.

  Args:
    weights: of each level, for each seed and clip; they sum to one.
    groups: str[n], whose each clip is.
    alphas: amplification of each level.

  Returns:
    For each subject, sorted by name: subject, clips, weights [a],
    amplification (the mean of the alphas read, geometric, as an amplification
    is a factor) and its standard deviation over the seeds (0 for one seed).
  """
  rows = []
  for name in np.unique(groups):
    own = weights[:, groups == name].mean(1)  # [s, a]
    logs = own @ np.log(np.asarray(alphas, np.float64))
    several = len(logs) > 1
    rows.append(
      {
        'subject': str(name),
        'clips': int((groups == name).sum()),
        'weights': own.mean(0).tolist(),
        'amplification': float(np.exp(logs.mean())),
        'seeds_std': float(np.exp(logs).std(ddof=1)) if several else 0.0,
      }
    )
  return rows


def scores(
  predictions: Mapping[Levels, Integer[np.ndarray, 's n']],
  labels: Integer[np.ndarray, ' n'],
  groups: np.ndarray,
  *,
  num_classes: int,
) -> list[dict[str, Any]]:
  """UF1 and UAR from some of the levels, the first entry being all of them.

  Args:
    predictions: for each choice of levels, of each seed and clip.
    labels: the truth.
    groups: whose each clip is.
    num_classes: k.

  Returns:
    For each choice: levels, uf1, uf1_ci (95 % over subjects), uf1_seeds, uar,
    and difference, the UF1 minus that of the first with its paired interval.
  """
  rows, first = [], None
  for levels, prediction in predictions.items():
    matrices = bootstrap.group_confusion(
      labels, prediction, groups, num_classes=num_classes
    )
    first = matrices if first is None else first
    pooled = matrices.sum(1)
    uf1 = metrics.uf1_of(pooled)
    rows.append(
      {
        'levels': list(levels),
        'uf1': float(uf1.mean()),
        'uf1_ci': list(bootstrap.interval(matrices)),
        'uf1_seeds': uf1.tolist(),
        'uar': float(metrics.uar_of(pooled).mean()),
        'difference': list(bootstrap.paired_difference(first, matrices)),
      }
    )
  return rows


def table(numbers: Mapping[str, Any]) -> str:
  """Both tables as text for a terminal; see `mejax.levels.look`."""
  lines = ['levels read            UF1    95 %           UAR']
  for row in numbers['scores']:
    low, high = row['uf1_ci']
    lines.append(
      f'{_which(row["levels"], numbers["alphas"]):<21}'
      f'{row["uf1"]:6.3f}   {low:.3f} to {high:.3f}  {row["uar"]:.3f}'
    )
  names = ''.join(f'{alpha:>7g}x' for alpha in numbers['alphas'])
  lines += ['', f'{"weight of each level":<21}{names}   mean']
  lines += [
    f'{row["subject"]:<21}'
    + ''.join(f'{weight:8.2f}' for weight in row['weights'])
    + f'{row["amplification"]:6.1f}x'
    for row in numbers['subjects']
  ]
  return '\n'.join(lines)


def section(numbers: Mapping[str, Any]) -> str:
  """The part of the report on amplifications, as HTML."""
  rows = [
    (
      'first' if not i else '',
      [
        _which(row['levels'], numbers['alphas']),
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
    + page.table(['levels read', 'UF1', '95 %', 'UAR', 'difference'], rows)
    + '<h3>Which amplification was read for whom</h3>'
    + page.figure(
      bars(numbers['subjects'], numbers['alphas']),
      'Share of each amplification in what was read of a subject held out, '
      'mean over seeds and clips; the mean amplification rises from left to '
      'right. A share says where the answer was read off, not what alone it '
      'rests on.',
    )
  )


def bars(
  subjects: Sequence[Mapping[str, Any]],
  alphas: Sequence[float | int],
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
  shades = np.linspace(0.25, 1, len(alphas)) if len(alphas) > 1 else [1.0]
  for i, (alpha, shade) in enumerate(zip(alphas, shades, strict=True)):
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
        for alpha, weight in zip(alphas, row['weights'], strict=True)
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


def _which(levels, alphas) -> str:
  if len(levels) == len(alphas) > 1:
    return 'all'
  names = ', '.join(f'{alpha:g}' for alpha in levels)
  return 'as it is, alone' if names == '1' else f'{names} times, alone'
