"""Measures the cost of trials in bytes and seconds; chooses their placement.

The compiler reports the bytes of the program that will run, because a formula
would not know its temporary arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import math
import os
import pathlib
import shutil
import time

import jax
from jaxtyping import Array
from jaxtyping import Num

from mejax.training import checkpoint
from mejax.training import loop
from mejax.training import placement as placement_lib
from mejax.training import trial as trial_lib

# The share of free memory, or of a disk, for trials; the rest is for the
# runtime and for fragmentation.
MEMORY_SHARE = 0.9
# A compiler that finds no room says so.
FULL = 'RESOURCE_EXHAUSTED'
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
  placement: placement_lib.Placement,
  *,
  devices: Sequence[jax.Device],
  eval_every: int,
) -> int | float:
  """Returns the bytes that a device holds while it trains a round.

  The program is the one that `loop.run` will call. With a cache of compiled
  programs it is not compiled again.

  Returns:
    Infinity if the compiler finds no room. If it fails in another way, which
    is told, that may be for a size that it tries kernels with.

  Raises:
    jax.errors.JaxRuntimeError: it fails for a single trial.
  """
  first = jax.tree.map(lambda x: x[0], trials)
  state = jax.eval_shape(trainer.init, first, data)
  program = loop.compile_program(
    trainer, placement, devices=devices, eval_every=eval_every
  )
  try:
    return held_bytes(program.lower(state, first, data).compile())
  except jax.errors.JaxRuntimeError as error:
    if FULL not in str(error):
      if placement.round_size == 1:
        raise
      print(
        f'The compiler failed for {placement.round_size} trials:'
        f' {str(error).splitlines()[0]}. Fewer are tried.'
      )
    return math.inf


def held_bytes(compiled: jax.stages.Compiled) -> int:
  """Returns the bytes that a device holds during a call."""
  memory = compiled.memory_analysis()
  return (
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
    + memory.temp_size_in_bytes
  )


def fit(
  most: int, state: int, memory: float, needs: Callable[[int], float]
) -> int:
  """Returns how many trials a device takes at once, in the fewest equal rounds.

  Args:
    most: trials of a device.
    state: bytes of the state of one.
    memory: bytes that a device has for trials.
    needs: tells the bytes that so many trials need, by compiling a program.

  Raises:
    ValueError: one trial does not fit.
  """
  rounds = max(1, math.ceil(most * state / memory))
  while rounds <= most:
    each = math.ceil(most / rounds)
    needed = needs(each)
    if needed <= memory:
      return each
    more = 2 if needed == math.inf else needed / memory
    rounds = max(rounds + 1, math.ceil(rounds * more))
    # The last try is one trial at a time.
    rounds = most if each > 1 and rounds > most else rounds
  raise ValueError(
    f'One trial does not fit into {memory / 2**20:.0f} MiB. Choose a smaller'
    ' model or batch, or a microbatch.'
  )


def choose(
  trainer: trial_lib.Trainer,
  trials: trial_lib.Trial,
  data: trial_lib.Data,
  *,
  mode: str = 'auto',
  devices: Sequence[jax.Device],
  eval_every: int,
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
    eval_every: epochs between evaluations.
    workdir: folder of the run; by default its disk has no end.

  Raises:
    ValueError: the mode is unknown, or one trial does not fit into memory.
  """
  if mode not in (*placement_lib.MODES, 'auto'):
    raise ValueError(f'Unknown mode {mode!r}; expected auto, vmap or map.')
  mode = default_mode(data.inputs) if mode == 'auto' else mode
  num_trials = len(trials.train)
  state = state_bytes(trainer, jax.tree.map(lambda x: x[0], trials), data)
  memory = MEMORY_SHARE * min(map(available_bytes, devices))
  each = share(num_trials, len(devices), mode)
  if workdir is not None:
    fits = _fit_on_disk(each, state * len(devices), workdir)
    each = math.ceil(each / math.ceil(each / fits))

  def place(each):
    return placement_lib.lay_out(mode, each, num_trials, devices)

  def needs(each):
    return measure_bytes(
      trainer, trials, data, place(each), devices=devices, eval_every=eval_every
    )

  # Compiling takes time, so it is done only if memory may run out. Under `map`
  # all trials share one set of activations, so the round fits if a hundred
  # times the states would fit.
  if mode == 'vmap' or 100 * each * state > memory:
    each = fit(each, state, memory, needs)
  return place(each)


def share(num_trials: int, num_devices: int, mode: str) -> int:
  """Returns how many trials of a round a device would take in any memory."""
  each = math.ceil(num_trials / num_devices)
  if mode == 'map':
    each = math.ceil(each / math.ceil(each / MAP_ROUND))
  return each


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
