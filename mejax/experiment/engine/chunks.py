"""Cuts a run into units: each is a round of its trials.

A round ends in a file of its own in `checkpoints/`, whoever trains it, and what
it has saved so far lies there too. So the files are those of a run that one
process trains, and either may go on with what the other has begun.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import contextlib
import dataclasses
import importlib
import io
import json
import math
import os
import pathlib
from typing import Any

import jax
import ml_collections

from mejax import bars
from mejax.experiment import configuration
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.engine import placing
from mejax.experiment.engine import worker
from mejax.experiment.engine.options import Engine
from mejax.experiment.packs import starting
from mejax.experiment.planning import Plan
from mejax.training import log as log_lib
from mejax.training import loop
from mejax.training import placement as placement_lib

# Logs of rounds that other processes train; they are moved when all are done.
LOGS = 'cluster/logs'
# Every worker gets some rounds, so that one that comes late has work too.
_ROUNDS_EACH = 2


@dataclasses.dataclass(frozen=True)
class Spread:
  """A run that is spread over workers.

  Attributes:
    engine: who trains.
    plan_by: the function that makes the plan, as `module:name`; it takes the
      config and
    arguments: these JSON values.
    config: the config as JSON values.
  """

  engine: Engine
  plan_by: str
  arguments: Mapping[str, Any]
  config: Mapping[str, Any]


def check_engine(engine: Engine, given: Collection[str]) -> None:
  """Refuses objects in Python if others than this process shall train.

  Args:
    engine: who trains.
    given: names of what was handed over.

  Raises:
    ValueError: they would not reach the workers.
  """
  own = sorted({'task', 'model', 'protocol', 'view'} & set(given))
  if own and not engine.is_local:
    raise ValueError(
      f'{own[0]} was handed over in Python, which a worker of the engine'
      f' {engine.kind} does not get. Prepare a dataset and name'
      ' package.module:name in the config, or take the engine local.'
    )


def spread(
  engine: Engine,
  config: ml_collections.ConfigDict,
  plan_by: str,
  **arguments: Any,
) -> Spread | None:
  """Returns how a run is spread; None if this process trains it.

  Args:
    engine: who trains.
    config: its config.
    plan_by: see `Spread`.
    **arguments: see `Spread`; paths may be relative.
  """
  if engine.is_local:
    return None
  own = {
    key: os.path.abspath(x) if isinstance(x, os.PathLike) else x
    for key, x in arguments.items()
  }
  whole = config.copy_and_resolve_references()
  return Spread(engine, plan_by, own, json.loads(whole.to_json()))


def run(
  plan: Plan, workdir: pathlib.Path, run: dict[str, Any], how: Spread
) -> list[dict[str, Any]]:
  """Trains all rounds of a plan in a claimed folder; `loop.run` reads them.

  Args:
    plan: the plan.
    workdir: the folder.
    run: the content of `run.json`, which gets the placement.
    how: who trains.

  Returns:
    The workers that trained, see `cost.machine`.

  Raises:
    ValueError: some rounds were given up, after the others were done.
    ConnectionError: no scheduler answers, or it was lost.
  """
  count = len(plan.trials.train)
  folder = workdir.absolute()
  with placing.opened(how.engine, workdir / placing.FOLDER) as place:
    about = {
      'plan_by': how.plan_by,
      'arguments': dict(how.arguments),
      'config': dict(how.config),
      'data_sha256': plan.task.sha256,
      'workdir': str(folder),
      'owner': workdir_lib.owner(workdir),
    }
    if 'placement' not in run:
      run['placement'] = _choose(place, about, folder, count)
      workdir_lib.write_json(workdir / 'run.json', run)
    placement = placement_lib.Placement(**run['placement'])
    size = placement.round_size
    rounds = math.ceil(count / size)
    print(
      f'{count} trials in {rounds} round(s) of up to {size}, mode'
      f' {placement.mode}, engine {how.engine.kind}'
    )
    (folder / 'checkpoints').mkdir(exist_ok=True)
    these = [
      {
        **about,
        'placement': run['placement'],
        'round': number,
        'count': min(size, count - number * size),
        'result': str(folder / f'checkpoints/round_{number}.npz'),
      }
      for number in range(rounds)
    ]
    work = placing.Work(f'{__name__}:do')
    title = f'training {count} trials'
    with bars.Bar(total=count, unit='trial', desc=title) as bar:
      place.run(work, these, bar)
    return place.machines()


def _choose(place, about, folder: pathlib.Path, count: int) -> dict[str, Any]:
  """Lets a worker choose the placement, for it knows its devices."""
  path = folder / placing.FOLDER / 'placement.json'
  path.unlink(missing_ok=True)
  work = placing.Work(f'{__name__}:choose')
  with bars.Bar(disable=True) as bar:
    unit = {'result': str(path), 'count': 0, 'processes': place.count()}
    place.run(work, [{**about, **unit}], bar)
  chosen = placement_lib.Placement(
    **json.loads(path.read_text(encoding='utf-8'))
  )
  path.unlink()
  size = min(
    chosen.round_size, math.ceil(count / (place.count() * _ROUNDS_EACH))
  )
  width = min(chosen.width, size)
  return dataclasses.asdict(
    dataclasses.replace(chosen, width=width, round_size=size)
  )


def choose(unit: Mapping[str, Any]) -> None:
  """Writes how the trials of a plan are laid out on the devices here."""
  plan, _ = _plan(unit)
  with jax.default_matmul_precision(plan.options.matmul_precision):
    placement = plan.place(
      jax.local_devices(), unit['workdir'], processes=unit['processes']
    )
  path = pathlib.Path(unit['result'])
  workdir_lib.write_json(path, dataclasses.asdict(placement))


# The last plan, and what was compiled for it.
_kept: list[Any] = [None, None, None]


def _plan(unit: Mapping[str, Any]) -> tuple[Plan, dict[Any, Any]]:
  """Returns the plan of a unit, and its compiled programs by placement."""
  key = json.dumps([unit[x] for x in ('plan_by', 'arguments', 'config')])
  if _kept[0] != key:
    module, _, name = unit['plan_by'].partition(':')
    make = getattr(importlib.import_module(module), name)
    config = configuration.from_json(unit['config'])
    # The command has said already what these say.
    with contextlib.redirect_stdout(io.StringIO()):
      _kept[:] = key, make(config, **unit['arguments']), {}
  _, plan, programs = _kept
  where = unit['arguments'].get('data_dir', 'mejax')
  worker.check_data(where, plan.task.sha256, unit['data_sha256'])
  return plan, programs


def do(unit: Mapping[str, Any]) -> None:
  """Trains a round of a run, as a worker does.

  Args:
    unit: `plan_by`, `arguments` and `config`, see `Spread`; `data_sha256`,
      `workdir` and its `owner`, `placement` and the number of the `round`.

  Raises:
    ValueError: the data here are others, or no trial has a finite loss.
  """
  plan, programs = _plan(unit)
  devices = jax.local_devices()
  placement = placement_lib.Placement(**unit['placement'])
  start = plan.start and starting.fit(plan.start, plan.model, plan.task)
  options = {'devices': devices, 'eval_every': plan.options.eval_every}
  workdir, number = pathlib.Path(unit['workdir']), unit['round']
  with jax.default_matmul_precision(plan.options.matmul_precision):
    if placement not in programs:
      programs[placement] = loop.compile_program(
        plan.trainer, placement, start=start, **options
      )
    logs = workdir / LOGS / f'round_{number}'
    logs.mkdir(parents=True, exist_ok=True)
    loop.run(
      plan.trainer,
      plan.trials,
      plan.data,
      workdir=workdir,
      placement=placement,
      checkpoint_every_s=plan.options.checkpoint_every_s,
      keep_models=plan.options.keep_models,
      call_seconds=worker.CALL_SECONDS,
      names=plan.trial_names,
      owner=unit['owner'],
      progress=False,
      program=programs[placement],
      only=[number],
      logs=logs,
      **options,
    )


def collect_logs(workdir: pathlib.Path) -> None:
  """Moves the logs of rounds that workers have trained to those of the run.

  Others may still be written: a worker of somebody's scheduler goes on with its
  round when the command has ended.
  """
  for folder in sorted(workdir.glob(f'{LOGS}/*')):
    if (workdir / f'checkpoints/{folder.name}.npz').exists():
      log_lib.collect(folder, workdir)
  with contextlib.suppress(OSError):  # There are others.
    (workdir / LOGS).rmdir()
    (workdir / LOGS).parent.rmdir()
