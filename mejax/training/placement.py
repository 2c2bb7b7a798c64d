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
from mejax.training import sample as sample_lib
from mejax.training import trial as trial_lib

MODES = ('vmap', 'map')
# Names of the loops over the steps of an epoch, and the parts of a batch, in a
# compiled program.
STEPS, PARTS = 'steps', 'parts'


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


def _step_one(trainer, state, trial, data, batch):
  """Makes one step of one trial; returns its new state and its loss."""
  sample = trainer.sample(state, trial, data, batch)

  def derive(sample):
    gradient = jax.value_and_grad(trainer.loss, has_aux=True)
    return gradient(state.params, state, trial, sample)

  if trainer.takes_parts(batch.index.shape[-1]):
    derived = _add_up(derive, sample_lib.parts(sample, trainer.microbatch))
  else:
    derived = derive(sample)
  (loss, collections), gradients = derived
  state = trainer.apply_gradients(state, trial, gradients, collections, batch)
  return state, loss


def _add_up(derive, parts):
  """Adds up what is derived of each part of a batch, one after the other.

  Each part takes the arrays of the one before, so that they stay in the caches
  of a CPU.
  """
  kinds = jax.eval_shape(derive, jax.tree.map(lambda x: x[0], parts))

  # Half precision would lose the last of many parts.
  def start(kind):
    return jnp.zeros(kind.shape, jnp.promote_types(kind.dtype, jnp.float32))

  def add(so_far, part):
    return jax.tree.map(jnp.add, so_far, derive(part)), None

  with jax.named_scope(PARTS):
    total, _ = jax.lax.scan(add, jax.tree.map(start, kinds), parts)
  return jax.tree.map(lambda x, kind: x.astype(kind.dtype), total, kinds)


def _step_many(trainer, states, trials, data, batches):
  """Makes one step of t trials together; returns new states and losses [t]."""

  # A trial's loss depends only on its own parameters, so the gradient of the
  # sum of losses holds the gradient of each trial. The reason not to write
  # vmap(grad(loss)) is speed: under vmap, convolutions of trials with different
  # weights become one grouped convolution. If vmap is applied last, GPUs have
  # no kernel for its weight gradient, and XLA runs a forward convolution with a
  # window as large as the image. As the gradient of a sum it becomes a
  # batch-grouped convolution, for which cuDNN has a backward kernel.
  def derive(samples):
    def summed(params):
      losses, collections = jax.vmap(trainer.loss)(
        params, states, trials, samples
      )
      return losses.sum(), (losses, collections)

    return jax.grad(summed, has_aux=True)(states.params)

  samples = jax.vmap(trainer.sample, (0, 0, None, 0))(
    states, trials, data, batches
  )
  if trainer.takes_parts(batches.index.shape[-1]):
    cut = functools.partial(sample_lib.parts, size=trainer.microbatch)
    derived = _add_up(derive, jax.vmap(cut, out_axes=1)(samples))
  else:
    derived = derive(samples)
  gradients, (losses, collections) = derived
  states = jax.vmap(trainer.apply_gradients)(
    states, trials, gradients, collections, batches
  )
  return states, losses


def make_epoch(trainer, trials, data, *, many):
  """Makes `run_epoch(number, carry) -> carry`.

  The carry is (states, loss_sum, steps): the sum of losses and the number of
  steps of each trial since the last evaluation.
  """
  # Under `map` the loop over trials is outside of this one, in `run_local`: a
  # loop over trials inside a step would copy each trial's whole state in and
  # out at every step.
  step = _step_many if many else _step_one
  batches = trainer.batches
  if many:
    # The steps are the leading axis, because the scan below runs over it.
    batches = jax.vmap(batches, (0, None), out_axes=1)

  def run_step(carry, batch):
    states, loss_sum, steps = carry
    states, loss = step(trainer, states, trials, data, batch)
    # In folds with fewer examples some steps hold only padding; their loss
    # means nothing.
    seen = batch.weight.sum(-1) > 0
    loss_sum += jnp.where(seen, loss, 0.0)
    return (states, loss_sum, steps + seen), None

  def run_epoch(number, carry):
    # Two stacks if the last batch of an epoch has another size.
    for stack in batches(trials, number):
      with jax.named_scope(STEPS):
        carry = lax.scan(run_step, carry, stack)[0]
    return carry

  return run_epoch


def _run_windows(
  trainer, states, trials, data, first, count, *, many, eval_every, max_windows
):
  """Runs `count` windows of `eval_every` epochs and evaluates after each.

  `states` and `trials` are those of a single trial, or stacked if `many`.
  """
  run_epoch = make_epoch(trainer, trials, data, many=many)
  predict = jax.vmap(trainer.predict) if many else trainer.predict
  zero = jnp.zeros(trials.train.shape[:-1])

  def run_window(window, carry):
    states, logits, losses = carry
    # Epochs count from the start of the training, not of this call, so that
    # batches, which derive from the epoch, do not depend on where a call begins
    # or a run is resumed.
    start = (first + window) * eval_every
    states, loss_sum, steps = lax.fori_loop(
      0,
      eval_every,
      lambda epoch, carry: run_epoch(start + epoch, carry),
      (states, zero, zero),
    )
    # Padding (-1) reads example 0. `selection` ignores its logits.
    held_out = data.inputs[jnp.maximum(trials.held_out, 0)]
    logits = logits.at[window].set(predict(states, trials, held_out))
    losses = losses.at[window].set(loss_sum / jnp.maximum(steps, 1))
    return states, logits, losses

  held_out = data.inputs[jnp.maximum(trials.held_out, 0)]
  shape = jax.eval_shape(predict, states, trials, held_out).shape
  # The buffers have room for `max_windows`, because `count` is an argument of
  # the compiled program: a call of another length does not compile again.
  buffers = (
    jnp.zeros((max_windows, *shape)),
    jnp.zeros((max_windows, *trials.train.shape[:-1])),
  )
  states, logits, losses = lax.fori_loop(
    0, count, run_window, (states, *buffers)
  )
  if many:
    logits, losses = jnp.moveaxis(logits, 1, 0), losses.T
  return states, logits, losses


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
    return _run_windows(
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
