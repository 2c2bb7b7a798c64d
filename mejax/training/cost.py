"""Measures the cost of trials in bytes and seconds; chooses their placement.

The compiler reports the bytes of the program that will run, because a formula
would not know its temporary arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
import math
import os
import pathlib
import shutil
import time

import jax
from jaxtyping import Array
from jaxtyping import Num
import numpy as np

from mejax.training import checkpoint
from mejax.training import placement as placement_lib
from mejax.training import trial as trial_lib

# The share of free memory, or of a disk, for trials; the rest is for the
# runtime and for fragmentation.
MEMORY_SHARE = 0.9
# Under `map` the trials of a round run in turn, so a large round is not faster,
# but its calls take longer. With 16 trials a device the progress bar keeps
# moving.
MAP_ROUND = 16
# With more pixels in an input, a single trial already keeps a device busy.
_VMAP_MAX_PIXELS = 64 * 64


def default_mode(inputs: Num[Array, 'n ...'], backend: str = '') -> str:
  """Returns the faster mode for these inputs on a backend; by default on this.

  On a CPU this is always `map`, because a CPU gains nothing from trials side by
  side, and grouped convolutions are many times slower there.
  """
  pixels = math.prod(inputs.shape[1:-1])
  cpu = (backend or jax.default_backend()) == 'cpu'
  return 'map' if cpu or pixels > _VMAP_MAX_PIXELS else 'vmap'


def available_bytes(device: jax.Device) -> int:
  """Returns the memory in bytes that a device has for trials."""
  stats = device.memory_stats()
  if stats and 'bytes_limit' in stats:
    return int(stats['bytes_limit'] - stats.get('bytes_in_use', 0))
  # CPU devices share the memory of the machine with each other and with other
  # programs.
  half = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 2
  return half // jax.local_device_count()


def state_bytes(
  trainer: trial_lib.Trainer, trial: trial_lib.Trial, data: trial_lib.Data
) -> int:
  """Returns the size in bytes of the state of one trial."""
  state = jax.eval_shape(trainer.init, trial, data)
  return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))


def measure_bytes(
  trainer: trial_lib.Trainer,
  trials: trial_lib.Trial,
  data: trial_lib.Data,
  *,
  mode: str,
) -> int:
  """Returns the bytes that one more trial needs.

  This is the difference between the programs of three and of two trials. Under
  `map` a trial adds only its state, under `vmap` also its gradients and
  activations.
  """

  def peak(count: int) -> int:
    few = jax.tree.map(lambda x: x[np.arange(count) % len(x)], trials)
    states = jax.eval_shape(jax.vmap(trainer.init, (0, None)), few, data)
    run = functools.partial(
      placement_lib.run_local,
      trainer,
      mode=mode,
      width=count,
      eval_every=1,
      max_windows=1,
    )
    compiled = jax.jit(run, donate_argnums=0).lower(states, few, data, 0, 1)
    memory = compiled.compile().memory_analysis()
    return (
      memory.argument_size_in_bytes
      + memory.output_size_in_bytes
      - memory.alias_size_in_bytes
      + memory.temp_size_in_bytes
    )

  # Three and two, not two and one, because the compiler removes a loop over a
  # single trial, whose program is therefore different.
  return max(1, peak(3) - peak(2))


def choose(
  trainer: trial_lib.Trainer,
  trials: trial_lib.Trial,
  data: trial_lib.Data,
  *,
  mode: str = 'auto',
  devices: Sequence[jax.Device],
  workdir: str | os.PathLike | None = None,
) -> placement_lib.Placement:
  """Chooses the fewest rounds of equal size that fit into memory and on disk.

  Each round has checkpoints of its own, so smaller rounds need less of a disk.

  Args:
    trainer: the functions of one trial.
    trials: all trials, stacked on the leading axis.
    data: all examples.
    mode: one of `placement.MODES`, or 'auto' for the faster one.
    devices: devices to use.
    workdir: folder of the run; by default its disk has no end.

  Raises:
    ValueError: the mode is unknown, or one trial does not fit into memory.
  """
  if mode not in (*placement_lib.MODES, 'auto'):
    raise ValueError(f'Unknown mode {mode!r}; expected auto, vmap or map.')
  mode = default_mode(data.inputs) if mode == 'auto' else mode
  num_trials = len(trials.train)
  first = jax.tree.map(lambda x: x[0], trials)
  budget = MEMORY_SHARE * min(map(available_bytes, devices))
  each = math.ceil(num_trials / len(devices))
  if mode == 'map':
    each = math.ceil(each / math.ceil(each / MAP_ROUND))
  # The measurement compiles two programs, so it is done only if memory may run
  # out. Under `map` all trials share one set of activations, so the round fits
  # if a hundred times the states would fit.
  state = state_bytes(trainer, first, data)
  fits = each
  if mode == 'vmap' or 100 * each * state > budget:
    cost = measure_bytes(trainer, trials, data, mode=mode)
    fits = int(budget // cost)
    if fits < 1:
      raise ValueError(
        f'One trial needs {cost / 2**20:.0f} MiB, but the device has'
        f' {budget / 2**20:.0f} MiB to give. Choose a smaller model or batch,'
        ' or a microbatch.'
      )
  if workdir is not None:
    fits = _fit_on_disk(min(each, fits), state * len(devices), workdir)
  each = math.ceil(each / math.ceil(each / fits))
  width = each if mode == 'vmap' else 1
  round_size = min(num_trials, each * len(devices))
  return placement_lib.Placement(mode, width, round_size)


def _fit_on_disk(count: int, state: int, workdir: str | os.PathLike) -> int:
  """Returns how many of `count` trials a round may have for its checkpoints.

  One at least: a disk that cannot hold that says so when it is full.
  """
  # It may lie on a disk of its own.
  folder = pathlib.Path(workdir).absolute() / 'checkpoints'
  there = next(path for path in (folder, *folder.parents) if path.exists())
  free = shutil.disk_usage(there).free
  fits = int(MEMORY_SHARE * free // (checkpoint.MOST_AT_ONCE * state))
  if fits >= count:
    return count
  print(
    f'The rounds are smaller than memory allows: the disk of {folder} has'
    f' {free / 2**30:.1f} GiB free, and up to {checkpoint.MOST_AT_ONCE}'
    ' checkpoints of a round lie there at once.'
  )
  return max(1, fits)


def measure_epoch_seconds(
  trainer: trial_lib.Trainer,
  placement: placement_lib.Placement,
  trials: trial_lib.Trial,
  data: trial_lib.Data,
  *,
  devices: Sequence[jax.Device],
  eval_every: int,
) -> float:
  """Estimates the seconds of an epoch of all trials from those of a few."""
  few = min(len(trials.train), len(devices) * placement.width)
  program = placement_lib.place(
    trainer,
    dataclasses.replace(placement, round_size=few),
    devices=devices,
    eval_every=eval_every,
    max_windows=1,
  )
  data = program.put_data(data)
  sample = jax.tree.map(lambda x: x[:few], trials)
  spread = program.put_trials(sample)
  states = program.init(sample, data)
  # The first call compiles and is not counted. The fastest of the others was
  # disturbed least.
  times = []
  while len(times) < 2 or (len(times) < 6 and sum(times[1:]) < 2.0):
    start = time.perf_counter()
    states, logits, _ = program.run_chunk(states, spread, data, 0, 1)
    logits.block_until_ready()
    times.append(time.perf_counter() - start)
  return min(times[1:]) / eval_every * math.ceil(len(trials.train) / few)
