"""From a config to an honest table: data, model, folds, run, floors, report.

What the command line, the notebooks and sweeps call. Own arrays go in through
`leave_one_subject_out`.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import hashlib
import importlib
import itertools
import json
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float
from jaxtyping import Int
import ml_collections
import numpy as np

from mejax import configuration
from mejax import models
from mejax import workdir as workdir_lib
from mejax.evaluation import floors as floors_lib
from mejax.evaluation import report as report_lib
from mejax.evaluation import summary
from mejax.models import attention
from mejax.training import augment
from mejax.training import folds as folds_lib
from mejax.training import loop
from mejax.training import placement as placement_lib
from mejax.training import trial as trial_lib

load_config = configuration.load_config
RECORD_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Task:
  """What is learnt, whatever learns it.

  Attributes:
    inputs: model input of each example.
    labels: class of each example.
    corpus: database of each example.
    subject: subject of each example, unique within its database.
    clip: clip name of each example.
    class_names: a word for each class.
    protocol: one sentence: which clips count and how they are split.
    groups: what is left out together; `corpus/subject` unless given.
    u_channel: channel of the horizontal flow, None where there is none.
    centred: whether 0 means no motion.
  """

  inputs: Float[np.ndarray, 'n ...']
  labels: Int[np.ndarray, ' n']
  corpus: np.ndarray
  subject: np.ndarray
  clip: np.ndarray
  class_names: tuple[str, ...]
  protocol: str
  groups: np.ndarray
  u_channel: int | None = None
  centred: bool = True

  @functools.cached_property
  def sha256(self) -> str:
    """Names the data, so that a run is not resumed on other data."""
    digest = hashlib.sha256()
    for array in (self.inputs, self.labels, np.char.encode(self.groups)):
      digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def named(spec: str | Any, table: Mapping[str, Any], what: str) -> Any:
  """What `spec` names: an entry of `table` or `package.module:name`.

  Anything that is not a string is taken as the thing itself.
  """
  if not isinstance(spec, str):
    return spec
  if spec in table:
    return table[spec]
  module, colon, name = spec.partition(':')
  if not colon:
    raise ValueError(
      f'Unknown {what} {spec!r}. Known: {", ".join(sorted(table))}; your own'
      ' is named as package.module:name.'
    )
  try:
    return getattr(importlib.import_module(module), name)
  except (ImportError, AttributeError) as error:
    raise ValueError(f'{what} {spec!r} cannot be imported: {error}') from error


def load_task(
  config: ml_collections.ConfigDict, data_dir: str | os.PathLike
) -> Task:
  """Reads the dataset of a config and takes its view of it."""
  from mejax.datasets import load
  from mejax.datasets import protocols
  from mejax.datasets import views

  examples = load.load(config.dataset, data_dir)
  protocol = named(config.protocol, protocols.PROTOCOLS, 'protocol')
  selection = protocols.apply(protocol, examples)
  for note in selection.notes:
    print(note)
  order = np.arange(len(selection.labels))
  if config.order == 'class_descending':
    # The file order of the released HTNet pipeline: surprise first.
    order = np.argsort(-selection.labels, kind='stable')
  elif config.order:
    raise ValueError(
      f"Unknown order {config.order!r}; expected '' or 'class_descending'."
    )
  chosen = selection.indices[order]
  examples = {name: array[chosen] for name, array in examples.items()}
  options = dict(config.view)
  view = named(options.pop('name'), views.VIEWS, 'view')
  channels = options.get('channels', 'strain_v_u').split('_')
  return Task(
    inputs=np.asarray(view(examples, **options), np.float32),
    labels=selection.labels[order],
    corpus=examples['corpus'],
    subject=examples['subject'],
    clip=examples['clip'],
    class_names=protocol.classes,
    protocol=protocol.sentence,
    groups=selection.groups[order],
    u_channel=channels.index('u') if 'u' in channels else None,
    centred=options.get('normalise', 'none').startswith('centre')
    or load.metadata(config.dataset, data_dir)['units'] == 'pixel',
  )


def make_model(config: ml_collections.ConfigDict, num_classes: int):
  """The model of a config, with the names in it resolved."""
  options = dict(config.model)
  make = named(options.pop('name'), models.MODELS, 'model')
  if 'attention_fn' in options:
    options['attention_fn'] = named(
      options['attention_fn'], attention.ATTENTION, 'attention_fn'
    )
  return make(num_classes=num_classes, **options)


def make_trainer(
  config: ml_collections.ConfigDict,
  task: Task,
  folds: folds_lib.Folds,
  model: Any = None,
) -> trial_lib.Trainer:
  """The pure functions of one trial of this config."""
  if config.optimizer in ('adam', 'sgd') and config.setting.weight_decay:
    raise ValueError(
      f'setting.weight_decay={config.setting.weight_decay} has no effect with'
      f' the optimizer {config.optimizer!r}; use adamw or set it to 0.'
    )
  augmentations = []
  if config.setting.mirror:
    if task.u_channel is None or not task.centred:
      raise ValueError(
        'setting.mirror negates the horizontal flow, which needs a view with a'
        " u channel and 0 for no motion: set view.normalise to 'centre_std', or"
        ' setting.mirror to 0.'
      )
    augmentations.append(
      lambda key, inputs, setting: augment.mirror(
        key, inputs, probability=setting.mirror, u_channel=task.u_channel
      )
    )
  return trial_lib.Trainer(
    model=model or make_model(config, len(task.class_names)),
    num_epochs=config.num_epochs,
    steps_per_epoch=trial_lib.num_steps_per_epoch(
      folds.train, config.batch_size
    ),
    batch_size=config.batch_size,
    shuffle=config.shuffle,
    optimizer=named(config.optimizer, trial_lib.OPTIMIZERS, 'optimizer'),
    schedule=named(config.schedule, trial_lib.SCHEDULES, 'schedule'),
    augment=tuple(augmentations),
  )


def make_trials(
  config: ml_collections.ConfigDict, folds: folds_lib.Folds
) -> tuple[trial_lib.Trial, dict[str, np.ndarray]]:
  """Every (setting, seed, fold), and the numbers of each."""
  grid = dict(config.grid)
  settings = [
    trial_lib.Setting(**config.setting).replace(**dict(zip(grid, values)))
    for values in itertools.product(*grid.values())
  ]
  num_folds = len(folds.outer)
  setting, seed, fold = (
    axis.ravel().astype(np.int32)
    for axis in np.meshgrid(
      np.arange(len(settings)),
      np.arange(config.num_seeds) + config.seed,
      np.arange(num_folds),
      indexing='ij',
    )
  )

  def key(seed, outer, inner):
    # Settings share keys: they are compared on the same draws.
    key = jax.random.fold_in(jax.random.key(seed), outer)
    return jax.random.fold_in(key, inner + 1)

  numbers = {
    'fold': folds.outer[fold],
    'inner': folds.inner[fold],
    'seed': seed,
    'setting': setting,
  }
  trials = trial_lib.Trial(
    key=jax.vmap(key)(seed, folds.outer[fold], folds.inner[fold]),
    train=jnp.asarray(folds.train[fold]),
    held_out=jnp.asarray(folds_lib.held_out_index(folds.test)[fold]),
    setting=jax.tree.map(
      lambda *values: jnp.asarray(values, jnp.float32)[setting], *settings
    ),
  )
  return trials, numbers


def train(
  config: ml_collections.ConfigDict,
  *,
  workdir: str | os.PathLike,
  data_dir: str | os.PathLike | None = None,
  task: Task | None = None,
  model: Any = None,
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
    dry_run: only say what would be trained, where and how long.

  Returns:
    The content of `metrics.json`; empty for a dry run.
  """
  workdir = pathlib.Path(workdir)
  if task is None:
    task = load_task(config, data_dir)
  folds = folds_lib.leave_one_group_out(task.groups)
  if 'inner' in config.selection:
    folds = folds_lib.with_inner(
      folds, task.groups, num_inner=config.inner_folds
    )
  trainer = make_trainer(config, task, folds, model)
  trials, numbers = make_trials(config, folds)
  data = trial_lib.Data(
    jnp.asarray(task.inputs), jnp.asarray(task.labels, jnp.int32)
  )
  devices = jax.devices()
  with jax.default_matmul_precision(config.matmul_precision):
    if dry_run:
      _print_plan(config, trainer, trials, data, devices)
      return {}
    run = workdir_lib.claim(
      workdir, _describe(config, model), data_sha256=task.sha256
    )
    if run['placement'] is None:
      placement = placement_lib.choose(
        trainer, trials, data, mode=config.mode, devices=devices
      )
      run['placement'] = dataclasses.asdict(placement)
      workdir_lib.write_json(workdir / 'run.json', run)
    placement = placement_lib.Placement(**run['placement'])
    if (workdir / 'record.npz').exists():
      print(f'{workdir} is finished; nothing is left to train.')
    else:
      print(placement.describe(len(trials.train), len(devices)))
      outcome = loop.run(
        trainer,
        trials,
        data,
        workdir=workdir,
        placement=placement,
        devices=devices,
        eval_every=config.eval_every,
        checkpoint_every_s=config.checkpoint_every_s,
      )
      record = make_record(outcome, trials, numbers, task, folds)
      workdir_lib.save_npz(workdir / 'record.npz', record)
  return _evaluate(workdir, config, task)


