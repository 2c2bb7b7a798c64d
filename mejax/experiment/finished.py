"""Reads finished runs from their workdirs, and writes their report."""

from __future__ import annotations

from collections.abc import Sequence
import json
import pathlib
from typing import Any

from mejax import files
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.experiment import workdir as workdir_lib
from mejax.pages import run as run_page
from mejax.pages.run import Run


def read_run(workdir: pathlib.Path, *, name: str) -> Run:
  """Reads the files of a run that its page shows.

  Args:
    workdir: folder of the run.
    name: name of the run on the page.

  Raises:
    FileNotFoundError: metrics.json or record.npz is missing.
    ValueError: metrics.json or record.npz has an unknown schema.
  """
  for needed in ('metrics.json', 'record.npz'):
    if not (workdir / needed).exists():
      raise FileNotFoundError(
        f'{workdir} has no {needed}: it is not the workdir of a finished run. '
        'Finish it with the `mejax train` command that began it.'
      )
  files.refuse_links(workdir)
  record = workdir_lib.load_npz(workdir / 'record.npz')
  selection.check(record)
  return Run(
    name=name,
    numbers=_read_numbers(workdir),
    record=record,
    config=_read_json(workdir / 'config.json'),
    levels=workdir_lib.read_levels(workdir),
    attention=workdir_lib.read_attention(workdir),
  )


def write_report(
  workdirs: Sequence[pathlib.Path], out: pathlib.Path
) -> pathlib.Path:
  """Writes the page of finished runs; returns its path.

  Args:
    workdirs: finished runs; if there are several, the others are compared with
      the first.
    out: folder of the page; made if it is not there.

  Raises:
    FileNotFoundError, ValueError: as in `read_run`.
  """
  workdirs = [pathlib.Path(workdir) for workdir in workdirs]
  short = [workdir.resolve().name for workdir in workdirs]
  names = short if len(set(short)) == len(short) else map(str, workdirs)
  runs = [
    read_run(workdir, name=name)
    for workdir, name in zip(workdirs, names, strict=True)
  ]
  out = pathlib.Path(out)
  out.mkdir(parents=True, exist_ok=True)
  with files.writing(out / 'index.html') as file:
    file.write(run_page.render(runs))
  return out / 'index.html'


def _read_numbers(workdir) -> dict[str, Any]:
  """Reads metrics.json and brings it to the present schema."""
  numbers = _read_json(workdir / 'metrics.json')
  if numbers['schema_version'] == 2:
    # Schema 3 differs only in this name.
    names = {'floors': 'baselines'}
    numbers = {names.get(key, key): value for key, value in numbers.items()}
    numbers['schema_version'] = 3
  if numbers['schema_version'] != summary.SCHEMA_VERSION:
    raise ValueError(
      f'{workdir} was evaluated by a mejax with schema '
      f'{numbers["schema_version"]}; this one reads 2 and '
      f'{summary.SCHEMA_VERSION}. Repeat the `mejax train` or `evaluate` '
      'command that made it.'
    )
  return numbers


def _read_json(path) -> dict[str, Any]:
  return json.loads(path.read_text()) if path.exists() else {}
