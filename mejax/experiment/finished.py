"""Reads finished runs from their workdirs."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import math
import pathlib
from typing import Any

from mejax import files
from mejax.evaluation import best_baseline
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.experiment import record as record_lib
from mejax.experiment import schema
from mejax.experiment import workdir as workdir_lib
from mejax.pages.run import Run

# Runs that were evaluated before these numbers were there lack them.
_ADDED = ('diverged', 'baseline_remarks', 'best_baseline', 'together')


def read_run(workdir: pathlib.Path, *, name: str) -> Run:
  """Reads the files of a run that its page shows.

  Args:
    workdir: folder of the run.
    name: name of the run on the page.

  Raises:
    FileNotFoundError: metrics.json or record.npz is missing.
    ValueError: a file is damaged or has an unknown schema, or metrics.json does
      not say what the record says.
  """
  for needed in ('metrics.json', 'record.npz'):
    if not (workdir / needed).exists():
      raise FileNotFoundError(
        f'{workdir} has no {needed}: it is not the workdir of a finished run. '
        'Finish it with the `mejax train` command that began it.'
      )
  files.refuse_links(workdir)
  record = record_lib.read_record(workdir)
  has_config = (workdir / 'config.json').exists()
  return Run(
    name=name,
    numbers=read_numbers(workdir, record),
    record=record,
    config=schema.read_config(workdir) if has_config else {},
    levels=workdir_lib.read_levels(workdir),
    attention=workdir_lib.read_attention(workdir),
    baselines=workdir_lib.read_baselines(workdir),
  )


def read_runs(workdirs: Sequence[pathlib.Path]) -> list[Run]:
  """Reads several runs, each under a name of its own; see `read_run`."""
  short = [workdir.resolve().name for workdir in workdirs]
  names = short if len(set(short)) == len(short) else map(str, workdirs)
  return [
    read_run(workdir, name=name)
    for workdir, name in zip(workdirs, names, strict=True)
  ]


def read_numbers(
  workdir: pathlib.Path, record: selection.Record
) -> dict[str, Any]:
  """Reads metrics.json, brings it to the present schema, and checks it.

  Raises:
    ValueError: it has an unknown schema, is damaged, or differs from what the
      record and the baselines beside it give.
  """
  path = workdir / 'metrics.json'
  numbers = files.read_json(path, hint=workdir_lib.AGAIN)
  version = numbers.get('schema_version')
  if version == 2:
    # Schema 3 differs only in this name.
    names = {'floors': 'baselines'}
    numbers = {names.get(key, key): value for key, value in numbers.items()}
    version = numbers['schema_version'] = 3
  if version != summary.SCHEMA_VERSION:
    raise ValueError(
      f'{workdir} was evaluated by a mejax with schema {version}; this one'
      f' reads 2 and {summary.SCHEMA_VERSION}. Repeat the `mejax train` or'
      ' `evaluate` command that made it.'
    )
  baselines = workdir_lib.read_baselines(workdir)
  with files.reading(path, hint=workdir_lib.AGAIN):
    told = numbers.get('settings', [])
    found = summary.metrics_json(
      record,
      baselines if numbers['baselines'] else {},
      protocol_sentence=numbers['protocol'],
      rules=list(numbers['selection']),
      settings=[one['values'] for one in told if 'values' in one],
    )
    found['rules'] = {rule: numbers['rules'][rule] for rule in found['rules']}
    # The baselines themselves may be missing beside their numbers.
    found['best_baseline'] = best_baseline.find(numbers['baselines'])
    for name in _ADDED:
      if name not in numbers:
        numbers[name] = found[name]
    for old, new in zip(told, found.get('settings', []), strict=True):
      old.setdefault('together', new['together'])
    if lines := list(_differences(numbers, found)):
      raise ValueError(f'it does not say what record.npz says: {lines[0]}')
  return numbers


def _differences(there: Any, found: Any, name: str = '') -> Iterator[str]:
  """Yields a line for each value found that is not there."""
  if isinstance(found, Mapping) and isinstance(there, Mapping):
    for key, value in found.items():
      yield from _differences(
        there.get(key, 'nothing'), value, f'{name}.{key}'.lstrip('.')
      )
  elif isinstance(found, list) and isinstance(there, list):
    pairs = enumerate(zip(there, found, strict=False))
    if len(there) != len(found):
      yield f'{name} has {len(there)} values, not {len(found)}'
    for i, (old, new) in pairs:
      yield from _differences(old, new, f'{name}[{i}]')
  elif isinstance(found, float) and isinstance(there, int | float):
    # Another processor may sum in another order.
    if not math.isclose(there, found, rel_tol=1e-6, abs_tol=1e-9):
      yield f'{name} is {there:g}, not {found:g}'
  elif there != found:
    yield f'{name} is {there!r}, not {found!r}'
