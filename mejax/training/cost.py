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
from typing import NamedTuple

import jax
from jaxtyping import Array
from jaxtyping import Num
from jaxtyping import PyTree

from mejax.training import checkpoint
from mejax.training import loop
from mejax.training import placement as placement_lib
from mejax.training import trial as trial_lib

# The share of free memory, or of a disk, for trials; the rest is for all else,
# such as fragments between arrays, and logs.
SHARE = 0.9
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
  return size_of(jax.eval_shape(trainer.init, trial, data))


def size_of(tree: PyTree) -> int:
  """Returns the bytes of all arrays of a tree, or of their shapes."""
  return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def measure_bytes(
  trainer: trial_lib.Trainer,
  trials: trial_lib.Trial,
  data: trial_lib.Data,
  placement: placement_lib.Placement,
  *,
  devices: Sequence[jax.Device],
  eval_every: int,
) -> int | float:
  """Returns the bytes that a device needs to train a round, beside the data.

  The program is the one that `loop.run` will call. With a cache of compiled
  programs it is not compiled again.

  Returns:
    Infinity if the compiler finds no room. Another failure is printed and
    counts as no room, too, because it may come from a kernel that was tried
    for this number of trials.

  Raises:
    jax.errors.JaxRuntimeError: it fails for a single trial.
  """
  program = loop.compile_program(
    trainer, placement, devices=devices, eval_every=eval_every
  )
  try:
    compiled = program.lower(trials, data).compile()
  except jax.errors.JaxRuntimeError as error:
    if FULL not in str(error):
      if placement.round_size == 1:
        raise
      reason = str(error).partition('\n')[0]
      print(
        f'The compiler failed for {placement.round_size} trials: {reason}.'
        ' Fewer are tried.'
      )
    return math.inf
  return held_bytes(compiled) - size_of(data)


def held_bytes(compiled: jax.stages.Compiled) -> int:
  """Returns the bytes that a device holds during a call."""
  memory = compiled.memory_analysis()
  return (
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
    + memory.temp_size_in_bytes
  )


def fewest_rounds(mode: str, most: int) -> int:
  """Returns the rounds of `most` trials of a device, in any memory."""
  return math.ceil(most / MAP_ROUND) if mode == 'map' else 1


def fit(
  most: int,
  rounds: int,
  state: int,
  memory: float,
  needs: Callable[[int], float],
) -> int:
  """Returns how many trials a device takes at once, in the fewest equal rounds.

  Args:
    most: trials of a device.
    rounds: their fewest rounds.
    state: bytes of the state of one.
    memory: bytes that a device has for trials.
    needs: tells the bytes that so many trials need, by compiling a program. It
      is called last for what is returned.

  Raises:
    ValueError: one trial does not fit.
  """
  each = math.ceil(most / rounds)
  if memory > state:
    each = min(each, int(memory // state))
    while True:
      each = math.ceil(most / math.ceil(most / each))  # In equal rounds.
      needed = needs(each)
      if needed <= memory:
        return each
      if each == 1:
        break
      share = 0.5 if needed == math.inf else memory / needed
      each = max(1, min(each - 1, int(each * share)))
  raise ValueError(
    f'One trial does not fit into {memory / 2**20:.0f} MiB. Choose a smaller'
    ' model or batch, or a microbatch.'
  )


class Disk(NamedTuple):
  """Where a run leaves its files.

  Attributes:
    workdir: its folder.
    keep_models: whether the models of all trials stay there.
    processes: how many train rounds there at the same time.
  """

  workdir: str | os.PathLike
  keep_models: bool = False
  processes: int = 1


def choose(
  trainer: trial_lib.Trainer,
  trials: trial_lib.Trial,
  data: trial_lib.Data,
  *,
  mode: str = 'auto',
  devices: Sequence[jax.Device],
  eval_every: int,
  disk: Disk | None = None,
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
    disk: what has to fit on the disk; if None, that does not count.

  Raises:
    ValueError: the mode is unknown, or one trial does not fit into memory.
  """
  if mode not in (*placement_lib.MODES, 'auto'):
    raise ValueError(f'Unknown mode {mode!r}; expected auto, vmap or map.')
  mode = default_mode(data.inputs) if mode == 'auto' else mode
  num_trials, num_devices = len(trials.train), len(devices)
  first = jax.tree.map(lambda x: x[0], trials)
  state = jax.eval_shape(trainer.init, first, data)
  memory = SHARE * min(map(available_bytes, devices))
  most = math.ceil(num_trials / num_devices)
  rounds = fewest_rounds(mode, most)
  if disk is not None:
    models = size_of(jax.eval_shape(trainer.variables, state))
    wanted = min(num_trials, math.ceil(most / rounds) * num_devices)
    fits = _fit_on_disk(
      disk,
      wanted,
      each=size_of(state),
      others=num_trials * models if disk.keep_models else 0,
    )
    if fits < wanted:
      rounds = math.ceil(most / max(1, fits // num_devices))

  def place(each):
    return placement_lib.lay_out(mode, each, num_trials, devices)

  def needs(each):
    return measure_bytes(
      trainer, trials, data, place(each), devices=devices, eval_every=eval_every
    )

  # Compiling takes time, so it is done only if memory may run out. Under `map`
  # all trials share one set of activations, so the round fits if a hundred
  # times the states would fit.
  each = math.ceil(most / rounds)
  if mode == 'vmap' or 100 * each * size_of(state) > memory:
    each = fit(most, rounds, size_of(state), memory, needs)
  return place(each)


def _fit_on_disk(disk: Disk, count: int, *, each: int, others: int) -> int:
  """Returns how many of `count` trials may have checkpoints at the same time.

  Args:
    disk: the disk.
    count: trials of a round.
    each: bytes of one of them in a checkpoint.
    others: bytes of files that stay.
  """
  # It may be a link to another disk.
  folder = pathlib.Path(disk.workdir).absolute() / 'checkpoints'
  try:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
  except OSError:
    return count  # Training will say what is wrong when it writes there.
  room = (SHARE * free - others) / disk.processes
  fits = int(room // (checkpoint.MOST_AT_ONCE * each))
  if fits >= count:
    return count
  # A disk without room for one says so when it is full.
  fits = max(1, fits)
  print(
    f'The disk of {folder} has {free / 2**30:.1f} GiB free: room for'
    f' {checkpoint.MOST_AT_ONCE} checkpoints of {fits} trial(s) at a time.'
  )
  return fits


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
