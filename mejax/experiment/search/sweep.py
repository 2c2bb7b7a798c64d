"""Searches for settings with nested folds: nobody chooses for himself.

Each outer fold has a search of its own, which is told only how well settings do
on its own training people. The settings that it chooses are then trained on all
of them and score the people that it holds out.

    units/         results of units of work, see `units`
    journal.log    every setting that was tried, as Optuna's journal
    search.json    every number of the search
    search/        index.html
    record.npz, metrics.json, report/ and others: the run of the chosen settings
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import os
import pathlib
from typing import Any

from flax import linen as nn
import ml_collections

from mejax import bars
from mejax.experiment import planning
from mejax.experiment import running
from mejax.experiment import schema
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.engine import chunks
from mejax.experiment.engine import placing
from mejax.experiment.engine.options import Engine
from mejax.experiment.search import chosen as chosen_lib
from mejax.experiment.search import forecast
from mejax.experiment.search import journal as journal_lib
from mejax.experiment.search import preparing
from mejax.experiment.search import proposing
from mejax.experiment.search import rounds
from mejax.experiment.search import spaces
from mejax.experiment.search.state import Options
from mejax.experiment.search.state import Search
from mejax.experiment.search.state import Tried
from mejax.experiment.task import Task


def sweep(
  config: ml_collections.ConfigDict,
  *,
  space: str | Callable[[Any], None],
  workdir: str | os.PathLike,
  data_dir: str | os.PathLike | None = None,
  task: Task | None = None,
  model: nn.Module | None = None,
  protocol: Any = None,
  view: Callable[..., Any] | None = None,
  sampler: str = 'qmc',
  num_settings: int | None = None,
  round_size: int | None = None,
  halving: int = 0,
  engine: Engine | None = None,
  dry_run: bool = False,
) -> dict[str, Any]:
  """Searches for the settings of every outer fold; writes and prints a report.

  The result depends on config, space, options and data alone. The same call on
  the same workdir goes on with a search that was killed.

  Args:
    config: the config, from `load_config`. Its `inner_folds`, `num_folds` and
      seeds hold for the search too.
    space: what may be tried, see `spaces.load`.
    workdir: folder of the search; made if it is not there.
    data_dir: home of the prepared datasets, unless `task` is given.
    task: your data, in place of the config's dataset, protocol and view.
    model: your Linen module, in place of the config's model.
    protocol: your `datasets.protocols.Protocol`, in place of the config's.
    view: your view, in place of the config's; see `experiment.train`.
    sampler: `qmc`, `random`, `grid` or `tpe`.
    num_settings: settings that each fold tries; by default 16, or the whole
      grid.
    round_size: settings of a round, by default 16, or 8 for `tpe`, which learns
      from one round for the next.
    halving: keep the best one of so many settings after short trainings, and
      train those so many times as long; 0 trains all to their end.
    engine: who trains; by default this process. Another one reads the data from
      `data_dir`, so nothing may be handed over in Python.
    dry_run: only print what would be trained, and how long it takes.

  Returns:
    The content of `search.json`; empty for a dry run.

  Raises:
    ValueError: config, space, options, data and workdir do not fit each other,
      or some units were given up.
    FileNotFoundError: the dataset has not been prepared.
    ConnectionError: no scheduler answers, or it was lost.
  """
  config, engine = schema.fill(config), engine or Engine()
  _check_config(config)
  given = {
    'data_dir': data_dir,
    'task': task,
    'model': model,
    'protocol': protocol,
    'view': view,
  }
  source = {name: each for name, each in given.items() if each is not None}
  chunks.check_engine(engine, source)
  known = spaces.load(space, config)
  options = _check_options(known, sampler, num_settings, round_size, halving)
  with config.unlocked():
    # An inner fold tells the score of its last epoch, and so does an outer one.
    config.selection = ('last',)
  plan = planning.plan(config, **source)
  preparing.inner_folds(plan, config.inner_folds)
  source = _share_task(source, plan, known)
  about = {
    'space': known.describe(),
    'sampler': options.sampler,
    'num_settings': options.num_settings,
    'round_size': options.round_size,
    'halving': options.halving,
  }
  workdir = pathlib.Path(workdir)
  found = Search(
    config=config,
    space=known,
    options=options,
    plan=plan,
    source=source,
    folder=workdir / 'units',
    owner='',
    on_disk=_on_disk(source, plan, data_dir),
  )
  _check_groups(found)
  print(forecast.describe(found))
  if dry_run:
    forecast.show(found)
    return {}
  with workdir_lib.locked(workdir):
    described = {**plan.description, schema.SEARCH: about}
    workdir_lib.claim(workdir, described, running.provenance(plan))
    with placing.opened(engine, workdir / placing.FOLDER) as place:
      found = dataclasses.replace(
        found, owner=workdir_lib.owner(workdir), place=place
      )
      return _carry_out(found, workdir)


def _check_config(config: ml_collections.ConfigDict) -> None:
  if lists := [name for name, values in config.grid.items() if values]:
    raise ValueError(
      f'grid.{lists[0]} is {config.grid[lists[0]]}, but a search takes its'
      ' settings from the space. Leave the grid empty.'
    )
  if config.folds_over != 'people':
    raise ValueError(
      f'folds_over is {config.folds_over!r}. A search needs folds over people:'
      ' it may not choose by clips of the people who are scored.'
    )
  for name, other in (('folds', 'held_out'), ('init', '')):
    if config[name] != other:
      raise ValueError(
        f'{name} is {config[name]!r}, which a search does not know: train with'
        ' the settings that it chose, by `mejax train`.'
      )
  if not 2 <= config.inner_folds:
    raise ValueError(
      f'inner_folds is {config.inner_folds}; expected 2 or more.'
    )


def _check_options(
  space: spaces.Space, sampler, num_settings, round_size, halving
) -> Options:
  if sampler not in proposing.SAMPLERS:
    raise ValueError(
      f'sampler is {sampler!r}; expected one of'
      f' {", ".join(proposing.SAMPLERS)}.'
    )
  if sampler == 'grid':
    size = proposing.count_grid(space)
    if num_settings not in (None, size):
      raise ValueError(
        f'The grid of {space.name} has {size} settings, and all of them are'
        f' tried, not {num_settings}. Leave the number out, or take another'
        ' sampler.'
      )
    num_settings = size
  num_settings = 16 if num_settings is None else num_settings
  if round_size is None:
    round_size = 8 if sampler == 'tpe' else 16
  for name, value, least in (
    ('num_settings', num_settings, 1),
    ('round_size', round_size, 1),
  ):
    if value < least:
      raise ValueError(f'{name} is {value}; expected {least} or more.')
  if sampler == 'tpe' and num_settings <= round_size:
    raise ValueError(
      'tpe learns from earlier rounds, but'
      f' {num_settings} settings in rounds of {round_size} are a single one.'
      ' Try more settings, in smaller rounds.'
    )
  if halving and halving < 2:
    raise ValueError(
      f'halving is {halving}; expected 2 or more, or 0 to train every setting'
      ' to its end.'
    )
  return Options(sampler, num_settings, min(round_size, num_settings), halving)


def _share_task(source, plan, space: spaces.Space) -> dict[str, Any]:
  """Lets all groups share the data that were read, if the view is the same."""
  views = [
    key
    for group in space.groups
    for key in group.choices
    if key.startswith('view.')
  ]
  if not views:
    kept = {key: source[key] for key in ('model',) if key in source}
    return {'task': plan.task, **kept}
  if 'task' in source or 'view' in source:
    raise ValueError(
      f'The space {space.name} suggests {views[0]}, but the inputs were handed'
      ' over in Python. Leave it out of the space.'
    )
  return source


def _on_disk(source, plan, data_dir) -> dict[str, Any]:
  """Returns where a worker of a cluster finds the data."""
  if data_dir is None:
    return {}
  shared = plan.task.sha256 if 'task' in source else None
  return {'data_dir': os.path.abspath(data_dir), 'data_sha256': shared}


def _check_groups(found: Search) -> None:
  """Builds the model of every group, so that none fails in the middle."""
  if 'model' in found.source and any(
    key.startswith('model.')
    for group in found.space.groups
    for key in group.choices
  ):
    raise ValueError(
      f'The space {found.space.name} suggests fields of the model, but the'
      ' model was handed over in Python. Leave them out of the space.'
    )
  for number, group in enumerate(found.space.groups):
    try:
      for divisor in found.rungs(found.options.round_size):
        found.program(number, inner=True, divisor=divisor)
      preparing.prepare(found.program(number, inner=True), **found.source)
    # Whatever a module raises that cannot be built of these fields.
    except Exception as error:
      raise ValueError(
        f'The space {found.space.name} suggests'
        f' {str(group) or "numbers"}, which cannot be trained:'
        f' {type(error).__name__}: {error}'
      ) from error


def _carry_out(found: Search, workdir: pathlib.Path) -> dict[str, Any]:
  """Carries out a search in a folder that it has claimed."""
  names, options = found.fold_names, found.options
  found.folder.mkdir(exist_ok=True)
  journal = journal_lib.Journal(workdir, found.owner)
  tried: dict[int, list[Tried]] = {fold: [] for fold in range(len(names))}
  total = sum(forecast.count(found))
  with bars.Bar(total=total, unit='training', desc='search') as bar:
    for number in range(len(options.sizes())):
      new = rounds.run_round(found, number, tried, bar)
      for fold, own in new.items():
        tried[fold] += own
        frozen = [each.frozen(found.space) for each in tried[fold]]
        journal.tell(names[fold], frozen)
    chosen = {fold: rounds.choose(own) for fold, own in tried.items()}
    for fold, one in chosen.items():
      if one.diverged:
        raise ValueError(
          f'In fold {names[fold]} every setting of the space'
          f' {found.space.name} diverged. Lower its learning rates, and search'
          ' anew in another --workdir.'
        )
    outer = chosen_lib.train(found, tried, chosen, bar)
  return chosen_lib.report(found, workdir, tried, chosen, outer)
