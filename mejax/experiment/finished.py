"""Reads what the page of a run needs from the workdirs of finished runs."""

from __future__ import annotations

from collections.abc import Sequence
import json
import pathlib

from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.experiment import workdir as workdir_lib
from mejax.pages import run as run_page
from mejax.pages.run_sections import Run


def read_run(workdir: pathlib.Path, *, name: str) -> Run:
  """Reads what the page needs of a workdir."""
  for needed in ('metrics.json', 'record.npz'):
    if not (workdir / needed).exists():
      raise FileNotFoundError(
        f'{workdir} has no {needed}: it is not the workdir of a finished run. '
        'Finish it with the `mejax train` command that began it.'
      )
  record = workdir_lib.load_npz(workdir / 'record.npz')
  selection.check(record)
  numbers = json.loads((workdir / 'metrics.json').read_text())
  if numbers['schema_version'] != summary.SCHEMA_VERSION:
    raise ValueError(
      f'{workdir} was evaluated by a mejax with schema '
      f'{numbers["schema_version"]}; this one reads {summary.SCHEMA_VERSION}. '
      'The `mejax train` or `evaluate` command that made it does so again.'
    )
  return Run(
    name=name,
    numbers=numbers,
    record=record,
    config=_json(workdir / 'config.json'),
    levels=workdir_lib.read_levels(workdir),
    looked=workdir_lib.read_attention(workdir),
  )


def _json(path):
  return json.loads(path.read_text()) if path.exists() else {}


def write_report(
  workdirs: Sequence[pathlib.Path], out: pathlib.Path
) -> pathlib.Path:
  """Writes the page of finished runs into the folder `out`; gives its path.

  Args:
    workdirs: finished runs; with several, the first is what the others are
      compared with.
    out: folder of the page, made if it is not there.

  Raises:
    FileNotFoundError: a workdir without metrics.json or record.npz.
  """
  workdirs = [pathlib.Path(workdir) for workdir in workdirs]
  short = [workdir.resolve().name for workdir in workdirs]
  names = short if len(set(short)) == len(short) else map(str, workdirs)
  runs = [
    read_run(workdir, name=name)
    for workdir, name in zip(workdirs, names, strict=True)
  ]
  return run_page.write(runs, out)
