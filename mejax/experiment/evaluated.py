"""Tells in the record of an evaluation what makes it again.

An evaluation has no config and no workdir of its own: it applies the models of
a run to the clips that a dataset, a protocol and a view give.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import pathlib
from typing import Any

import jax
import ml_collections

from mejax import files
from mejax import forms
from mejax.experiment import record as record_lib
from mejax.experiment import schema
from mejax.experiment import versions
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.task import Task
from mejax.training import numerics

# Values of a config that an evaluation takes; others are those of the run.
READING = ('dataset', 'protocol', 'view', 'matmul_precision')
_KEY = 'evaluation'
_MADE_BY = {'versions': dict, 'backend': str, 'numerics': dict}
_FORM = {
  'config': dict,
  'reading': dict,
  'options': [str],
  'data_sha256': str,
  'dataset': dict,
  **_MADE_BY,
  'trained': {'data_sha256': str, 'dataset?': dict, 'versions?': dict},
}
_OF_RUN = ('data_sha256', 'dataset', 'named_objects', *_MADE_BY)


def describe(
  source: pathlib.Path,
  config: ml_collections.ConfigDict,
  task: Task,
  *,
  prior: str | None,
) -> dict[str, Any]:
  """Returns what is added to `record.TOLD` for the models of a run.

  Args:
    source: workdir of the run.
    config: names the dataset, protocol and view of the clips.
    task: all clips that they give.
    prior: see `evaluating.evaluate`.

  Returns:
    `evaluation`, with the `config` of the run, what the clips were read by
    (`reading`), the `options` of the command, data, libraries, and the same of
    the training (`trained`); {} if `source` holds no run.
  """
  if not (source / 'run.json').exists():
    return {}
  run = schema.read_run(source)
  values = json.loads(config.to_json_best_effort())
  return {
    _KEY: {
      'config': schema.complete(
        schema.read_config(source), run['schema_version']
      ),
      'reading': {key: values[key] for key in READING},
      'options': [] if prior is None else ['--prior', prior],
      'data_sha256': task.sha256,
      'dataset': dict(task.dataset),
      'versions': versions.read(),
      'backend': jax.default_backend(),
      'numerics': numerics.read(),
      'trained': {key: run[key] for key in _OF_RUN if key in run},
    }
  }


def read(
  folder: pathlib.Path, record: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
  """Returns what `describe` returned of an evaluation, and `record.TOLD`.

  Raises:
    FileNotFoundError: the record is none of an evaluation, or does not tell.
    ValueError: it is damaged.
  """
  told = record_lib.read_told(folder, record) if 'told' in record else {}
  if _KEY not in told:
    raise FileNotFoundError(
      f'{folder} is neither the workdir of a finished run (no run.json), nor'
      ' does its record tell what it is an evaluation of. `mejax evaluate'
      ' RUN` writes that for a run on a whole prepared dataset, not for models'
      ' of others, for arrays, nor with --leave_out_seen.'
    )
  with files.reading(folder / 'record.npz', hint=workdir_lib.AGAIN):
    forms.check(told[_KEY], _FORM, _KEY)
  return told[_KEY], told
