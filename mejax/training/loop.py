"""Runs all trials to their end: the only module that loops, logs and saves.

A run is divided into rounds of trials that fit on the devices together. A round
is divided into windows of `eval_every` epochs and one evaluation. Each compiled
call trains as many windows as take a few seconds, because progress can be
shown, numbers can be logged and states can be saved only between calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
import pathlib
import time
from typing import NamedTuple

import jax
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import PyTree
import numpy as np
import tqdm

from mejax import bars
from mejax import signals
from mejax.training import checkpoint
from mejax.training import log as log_lib
from mejax.training import placement as placement_lib
from mejax.training import trial as trial_lib

# Bounds the buffers of logits on the devices.
_MAX_WINDOWS = 64
# Training waits while states are copied and digested, which takes minutes for a
# large model on a GPU. Then it goes on for at least this many times as long.
_WORK_PER_SAVE = 20
# Short enough for frequent progress, logs and checkpoints, and long enough that
# the overhead of a call does not matter.
CALL_SECONDS = 8.0
# Trials that a message names one by one.
_NAMED = 5
_ADVICE = 'Lower the learning rate, or look for examples that are not finite.'


class Outcome(NamedTuple):
  """The predictions for held-out examples at every evaluation of every trial.

  Attributes:
    logits: logits of the h held-out examples of trial t at evaluation e.
    train_loss: mean training loss since the previous evaluation.
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
  call_seconds: float = CALL_SECONDS,
  keep_models: bool = True,
  names: Sequence[str] = (),
  owner: str = '',
  start: Mapping[str, PyTree] | None = None,
  progress: bool = True,
  title: str = '',
  may_diverge: bool = False,
  program: placement_lib.Program | None = None,
  only: Sequence[int] | None = None,
  logs: pathlib.Path | None = None,
) -> Outcome:
  """Trains every trial and evaluates it on its held-out examples.

  After a kill, the same call on the same `workdir` continues from the last
  checkpoint and gives the same numbers, on a CPU bit for bit. (A compiler for
  GPUs chooses among kernels by measuring, so another process may round
  otherwise.)

  Args:
    trainer: the functions of one trial.
    trials: all trials, stacked on the leading axis.
    data: all examples.
    workdir: folder for checkpoints and logs.
    placement: how trials are laid out on the devices.
    devices: devices to use.
    eval_every: epochs between evaluations; must divide `trainer.num_epochs`.
    checkpoint_every_s: seconds between checkpoints; more if saving one holds up
      the training for over a twentieth of them. 0 saves after every call.
    call_seconds: seconds that a compiled call should take.
    keep_models: whether to keep the parameters of finished trials.
    names: name of each trial for messages, such as its fold, seed and setting.
    owner: digest of what the checkpoints belong to; those of another are
      refused.
    start: variables that every trial begins with; see `placement.make_init`.
    progress: whether to show a progress bar.
    title: title of a bar that goes away in the end; by default it stays.
    may_diverge: whether nothing is wrong if no trial has a finite loss, as in a
      search that also tries bad settings.
    program: what an earlier call with the same trainer, placement, devices and
      `eval_every` compiled, from `compile_program`; it is not compiled again.
    only: numbers of the rounds to train; by default all. Several processes may
      share the rounds of a run.
    logs: folder for logs; by default `workdir`. Processes that train at the
      same time need one each.

  Raises:
    ValueError: `eval_every` does not divide the number of epochs, a file of a
      finished round is damaged, or no trial has a finite loss. With several
      settings, all rounds are trained before that is known.
    OSError: a checkpoint cannot be written.
  """
  num_windows = count_windows(trainer.num_epochs, eval_every)
  max_windows = min(num_windows, _MAX_WINDOWS)
  program = program or compile_program(
    trainer, placement, devices=devices, eval_every=eval_every, start=start
  )
  num_trials, size = len(trials.train), placement.round_size
  num_rounds = math.ceil(num_trials / size)
  numbers = range(num_rounds) if only is None else only
  results = []
  title_of_bar = title or f'training {num_trials} trials'
  with bars.Bar(
    total=len(numbers) * trainer.num_epochs,
    unit='epoch',
    desc=title_of_bar,
    leave=not title,
    disable=not progress,
  ) as bar:
    rounds = _Rounds(
      trainer=trainer,
      program=program,
      data=program.put_data(data),
      logs=logs or workdir,
      num_windows=num_windows,
      max_windows=max_windows,
      eval_every=eval_every,
      checkpoint_every_s=checkpoint_every_s,
      call_seconds=call_seconds,
      keep_models=keep_models,
      names=names or [f'trial {i}' for i in range(num_trials)],
      round_size=size,
      may_go_on=may_diverge
      or (num_rounds > 1 and _has_several_settings(trials)),
      bar=bar,
    )
    # Each round runs to its end before the next begins. So only one round has
    # states at a time, and a finished one is never computed again.
    for number in numbers:
      if num_rounds > 1:
        # The bar counts the epochs of all rounds, so it has more of them.
        bar.set_description(
          f'{title_of_bar}, round {number + 1} of {num_rounds}', refresh=False
        )
      saved = checkpoint.Round(workdir, number, owner)
      with saved.locked():
        result = saved.result()
        if result is None:
          members = jax.tree.map(
            lambda x, start=number * size: x[start : start + size], trials
          )
          result = rounds.train(number, members, saved)
        else:
          _skip(bar, trainer.num_epochs)
      results.append(result)
  finite = any(np.isfinite(each['losses'][:, -1]).any() for each in results)
  if not (finite or may_diverge or only is not None):
    raise ValueError(
      f'In the end the training loss of every trial is not finite. {_ADVICE}'
    )
  return Outcome(
    logits=np.concatenate([result['logits'] for result in results]),
    train_loss=np.concatenate([result['losses'] for result in results]),
    epochs=np.arange(1, num_windows + 1, dtype=np.int32) * eval_every,
  )


