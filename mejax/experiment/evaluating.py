"""Evaluates saved models on the people each one held out."""

from __future__ import annotations

from collections.abc import Sequence
import json
import os
import pathlib
from typing import Any

from flax import linen as nn
import jax
from jaxtyping import Float
from jaxtyping import Shaped
import ml_collections
import numpy as np

from mejax import files
from mejax import own_code
from mejax.evaluation import baselines as baselines_lib
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.evaluation import table
from mejax.experiment import applying
from mejax.experiment import configuration
from mejax.experiment import finished
from mejax.experiment import planning
from mejax.experiment import record as record_lib
from mejax.experiment import resolve
from mejax.experiment import saved as saved_lib
from mejax.experiment import schema
from mejax.experiment import task as task_lib
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.saved import Saved
from mejax.experiment.task import Task
from mejax.training import devices as devices_lib
from mejax.training import folds as folds_lib
from mejax.training import loop

UNKNOWN = 'no held-out result: these clips may have been trained on'
CHOSEN = 'the epoch of these weights may have been chosen on these clips'


def evaluate(
  source: str | os.PathLike,
  *,
  data_dir: str | os.PathLike | None = None,
  config: ml_collections.ConfigDict | None = None,
  overrides: Sequence[str] = (),
  task: Task | None = None,
  model: nn.Module | None = None,
  out: str | os.PathLike | None = None,
  trust_code: bool = False,
) -> dict[str, Any]:
  """Evaluates saved models on the people each one held out; prints the table.

  Only the folder `out` is written: `metrics.json`, `predictions.csv`,
  `record.npz` and `baselines.npz`, so that `mejax report` can show it.

  Args:
    source: workdir of a finished run, or a folder of converted models.
    data_dir: home of the prepared datasets, unless `task` is given.
    config: names dataset, protocol and view; by default the run's config, or
      the shipped config of the original model.
    overrides: `key=value` strings that change values of the config.
    task: your data, in place of the config's.
    model: the module, for a run that was trained with your own.
    out: folder of the results; `evaluate/` in the source by default.
    trust_code: whether code that only the files of the source name, as
      `package.module:name`, may be imported and run. Names in `config` and
      `overrides` are yours and need no trust.

  Returns:
    The content of `metrics.json`.

  Raises:
    ValueError: models, data and config do not fit each other, the source names
      code that is not trusted, a file of the run is damaged, or `out` is a run.
    FileNotFoundError: the dataset has not been prepared.
  """
  devices_lib.keep_compiled_programs()
  source = pathlib.Path(source)
  out = source / 'evaluate' if out is None else pathlib.Path(out)
  if (out / 'run.json').exists():
    raise ValueError(
      f'{out} is the folder of a run, whose results would be lost. Choose'
      ' another --out.'
    )
  given = own_code.names_in([config.to_dict() if config else {}, overrides])
  saved = saved_lib.read_models(
    source, model, given=given, trust_code=trust_code
  )
  if (source / 'metrics.json').exists():
    finished.read_numbers(source, record_lib.read_record(source))
  config = configuration.override(config or saved.config, overrides)
  if task is None:
    task = _load_task(config, data_dir)
  task_lib.check_task(task)
  outputs = _order_outputs(saved, task)
  with jax.default_matmul_precision(config.matmul_precision):
    logits, _ = applying.apply_folds(
      saved, task, task.groups, keep=lambda out: {}
    )
  left_out = applying.find_left_out(saved, task.groups)
  spare = range(len(outputs), logits.shape[-1])
  same_data = _is_data_of_run(source, task)
  baselines = workdir_lib.read_baselines(source) if same_data else {}
  if not baselines:
    baselines = baselines_lib.baselines(
      task.seen_by_baselines, task.labels, groups=left_out
    )
  record = _make_record(saved, task, left_out, logits[..., [*outputs, *spare]])
  metrics = finished.describe(
    record, baselines, record_lib.read_told(out, record)
  )
  _write(out, record, baselines, metrics)
  print(table.format_numbers(metrics))
  if same_data:
    print(_compare(record, record_lib.read_record(source)))
  elif not saved.caution:
    print('These are not the data of the run: its record has other clips.')
  print(f'Written: {out}')
  return metrics


def _write(out: pathlib.Path, record, baselines, metrics) -> None:
  """Writes the folder of an evaluation, after another that is written."""
  with files.locked(out / workdir_lib.LOCK, remove=True):
    _write_files(out, record, baselines, metrics)


