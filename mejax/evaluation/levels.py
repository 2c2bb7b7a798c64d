"""How much a model reads of each amplification level, and what one tells alone.

The weights are those with which the model pools its levels. By then a token of
a level has seen the other levels, so that a weight says where the answer was
read off, not on which level it rests alone. The scores say that.
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
  """Returns what was read of each subject's clips, mean over seeds and clips.

  Args:
    weights: of each level, for each seed and clip; they sum to one.
    groups: str[n], the subject of each clip.
    all_levels: amplification of each level.

  Returns:
    For each subject, sorted by name: subject, clips, weights [a],
    amplification (the geometric mean of the factors, since amplifications
    multiply) and seeds_std, its standard deviation over the seeds (0 for one
    seed).
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


def scores(
  predictions: Mapping[Levels, Integer[np.ndarray, 's n']],
  labels: Integer[np.ndarray, ' n'],
  groups: np.ndarray,
  *,
  num_classes: int,
) -> list[dict[str, Any]]:
  """Returns UF1 and UAR from some of the levels; the first entry is from all.

  Args:
    predictions: for each choice of levels, of each seed and clip.
    labels: the truth.
    groups: str[n], the subject of each clip.
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
  """Both tables as text for a terminal.

  Args:
    numbers: levels, scores and subjects; see `scores` and `per_subject`.
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
  """Says in words which of all levels were read."""
  if len(levels) == len(all_levels) > 1:
    return 'all'
  names = ', '.join(f'{alpha:g}' for alpha in levels)
  return 'as it is, alone' if names == '1' else f'{names} times, alone'