def compile_program(
  trainer: trial_lib.Trainer,
  placement: placement_lib.Placement,
  *,
  devices: Sequence[jax.Device],
  eval_every: int,
  start: Mapping[str, PyTree] | None = None,
) -> placement_lib.Program:
  """Returns the program that `run` needs; it compiles when it is first used.

  Arguments are those of `run`.
  """
  num_windows = count_windows(trainer.num_epochs, eval_every)
  return placement_lib.place(
    trainer,
    placement,
    devices=devices,
    eval_every=eval_every,
    max_windows=min(num_windows, _MAX_WINDOWS),
    start=start,
  )


def _has_several_settings(trials: trial_lib.Trial) -> bool:
  return any(
    (np.asarray(values) != np.asarray(values)[0]).any()
    for values in jax.tree.leaves(trials.setting)
  )


def count_windows(num_epochs: int, eval_every: int) -> int:
  """Returns the number of evaluations of a training.

  Raises:
    ValueError: `eval_every` does not divide the number of epochs.
  """
  if num_epochs % eval_every:
    raise ValueError(
      f'eval_every={eval_every} must divide num_epochs={num_epochs}, so that'
      ' the last epoch is evaluated.'
    )
  return num_epochs // eval_every


@dataclasses.dataclass
class _Rounds:
  """Trains the rounds of a run; `run` explains the fields."""

  trainer: trial_lib.Trainer
  program: placement_lib.Program
  data: trial_lib.Data
  logs: pathlib.Path
  num_windows: int
  max_windows: int
  eval_every: int
  checkpoint_every_s: float
  call_seconds: float
  keep_models: bool
  names: Sequence[str]
  round_size: int
  may_go_on: bool
  bar: tqdm.tqdm
  compiled: bool = False
  # Seconds without a checkpoint, by what the last one took.
  least_gap: float = 0.0

  def train(
    self, number: int, trials: trial_lib.Trial, saved: checkpoint.Round
  ) -> dict[str, np.ndarray]:
    """Trains one round from its last checkpoint, or from the start, to its end.

    Returns:
      Its `logits` [t, e, h, k] and `losses` [t, e].
    """
    # A signal that comes in a call would find states that the call has taken
    # over, so it waits until they can be saved.
    with signals.held() as asked:
      return self._train(number, trials, saved, asked)

  def _train(self, number, trials, saved, asked):
    if not self.compiled:
      # The bar stands still for up to a minute; this says why.
      self.bar.set_postfix_str('compiling')
    spread = self.program.put_trials(trials)
    window, states, result = self._start(trials, saved)
    log = log_lib.Log(
      self.logs, number=number, window=window, eval_every=self.eval_every
    )
    size, count, last_save = len(trials.train), 1, time.monotonic()
    while window < self.num_windows:
      count = min(count, self.num_windows - window)
      is_first, start = not self.compiled, time.monotonic()
      states = self._call(states, spread, result, window, count, size=size)
      seconds = time.monotonic() - start
      # Checked before anything is logged or saved: what has diverged must not
      # become the checkpoint to resume from.
      self._check_finite(number, result['losses'], window, count)
      for i in range(window, window + count):
        log.write(i, _scalars(trials, self.data, result, i))
      window += count
      loss = _mean_finite(result['losses'][:, window - 1])
      self.bar.set_postfix(train_loss=f'{loss:.3f}', refresh=False)
      if is_first:
        # Compiling took most of this call, and says nothing of the others.
        self.bar.unpause()
        _skip(self.bar, count * self.eval_every)
      else:
        self.bar.update(count * self.eval_every)
      self.bar.refresh()
      since = time.monotonic() - last_save
      due = asked() or since > max(self.checkpoint_every_s, self.least_gap)
      if window < self.num_windows and due:
        before = time.monotonic()
        self._save(saved, window, states, result)
        last_save = time.monotonic()
        if self.checkpoint_every_s:
          self.least_gap = _WORK_PER_SAVE * (last_save - before)
        if asked():
          saved.close()
          log.close()
          return result  # `held` raises the exception of the signal.
      # The first call has one window. Its time includes compilation, so the
      # second call is short too; later calls have as many windows as the
      # measured time allows.
      fits = self.call_seconds / max(seconds / count, 1e-6)
      count = int(np.clip(fits, 1, self.max_windows))
    model = None
    if self.keep_models:
      model = _on_host(self.program.variables(states), size)
    saved.finish(result, model)
    log.close()
    return result

  def _check_finite(self, number, losses, window, count) -> None:
    """Names the trials that have diverged; raises if no others are left."""
    diverged = ~np.isfinite(losses[:, window : window + count]).all(1)
    epoch = (window + count) * self.eval_every
    # A round may hold a single setting of several, and that one may be bad.
    if diverged.all() and not self.may_go_on:
      raise ValueError(
        f'The training loss of every trial is not finite by epoch {epoch}.'
        f' {_ADVICE}'
      )
    before = ~np.isfinite(losses[:, :window]).all(1)
    if new := np.flatnonzero(diverged & ~before).tolist():
      named = [self.names[number * self.round_size + i] for i in new[:_NAMED]]
      more = [f'and {len(new) - _NAMED} more'] * (len(new) > _NAMED)
      tqdm.tqdm.write(
        f'By epoch {epoch} the training loss of {len(new)} of'
        f' {len(diverged)} trials is not finite: {"; ".join(named + more)}. The'
        ' others go on.'
      )

  def _call(self, states, spread, result, window, count, *, size):
    """Trains `count` windows, adds them to `result`, returns new states."""
    states, logits, losses = self.program.run_chunk(
      states, spread, self.data, window, count
    )
    for name, array in (('logits', logits), ('losses', losses)):
      # np.asarray waits for the devices. The slice drops padded trials and
      # unused windows.
      array = np.asarray(array)[:size, :count]
      # Arrays have room for all evaluations from the start, so that every
      # checkpoint of a round has the same shapes.
      shape = (size, self.num_windows, *array.shape[2:])
      whole = result.setdefault(name, np.zeros(shape, np.float32))
      whole[:, window : window + count] = array
    self.compiled = True
    return states

  def _start(self, trials, saved):
    """Returns the next window, the states before it, and the result so far."""
    window = 0
    if saved.open():
      window, restored = saved.restore(self._shapes(trials))
    if not window:
      return 0, self.program.init(trials, self.data), {}
    states = self.program.put_trials(restored.pop('states'))
    _skip(self.bar, window * self.eval_every)
    return window, states, {k: np.array(x) for k, x in restored.items()}

  def _shapes(self, trials):
    """Returns the shapes of the arrays in a checkpoint of these trials."""
    size, held_out = trials.held_out.shape
    states = jax.eval_shape(
      jax.vmap(self.trainer.init, (0, None)), trials, self.data
    )
    example = self.data.inputs
    logits = jax.eval_shape(
      jax.vmap(self.trainer.predict),
      states,
      trials,
      jax.ShapeDtypeStruct((size, held_out, *example.shape[1:]), example.dtype),
    )
    shape = (size, self.num_windows, *logits.shape[1:])
    return {
      'states': states,
      'logits': jax.ShapeDtypeStruct(shape, np.float32),
      'losses': jax.ShapeDtypeStruct(shape[:2], np.float32),
    }

  def _save(self, saved, window, states, result) -> None:
    """Starts a checkpoint, which is written while the next call runs."""
    # The arrays are copied to the host first: the next call overwrites the
    # states, and the devices may have no room for a second copy.
    saved.save(
      window,
      {
        'states': _on_host(states, len(result['losses'])),
        **{name: array.copy() for name, array in result.items()},
      },
    )


