"""Runs all trials to their end: the only room that loops, logs and saves."""

from __future__ import annotations

from collections.abc import Sequence
import math
import pathlib
import time
from typing import NamedTuple

import jax
from jaxtyping import Float
from jaxtyping import Int
import numpy as np
import tqdm

from mejax.training import checkpoint
from mejax.training import log as log_lib
from mejax.training import placement as placement_lib
from mejax.training import trial as trial_lib

_MAX_WINDOWS = 64


class Outcome(NamedTuple):
  """What the held-out examples were taken for, at every evaluation.

  Attributes:
    logits: of trial t at evaluation e for its h held-out examples.
    train_loss: mean training loss since the evaluation before.
    epochs: epochs completed at each evaluation.
  """

  logits: Float[np.ndarray, 't e h k']
  train_loss: Float[np.ndarray, 't e']
  epochs: Int[np.ndarray, ' e']


def run(
  trainer: trial_lib.Trainer,
  trials: trial_lib.Trial,
  data: trial_lib.Data,
  *,
  workdir: pathlib.Path,
  placement: placement_lib.Placement,
  devices: Sequence[jax.Device],
  eval_every: int,
  checkpoint_every_s: float = 30.0,
  call_seconds: float = 8.0,
  keep_models: bool = True,
  progress: bool = True,
) -> Outcome:
  """Trains every trial and evaluates it on its held-out examples.

  The same call on the same `workdir` goes on where a killed one left off and
  comes to the same numbers.

  Args:
    trainer: the functions of one trial.
    trials: all trials, stacked on the leading axis.
    data: all examples.
    workdir: where checkpoints and logs go.
    placement: how trials are laid out on the devices.
    devices: devices to use.
    eval_every: epochs between evaluations; must divide `trainer.num_epochs`.
    checkpoint_every_s: seconds between checkpoints.
    call_seconds: how long a compiled call should last: short enough for
      progress, logs and checkpoints to come often, long enough to cost nothing.
    keep_models: keep the parameters of finished trials.
    progress: show a progress bar.

  Raises:
    ValueError: `eval_every` does not divide the number of epochs, or not one
      trial of a round has a finite loss.
  """
  if trainer.num_epochs % eval_every:
    raise ValueError(
      f'eval_every={eval_every} must divide num_epochs={trainer.num_epochs}, so'
      ' that the last epoch is evaluated.'
    )
  num_windows = trainer.num_epochs // eval_every
  max_windows = min(num_windows, _MAX_WINDOWS)
  program = placement_lib.place(
    trainer,
    placement,
    devices=devices,
    eval_every=eval_every,
    max_windows=max_windows,
  )
  num_trials, size = len(trials.train), placement.round_size
  num_rounds = math.ceil(num_trials / size)
  data = program.put_data(data)
  results = []
  with tqdm.tqdm(
    total=num_rounds * trainer.num_epochs,
    unit='epoch',
    desc=f'training {num_trials} trials',
    disable=not progress,
  ) as bar:
    for number in range(num_rounds):
      saved = checkpoint.Round(workdir, number)
      result = saved.result()
      if result is None:
        members = jax.tree.map(
          lambda x, start=number * size: x[start : start + size], trials
        )
        result = _run_round(
          program,
          members,
          data,
          saved,
          number=number,
          workdir=workdir,
          num_windows=num_windows,
          max_windows=max_windows,
          eval_every=eval_every,
          checkpoint_every_s=checkpoint_every_s,
          call_seconds=call_seconds,
          keep_models=keep_models,
          bar=bar,
        )
      else:
        _skip(bar, trainer.num_epochs)
      results.append(result)
  return Outcome(
    logits=np.concatenate([result['logits'] for result in results]),
    train_loss=np.concatenate([result['losses'] for result in results]),
    epochs=np.arange(1, num_windows + 1, dtype=np.int32) * eval_every,
  )


