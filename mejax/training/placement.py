"""Lays trials out on devices and compiles their training as one program.

`map`: trials run one after another, each through all epochs of a call, as if it
were alone. Its numbers are the same to the last bit whichever trials run beside
it. This mode is best for convolutions and on CPUs.

`vmap`: `width` trials advance together, step by step. This mode is best for
small inputs on accelerators, where a single trial leaves most of the device
idle.

Trials never communicate: each device trains its own share of them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import math

import jax
from jax import lax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import PyTree
import numpy as np

from mejax.training import devices as devices_lib
from mejax.training import steps as steps_lib
from mejax.training import trial as trial_lib

MODES = ('vmap', 'map')


@dataclasses.dataclass(frozen=True)
class Placement:
  """The layout of trials on devices; saved in the workdir for a resumed run.

  Attributes:
    mode: one of `MODES`.
    width: trials that one device advances together (1 under `map`).
    round_size: trials that the devices hold at once; a round of them runs to
      its end before the next begins.
  """

  mode: str
  width: int
  round_size: int

  def describe(self, num_trials: int, devices: Sequence[jax.Device]) -> str:
    """Returns a line that describes the layout to the user."""
    rounds = math.ceil(num_trials / self.round_size)
    how = 'one after another' if self.mode == 'map' else f'{self.width} at once'
    return (
      f'{num_trials} trials on {devices_lib.describe(devices)}, mode'
      f' {self.mode}: {how} on each, {rounds} round(s) of up to'
      f' {self.round_size}'
    )


def lay_out(
  mode: str, each: int, num_trials: int, devices: Sequence[jax.Device]
) -> Placement:
  """Returns the placement of rounds in which a device holds `each` trials."""
  width = each if mode == 'vmap' else 1
  return Placement(mode, width, min(num_trials, each * len(devices)))


def pad(tree: PyTree, size: int) -> PyTree:
  """Fills the leading axis up to `size` with repeats of the first entry.

  Padding with zeros would fail: a padded trial is trained like any other, and a
  fold without training examples would divide by zero.
  """

  def fill(x):
    if len(x) == size:
      return x
    index = np.arange(size)
    return x[np.where(index < len(x), index, 0)]

  return jax.tree.map(fill, tree)


def run_local(
  trainer,
  states,
  trials,
  data,
  first,
  count,
  *,
  mode,
  width,
  eval_every,
  max_windows,
):
  """Trains the share of one device: one trial, or `width`, at a time."""

  def run(share):
    return steps_lib.run_windows(
      trainer,
      *share,
      data,
      first,
      count,
      many=mode == 'vmap',
      eval_every=eval_every,
      max_windows=max_windows,
    )

  if mode == 'map':
    return _map_trials(run, (states, trials), count)
  if width == len(trials.train):
    # A loop with a single pass would only copy the states in and out.
    return run((states, trials))
  grouped = jax.tree.map(
    lambda x: x.reshape(-1, width, *x.shape[1:]), (states, trials)
  )
  return jax.tree.map(
    lambda x: x.reshape(-1, *x.shape[2:]), lax.map(run, grouped)
  )


def _map_trials(run, shares, count):
  """Runs trials in turn, as `lax.map` does, a lone trial like any other.

  XLA unrolls a loop that it knows to have a single turn, and drops axes of size
  one. What it then fuses rounds otherwise on some processors, so that a trial
  alone would differ in the last bits from the same trial among others. So there
  is room for two at least, and the number of turns depends on an argument of
  the program: `count` is never negative.
  """
  turns = len(jax.tree.leaves(shares)[0])
  size = max(turns, 2)
  shares = pad(shares, size)
  first = jax.tree.map(lambda x: x[0], shares)
  results = jax.tree.map(
    lambda x: jnp.zeros((size, *x.shape), x.dtype), jax.eval_shape(run, first)
  )

  def run_one(i, results):
    one = run(jax.tree.map(lambda x: x[i], shares))
    return jax.tree.map(lambda all, x: all.at[i].set(x), results, one)

  results = lax.fori_loop(0, turns + jnp.minimum(count, 0), run_one, results)
  return jax.tree.map(lambda x: x[:turns], results)


@dataclasses.dataclass(frozen=True)
class Program:
  """Functions for all trials of a round, made for one placement.

  On the devices the number of trials is padded to a multiple of the number of
  devices times the width.

  Attributes:
    put_data: copies the data to every device.
    put_trials: pads a tree with trials on the leading axis and spreads it over
      the devices.
    init: `(trials, data) -> states`; takes trials that are not spread, returns
      states that are.
    run_chunk: `(states, trials, data, first, count) -> (states, logits
      [t, max_windows, h, k], losses [t, max_windows])`; runs `count` windows
      from window `first` on. States and trials are spread; `states` is donated.
    lower: `(trials, data) -> lowered`; traces `run_chunk` for a round of trials
      like these, from shapes alone.
    variables: `states -> variables` that predictions are made with.
  """

  put_data: Callable
  put_trials: Callable
  init: Callable
  run_chunk: Callable
  lower: Callable
  variables: Callable


def make_mesh(devices: Sequence[jax.Device]) -> jax.sharding.Mesh:
  """Returns the devices in a row, along which trials are spread."""
  return jax.make_mesh(
    (len(devices),),
    ('trial',),
    axis_types=(jax.sharding.AxisType.Auto,),
    devices=devices,
  )


def place(
  trainer: trial_lib.Trainer,
  placement: Placement,
  *,
  devices: Sequence[jax.Device],
  eval_every: int,
  max_windows: int,
  start: Mapping[str, PyTree] | None = None,
) -> Program:
  """Turns the functions of one trial into functions for a round of trials.

  Args:
    trainer: the functions of one trial.
    placement: decides how many trials run at once.
    devices: devices to spread the trials over.
    eval_every: epochs of a window; an evaluation follows each window.
    max_windows: the most windows in one call.
    start: see `make_init`.
  """
  mesh = make_mesh(devices)
  spread = jax.sharding.NamedSharding(mesh, PartitionSpec('trial'))
  whole = jax.sharding.NamedSharding(mesh, PartitionSpec())
  size = len(devices) * placement.width
  size *= math.ceil(placement.round_size / size)

  init = make_init(trainer, start)
  run_chunk = _make_chunk(
    trainer,
    placement,
    mesh,
    eval_every=eval_every,
    max_windows=max_windows,
  )

  def put_trials(tree):
    return jax.device_put(pad(tree, size), spread)

  def lower(trials, data, platforms=None):
    trial = jax.tree.map(lambda x: x[0], trials)
    state = jax.eval_shape(trainer.init, trial, data)
    traced = run_chunk.trace(
      stack_shapes(state, size, spread),
      stack_shapes(trial, size, spread),
      shapes_on(data, whole),
      0,
      1,
    )
    return traced.lower(lowering_platforms=platforms)

  return Program(
    put_data=lambda data: jax.device_put(data, whole),
    put_trials=put_trials,
    init=lambda trials, data: put_trials(init(trials, data)),
    run_chunk=run_chunk,
    lower=lower,
    variables=jax.vmap(trainer.variables),
  )


def _make_chunk(trainer, placement, mesh, *, eval_every, max_windows):
  """Makes the compiled training function, `Program.run_chunk`."""
  spread, whole = PartitionSpec('trial'), PartitionSpec()
  run = functools.partial(
    run_local,
    trainer,
    mode=placement.mode,
    width=placement.width,
    eval_every=eval_every,
    max_windows=max_windows,
  )
  # With jit alone, the loop of `map` would run over all trials and fetch each
  # from its device; with shard_map each device loops over its own share. The
  # check of varying axes is off because it refuses the optimiser's zeros, which
  # do not vary by device yet.
  share = jax.shard_map(
    run,
    mesh=mesh,
    in_specs=(spread, spread, whole, whole, whole),
    out_specs=spread,
    check_vma=False,
  )
  # The states of a round may fill the device, so they are donated: the new
  # states overwrite the old ones.
  return jax.jit(share, donate_argnums=0)


def stack_shapes(
  tree: PyTree, size: int, sharding: jax.sharding.Sharding
) -> PyTree:
  """Returns the shapes of `size` entries like this one."""
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(
      (size, *x.shape), x.dtype, sharding=sharding
    ),
    tree,
  )


def shapes_on(tree: PyTree, sharding: jax.sharding.Sharding) -> PyTree:
  """Returns the shapes of arrays, on other devices."""
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree
  )


def begin_with(
  states: trial_lib.TrialState, start: Mapping[str, PyTree]
) -> trial_lib.TrialState:
  """Writes given variables into the initial states of all trials, in place."""

  def write(there, new):
    for name, value in new.items():
      if isinstance(value, Mapping):
        write(there[name], value)
      else:
        there[name][:] = value

  for name, tree in start.items():
    write(getattr(states, name), tree)
  return states


def make_init(
  trainer: trial_lib.Trainer, start: Mapping[str, PyTree] | None = None
) -> Callable[[trial_lib.Trial, trial_lib.Data], PyTree]:
  """Makes a function that returns the initial states as NumPy arrays [t ...].

  It compiles a program for one trial and calls it for each in turn, because
  drawing weights is fast, but compiling it for all trials of all devices is
  slow.

  Args:
    trainer: the functions of one trial.
    start: variables `params` and `collections` that every trial begins with in
      place of those that are drawn; what they lack is drawn.
  """

  @jax.jit
  def init_one(trials, blank, i):
    return trainer.init(jax.tree.map(lambda x: x[i], trials), blank)

  def init(trials, data):
    # Only the shapes of the data matter here, and zeros cannot leak anything
    # about held-out examples.
    blank = jax.tree.map(lambda x: np.zeros((1, *x.shape[1:]), x.dtype), data)
    count = len(trials.train)
    # States are collected on the host, because the devices may have no room for
    # a second copy.
    states = jax.tree.map(
      lambda x: np.empty((count, *x.shape), x.dtype),
      jax.device_get(init_one(trials, blank, 0)),
    )
    for i in range(count):
      one = jax.device_get(init_one(trials, blank, i))
      for whole, x in zip(*map(jax.tree.leaves, (states, one)), strict=True):
        whole[i] = x
    return states if start is None else begin_with(states, start)

  return init
