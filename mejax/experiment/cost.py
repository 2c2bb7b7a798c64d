"""Keeps what the training of a run took: time, memory, operations."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import pathlib
import sys
import time
from typing import Any

import jax

from mejax import files
from mejax import forms
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.planning import Plan

NAME = 'cost.json'
_FORM = {
  'seconds': [forms.NUMBER],
  'device': str,
  'devices': int,
  'cores': int,
  'peak_bytes': int,
  'trials': int,
  'parameters': int,
  'flops': forms.NUMBER,
}


@contextlib.contextmanager
def measured(
  workdir: pathlib.Path, plan: Plan
) -> Iterator[list[dict[str, Any]]]:
  """Measures a training, and adds it to those that began it, in `cost.json`.

  The time includes compilation. A training that a kill ended without warning
  is not counted.

  Yields:
    A list for the workers that train, if this process does not; see `machine`.
  """
  start = time.monotonic()
  workers: list[dict[str, Any]] = []
  try:
    yield workers
  finally:
    seconds = time.monotonic() - start
    # Before that, the folder has nothing to lose, and is free for another run.
    if (workdir / 'log.jsonl').exists():
      _add(workdir, plan, seconds, workers or [machine()])


def machine() -> dict[str, Any]:
  """Returns the devices, cores and peak memory of this process."""
  devices = jax.local_devices()
  return {
    'device': devices[0].device_kind,
    'devices': len(devices),
    'cores': len(os.sched_getaffinity(0))
    if hasattr(os, 'sched_getaffinity')
    else os.cpu_count(),
    'peak_bytes': _peak_bytes(devices),
  }


def _add(workdir, plan, seconds, workers) -> None:
  before = read(workdir)
  cost = {
    'seconds': [*before.get('seconds', []), round(seconds, 3)],
    'device': workers[0]['device'],
    'devices': sum(each['devices'] for each in workers),
    'cores': sum(each['cores'] for each in workers),
    'peak_bytes': max(
      each['peak_bytes'] for each in (*workers, {'peak_bytes': 0, **before})
    ),
    'trials': len(plan.trials.train),
    **_of_model(plan),
  }
  owner = {files.OWNER: workdir_lib.owner(workdir)}
  workdir_lib.write_json(workdir / NAME, cost | owner)


def _peak_bytes(devices) -> int:
  """Returns the most memory in use: of a device, or of a process on a CPU."""
  stats = [device.memory_stats() or {} for device in devices]
  if peak := max(each.get('peak_bytes_in_use', 0) for each in stats):
    return int(peak)
  try:
    import resource
  except ImportError:  # Windows.
    return 0
  unit = 1 if sys.platform == 'darwin' else 1024
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _of_model(plan: Plan) -> dict[str, Any]:
  """Returns the parameters, and the FLOPs of the prediction of one clip."""
  trainer = plan.trainer
  trial = jax.tree.map(lambda x: x[0], plan.trials)
  state = jax.eval_shape(trainer.init, trial, plan.data)
  predict = jax.jit(trainer.predict).lower(state, trial, plan.data.inputs[:1])
  found = predict.cost_analysis() or {}
  return {
    'parameters': sum(x.size for x in jax.tree.leaves(state.params)),
    'flops': float(found.get('flops', 0.0)),
  }


def read(workdir: pathlib.Path) -> dict[str, Any]:
  """Reads what a run took; {} for one of an older mejax.

  Raises:
    ValueError: the file is damaged, or another run's.
  """
  path = workdir / NAME
  if not path.exists():
    return {}
  cost = files.read_json(path, hint=workdir_lib.AGAIN)
  expected = workdir_lib.owner(workdir)
  workdir_lib.check_owner(path, cost.pop(files.OWNER, None), expected)
  with files.reading(path, hint=workdir_lib.AGAIN):
    forms.check(cost, _FORM)
  return cost
