"""Where trials run: how many at once, on which devices, as one compiled call.

`map`: every trial runs its whole chunk of epochs in turn, as if it were alone,
so that its numbers are the same to the last bit whoever else is there. Best for
convolutions and on CPUs.

`vmap`: `width` trials advance together, step by step. The gradient is that of
their summed loss, which keeps the weight gradients of convolutions in a form
that accelerators have kernels for. Best for small inputs on accelerators.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import math
import os
import sys

import jax
from jax import lax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array
from jaxtyping import PyTree
import numpy as np

from mejax.training import trial as trial_lib

MODES = ('vmap', 'map')


@dataclasses.dataclass(frozen=True)
class Placement:
  """How trials are laid out; kept in the workdir and reused on resume.

  Attributes:
    mode: one of `MODES`.
    width: trials that one device advances together (1 under `map`).
    round_size: trials held on the devices at once; a round runs to its end
      before the next begins.
  """

  mode: str
  width: int
  round_size: int

  def describe(self, num_trials: int, num_devices: int) -> str:
    """One line for people."""
    rounds = math.ceil(num_trials / self.round_size)
    how = 'one after another' if self.mode == 'map' else f'{self.width} at once'
    return (
      f'{num_trials} trials on {num_devices} device(s), mode {self.mode}:'
      f' {how} on each device, {rounds} round(s) of up to {self.round_size}'
    )


def use_every_core() -> None:
  """Makes each CPU core a device of its own; call it before any other of JAX.

  Trials do not talk to each other, so that cores that work on different trials
  waste nothing on splitting up small matrices. Does nothing on accelerators.
  """
  flags = os.environ.get('XLA_FLAGS', '')
  if (
    'JAX_NUM_CPU_DEVICES' in os.environ
    or 'xla_force_host_platform_device_count' in flags
  ):
    return  # The user's own word on devices counts.
  linux = sys.platform == 'linux'
  cores = len(os.sched_getaffinity(0)) if linux else os.cpu_count()
  with contextlib.suppress(RuntimeError):  # JAX has started: too late.
    jax.config.update('jax_num_cpu_devices', cores)


def pad(tree: PyTree, size: int) -> PyTree:
  """Fills the leading axis up to `size` with repeats of the first entry."""

  def fill(x: Array) -> Array:
    index = np.arange(size)
    return x[np.where(index < len(x), index, 0)]

  return jax.tree.map(fill, tree)


# The three functions that the loops below need, of one trial or of many.
def _step_one(trainer, state, trial, data, batch):
  gradient = jax.value_and_grad(trainer.loss, has_aux=True)
  (loss, collections), gradients = gradient(
    state.params, state, trial, data, batch
  )
  state = trainer.apply_gradients(state, trial, gradients, collections, batch)
  return state, loss


def _step_many(trainer, states, trials, data, batches):
  def summed(params):
    losses, collections = jax.vmap(trainer.loss, (0, 0, 0, None, 0))(
      params, states, trials, data, batches
    )
    return losses.sum(), (losses, collections)

  gradients, (losses, collections) = jax.grad(summed, has_aux=True)(
    states.params
  )
  states = jax.vmap(trainer.apply_gradients)(
    states, trials, gradients, collections, batches
  )
  return states, losses


def _run_windows(
  trainer, states, trials, data, first, count, *, many, eval_every, max_windows
):
  """`count` windows of `eval_every` epochs, each followed by an evaluation."""
  step = _step_many if many else _step_one
  batches, predict = trainer.batches, trainer.predict
  if many:
    # Steps lead, for the scan; trials follow.
    batches = jax.vmap(batches, (0, None), out_axes=1)
    predict = jax.vmap(predict)

  def run_step(carry, batch):
    states, loss_sum, steps = carry
    states, loss = step(trainer, states, trials, data, batch)
    seen = batch.weight.sum(-1) > 0
    loss_sum += jnp.where(seen, loss, 0.0)
    return (states, loss_sum, steps + seen), None

  def run_window(window, carry):
    states, logits, losses = carry

    def run_epoch(epoch, carry):
      number = (first + window) * eval_every + epoch
      for stack in batches(trials, number):
        carry = lax.scan(run_step, carry, stack)[0]
      return carry

    zero = jnp.zeros(trials.train.shape[:-1])
    states, loss_sum, steps = lax.fori_loop(
      0, eval_every, run_epoch, (states, zero, zero)
    )
    held_out = data.inputs[jnp.maximum(trials.held_out, 0)]
    logits = logits.at[window].set(predict(states, trials, held_out))
    losses = losses.at[window].set(loss_sum / jnp.maximum(steps, 1))
    return states, logits, losses

  held_out = data.inputs[jnp.maximum(trials.held_out, 0)]
  shape = jax.eval_shape(predict, states, trials, held_out).shape
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
  """The share of one device: trials one by one, or `width` at a time."""

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
    return lax.map(run, (states, trials))
  if width == len(trials.train):
    return run((states, trials))
  grouped = jax.tree.map(
    lambda x: x.reshape(-1, width, *x.shape[1:]), (states, trials)
  )
  return jax.tree.map(
    lambda x: x.reshape(-1, *x.shape[2:]), lax.map(run, grouped)
  )


@dataclasses.dataclass(frozen=True)
class Program:
  """The compiled calls of a placement. Trials are padded to fill devices."""

  init: Callable
  run_chunk: Callable
  variables: Callable
  put_data: Callable
  put_trials: Callable


def place(
  trainer: trial_lib.Trainer,
  placement: Placement,
  *,
  devices: Sequence[jax.Device],
  eval_every: int,
  max_windows: int,
) -> Program:
  """Compiles the functions of one trial for all trials of a round.

  Args:
    trainer: the functions of one trial.
    placement: how many trials run at once.
    devices: devices to spread the trials over; they never communicate.
    eval_every: epochs between evaluations.
    max_windows: most evaluations of one call.

  Returns:
    Functions `init(trials, data) -> states` and `run_chunk(states, trials,
    data, first, count) -> (states, logits [t, max_windows, h, k], losses
    [t, max_windows])`: `count` windows of `eval_every` epochs from window
    `first` on. `states` is donated. `variables(states)` are what predictions
    are made with. `put_data` and `put_trials` move arrays to the devices.
  """
  mesh = jax.make_mesh(
    (len(devices),),
    ('trial',),
    axis_types=(jax.sharding.AxisType.Auto,),
    devices=devices,
  )
  spread, whole = PartitionSpec('trial'), PartitionSpec()
  # The optimiser's zeros do not vary by device yet, which the check of varying
  # axes would refuse.
  shard = functools.partial(jax.shard_map, mesh=mesh, check_vma=False)
  run = functools.partial(
    run_local,
    trainer,
    mode=placement.mode,
    width=placement.width,
    eval_every=eval_every,
    max_windows=max_windows,
  )
  size = len(devices) * placement.width
  size *= math.ceil(placement.round_size / size)
  put = functools.partial(
    jax.device_put, device=jax.sharding.NamedSharding(mesh, spread)
  )
  return Program(
    init=jax.jit(
      shard(
        lambda trials, data: lax.map(lambda t: trainer.init(t, data), trials),
        in_specs=(spread, whole),
        out_specs=spread,
      )
    ),
    run_chunk=jax.jit(
      shard(
        run,
        in_specs=(spread, spread, whole, whole, whole),
        out_specs=spread,
      ),
      donate_argnums=0,
    ),
    variables=jax.vmap(trainer.variables),
    put_data=lambda data: jax.device_put(
      data, jax.sharding.NamedSharding(mesh, whole)
    ),
    put_trials=lambda trials: put(pad(trials, size)),
  )
