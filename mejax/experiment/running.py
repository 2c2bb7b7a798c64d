"""Carries a plan out: trains it, evaluates it, writes its files.

The command line and the notebook call these functions.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import os
import pathlib
from typing import Any

from clu import parameter_overview
from flax import linen as nn
import jax
import ml_collections
import numpy as np

from mejax import files
from mejax.evaluation import levels as levels_lib
from mejax.evaluation import predictions
from mejax.evaluation import summary
from mejax.evaluation import table
from mejax.experiment import baseline_cache
from mejax.experiment import cost as cost_of_run
from mejax.experiment import finished
from mejax.experiment import forecasting
from mejax.experiment import introspection
from mejax.experiment import planning
from mejax.experiment import record as record_lib
from mejax.experiment import reporting
from mejax.experiment import unit_scores
from mejax.experiment import versions
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.engine import chunks
from mejax.experiment.engine.options import Engine
from mejax.experiment.packs import saved as saved_lib
from mejax.experiment.packs import seen as seen_lib
from mejax.experiment.packs import starting
from mejax.experiment.packs.saved import Saved
from mejax.experiment.planning import Plan
from mejax.experiment.task import Task
from mejax.training import cost as cost_lib
from mejax.training import devices as devices_lib
from mejax.training import forecast as forecast_lib
from mejax.training import forecast_text
from mejax.training import loop
from mejax.training import numerics
from mejax.training import placement as placement_lib

# The protocol of which another module trains the model.
SPOTTING = 'spotting'


def train(
  config: ml_collections.ConfigDict,
  *,
  workdir: str | os.PathLike,
  data_dir: str | os.PathLike | None = None,
  task: Task | None = None,
  model: nn.Module | None = None,
  protocol: Any = None,
  view: Callable[..., Any] | None = None,
  init: str | os.PathLike | None = None,
  leave_out_seen: bool = False,
  engine: Engine | None = None,
  dry_run: bool = False,
) -> dict[str, Any]:
  """Trains every fold, seed and setting; writes the workdir; prints the table.

  The same call on the same workdir resumes a killed run, and shows the table
  of a finished one.

  Args:
    config: the config, from `load_config`.
    workdir: folder of the run; made if it is not there.
    data_dir: home of the prepared datasets, unless `task` is given.
    task: your data, in place of the config's dataset, protocol and view.
    model: your Linen module, in place of the config's model.
    protocol: your `datasets.protocols.Protocol`, in place of the config's.
    view: your function from examples to inputs, or your `datasets.views.View`,
      in place of the config's.
    init: folder of the model that training starts from: one that
      `packing.pack` or `conversion.convert` wrote.
    leave_out_seen: whether people whom that model has seen are left out;
      otherwise data with any of them are refused.
    engine: who trains; by default this process. Another one reads the data from
      `data_dir`, so nothing may be handed over in Python.
    dry_run: only print what would be trained, on which devices and how long.

  Returns:
    The content of `metrics.json`, see `evaluation.summary.metrics_json`; empty
    for a dry run.

  Raises:
    ValueError: config, data, model and workdir do not fit each other, or the
      model that training starts from has seen people of the data, or some
      rounds were given up.
    FileNotFoundError: the dataset has not been prepared.
    ConnectionError: no scheduler answers, or it was lost.
  """
  engine = engine or Engine()
  own = {'task': task, 'model': model, 'protocol': protocol, 'view': view}
  if config.get('protocol') == SPOTTING:
    # Imported here, because that module imports this one.
    from mejax.experiment.spotting import training

    if not engine.is_local:
      raise ValueError('the network for spotting is trained by one process.')
    return training.train(
      config, data_dir=data_dir, workdir=workdir, dry_run=dry_run
    )
  chunks.check_engine(
    engine, [name for name, x in own.items() if x is not None]
  )
  plan = planning.plan(
    config,
    data_dir=data_dir,
    **own,
    init=init,
    leave_out_seen=leave_out_seen,
  )
  if dry_run:
    print_forecast(plan, workdir)
    return {}
  how = chunks.spread(
    engine,
    config,
    'mejax.experiment.planning:plan',
    data_dir=data_dir and pathlib.Path(data_dir),
    init=init and pathlib.Path(init),
    leave_out_seen=leave_out_seen,
  )
  return train_plan(plan, workdir=workdir, how=how)


def train_plan(
  plan: Plan, *, workdir: str | os.PathLike, how: chunks.Spread | None = None
) -> dict[str, Any]:
  """Carries out a plan in a workdir, as `train` does.

  Args:
    plan: the plan.
    workdir: the folder.
    how: how the run is spread over workers; by default this process trains it.

  Returns:
    The content of `metrics.json`.

  Raises:
    ValueError: the workdir belongs to another config or other data.
  """
  workdir = pathlib.Path(workdir)
  with claimed(plan, workdir) as run:
    if (workdir / 'record.npz').exists():
      print(f'{workdir} is finished; nothing is left to train.')
    else:
      with cost_of_run.measured(workdir, plan) as workers:
        if how is not None:
          workers += chunks.run(plan, workdir, run, how)
        outcome = run_trials(plan, workdir, run, progress=how is None)
      record = record_lib.make_record(
        outcome, plan.trials.held_out, plan.numbers, plan.task, plan.folds.names
      )
      record |= record_lib.about(workdir_lib.owner(workdir), tell(plan))
      workdir_lib.save_npz(workdir / 'record.npz', record)
    # No model may be shown a person whose other clips it was trained on.
    if not plan.divides_people:
      _show_levels(plan, workdir)
      _show_attention(plan, workdir)
      unit_scores.write(plan, workdir)
    return evaluate_record(plan, workdir)


@contextlib.contextmanager
def claimed(plan: Plan, workdir: pathlib.Path) -> Iterator[dict[str, Any]]:
  """Locks and claims a workdir for a plan; gives the content of `run.json`.

  Within, matrices are multiplied with the plan's precision.

  Raises:
    ValueError: the workdir belongs to another config or other data.
  """
  precision = jax.default_matmul_precision(plan.options.matmul_precision)
  with precision, workdir_lib.locked(workdir):
    yield workdir_lib.claim(workdir, plan.description, provenance(plan))


def run_trials(
  plan: Plan,
  workdir: pathlib.Path,
  run: dict[str, Any],
  *,
  progress: bool = True,
) -> loop.Outcome:
  """Trains all trials; a resumed run keeps the placement that it began with.

  Args:
    plan: the plan.
    workdir: its folder.
    run: the content of `run.json`, which gets the placement.
    progress: whether something is left to train, and shown.
  """
  devices = jax.local_devices()
  if 'placement' not in run:
    run['placement'] = dataclasses.asdict(plan.place(devices, workdir))
    workdir_lib.write_json(workdir / 'run.json', run)
  placement = placement_lib.Placement(**run['placement'])
  if progress:
    print(placement.describe(len(plan.trials.train), devices))
    if warning := devices_lib.unused_gpu():
      print(warning)
  outcome = loop.run(
    plan.trainer,
    plan.trials,
    plan.data,
    workdir=workdir,
    placement=placement,
    devices=devices,
    eval_every=plan.options.eval_every,
    checkpoint_every_s=plan.options.checkpoint_every_s,
    keep_models=plan.options.keep_models,
    names=plan.trial_names,
    owner=workdir_lib.owner(workdir),
    start=plan.start and starting.fit(plan.start, plan.model, plan.task),
    progress=progress,
  )
  chunks.collect_logs(workdir)
  return outcome


def _show_levels(plan: Plan, workdir: pathlib.Path) -> None:
  """Prints how much a model reads of each level; writes the files once."""
  if not introspection.has_levels(plan.model):
    return
  if not plan.options.keep_models:
    print(
      'The table of amplification levels is left out, because it needs the'
      ' trained models: train with --config.keep_models=True.'
    )
    return
  numbers = workdir_lib.read_levels(workdir)
  if not numbers:
    saved = _read_own_models(plan, workdir)
    numbers = introspection.write_levels(workdir, saved, plan.task)
  print(levels_lib.table(numbers))


def _show_attention(plan: Plan, workdir: pathlib.Path) -> None:
  """Writes the attention maps of the models once, if they have any."""
  if workdir_lib.read_attention(workdir):
    return
  if not introspection.find_maps(plan.model, plan.task):
    return
  if not plan.options.keep_models:
    print(
      'The attention maps are left out, because they need the trained models:'
      ' train with --config.keep_models=True.'
    )
    return
  saved = _read_own_models(plan, workdir)
  introspection.write_attention(workdir, saved, plan.task)


def _read_own_models(plan: Plan, workdir: pathlib.Path) -> Saved:
  # The folder was claimed for the config of the plan, so all code that its
  # files name was named by the user.
  return saved_lib.read_models(workdir, plan.model, trust_code=True)


def print_forecast(plan: Plan, workdir: str | os.PathLike) -> None:
  """Prints what a plan would train, on which devices and how long.

  Memory, operations and traffic are reported by the compiler, time is measured
  on a few trials. Nothing is kept of the training; the disk of `workdir` is
  asked whether it would have room.
  """
  print(forecasting.COMPILING, flush=True)
  with jax.default_matmul_precision(plan.options.matmul_precision):
    _print_forecast(plan, workdir)


def _print_forecast(plan: Plan, workdir: str | os.PathLike) -> None:
  devices, trainer = jax.local_devices(), plan.trainer
  placement = plan.place(devices, workdir)
  num_trials = len(plan.trials.train)
  first = jax.tree.map(lambda x: x[0], plan.trials)
  params = jax.eval_shape(trainer.init, first, plan.data).params
  compiled = forecast_lib.measure(
    trainer,
    plan.trials,
    plan.data,
    placement,
    devices=devices,
    eval_every=plan.options.eval_every,
  )
  seconds = cost_lib.measure_epoch_seconds(
    trainer,
    placement,
    plan.trials,
    plan.data,
    devices=devices,
    eval_every=plan.options.eval_every,
  )
  free = cost_lib.available_bytes(devices[0])
  print(parameter_overview.get_parameter_overview(params, include_stats=False))
  lines = forecast_text.describe(
    compiled,
    trainer,
    num_trials,
    devices=devices,
    precision=plan.options.matmul_precision,
  )
  print(*lines, sep='\n')
  print(
    f'{free / 2**20:.0f} MiB are free on each device\n'
    f'about {seconds * trainer.num_epochs / 60:.1f} minutes, not counting'
    ' compilation\n'
    'Nothing was trained.'
  )


def provenance(plan: Plan) -> dict[str, Any]:
  """Returns data, own objects, options of JAX and library versions of a run."""
  return {
    'data_sha256': plan.task.sha256,
    'data': plan.task.describe(),
    **({'data_dir': plan.data_dir} if plan.data_dir else {}),
    'dataset': dict(plan.task.dataset),
    **starting.describe(plan.start),
    'inputs': plan.task.describe_inputs(),
    'named_objects': dict(plan.named_objects),
    'numerics': numerics.read(),
    'backend': jax.default_backend(),
    'versions': versions.read(),
  }


def tell(plan: Plan) -> dict[str, Any]:
  """Returns what stands beside the numbers of a run; see `record.TOLD`."""
  told = {
    'protocol': plan.sentence,
    'rules': list(plan.rules),
    'settings': [dataclasses.asdict(setting) for setting in plan.settings],
  }
  if plan.start and plan.start.seen.unknown:
    told |= {'warning': seen_lib.UNKNOWN, 'started': True}
  return told


def evaluate_record(plan: Plan, workdir: pathlib.Path) -> dict[str, Any]:
  """Writes baselines, metrics, predictions and report from the record.

  Args:
    plan: whose data and folds the record has.
    workdir: the folder, locked.

  Returns:
    The content of `metrics.json`.
  """
  record = record_lib.read_record(workdir)
  baselines = baseline_cache.of_run(workdir, plan.task, plan.left_out)
  owner = np.array(workdir_lib.owner(workdir))
  workdir_lib.save_npz(
    workdir / workdir_lib.BASELINES, baselines | {files.OWNER: owner}
  )
  told = tell(plan)
  if 'told' in record:
    told = record_lib.read_told(workdir, record)
  metrics = finished.describe(record, baselines, told)
  workdir_lib.write_json(workdir / 'metrics.json', metrics)
  predictions.write_csv(
    workdir / 'predictions.csv', record, rules=list(metrics['selection'])
  )
  remarks = summary.describe_training(record, metrics)
  print(table.format_numbers(metrics), *remarks, sep='\n')
  print(f'Report: {reporting.report([workdir])}')
  return metrics
