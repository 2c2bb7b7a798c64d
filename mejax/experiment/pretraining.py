"""Trains a model on generated faces, and reports on those it has not seen.

No database takes part, so no licence of one binds the model, and it may be
applied to anybody. `mejax evaluate` does so.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any

import jax
from jaxtyping import Int
import ml_collections
import numpy as np

from mejax.evaluation import predictions
from mejax.evaluation import table
from mejax.experiment import cost
from mejax.experiment import finished
from mejax.experiment import planning
from mejax.experiment import record as record_lib
from mejax.experiment import reporting
from mejax.experiment import resolve
from mejax.experiment import running
from mejax.experiment import schema
from mejax.experiment import task as task_lib
from mejax.experiment import unit_scores
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.engine import chunks
from mejax.experiment.engine.options import Engine
from mejax.experiment.planning import Plan
from mejax.experiment.task import Task


def pretrain(
  config: ml_collections.ConfigDict,
  *,
  workdir: str | os.PathLike,
  data_dir: str | os.PathLike | None = None,
  engine: Engine | None = None,
  dry_run: bool = False,
) -> dict[str, Any]:
  """Trains every seed on generated people; writes the workdir; prints a table.

  The same call on the same workdir resumes a killed run, and shows the table
  of a finished one.

  Args:
    config: the config, from `load_config`; its section `generated` says what is
      trained on, its dataset and protocol only what is evaluated by default.
    workdir: folder of the run; made if it is not there.
    data_dir: home of the prepared datasets, if the config names one of rendered
      faces.
    engine: who trains; by default this process.
    dry_run: only print what would be trained, on which devices and how long.

  Returns:
    The content of `metrics.json`, see `evaluation.summary.metrics_json`; empty
    for a dry run.

  Raises:
    ValueError: config, model and workdir do not fit each other, or the config
      is of another version of the generator, or some rounds were given up.
    FileNotFoundError: the rendered faces have not been prepared.
    ConnectionError: no scheduler answers, or it was lost.
  """
  plan = make_plan(config, data_dir=data_dir)
  if dry_run:
    running.print_forecast(plan, workdir)
    return {}
  workdir = pathlib.Path(workdir)
  how = chunks.spread(
    engine or Engine(),
    config,
    f'{__name__}:make_plan',
    data_dir=data_dir and pathlib.Path(data_dir),
  )
  with running.claimed(plan, workdir) as run:
    if (workdir / 'record.npz').exists():
      print(f'{workdir} is finished; nothing is left to train.')
    else:
      with cost.measured(workdir, plan) as workers:
        if how is not None:
          workers += chunks.run(plan, workdir, run, how)
        outcome = running.run_trials(plan, workdir, run, progress=how is None)
      _write_record(plan, outcome, workdir)
    record = record_lib.read_record(workdir)
    told = record_lib.read_told(workdir, record)
    metrics = finished.describe(record, {}, told)
    workdir_lib.write_json(workdir / 'metrics.json', metrics)
    predictions.write_csv(workdir / 'predictions.csv', record, rules=['last'])
    print(table.format_numbers(metrics))
    unit_scores.write(plan, workdir)
    print(f'Report: {reporting.report([workdir])}')
  return metrics


def make_plan(
  config: ml_collections.ConfigDict,
  *,
  data_dir: str | os.PathLike | None = None,
) -> Plan:
  """Resolves a config; the only fold holds out the first part of the people.

  Raises:
    FileNotFoundError, ValueError: see `pretrain`.
  """
  config = schema.fill(config)
  if config.num_folds < 2 or config.folds_over != 'people':
    raise ValueError(
      f'num_folds is {config.num_folds}, over {config.folds_over}; expected 2'
      ' or more parts of people, of which one is held out.'
    )
  if tuple(config.selection) != ('last',):
    raise ValueError(
      f'selection is {tuple(config.selection)}; expected only last: nothing is'
      ' chosen on people who are held out.'
    )
  plan = planning.plan(config, task=generate(config, data_dir=data_dir))
  kept = plan.numbers['fold'] == 0
  return dataclasses.replace(
    plan,
    folds=plan.folds._replace(
      **{
        name: getattr(plan.folds, name)[:1]
        for name in ('train', 'test', 'outer', 'inner', 'names')
      }
    ),
    trials=jax.tree.map(lambda x: x[kept], plan.trials),
    numbers={name: x[kept] for name, x in plan.numbers.items()},
    sentence=plan.task.protocol,
    data_dir=str(data_dir) if config.generated.rendered else None,
  )


def generate(
  config: ml_collections.ConfigDict,
  *,
  data_dir: str | os.PathLike | None = None,
) -> Task:
  """Generates the pictures of a config as a task.

  Args:
    config: the complete config.
    data_dir: home of the dataset of rendered faces, if the config names one.

  Raises:
    FileNotFoundError: the rendered faces have not been prepared.
    ValueError: the config is of another version of the generator, or the
      dataset is none of rendered faces, or was prepared otherwise.
  """
  from mejax.corpora.faces.individuals import Options
  from mejax.datasets import generated
  from mejax.datasets import rendered

  asked = config.generated
  if asked.version != generated.VERSION:
    raise ValueError(
      f'the config is of version {asked.version} of the generator; this mejax'
      f' has {generated.VERSION}. Train anew in another --workdir.'
    )
  if asked.rendered and data_dir is None:
    raise ValueError(
      f'generated.rendered names the dataset {asked.rendered!r}; give data_dir,'
      ' the folder of all datasets, too.'
    )
  drawn = {
    field.name: asked[field.name] for field in dataclasses.fields(Options)
  }
  drawn['levels'] = tuple(asked.levels)
  drawn |= {'seed': asked.seed, 'units': asked.units}
  examples, metadata = generated.examples(
    people=asked.people, pictures=asked.pictures, **drawn
  )
  if asked.rendered:
    more, made = rendered.examples(
      asked.rendered, data_dir, cuts=asked.cuts, **drawn
    )
    examples = {
      name: np.concatenate([array, more[name]])
      for name, array in examples.items()
    }
    metadata['rendered'] = made
  reading = resolve.find_reading(config, protocol=generated.PROTOCOL)
  task = task_lib.make_task(examples, metadata, **reading)
  return dataclasses.replace(
    task, extra={**task.extra, 'units': examples['action_units']}
  )


def _held_out(plan: Plan) -> Int[np.ndarray, ' h']:
  return np.flatnonzero(plan.folds.test[0])


def _only(task: Task, rows: Int[np.ndarray, ' h']) -> Task:
  """Returns the task of some of its clips."""
  names = ('inputs', 'labels', 'corpus', 'subject', 'clip', 'groups')
  return dataclasses.replace(
    task,
    **{name: getattr(task, name)[rows] for name in names},
    extra={name: array[rows] for name, array in task.extra.items()},
    baseline_inputs=None,
  )


def _write_record(plan: Plan, outcome, workdir: pathlib.Path) -> None:
  """Writes the record of those who were held out, and of nobody else."""
  rows = _held_out(plan)
  index = np.asarray(plan.trials.held_out)
  record = record_lib.make_record(
    outcome,
    np.where(index < 0, -1, np.searchsorted(rows, index)),
    plan.numbers,
    _only(plan.task, rows),
    plan.folds.names,
  )
  record |= record_lib.about(workdir_lib.owner(workdir), running.tell(plan))
  workdir_lib.save_npz(workdir / 'record.npz', record)
