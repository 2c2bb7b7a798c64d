"""What trains folds in `accelerator`: every model, by every mode, and PyTorch.

Programs are compiled by as many threads as there are cores, because one after
the other would take most of the minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
import math
import os
import sys
import time
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import torch

from mejax import models
from mejax.models import capabilities
from mejax.training import batches
from mejax.training import folds as folds_lib
from mejax.training import placement
from mejax.training import trial as trial_lib
from mejax.training import work as work_lib
from tests.benchmarks import fold_training
from tests.benchmarks import torch_models

FOLDS = 68
RELEASED = 'htnet released'
# Seconds from which a single round tells enough.
_SLOW = 5.0
# What `accelerator.measure_peaks` calls the peak of a precision.
_PEAKS = {'highest': 'float32', 'default': 'default'}


class Case(NamedTuple):
  """A model, and how it is trained.

  Attributes:
    base: the model, the same in PyTorch, and the shape of an input.
    epochs: those of its config.
    precisions: of its products; the first is that of the config.
    widths: how many folds are trained at once.
  """

  base: fold_training.Case
  epochs: int
  precisions: tuple[str, ...] = ('default',)
  widths: tuple[int, ...] = (1, 4, 16, FOLDS)


def _case(name: str, batch_size: int, epochs: int) -> Case:
  base = fold_training.CASES[name]._replace(batch_sizes=(batch_size,))
  return Case(base, epochs)


CASES = {
  # 68 states of it would fill the largest devices, and the memory of the host.
  RELEASED: Case(
    fold_training.Case(
      lambda: models.make('htnet', preset='released', unread_weights=False),
      lambda: torch_models.HTNet(patch=7, dim=256, heads=3, depths=(2, 2, 10)),
      (256,),
    ),
    800,
    ('highest', 'default'),
    (1, 4, 16),
  ),
  'cnn': _case('cnn', 32, 12),
  'htnet regions_small': _case('htnet in parts of 16', 32, 40),
  'ststnet': _case('ststnet', 256, 800),
  'artnet small': _case('artnet small', 16, 100),
  'mmnet small': _case('mmnet small', 16, 100),
  'sssnet': _case('sssnet', 32, 60),
  'resnet small': _case('resnet small', 32, 60),
  'offapexnet': _case('offapexnet', 64, 30),
}
SMALL = {'cnn': CASES['cnn']._replace(widths=(2,))}


def _say(line: str) -> None:
  """Prints a line at once: `print` lets threads come between it and its end."""
  sys.stdout.write(f'{line}\n')
  sys.stdout.flush()


class Clock:
  """Says whether there is time left, and names what is left out."""

  def __init__(self, minutes: float):
    self._end = time.monotonic() + 60 * minutes

  def has_time_for(self, what: str) -> bool:
    if time.monotonic() < self._end:
      return True
    _say(f'NOT MEASURED, no time left: {what}')
    return False

  def attempt(self, what: str, call: Callable, *given):
    """Calls if there is time; what fails is told, and the others go on."""
    if not self.has_time_for(what):
      return None
    try:
      return call(*given)
    # Memory that is too small, and all that nobody has met: a device may be
    # at hand only once.
    except Exception as error:
      reason = f'{type(error).__name__}: {str(error).partition(chr(10))[0]}'
      _say(f'FAILED, {what}: {reason}')
      return None


class Work(NamedTuple):
  """What a step of one fold takes.

  Attributes:
    flops: operations of the gradient of an example, as XLA counts those of a
      whole batch as it is traced for a GPU. Not compiled there: XLA counts none
      in the calls of a vendor's library.
    bytes: traffic if parameters, moments and a whole batch alone had to move.
  """

  flops: float
  bytes: float


class Job(NamedTuple):
  """Something to prepare.

  Attributes:
    rank: jobs of a lower rank come first.
    key: what its result is for.
    call: returns the result.
  """

  rank: int
  key: Any
  call: Callable

  def __str__(self):
    return str(self.key)


def prepare(clock: Clock, jobs: list[Job], limit_s: float) -> dict[Any, Any]:
  """Returns the results, by key, of the jobs that were done in time."""
  pool = futures.ThreadPoolExecutor(os.cpu_count())
  begun = {
    job: pool.submit(clock.attempt, f'{job}', job.call)
    for job in sorted(jobs, key=lambda job: job.rank)
  }
  futures.wait(begun.values(), timeout=limit_s)
  pool.shutdown(wait=False, cancel_futures=True)
  results = {}
  for job, future in begun.items():
    if not future.done():
      _say(
        'NOT MEASURED, not prepared in time, and still at work, which may slow'
        f' the others: {job}'
      )
    elif future.cancelled():
      _say(f'NOT MEASURED, not prepared in time: {job}')
    elif future.result() is not None:
      results[job.key] = future.result()
  return results


def make_step(case: fold_training.Case, batch_size: int):
  """The trainer of one fold; its step, its start, and data on no device.

  The step is the gradient of one batch.
  """
  images, labels, _ = fold_training.make_data(case.shape, n=batch_size)
  model = case.make()
  trainer = trial_lib.Trainer(
    model=model,
    num_classes=3,
    num_epochs=1,
    batch_sizes=(batch_size,),
    takes_mask=capabilities.declared_by(model).takes_mask,
  )
  data = trial_lib.Data(images, labels)

  def make_trial():
    setting, ones = trial_lib.Setting(5e-5), jnp.ones(batch_size)
    return trial_lib.Trial(jax.random.key(0), ones, None, setting)

  def init(data):
    return trainer.init(make_trial(), data)

  def step(state, data):
    trial = make_trial()
    batch = batches.Batch(jnp.arange(batch_size), trial.train)
    derive = jax.value_and_grad(trainer.loss, has_aux=True)
    sample = trainer.sample(state, trial, data, batch)
    (loss, _), gradient = derive(state.params, state, trial, sample)
    return loss, gradient

  return trainer, step, init, data


def count_work(case: fold_training.Case) -> Work:
  """Counts what a step takes, without a device."""
  trainer, step, init, data = make_step(case, case.batch_sizes[0])
  with jax.default_device(jax.devices('cpu')[0]):
    state = jax.eval_shape(init, data)
    # Traced for a CPU, large maps are taken in groups, in a loop of which one
    # turn is counted.
    traced = jax.jit(step).trace(state, data)
    cost = traced.lower(lowering_platforms=('cuda',)).cost_analysis()
  flops = cost['flops'] / case.batch_sizes[0]
  return Work(flops, work_lib.least_bytes(trainer, state, data))


class Contestant(NamedTuple):
  """What trains folds: `PyTorch, eager`, `map` or `vmap`."""

  name: str
  case: Case
  mode: str
  precision: str
  folds: int

  def __str__(self):
    return f'{self.name}, {self.mode}, {self.precision}, {self.folds} folds'

  def make(self, clips: int, people: int):
    """Returns the examples in an epoch of a fold, and what trains all folds."""
    base, size = self.case.base, self.case.base.batch_sizes[0]
    images, labels, groups = fold_training.make_data(base.shape, people, clips)
    every = folds_lib.leave_one_group_out(groups)
    folds = every._replace(
      train=every.train[: self.folds], test=every.test[: self.folds]
    )
    examples = int(folds.train.sum(1).max())
    if self.mode in placement.MODES:
      with jax.default_matmul_precision(self.precision):
        return examples, fold_training.make_ours(
          base.make(), images, labels, folds, size, self.mode, base.microbatch
        )
    on = 'cuda' if jax.default_backend() == 'gpu' else 'cpu'
    return examples, fold_training.make_torch(
      base.make_torch, images, labels, folds, size, on
    )

  def measure(self, examples: int, run, work: Work | None, peaks: dict) -> dict:
    """Returns the time of a step of a fold, and what it makes of the device.

    Args:
      examples: those of an epoch of a fold.
      run: trains all folds for `fold_training.NUM_EPOCHS`.
      work: what a step takes, if that was counted in time.
      peaks: what the device reaches, from `accelerator.measure_peaks`.
    """
    # By default PyTorch has TF32 in convolutions, and not in products.
    full = self.precision == 'highest'
    torch.set_float32_matmul_precision('highest' if full else 'high')
    torch.backends.cudnn.allow_tf32 = not full
    rounds = 1 if fold_training.take(run) > _SLOW else 2
    taken = min(fold_training.take(run) for _ in range(rounds))
    batch = self.case.base.batch_sizes[0]
    steps = math.ceil(examples / batch)
    taken /= steps * fold_training.NUM_EPOCHS * self.folds
    row = {'model': self.name, 'batch': batch}
    row |= {'mode': self.mode, 'precision': self.precision}
    row |= {'folds': self.folds, 'ms': 1e3 * taken}
    row['trainings/s'] = 1 / (taken * steps * self.case.epochs)
    if work:
      row['TFLOP/s'] = work.flops * examples / steps / taken / 1e12
      peak = peaks[f'{_PEAKS[self.precision]} TFLOP/s']
      row['share of peak'] = row['TFLOP/s'] / peak
      row['share of bandwidth'] = work.bytes / taken / 1e9 / peaks['GB/s']
    return row


def line_up(cases: dict[str, Case]) -> list[tuple[int, Contestant]]:
  """Returns all contestants with their ranks, the lowest of the most worth."""
  found = []
  for name, case in cases.items():
    few, most = min(2, max(case.widths)), max(case.widths)
    first, *others = case.precisions

    def add(rank, mode, precision, folds, name=name, case=case):
      found.append((rank, Contestant(name, case, mode, precision, folds)))

    add(0, 'PyTorch, eager', first, few)
    for width in case.widths:
      add(0 if width == most else 3, 'vmap', first, width)
      add(1 if width == most else 4, 'map', first, width)
    for precision in others:
      add(1, 'vmap', precision, most)
  return sorted(found, key=lambda each: each[0])
