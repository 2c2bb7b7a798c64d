"""Says how large a search is, and how long it takes."""

from __future__ import annotations

from collections.abc import Mapping
import time
from typing import Any

import jax

from mejax.experiment import forecasting
from mejax.experiment.search import preparing
from mejax.experiment.search.state import Search
from mejax.training import cost as cost_lib


def describe(found: Search) -> str:
  """Returns the line that says how large a search is.

  Outer folds have programs of their own: that of the config, and one for each
  group that some fold chose, or that all folds train for the un-nested best.
  """
  options, config = found.options, found.config
  seeds = f' x {config.num_seeds} seeds' * (config.num_seeds > 1)
  groups = len(found.space.groups)
  count = groups * len(found.rungs(options.round_size))
  return (
    f'{options.num_settings} settings x {len(found.fold_names)} folds x'
    f' {config.inner_folds} inner folds{seeds} in {count}'
    f' program{"s" * (count > 1)}, the outer folds in up to {groups + 1} more,'
    f' sampler {options.sampler}'
  )


def _rungs(found: Search) -> list[tuple[int, int]]:
  """Returns settings and divisor of epochs of each rung of all rounds."""
  rungs = []
  for size in found.options.sizes():
    for divisor in found.rungs(size):
      rungs.append((size, divisor))
      size = -(-size // max(found.options.halving, 1))
  return rungs


def count(found: Search) -> tuple[int, int]:
  """Returns the trainings of inner folds, and those of outer folds."""
  options, config = found.options, found.config
  each = len(found.fold_names) * config.num_seeds
  inner = sum(size for size, _ in _rungs(found)) * config.inner_folds
  outer = 1 + (options.num_settings if options.shared else 1)
  return inner * each, outer * each


def show(found: Search) -> None:
  """Prints how many trainings there are, and how long they take."""
  print(forecasting.COMPILING, flush=True)
  inner, outer = count(found)
  rungs, groups = _rungs(found), range(len(found.space.groups))
  share = sum(n / divisor for n, divisor in rungs) / sum(n for n, _ in rungs)
  total, began = 0.0, time.monotonic()
  for is_inner, whole in ((True, inner * share), (False, outer)):
    programs = [found.program(group, inner=is_inner) for group in groups]
    seconds = [_time(program, found.source) for program in programs]
    total += whole * sum(seconds) / len(seconds)
  compiling = time.monotonic() - began
  which = 'each setting' if found.options.shared else 'the chosen setting'
  print(
    f'{inner} trainings of inner folds and {outer} of outer folds, of {which}'
    ' and of the config as it is\n'
    f'about {total / 60:.1f} minutes, and {compiling / 60:.1f} to compile, as'
    ' here\n'
    'Nothing was trained.'
  )


def _time(program: Mapping[str, Any], source: Mapping[str, Any]) -> float:
  """Measures the seconds of a training among others."""
  prepared = preparing.prepare(program, **source)
  folds, plan = prepared.folds, prepared.plan
  count, devices = len(folds.outer), jax.local_devices()
  trials, _ = prepared.stack(
    {
      'settings': program['ends'],
      'trials': {
        'fold': folds.outer,
        'inner': folds.inner,
        'seed': [0] * count,
        'setting': [0] * count,
      },
    }
  )
  with jax.default_matmul_precision(plan.options.matmul_precision):
    options = {'devices': devices, 'eval_every': prepared.eval_every}
    data = preparing.arrays_of(plan)
    placement = cost_lib.choose(
      prepared.trainer, trials, data, mode=plan.options.mode, **options
    )
    seconds = cost_lib.measure_epoch_seconds(
      prepared.trainer,
      placement,
      trials,
      data,
      **options,
    )
  return seconds * prepared.trainer.num_epochs / count
