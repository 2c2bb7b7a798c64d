"""Summarises how much a model reads of each level, and scores single levels.

The weights are those with which the model pools its amplification levels.
Before that, a token of one level has attended to the other levels, so a weight
does not say how much the answer depends on a level. The scores from single
levels do.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from jaxtyping import Integer
import numpy as np

from mejax.evaluation import bootstrap
from mejax.evaluation import metrics

Levels = tuple[float, ...]


def per_subject(
  weights: Float[np.ndarray, 's n a'],
  groups: np.ndarray,
  all_levels: Sequence[float | int],
) -> list[dict[str, Any]]:
  """Returns the weight of each level for each subject, averaged over clips.

  Args:
    weights: weight of each level, for each seed and clip; they sum to one.
    groups: str[n], the subject of each clip.
    all_levels: amplification factor of each level.

  Returns:
    For each subject, sorted by name: `subject`; `clips`, their number;
    `weights` [a], averaged over seeds too; `amplification`, the weighted
    geometric mean of the factors, because amplifications multiply; and
    `seeds_std`, its standard deviation over seeds (0 for one seed).
  """
  rows = []
  for name in np.unique(groups):
    own = weights[:, groups == name].mean(1)  # [s, a]
    logs = own @ np.log(np.asarray(all_levels, np.float64))
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


def per_clip(
  factors: Float[np.ndarray, 's n f'],
  motion: Float[np.ndarray, ' n'],
  names: Sequence[str],
) -> list[dict[str, Any]]:
  """Returns the factor at which each clip was read, beside its motion.

  Args:
    factors: factor of each seed and clip, or of each of its regions.
    motion: how much each clip moves.
    names: name of each clip.

  Returns:
    For each clip: `clip`; `factor`, the geometric mean over seeds and regions;
    and `motion`.
  """
  means = np.exp(np.log(factors.astype(np.float64)).mean((0, 2)))
  return [
    {'clip': name, 'factor': float(factor), 'motion': float(moved)}
    for name, factor, moved in zip(names, means, motion, strict=True)
  ]


def scores(
  predictions: Mapping[Levels, Integer[np.ndarray, 's n']],
  labels: Integer[np.ndarray, ' n'],
  groups: np.ndarray,
  *,
  num_classes: int,
) -> list[dict[str, Any]]:
  """Returns UF1 and UAR of predictions from different choices of levels.

  Args:
    predictions: for each choice of levels, the predictions of each seed and
      clip; the first choice is all levels.
    labels: the true classes.
    groups: str[n], the subject of each clip.
    num_classes: k.

  Returns:
    For each choice: `levels`; `uf1`; `uf1_ci`, its 95 % interval over subjects;
    `uf1_seeds`; `uar`; and `difference`, the UF1 minus that of the first
    choice, with its paired interval.
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
  """Formats both tables as text for a terminal.

  Args:
    numbers: `levels`, `scores` and `subjects`; see `scores` and `per_subject`.
  """
  lines = ['levels read            UF1    95 %           UAR']
  for row in numbers['scores']:
    low, high = row['uf1_ci']
    lines.append(
      f'{name_levels(row["levels"], numbers["levels"]):<21}'
      f'{row["uf1"]:6.3f}   {low:.3f} to {high:.3f}  {row["uar"]:.3f}'
    )
  names = ''.join(f'{alpha:>7g}x' for alpha in numbers['levels'])
  lines += ['', f'{"weight of each level":<21}{names}   mean']
  lines += [
    f'{row["subject"]:<21}'
    + ''.join(f'{weight:8.2f}' for weight in row['weights'])
    + f'{row["amplification"]:6.1f}x'
    for row in numbers['subjects']
  ]
  return '\n'.join(lines)


def name_levels(
  levels: Sequence[float | int], all_levels: Sequence[float | int]
) -> str:
  """Describes in words which of all levels were read."""
  if len(levels) == len(all_levels) > 1:
    return 'all'
  names = ', '.join(f'{alpha:g}' for alpha in levels)
  return 'as it is, alone' if names == '1' else f'{names} times, alone'
