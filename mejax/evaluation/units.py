"""Scores what models tell of action units, and decides which they tell.

A model says of each unit, from 0 to 1, how likely it is shown: its share. Few
shares of a rare unit reach one half, so each unit has a threshold of its own,
which is chosen on other people than those who are scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import Real
from jaxtyping import Shaped
import numpy as np
import scipy.stats

# The threshold of a unit for which none was chosen.
HALF = 0.5
# What `score` tells of a unit, and its title in a table.
SCORES = {
  'area': 'area',
  'f1': 'F1',
  'f1_macro': 'macro',
  'f1_half': 'at .5',
  'f1_macro_half': 'macro',
}
_HEAD = ' '.join(f'{title:>5}' for title in SCORES.values())


def area(
  scores: Real[np.ndarray, ' n'], truth: Shaped[np.ndarray, ' n']
) -> float | None:
  """Returns the area under the ROC curve; None if all examples are alike.

  It is the chance that an example that shows something has a higher score than
  one that does not; ties count half.
  """
  shown = np.asarray(truth) > 0
  positive, negative = int(shown.sum()), int((~shown).sum())
  if not positive or not negative:
    return None
  ranks = scipy.stats.rankdata(scores)
  above = ranks[shown].sum() - positive * (positive + 1) / 2
  return float(above / (positive * negative))


def f1(
  told: Bool[np.ndarray, ' n'], shown: Bool[np.ndarray, ' n']
) -> float | None:
  """Returns the F1 of what is told; None if nothing is shown."""
  if not shown.any():
    return None
  return float(2 * (shown & told).sum() / (shown.sum() + told.sum()))


def f1_macro(
  told: Bool[np.ndarray, ' n'], shown: Bool[np.ndarray, ' n']
) -> float | None:
  """Returns the mean F1 of showing a unit and of not showing it.

  None if nothing is shown. What is neither shown nor told counts in no mean.
  """
  if not shown.any():
    return None
  if shown.all() and told.all():
    return 1.0
  return (f1(told, shown) + (f1(~told, ~shown) or 0.0)) / 2


def choose_thresholds(
  shares: Real[np.ndarray, 'n u'], truth: Shaped[np.ndarray, 'n u']
) -> Float[np.ndarray, ' u']:
  """Returns, for each unit, the threshold with the best F1 on these examples.

  It lies half way between the two shares that it parts. A unit that nobody
  shows keeps one half.
  """
  return np.array(
    [_threshold(*columns) for columns in zip(shares.T, truth.T, strict=True)]
  )


def _threshold(shares, truth) -> float:
  order = np.argsort(-shares, kind='stable')
  shares, shown = shares[order].astype(np.float64), np.asarray(truth)[order] > 0
  if not shown.any():
    return HALF
  told = np.arange(1, len(shares) + 1)
  scores = 2 * np.cumsum(shown) / (shown.sum() + told)
  below = np.append(shares[1:], 0.0)
  # Equal shares cannot be parted.
  scores[(below == shares) & (told < len(shares))] = -1
  best = scores.argmax()
  return float((shares[best] + below[best]) / 2)


def score(
  shares: Real[np.ndarray, 'n u'],
  truth: Shaped[np.ndarray, 'n u'],
  names: Sequence[str],
  thresholds: Real[np.ndarray, '... u'] | None = None,
) -> dict[str, Any]:
  """Scores action units against those that are shown.

  Args:
    shares: how likely each unit is shown, from 0 to 1.
    truth: which are shown.
    names: of the units.
    thresholds: of each unit, or of each example and unit; a unit is told from
      its threshold on. One half by default.

  Returns:
    `units`: for each name, `area`, `f1`, `f1_macro`, `f1_half` and
    `f1_macro_half` (with one half as threshold), and the number of examples
    that show it; `mean`: the means of these over the units that have them.
  """
  half = np.full(shares.shape[1], HALF)
  told = shares >= (half if thresholds is None else thresholds)
  shown = np.asarray(truth) > 0
  units = {
    name: {
      'area': area(shares[:, i], shown[:, i]),
      'f1': f1(told[:, i], shown[:, i]),
      'f1_macro': f1_macro(told[:, i], shown[:, i]),
      'f1_half': f1(shares[:, i] >= HALF, shown[:, i]),
      'f1_macro_half': f1_macro(shares[:, i] >= HALF, shown[:, i]),
      'shown': int(shown[:, i].sum()),
    }
    for i, name in enumerate(names)
  }
  return {'units': units, 'mean': mean(list(units.values()))}


def mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
  """Returns the mean of each score over the rows that have it."""
  found = {
    key: [row[key] for row in rows if row[key] is not None] for key in SCORES
  }
  return {
    key: float(np.mean(values)) if values else None
    for key, values in found.items()
  }


def score_against_classes(
  logits: Real[np.ndarray, 'n u'],
  labels: Int[np.ndarray, ' n'],
  names: Sequence[str],
  class_names: Sequence[str],
) -> dict[str, dict[str, float | None]]:
  """Returns, for each unit and class, the area by which it tells the class."""
  return {
    name: {
      word: area(logits[:, i], labels == k)
      for k, word in enumerate(class_names)
    }
    for i, name in enumerate(names)
  }


def format_scores(numbers: Mapping[str, Any]) -> str:
  """Returns the result of `score` as a table, with thresholds if it has any."""
  limits = describe_thresholds(numbers)
  title = 'threshold' if limits else ''
  lines = [f'action unit  {_HEAD}  shown  {title}'.rstrip()]
  rows = {**numbers['units'], 'mean': numbers['mean']}
  for name, row in rows.items():
    cells = ' '.join(_number(row[key]) for key in SCORES)
    line = f'{name:<12} {cells} {row.get("shown", ""):>6}  '
    lines.append((line + limits.get(name, '')).rstrip())
  return '\n'.join(lines)


def describe_thresholds(numbers: Mapping[str, Any]) -> dict[str, str]:
  """Returns the threshold of each unit as text; of several folds, the range.

  Args:
    numbers: with `names` of units, and for each fold `thresholds` of them.

  Returns:
    For each name its threshold; {} if there are none.
  """
  columns = zip(*numbers.get('thresholds', {}).values(), strict=True)
  found = {}
  for name, column in zip(numbers.get('names', ()), columns, strict=False):
    ends = dict.fromkeys(f'{end:.2f}' for end in (min(column), max(column)))
    found[name] = '–'.join(ends)
  return found


def format_parts(parts: Mapping[str, Mapping[str, Any]]) -> str:
  """Returns the means over the units of each part as a table."""
  lines = [f'held out     {_HEAD}  clips']
  mean_of_parts = mean(list(parts.values()))
  for name, row in {**parts, 'mean': mean_of_parts}.items():
    cells = ' '.join(_number(row[key]) for key in SCORES)
    lines.append(f'{name:<12} {cells} {row.get("examples", ""):>6}')
  return '\n'.join(lines)


def format_areas(areas: Mapping[str, Mapping[str, float | None]]) -> str:
  """Returns the result of `score_against_classes` as a table."""
  classes = list(next(iter(areas.values())))
  lines = ['area by unit  ' + ' '.join(f'{word:>9}' for word in classes)]
  for name, row in areas.items():
    cells = ' '.join(f'{_number(row[word]):>9}' for word in classes)
    lines.append(f'{name:<14}{cells}')
  return '\n'.join(lines)


def _number(value: float | None) -> str:
  return '    -' if value is None else f'{value:5.3f}'
