"""The steps, epochs and windows of the training of one trial, or of several.

An epoch is a loop over steps, and a window is a number of epochs with an
evaluation after them. `placement` lays the trials out on devices.
"""

from __future__ import annotations

import functools

import jax
from jax import lax
import jax.numpy as jnp

from mejax.training import sample as sample_lib

# Names of the loops over the steps of an epoch, and the parts of a batch, in a
# compiled program.
STEPS, PARTS = 'steps', 'parts'


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
    total, _ = lax.scan(add, jax.tree.map(start, kinds), parts)
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
  # Under `map` the loop over trials is outside of this one, in `placement.py`:
  # a loop over trials inside a step would copy each trial's whole state in and
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


def run_windows(
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