def _write_files(out: pathlib.Path, record, baselines, metrics) -> None:
  workdir_lib.save_npz(out / 'record.npz', record)
  owner = {workdir_lib.OWNER: record[workdir_lib.OWNER]}
  workdir_lib.save_npz(out / workdir_lib.BASELINES, baselines | owner)
  workdir_lib.write_json(out / 'metrics.json', metrics)
  summary.write_predictions_csv(out / 'predictions.csv', record, rules=['last'])


def _load_task(config, data_dir) -> Task:
  """Loads the data of a config that names dataset, protocol and view."""
  view = config.view
  if not (
    config.dataset and isinstance(config.protocol, str) and 'name' in view
  ):
    raise ValueError(
      'the run was trained on arrays, or with a view or protocol, of your own:'
      ' call mejax.experiment.evaluate with that task, or give a --config.'
    )
  if data_dir is None:
    raise ValueError('evaluate needs either data_dir or task.')
  return resolve.load_task(config, data_dir)


def _order_outputs(saved: Saved, task: Task) -> list[int]:
  """Returns the outputs in the order of the protocol's classes."""
  classes, count = saved.classes, len(task.class_names)
  if all(name.isdigit() for name in classes) and len(classes) >= count:
    return list(range(len(classes)))
  if sorted(classes[:count]) != sorted(task.class_names):
    raise ValueError(
      f'the models tell {", ".join(classes)} apart; the protocol has'
      f' {", ".join(task.class_names)}. Choose a --config whose protocol has'
      ' the same classes.'
    )
  return [classes.index(name) for name in task.class_names]


def _make_record(
  saved: Saved,
  task: Task,
  left_out: Shaped[np.ndarray, ' n'],
  logits: Float[np.ndarray, 's n k'],
) -> dict[str, np.ndarray]:
  """Returns a record with a single evaluation, that of the saved weights."""
  folds = folds_lib.leave_one_group_out(left_out)
  index = folds_lib.held_out_index(folds.test)
  num_seeds, num_folds = len(saved.seeds), len(folds.outer)
  each = logits[:, np.maximum(index, 0)]  # [s, f, h, k]
  outcome = loop.Outcome(
    logits=each.reshape(-1, 1, *each.shape[2:]),
    train_loss=np.full((num_seeds * num_folds, 1), np.nan, np.float32),
    epochs=np.array([saved.epoch], np.int32),
  )
  numbers = {
    'fold': np.tile(folds.outer, num_seeds),
    'inner': np.tile(folds.inner, num_seeds),
    'seed': np.repeat(np.array(saved.seeds, np.int32), num_folds),
    'setting': np.zeros(num_seeds * num_folds, np.int32),
  }
  return record_lib.make_record(
    outcome,
    np.tile(index, (num_seeds, 1)),
    numbers,
    task,
    folds.names,
    owner=workdir_lib.describe_owner(
      json.loads(saved.config.to_json_best_effort()),
      {'data_sha256': task.sha256, 'data': task.describe()},
    ),
    told=_tell(saved, task),
  )


def _tell(saved: Saved, task: Task) -> dict[str, Any]:
  """Returns what is told beside the numbers; see `record.TOLD`."""
  parts = planning.say_parts(len(set(saved.parts.values())))
  protocol, warning = ' '.join(filter(None, [task.protocol, parts])), ''
  if saved.names is None:
    warning = UNKNOWN
    protocol = f'One model for all clips. {protocol}'
  elif saved.caution:
    warning = f'{CHOSEN}. {saved.caution}'
  return {'protocol': protocol, 'rules': ['last'], 'warning': warning}


def _is_data_of_run(source: pathlib.Path, task: Task) -> bool:
  if not (source / 'run.json').exists():
    return False
  run = schema.read_run(source)
  # Runs of mejax 0.2 have no description of their data.
  described = run.get('data', task.describe()) == task.describe()
  return described and run['data_sha256'] == task.sha256


def _compare(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> str:
  """Says whether the saved models reproduce the recorded logits."""
  setting = int(theirs['setting'].min())
  ours = selection.select(ours, 'last').logits
  theirs = selection.select(theirs, 'last', setting=setting).logits
  other = selection.predictions(ours) != selection.predictions(theirs)
  difference = np.abs(ours - theirs).max()
  if other.any():
    return (
      f'WARNING: {other.sum()} of {other.size} predictions differ from those'
      f' in the record of the run (logits by up to {difference:.2g}).'
    )
  return (
    'The predictions are those in the record of the run'
    f' (logits differ by up to {difference:.2g}).'
  )
