"""Scores finished runs, and baselines on their folds, together."""

from __future__ import annotations

from collections.abc import Sequence
import os
import pathlib
from typing import Any

from mejax.evaluation import baselines as baselines_lib
from mejax.evaluation import selection
from mejax.evaluation import table
from mejax.evaluation import together as together_lib
from mejax.evaluation.together import Member
from mejax.experiment import finished
from mejax.experiment import workdir as workdir_lib
from mejax.pages.finished_run import Run


def together(sources: Sequence[str | os.PathLike]) -> dict[str, Any]:
  """Averages what several models say of the clips they held out; prints it.

  A run counts as the mean of its seeds at the last epoch. All models have equal
  weight.

  Args:
    sources: folders of finished runs with the same clips, labels and folds;
      and names of baselines, e.g. `lda`, on the folds of these runs.

  Returns:
    See `evaluation.together.metrics_json`.

  Raises:
    FileNotFoundError: a run is not finished.
    ValueError: clips, labels, people or folds of the runs differ, a baseline is
      unknown, or there are fewer than two models.
  """
  workdirs, baselines = split(sources)
  runs = finished.read_runs(workdirs)
  numbers = score(workdirs, runs, baselines)
  print(table.format_together(numbers))
  return numbers


def split(
  sources: Sequence[str | os.PathLike],
) -> tuple[list[pathlib.Path], list[str]]:
  """Tells folders of runs, or of results, from names of baselines.

  What is written with a slash, as `./lda`, is a folder. So is any other name
  that exists, unless it is a baseline's.

  Raises:
    ValueError: there is no run, or a name is both a folder and a baseline.
  """
  workdirs, names = [], []
  for source in sources:
    text = os.fspath(source)
    path = pathlib.Path(text)
    if os.path.basename(text) != text:
      workdirs.append(path)
    elif not path.exists():
      names.append(text)
    elif text not in baselines_lib.BASELINES:
      workdirs.append(path)
    else:
      raise ValueError(
        f'{text} is both a baseline and a folder here: write ./{text} for the'
        ' folder, or go to another one for the baseline.'
      )
  if not workdirs:
    raise ValueError(
      f'{", ".join(names)}: no such folder. Baselines are scored together with'
      ' a run, on whose folds they are.'
    )
  return workdirs, names


def score(
  workdirs: Sequence[pathlib.Path],
  runs: Sequence[Run],
  baselines: Sequence[str] = (),
) -> dict[str, Any]:
  """Returns the numbers of runs and baselines together; see `together`.

  Args:
    workdirs: folders of the runs.
    runs: the runs.
    baselines: names of baselines.
  """
  records = {run.name: run.record for run in runs}
  together_lib.refuse_different(records)
  reference = runs[0].record
  members = [
    together_lib.member_of(name, record, like=reference)
    for name, record in records.items()
  ]
  members += _baselines(workdirs[0], reference, baselines)
  # Those of the first have the order of its clips; a run that was scored
  # without baselines has them in no table.
  own = runs[0].baselines if runs[0].numbers['baselines'] else {}
  numbers = together_lib.metrics_json(
    reference,
    members,
    protocol=runs[0].numbers['protocol'],
    baselines=own,
  )
  last = [run.numbers['selection']['last']['full'] for run in runs]
  together_lib.warn(numbers, [entry.get('warning', '') for entry in last])
  return numbers


def _baselines(
  workdir: pathlib.Path, record: selection.Record, names: Sequence[str]
) -> list[Member]:
  """Reads baselines from the run whose clips have the order of the result."""
  found, hint = {}, ''
  if names:
    kept = workdir_lib.read_baselines(workdir)
    found = baselines_lib.probabilities_of(kept)
    if kept.get(baselines_lib.RECIPE_KEY) != baselines_lib.RECIPE:
      hint = (
        ' They are of an older recipe; the `mejax train` command that wrote the'
        ' run makes them again.'
      )
  for name in names:
    if name not in found:
      raise ValueError(
        f'{name!r} is neither the folder of a run nor a baseline of {workdir}'
        f' with probabilities. It has: {", ".join(found) or "none"}.{hint}'
      )
    if len(found[name]) != len(record['labels']):
      raise ValueError(
        f'the baseline {name!r} of {workdir} has other clips. Delete'
        f' {workdir_lib.BASELINES} there; the `mejax train` command that wrote'
        ' it makes it again.'
      )
  return [Member(name, found[name]) for name in names]
