"""Reads finished runs from their workdirs."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import math
import os
import pathlib
import reprlib
from typing import Any

import numpy as np

from mejax import files
from mejax import forms
from mejax import models
from mejax.evaluation import attention
from mejax.evaluation import baselines as baselines_lib
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.experiment import commands
from mejax.experiment import cost as cost_lib
from mejax.experiment import record as record_lib
from mejax.experiment import schema
from mejax.experiment import unit_scores
from mejax.experiment import workdir as workdir_lib
from mejax.pages.finished_run import Run

# Runs that were evaluated before these numbers were there lack them.
_ADDED = ('diverged', 'baseline_remarks', 'best_baseline', 'together')
# So do their entries of seeds together.
_ADDED_TO_ENTRIES = ('minus_best_baseline',)


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
  config = schema.read_config(workdir) if has_config else {}
  if config.get('dataset') == '' and 'view' in config:
    # What a config left there had no effect on arrays.
    config['view'] = {'name': ''}
  facts = schema.read_run(workdir) if (workdir / 'run.json').exists() else {}
  # An older mejax did not note it.
  data_dir = facts.get('data_dir', 'YOUR_DATA')
  return Run(
    name=name,
    numbers=read_numbers(workdir, record),
    record=record,
    config=config,
    levels=workdir_lib.read_levels(workdir),
    attention=_read_attention(workdir),
    baselines=workdir_lib.read_baselines(workdir),
    units=unit_scores.read_table(workdir),
    cost=cost_lib.read(workdir),
    data_dir=data_dir,
    defaults=_defaults(config),
    commands=commands.of_run(
      config,
      facts.get('dataset', {}),
      config_path=str(workdir / 'config.json'),
      workdir=f'{workdir}-again',
      data_dir=data_dir,
    ),
  )


def _defaults(config: Mapping[str, Any]) -> dict[str, Any]:
  """Returns what a config leaves to its model, by the names in the config."""
  model = config.get('model')
  # The section may be the description of a user's own model.
  named = model if isinstance(model, Mapping) else {}
  name, preset = named.get('name'), named.get('preset')
  if not (isinstance(name, str) and isinstance(preset, str | None)):
    return {}
  fields = models.defaults(name, preset)
  return {f'model.{name}': value for name, value in fields.items()}


def _read_attention(workdir: pathlib.Path) -> dict[str, np.ndarray]:
  maps = workdir_lib.read_attention(workdir)
  if maps:
    path = workdir / workdir_lib.ATTENTION
    with files.reading(path, hint=workdir_lib.AGAIN):
      attention.check(maps)
  return maps


def read_runs(workdirs: Sequence[pathlib.Path]) -> list[Run]:
  """Reads several runs, each under a name of its own; see `read_run`.

  The name is that of the folder, or the way to it from the folder that all are
  in: `demo/run` and `wider`.
  """
  full = [workdir.resolve() for workdir in workdirs]
  parent = os.path.commonpath([path.parent for path in full])
  names = [path.relative_to(parent).as_posix() for path in full]
  if len(set(names)) < len(names):
    names = list(map(str, workdirs))
  return [
    read_run(workdir, name=name)
    for workdir, name in zip(workdirs, names, strict=True)
  ]


def read_numbers(
  workdir: pathlib.Path, record: selection.Record
) -> dict[str, Any]:
  """Checks metrics.json, and computes its numbers again from the record.

  Returns:
    The content of metrics.json in the present schema.

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
  owner = record_lib.owner_of(record)
  baselines = workdir_lib.read_baselines(workdir, owner)
  told = record_lib.read_told(workdir, record)
  with files.reading(path, hint=workdir_lib.AGAIN):
    forms.check(numbers, {'baselines': dict})
  if numbers['baselines'] and not baselines:
    raise FileNotFoundError(
      f'{workdir / workdir_lib.BASELINES} is missing, from which the numbers of'
      ' the baselines come. The `mejax train` or `evaluate` command that wrote'
      ' it makes it again.'
    )
  if baselines:
    with files.reading(workdir / workdir_lib.BASELINES, hint=workdir_lib.AGAIN):
      baselines_lib.check(baselines, len(record['class_names']))
  with files.reading(path, hint=workdir_lib.AGAIN):
    found = describe(record, baselines if numbers['baselines'] else {}, told)
    added = {name: found[name] for name in _ADDED}
    for old, new in zip(
      numbers.get('settings', []), found.get('settings', []), strict=False
    ):
      old.setdefault('together', new['together'])
    # These sentences are ours, and may be said better than they were.
    rules = {'rules': found['rules']}
    if lines := list(_differences(added | numbers | rules, found)):
      raise ValueError(f'it does not say what record.npz says: {lines[0]}')
  return found


def describe(
  record: selection.Record,
  baselines: Mapping[str, np.ndarray],
  told: Mapping[str, Any],
) -> dict[str, Any]:
  """Returns the content of metrics.json.

  Args:
    record: see `selection`.
    baselines: the result of `baselines.baselines`; may be empty.
    told: see `record.TOLD`.
  """
  numbers = summary.metrics_json(
    record,
    baselines,
    rules=told['rules'],
    protocol_sentence=told['protocol'],
    settings=told.get('settings', ()),
  )
  if warning := told.get('warning'):
    if not told.get('started'):
      numbers['rules'] = {'last': f'The converted weights: {warning}.'}
    summary.warn(numbers, warning)
  if owner := record_lib.owner_of(record):
    numbers[files.OWNER] = owner
  return numbers


def _differences(there: Any, found: Any, name: str = '') -> Iterator[str]:
  """Yields a line for each value that is not the same."""
  if isinstance(found, Mapping) and isinstance(there, Mapping):
    for key in [*found, *(key for key in there if key not in found)]:
      if key in _ADDED_TO_ENTRIES and key not in there:
        continue
      old, new = (each.get(key, 'nothing') for each in (there, found))
      yield from _differences(old, new, f'{name}.{key}'.lstrip('.'))
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
    yield f'{name} is {reprlib.repr(there)}, not {reprlib.repr(found)}'
