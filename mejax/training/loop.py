"""Runs all trials to their end: the only room that loops, logs and saves."""

from __future__ import annotations

from collections.abc import Sequence
import json
import math
import os
import pathlib
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float
import numpy as np
import tensorboardX
import tqdm

from mejax.training import checkpoint
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
  epochs: np.ndarray


class Log:
  """`log.jsonl` and TensorBoard files; lines that a resume redoes are cut."""

  def __init__(self, workdir: pathlib.Path, round_number: int, windows: int):
    self._path = workdir / 'log.jsonl'
    kept = []
    for line in (
      self._path.read_text().splitlines() if (self._path.exists()) else []
    ):
      try:
        entry = json.loads(line)
      except json.JSONDecodeError:
        continue  # The line a kill cut short.
      if (entry['round'], entry['window']) < (round_number, windows):
        kept.append(line)
    temporary = self._path.with_suffix('.tmp')
    temporary.write_text(''.join(line + '\n' for line in kept))
    os.replace(temporary, self._path)
    self._file = self._path.open('a')
    self._round = round_number
    self._board = tensorboardX.SummaryWriter(
      str(workdir / 'tensorboard' / f'round_{round_number}'),
      purge_step=windows,
    )

  def write(self, window: int, epoch: int, scalars: dict[str, float]) -> None:
    entry = {'round': self._round, 'window': window, 'epoch': epoch, **scalars}
    self._file.write(json.dumps(entry) + '\n')
    self._file.flush()
    for name, value in scalars.items():
      self._board.add_scalar(name, value, epoch)

  def close(self) -> None:
    self._file.close()
    self._board.close()


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
    progress: show a progress bar.

  Raises:
    ValueError: `eval_every` does not divide the number of epochs.
    FloatingPointError: a training loss is not finite; names the trials.
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
  bar = tqdm.tqdm(
    total=num_rounds * trainer.num_epochs,
    unit='epoch',
    desc=f'training {num_trials} trials',
    disable=not progress,
    smoothing=0.05,
  )
  rounds = []
  for number in range(num_rounds):
    members = jax.tree.map(
      lambda x, start=number * size: x[start : start + size], trials
    )
    rounds.append(
      _run_round(
        program,
        members,
        data,
        number=number,
        workdir=workdir,
        num_windows=num_windows,
        max_windows=max_windows,
        eval_every=eval_every,
        checkpoint_every_s=checkpoint_every_s,
        call_seconds=call_seconds,
        bar=bar,
      )
    )
  bar.close()
  logits, losses = (
    np.concatenate(parts) for parts in zip(*rounds, strict=True)
  )
  epochs = np.arange(1, num_windows + 1, dtype=np.int32) * eval_every
  return Outcome(logits, losses, epochs)


def _run_round(
  program,
  trials,
  data,
  *,
  number,
  workdir,
  num_windows,
  max_windows,
  eval_every,
  checkpoint_every_s,
  call_seconds,
  bar,
):
  """Trains the trials that fit on the devices together."""
  size, held_out = trials.held_out.shape
  spread = program.put_trials(trials)
  states = program.init(spread, data)
  classes = _num_classes(program, states, spread, data)
  # Fixed shapes, so that a checkpoint looks the same from first to last.
  logits = np.zeros((size, num_windows, held_out, classes), np.float32)
  losses = np.zeros((size, num_windows), np.float32)
  saved = checkpoint.Checkpoints(workdir / 'checkpoints' / f'round_{number}')

  def snapshot():
    kept = jax.tree.map(lambda x: jnp.copy(x[:size]), states)
    # Copies: the save goes on while the next windows are written.
    return {'states': kept, 'logits': logits.copy(), 'losses': losses.copy()}

  window = saved.latest or 0
  if window:
    restored = saved.restore(window, snapshot())
    logits = np.array(restored['logits'])
    losses = np.array(restored['losses'])
    states = program.put_trials(restored['states'])
  bar.update(window * eval_every)
  log = Log(workdir, number, window)
  count, last_save = 1, time.monotonic()
  while window < num_windows:
    count = min(count, num_windows - window)
    start = time.monotonic()
    states, new_logits, new_losses = program.run_chunk(
      states, spread, data, window, count
    )
    done = slice(window, window + count)
    logits[:, done] = np.asarray(new_logits)[:size, :count]
    losses[:, done] = np.asarray(new_losses)[:size, :count]
    seconds = time.monotonic() - start
    _check_finite(losses[:, done], window, eval_every)
    for i in range(window, window + count):
      scalars = _scalars(trials, data, logits[:, i], losses[:, i])
      log.write(i, (i + 1) * eval_every, scalars)
    window += count
    bar.update(count * eval_every)
    bar.set_postfix(train_loss=f'{losses[:, window - 1].mean():.3f}')
    if (
      window == num_windows or time.monotonic() - last_save > checkpoint_every_s
    ):
      saved.save(window, snapshot())
      last_save = time.monotonic()
    # The first call of all is slow because it compiles: one more window, then
    # as many as the measured time allows.
    fits = call_seconds / max(seconds / count, 1e-6)
    count = int(np.clip(fits, 1, max_windows))
  saved.close()
  log.close()
  return logits, losses


def _num_classes(program, states, trials, data) -> int:
  _, logits, _ = jax.eval_shape(program.run_chunk, states, trials, data, 0, 1)
  return logits.shape[-1]


def _check_finite(losses: np.ndarray, window: int, eval_every: int) -> None:
  bad = np.argwhere(~np.isfinite(losses))
  if len(bad):
    epoch = (window + bad[:, 1].min() + 1) * eval_every
    raise FloatingPointError(
      f'The training loss of trials {sorted(set(bad[:, 0].tolist()))[:10]} is'
      f' not finite at epoch {epoch}. Lower the learning rate, or look for'
      ' examples that are not finite.'
    )


def _scalars(
  trials: trial_lib.Trial,
  data: trial_lib.Data,
  logits: Float[np.ndarray, 't h k'],
  losses: Float[np.ndarray, ' t'],
) -> dict[str, float]:
  """What the logs show of one evaluation. Never used to select anything."""
  index = np.asarray(trials.held_out)
  truth = np.asarray(data.labels)[np.maximum(index, 0)]
  right = (logits.argmax(-1) == truth)[index >= 0]
  return {
    'train_loss': float(losses.mean()),
    'held_out_accuracy': float(right.mean()),
  }