def _on_host(tree: PyTree, size: int) -> PyTree:
  """Copies the first `size` entries to the host; the others are padding."""
  return jax.tree.map(lambda x: np.array(x)[:size], tree)


def _skip(bar: tqdm.tqdm, epochs: int) -> None:
  """Shows epochs as done that the speed, and what remains, ignore."""
  if not bar.disable:
    bar.initial += epochs
    bar.n += epochs
    bar.last_print_n = bar.n
    bar.refresh()


def _mean_finite(values: Float[np.ndarray, ' t']) -> float:
  """Returns the mean of the values that are numbers; nan if none is."""
  values = values[~np.isnan(values)]
  return float(values.mean()) if values.size else math.nan


def _scalars(
  trials: trial_lib.Trial,
  data: trial_lib.Data,
  result: dict[str, np.ndarray],
  window: int,
) -> dict[str, float]:
  """Returns the numbers of an evaluation to log; no epoch is chosen by them."""
  scalars = {'train_loss': _mean_finite(result['losses'][:, window])}
  index, logits = np.asarray(trials.held_out), result['logits'][:, window]
  if logits.ndim != 3:  # They are no classes of clips.
    return scalars
  truth = np.asarray(data.labels)[np.maximum(index, 0)]
  right = (logits.argmax(-1) == truth)[index >= 0]
  if right.size:  # A model of everybody holds nothing out.
    scalars['held_out_accuracy'] = float(right.mean())
  return scalars
