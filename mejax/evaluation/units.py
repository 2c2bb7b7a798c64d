"""Scores what models tell of action units."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from jaxtyping import Int
from jaxtyping import Real
from jaxtyping import Shaped
import numpy as np
import scipy.stats


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
  logits: Real[np.ndarray, ' n'], truth: Shaped[np.ndarray, ' n']
) -> float | None:
  """Returns the F1 of logits above 0; None if nothing is shown."""
  shown, said = np.asarray(truth) > 0, np.asarray(logits) > 0
  if not shown.any():
    return None
  return float(2 * (shown & said).sum() / (shown.sum() + said.sum()))


def score(
  logits: Real[np.ndarray, 'n u'],
  truth: Shaped[np.ndarray, 'n u'],
  names: Sequence[str],
) -> dict[str, Any]:
  """Scores action units against those that are shown.

  Returns:
    `units`: for each name, `area`, `f1` and the number of examples that show
    it; `macro`: the means of area and F1 over the units that have them.
  """
  units = {
    name: {
      'area': area(logits[:, i], truth[:, i]),
      'f1': f1(logits[:, i], truth[:, i]),
      'shown': int((truth[:, i] > 0).sum()),
    }
    for i, name in enumerate(names)
  }
  macro = {}
  for key in ('area', 'f1'):
    found = [unit[key] for unit in units.values() if unit[key] is not None]
    macro[key] = float(np.mean(found)) if found else None
  return {'units': units, 'macro': macro}


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
  """Returns the result of `score` as a table."""
  lines = ['action unit   area    F1  shown']
  rows = {**numbers['units'], 'macro': numbers['macro']}
  for name, row in rows.items():
    shown = row.get('shown', '')
    lines.append(
      f'{name:<11} {_number(row["area"])} {_number(row["f1"])} {shown:>6}'
    )
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
