"""Compares two finished runs on the same clips, as numbers."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from mejax.evaluation import metrics
from mejax.experiment import finished

_SCORES = {
  'uf1': metrics.uf1_of,
  'uar': metrics.uar_of,
  'accuracy': metrics.accuracy_of,
}


def compare(
  run: str | os.PathLike, reference: str | os.PathLike
) -> dict[str, Any]:
  """Returns how far a run is above another, paired over people.

  Both runs get the same resamples of people, so a difference may be clear even
  if the two intervals overlap. It is the number that `report` prints.

  Args:
    run: folder of a finished run.
    reference: folder of another on the same clips, labels and people.

  Returns:
    `uf1`, `uar` and `accuracy`, each `[difference, low, high]`: the score of
    `run` minus that of `reference` at the last epoch, and its 95 % interval. An
    interval that contains 0 shows no clear difference. `n` and `subjects` are
    the numbers of clips and people.

  Raises:
    FileNotFoundError: a run is not finished.
    ValueError: clips or labels differ, or a file is damaged.
  """
  ours, other = finished.read_runs([pathlib.Path(run), pathlib.Path(reference)])
  differences = {
    name: ours.minus(other, statistic) for name, statistic in _SCORES.items()
  }
  if None in differences.values():
    raise ValueError(
      f'{run} and {reference} are not comparable: they have other clips or'
      ' labels.'
    )
  entry = ours.entry()
  return {
    **{name: list(difference) for name, difference in differences.items()},
    'n': entry['n'],
    'subjects': entry['subjects'],
  }