def _run_round(
  program,
  trials,
  data,
  saved,
  *,
  number,
  workdir,
  num_windows,
  max_windows,
  eval_every,
  checkpoint_every_s,
  call_seconds,
  keep_models,
  bar,
):
  """Trains the trials that are on the devices together."""
  size, held_out = trials.held_out.shape
  spread = program.put_trials(trials)
  shapes = jax.eval_shape(program.init, spread, data)
  _, outputs, _ = jax.eval_shape(program.run_chunk, shapes, spread, data, 0, 1)
  # Fixed shapes, so that a checkpoint looks the same from first to last.
  result = {
    'logits': np.zeros(
      (size, num_windows, held_out, outputs.shape[-1]), np.float32
    ),
    'losses': np.zeros((size, num_windows), np.float32),
  }
  own = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype), shapes
  )
  window = saved.open()
  if window:
    restored = saved.restore(window, {'states': own, **result})
    states = program.put_trials(restored.pop('states'))
    result = {name: np.array(array) for name, array in restored.items()}
    _skip(bar, window * eval_every)
  else:
    states = program.init(spread, data)

  def on_host(tree):
    return jax.tree.map(lambda x: np.array(x)[:size], tree)

  log = log_lib.Log(
    workdir, number=number, window=window, eval_every=eval_every
  )
  count, last_save = 1, time.monotonic()
  while window < num_windows:
    count = min(count, num_windows - window)
    start = time.monotonic()
    states, logits, losses = program.run_chunk(
      states, spread, data, window, count
    )
    done = slice(window, window + count)
    result['logits'][:, done] = np.asarray(logits)[:size, :count]
    result['losses'][:, done] = np.asarray(losses)[:size, :count]
    seconds = time.monotonic() - start
    _check_finite(result['losses'], window, count, eval_every)
    for i in range(window, window + count):
      log.write(i, _scalars(trials, data, result, i))
    window += count
    bar.update(count * eval_every)
    bar.set_postfix(train_loss=f'{np.nanmean(losses[:size, count - 1]):.3f}')
    if window < num_windows and (
      time.monotonic() - last_save > checkpoint_every_s
    ):
      copies = {name: array.copy() for name, array in result.items()}
      saved.save(window, {'states': on_host(states), **copies})
      last_save = time.monotonic()
    # The first call is slow because it compiles: one more window, then as many
    # as the measured time allows.
    fits = call_seconds / max(seconds / count, 1e-6)
    count = int(np.clip(fits, 1, max_windows))
  model = on_host(program.variables(states)) if keep_models else None
  saved.finish(result, model)
  log.close()
  return result


def _skip(bar: tqdm.tqdm, epochs: int) -> None:
  """Shows epochs of an earlier call without counting them in the pace."""
  if not bar.disable:
    bar.initial += epochs
    bar.n += epochs
    bar.refresh()


def _check_finite(
  losses: Float[np.ndarray, 't e'], window: int, count: int, eval_every: int
) -> None:
  """Says when trials diverge; stops when there is nothing left to train."""
  diverged = ~np.isfinite(losses[:, window : window + count]).all(1)
  epoch = (window + count) * eval_every
  if diverged.all():
    raise ValueError(
      f'The training loss of every trial is not finite by epoch {epoch}. Lower'
      ' the learning rate, or look for examples that are not finite.'
    )
  before = ~np.isfinite(losses[:, :window]).all(1)
  if (diverged & ~before).any():
    tqdm.tqdm.write(
      f'By epoch {epoch} the training loss of {diverged.sum()} of'
      f' {len(diverged)} trials is not finite; the others go on.'
    )


def _scalars(
  trials: trial_lib.Trial,
  data: trial_lib.Data,
  result: dict[str, np.ndarray],
  window: int,
) -> dict[str, float]:
  """What the logs show of one evaluation. Never used to select anything."""
  index = np.asarray(trials.held_out)
  truth = np.asarray(data.labels)[np.maximum(index, 0)]
  right = (result['logits'][:, window].argmax(-1) == truth)[index >= 0]
  return {
    'train_loss': float(np.nanmean(result['losses'][:, window])),
    'held_out_accuracy': float(right.mean()),
  }