def make_record(outcome, trials, numbers, task, folds) -> dict[str, np.ndarray]:
  """All that metrics and selection rules need to know of a run."""
  return {
    'schema_version': np.int32(RECORD_VERSION),
    'logits': outcome.logits,
    'train_loss': outcome.train_loss,
    'epochs': outcome.epochs,
    'index': np.asarray(trials.held_out),
    **numbers,
    'labels': task.labels.astype(np.int32),
    'groups': task.groups,
    'corpus': task.corpus,
    'subject': task.subject,
    'clip': task.clip,
    'fold_names': np.asarray(folds.names),
    'class_names': np.asarray(task.class_names),
  }


def report(
  workdirs: Sequence[str | os.PathLike], out: str | os.PathLike | None = None
) -> pathlib.Path:
  """Writes the HTML report of one or several finished runs.

  Args:
    workdirs: folders of finished runs.
    out: folder of the report; `report/` in the first workdir by default.

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
  out = pathlib.Path(out) if out else workdirs[0] / 'report'
  return report_lib.write_report(workdirs, out)


def leave_one_subject_out(
  inputs: Float[np.ndarray, 'n ...'],
  labels: Int[np.ndarray, ' n'],
  subjects: Sequence[str],
  *,
  workdir: str | os.PathLike,
  model: Any = 'ststnet',
  class_names: Sequence[str] | None = None,
  config: ml_collections.ConfigDict | None = None,
  **changes: Any,
) -> dict[str, Any]:
  """An honest leave-one-subject-out run on own arrays.

  Args:
    inputs: model inputs, e.g. flow images.
    labels: class of each example, 0..k-1.
    subjects: subject of each example; each is held out once.
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
  inputs, labels = np.asarray(inputs, np.float32), np.asarray(labels)
  subjects = np.asarray(subjects, dtype=str)
  _check_arrays(inputs, labels, subjects)
  if class_names is None:
    class_names = [str(i) for i in range(labels.max() + 1)]
  config = configuration.load_config('synthetic') if config is None else config
  config = config.copy_and_resolve_references()
  with config.unlocked():
    # Own arrays come as they are: what they mean is not known here.
    config.update(dataset='', protocol='', order='', view={'name': ''})
    config.setting.mirror = 0.0
    config.model = {'name': model} if isinstance(model, str) else {}
  config.update_from_flattened_dict(
    {key.replace('__', '.'): value for key, value in changes.items()}
  )
  task = Task(
    inputs=inputs,
    labels=labels,
    corpus=np.full(len(labels), 'own'),
    subject=subjects,
    clip=np.array([str(i) for i in range(len(labels))]),
    class_names=tuple(class_names),
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

  workdir = pathlib.Path(workdir)
  size = {'num_subjects': 4, 'clips_per_subject': 3} if small else {}
  source = synthetic.write(workdir / 'corpus', **size)
  prepare.prepare('synthetic', source=source, data_dir=workdir / 'data')
  config = configuration.load_config(
    'synthetic:smoke' if small else 'synthetic'
  )
  train(config, data_dir=workdir / 'data', workdir=workdir / 'run')
  return report([workdir / 'run'])


def _check_arrays(inputs, labels, subjects) -> None:
  if not len(inputs) == len(labels) == len(subjects):
    raise ValueError(
      f'{len(inputs)} inputs, {len(labels)} labels and {len(subjects)} subjects'
      ' came; there must be one label and one subject for each input.'
    )
  if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
    raise ValueError(
      f'labels must be integers from 0 on; got {labels.dtype} from'
      f' {labels.min()} to {labels.max()}.'
    )
  bad = np.flatnonzero(~np.isfinite(inputs.reshape(len(inputs), -1)).all(1))
  if len(bad):
    raise ValueError(
      f'{len(bad)} inputs hold values that are not finite, the first of them'
      f' at positions {bad[:10].tolist()}. Mend them or leave them out.'
    )


def _describe(config, model) -> dict[str, Any]:
  """The config as JSON would have it, with an own model by its repr."""
  content = json.loads(config.to_json())
  return content if model is None else {**content, 'model': repr(model)}


def _print_plan(config, trainer, trials, data, devices) -> None:
  """What a dry run shows: sizes from the compiler, time from a trial epoch."""
  placement = placement_lib.choose(
    trainer, trials, data, mode=config.mode, devices=devices
  )
  num_trials = len(trials.train)
  first = jax.tree.map(lambda x: x[0], trials)
  params = jax.eval_shape(trainer.init, first, data).params
  count = sum(x.size for x in jax.tree.leaves(params))
  cost = placement_lib.measure_bytes(trainer, trials, data, mode=placement.mode)
  seconds = placement_lib.measure_epoch_seconds(
    trainer, placement, trials, data, devices=devices
  )
  steps = config.num_epochs * trainer.steps_per_epoch
  print(
    f'{num_trials} trials of {config.num_epochs} epochs,'
    f' {steps} steps of {config.batch_size} examples each\n'
    f'{count:,} parameters a trial\n'
    f'{cost / 2**20:.1f} MiB for each further trial\n'
    f'{placement.describe(num_trials, len(devices))}\n'
    f'about {seconds * config.num_epochs / 60:.1f} minutes, compilation not'
    ' counted\nNothing was trained.'
  )


def _evaluate(workdir, config, task) -> dict[str, Any]:
  """Floors, metrics, predictions and report of a finished record."""
  record = workdir_lib.load_npz(workdir / 'record.npz')
  floors_path = workdir / 'floors.npz'
  if not floors_path.exists():
    predictions = floors_lib.floors(
      task.inputs, task.labels, groups=task.groups
    )
    workdir_lib.save_npz(floors_path, predictions)
  metrics = summary.metrics_json(
    record,
    workdir_lib.load_npz(floors_path),
    rules=config.selection,
    protocol_sentence=task.protocol,
  )
  workdir_lib.write_json(workdir / 'metrics.json', metrics)
  summary.write_predictions_csv(
    workdir / 'predictions.csv', record, rules=config.selection
  )
  print(summary.print_table(metrics))
  print(f'Report: {report([workdir])}')
  return metrics
