"""From a config to an honest table: data, model, folds, run, baselines, report.

What the command line, the notebooks and sweeps call. Own arrays go in through
`leave_one_subject_out`.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import importlib.metadata
import json
import os
import pathlib
from typing import Any

from clu import parameter_overview
from flax import linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

import mejax
from mejax import devices as devices_lib
from mejax.evaluation import baselines as baselines_lib
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.experiment import attention
from mejax.experiment import configuration
from mejax.experiment import finished
from mejax.experiment import identity
from mejax.experiment import planning
from mejax.experiment import task as task_lib
from mejax.experiment import workdir as workdir_lib
from mejax.training import cost as cost_lib
from mejax.training import folds as folds_lib
from mejax.training import loop
from mejax.training import placement as placement_lib
from mejax.training import trial as trial_lib

load_config = configuration.load_config
Task = task_lib.Task


def train(
  config: ml_collections.ConfigDict,
  *,
  workdir: str | os.PathLike,
  data_dir: str | os.PathLike | None = None,
  task: Task | None = None,
  model: nn.Module | None = None,
  protocol: Any = None,
  view: Callable[..., np.ndarray] | None = None,
  dry_run: bool = False,
) -> dict[str, Any]:
  """Trains every fold, seed and setting; writes the workdir; prints the table.

  The same call on the same workdir resumes a killed run, and shows the table
  of a finished one.

  Args:
    config: as `load_config` gives it.
    workdir: folder of the run; made if it is not there.
    data_dir: home of the prepared datasets, unless `task` is given.
    task: own data in place of the config's dataset, protocol and view.
    model: own Linen module in place of the config's model.
    protocol: own `datasets.protocols.Protocol` in place of the config's.
    view: own function from examples to inputs in place of the config's.
    dry_run: only say what would be trained, where and how long.

  Returns:
    The content of `metrics.json`; empty for a dry run.

  Raises:
    ValueError: config, data, model and workdir do not fit each other.
    FileNotFoundError: the dataset has not been prepared.
  """
  if (task is None) == (data_dir is None):
    raise ValueError('train needs either data_dir or task.')
  devices_lib.use_every_core()
  devices_lib.keep_compiled_programs()
  workdir = pathlib.Path(workdir)
  if task is None:
    task = task_lib.load_task(config, data_dir, protocol=protocol, view=view)
  task_lib.check_task(task)
  for rule in config.selection:
    configuration.named(rule, selection.RULES, 'selection rule')
  folds = folds_lib.leave_one_group_out(planning.left_out(config, task))
  if 'inner' in config.selection:
    folds = folds_lib.with_inner(
      folds, task.groups, num_inner=config.inner_folds
    )
  trainer = planning.make_trainer(config, task, folds, model)
  trials, numbers = planning.make_trials(config, folds)
  data = trial_lib.Data(
    jnp.asarray(task.inputs),
    jnp.asarray(task.labels, jnp.int32),
    jax.tree.map(jnp.asarray, dict(task.extra)),
  )
  with jax.default_matmul_precision(config.matmul_precision):
    if dry_run:
      _print_plan(config, trainer, trials, data)
      return {}
    with workdir_lib.locked(workdir):
      own = {'model': model, 'protocol': protocol, 'view': view}
      run = workdir_lib.claim(
        workdir, _describe(config, own), _provenance(task)
      )
      if not (workdir / 'record.npz').exists():
        outcome = _run_trials(config, trainer, trials, data, workdir, run)
        record = planning.make_record(outcome, trials, numbers, task, folds)
        workdir_lib.save_npz(workdir / 'record.npz', record)
      else:
        print(f'{workdir} is finished; nothing is left to train.')
      if len(getattr(trainer.model, 'levels', ())) > 1:
        _look_at_levels(workdir, task, model, kept=config.keep_models)
      if not (workdir / attention.FILE).exists():
        _look_at_places(
          workdir, task, trainer.model, own=model, kept=config.keep_models
        )
      return _evaluate(workdir, config, task, trainer.model)


def _run_trials(config, trainer, trials, data, workdir, run) -> loop.Outcome:
  """Places the trials, as they were placed before if the run is resumed."""
  devices = jax.devices()
  if 'placement' not in run:
    placement = cost_lib.choose(
      trainer, trials, data, mode=config.mode, devices=devices
    )
    run['placement'] = dataclasses.asdict(placement)
    workdir_lib.write_json(workdir / 'run.json', run)
  placement = placement_lib.Placement(**run['placement'])
  print(placement.describe(len(trials.train), devices))
  if warning := devices_lib.unused_gpu():
    print(warning)
  return loop.run(
    trainer,
    trials,
    data,
    workdir=workdir,
    placement=placement,
    devices=devices,
    eval_every=config.eval_every,
    checkpoint_every_s=config.checkpoint_every_s,
    keep_models=config.keep_models,
  )


def _look_at_levels(workdir, task, model, *, kept: bool) -> None:
  """What a model of several amplifications reads, beside its result."""
  if not kept:
    print(
      'What each amplification tells alone, and which was read for whom, is not'
      ' shown: that needs the models (--config.keep_models=True).'
    )
    return
  from mejax.evaluation import levels as levels_lib
  from mejax.experiment import levels

  if not (workdir / 'levels.json').exists():
    levels.look(workdir, task, model=model)
  numbers = json.loads((workdir / 'levels.json').read_text())
  print(levels_lib.table(numbers))


def _look_at_places(workdir, task, model, *, own, kept: bool) -> None:
  """Where a model that shows it looked, for the report."""
  if not attention.pictures(model, task):
    return
  if not kept:
    print(
      'Where the models looked is not shown: that needs the models'
      ' (--config.keep_models=True).'
    )
  else:
    attention.look(workdir, task, model=own)


def report(
  workdirs: Sequence[str | os.PathLike], out: str | os.PathLike | None = None
) -> pathlib.Path:
  """Writes the HTML report of one or several finished runs.

  Args:
    workdirs: folders of finished runs.
    out: folder of the report; by default `report/` in the workdir, or beside
      the first workdir if there are several.

  Returns:
    Path of `index.html`.
  """
  workdirs = [pathlib.Path(workdir) for workdir in workdirs]
  for workdir in workdirs:
    if not (workdir / 'metrics.json').exists():
      raise FileNotFoundError(
        f'{workdir} holds no finished run (no metrics.json). Finish it with the'
        ' `mejax train` command that began it.'
      )
  if out is None:
    beside = workdirs[0].parent if len(workdirs) > 1 else workdirs[0]
    out = beside / 'report'
  out = pathlib.Path(out)
  return finished.write_report(workdirs, out)


def leave_one_subject_out(
  inputs: np.ndarray | Sequence,
  labels: np.ndarray | Sequence[int],
  subjects: np.ndarray | Sequence[str],
  *,
  workdir: str | os.PathLike,
  model: nn.Module | str = 'ststnet',
  class_names: Sequence[str] | None = None,
  config: ml_collections.ConfigDict | None = None,
  **changes: Any,
) -> dict[str, Any]:
  """An honest leave-one-subject-out run on own arrays.

  Args:
    inputs: f32[n ...], model inputs, e.g. flow images.
    labels: i32[n], class of each example, 0..k-1.
    subjects: str[n], subject of each example; each is held out once.
    workdir: folder of the run; the same call resumes it.
    model: a Linen module, a name of `mejax.models.MODELS`, or
      `package.module:name`.
    class_names: a word for each class.
    config: training settings; those of the shipped config `synthetic` if None.
    **changes: single values of the config, dots written as double underscores:
      `num_seeds=3`, `setting__learning_rate=1e-3`.

  Returns:
    The content of `metrics.json`.
  """
  labels, subjects = np.asarray(labels), np.asarray(subjects, dtype=str)
  if class_names is None:
    class_names = np.arange(labels.max() + 1)
  config = configuration.load_config('synthetic') if config is None else config
  config = config.copy_and_resolve_references()
  with config.unlocked():
    # Own arrays come as they are: what they mean is not known here.
    config.update(dataset='', protocol='', order='', view={'name': ''})
    config.setting.mirror = 0.0
    config.model = {'name': model} if isinstance(model, str) else {}
  configuration.change(
    config, {key.replace('__', '.'): value for key, value in changes.items()}
  )
  task = Task(
    inputs=np.asarray(inputs, np.float32),
    labels=labels,
    corpus=np.full(len(labels), 'own'),
    subject=subjects,
    clip=np.array([str(i) for i in range(len(labels))]),
    class_names=tuple(str(name) for name in class_names),
    protocol=f'Leave one subject out over {len(labels)} own examples of'
    f' {len(np.unique(subjects))} subjects.',
    groups=subjects,
  )
  module = None if isinstance(model, str) else model
  return train(config, workdir=workdir, task=task, model=module)


def demo(workdir: str | os.PathLike, *, small: bool = False) -> pathlib.Path:
  """Makes the synthetic corpus, prepares it, trains every fold, reports.

  Args:
    workdir: holds `corpus/`, `data/` and `run/`; the same call resumes.
    small: the shortest form that still goes through everything.

  Returns:
    Path of the report.
  """
  from mejax.corpora import synthetic
  from mejax.datasets import prepare
  from mejax.datasets.recipe import Recipe

  devices_lib.use_every_core()  # Preparation starts JAX; then it is too late.
  devices_lib.keep_compiled_programs()
  workdir = pathlib.Path(workdir)
  size = {'num_subjects': 4, 'clips_per_subject': 3} if small else {}
  source = synthetic.write(workdir / 'corpus', **size)
  config = configuration.load_config(
    'synthetic:smoke' if small else 'synthetic'
  )
  prepare.prepare(
    'synthetic',
    source=source,
    data_dir=workdir / 'data',
    recipe=Recipe(size=config.model.image_size),
  )
  train(config, data_dir=workdir / 'data', workdir=workdir / 'run')
  return workdir / 'run' / 'report' / 'index.html'


def _describe(config, own: Mapping[str, Any]) -> dict[str, Any]:
  """The config as JSON would have it, own objects in place of their names."""
  objects = {
    name: identity.describe(thing)
    for name, thing in own.items()
    if thing is not None
  }
  return {**json.loads(config.to_json()), **objects}


def _provenance(task: Task) -> dict[str, Any]:
  """With what a run is done."""
  return {
    'data_sha256': task.sha256,
    'dataset': dict(task.dataset),
    'backend': jax.default_backend(),
    'versions': {
      name: importlib.metadata.version(name)
      for name in ('jax', 'flax', 'optax', 'orbax-checkpoint', 'numpy')
    }
    | {'mejax': mejax.__version__},
  }


def _print_plan(config, trainer, trials, data) -> None:
  """What a dry run shows: sizes from the compiler, time from a few trials."""
  devices = jax.devices()
  placement = cost_lib.choose(
    trainer, trials, data, mode=config.mode, devices=devices
  )
  num_trials = len(trials.train)
  first = jax.tree.map(lambda x: x[0], trials)
  params = jax.eval_shape(trainer.init, first, data).params
  cost = cost_lib.measure_bytes(trainer, trials, data, mode=placement.mode)
  total = cost * placement.round_size / len(devices)
  free = cost_lib.available_bytes(devices[0])
  seconds = cost_lib.measure_epoch_seconds(
    trainer,
    placement,
    trials,
    data,
    devices=devices,
    eval_every=config.eval_every,
  )
  steps = config.num_epochs * len(trainer.batch_sizes)
  print(parameter_overview.get_parameter_overview(params, include_stats=False))
  print(
    f'{num_trials} trials of {config.num_epochs} epochs,'
    f' {steps} steps of up to {config.batch_size} examples each\n'
    f'{placement.describe(num_trials, devices)}\n'
    f'{cost / 2**20:.2f} MiB a trial, {total / 2**20:.0f} MiB of'
    f' {free / 2**20:.0f} MiB on each device\n'
    f'about {seconds * config.num_epochs / 60:.1f} minutes, compilation not'
    ' counted\nNothing was trained.'
  )


def _evaluate(workdir, config, task, model) -> dict[str, Any]:
  """Baselines, metrics, predictions and report of a finished record."""
  record = workdir_lib.load_npz(workdir / 'record.npz')
  baselines_path = workdir / 'baselines.npz'
  if not baselines_path.exists():
    predictions = baselines_lib.baselines(
      task.inputs if task.baseline_inputs is None else task.baseline_inputs,
      task.labels,
      groups=planning.left_out(config, task),
    )
    workdir_lib.save_npz(baselines_path, predictions)
  sentences = [task.protocol]
  sentences += planning.sentence_on_parts(config.get('num_folds', 0))
  sentences += filter(None, [getattr(model, 'caution', '')])
  metrics = summary.metrics_json(
    record,
    workdir_lib.load_npz(baselines_path),
    rules=config.selection,
    protocol_sentence=' '.join(sentences),
  )
  settings = planning.make_settings(config)
  for entry in metrics.get('settings', ()):
    entry['values'] = dataclasses.asdict(settings[entry['setting']])
  workdir_lib.write_json(workdir / 'metrics.json', metrics)
  summary.write_predictions_csv(
    workdir / 'predictions.csv', record, rules=list(metrics['selection'])
  )
  print(summary.print_table(metrics))
  print(f'Report: {report([workdir])}')
  return metrics
