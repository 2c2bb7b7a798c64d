"""Scores a table of predictions that anybody made, with any program."""

from __future__ import annotations

from collections.abc import Mapping
import os
import pathlib
from typing import Any

from mejax import files
from mejax.evaluation import predicted
from mejax.evaluation import table
from mejax.experiment import predictions_file


def score_predictions(
  path: str | os.PathLike, options: Mapping[str, str] | None = None
) -> dict[str, Any]:
  """Prints the score of a table of truths and predictions.

  The table is `predictions.csv` of a run, or any other with a row for each
  clip. Columns of corpus and subject give rows for each database and intervals
  over people. How the predictions came about is not known: nothing tells
  whether epochs or settings were selected on the people who are scored.

  Args:
    path: a CSV file or a workbook. Of `predictions.csv` in a run, the run tells
      the names of the classes.
    options: see `predictions_file.read`.

  Returns:
    See `evaluation.predicted.metrics_json`.

  Raises:
    FileNotFoundError: the file is missing.
    ValueError: a column is missing, or a cell is not understood.
  """
  options = dict(options or {})
  if 'classes' not in options and (names := _names_beside(path)):
    options['classes'] = ','.join(names)
    print(f'Names of the classes, from metrics.json: {", ".join(names)}')
  found = predictions_file.read(path, options)
  numbers = predicted.metrics_json(
    found.truth,
    found.predicted,
    class_names=found.class_names,
    corpus=found.corpus,
    people=found.people,
  )
  print(
    'Columns read: '
    + ', '.join(f'{field} = {name!r}' for field, name in found.columns.items())
  )
  print(table.format_predictions(numbers))
  if all(name.isdigit() for name in found.class_names):
    print('Name the classes by --option classes=NAME,NAME,...')
  for remark in found.remarks:
    print(f'NOTE: {remark}')
  print(
    'Nothing here tells how these predictions were selected; ask their authors.'
  )
  return numbers


def _names_beside(path: str | os.PathLike) -> list[str]:
  """Returns the names of the classes of a run; [] for any other table."""
  path = pathlib.Path(path)
  beside = path.with_name('metrics.json')
  if path.name != 'predictions.csv' or not beside.exists():
    return []
  names = files.read_json(
    beside, hint='Or name the classes, by --option classes=NAME,NAME,...'
  ).get('class_names', [])
  # A comma would make two names of one.
  return [] if any(',' in str(name) for name in names) else list(names)
