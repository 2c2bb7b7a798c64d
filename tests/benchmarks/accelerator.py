"""What an accelerator does: agreement, flow, milliseconds of a training step.

  python -m tests.benchmarks.accelerator [--minutes 9] [--out FILE] [--small]

It needs no network and no data, and of mejax only models, training and motion.
Programs are compiled before anything but the peaks is timed, by as many threads
as there are cores, because one after the other would take most of the minutes.
(A GPU's compiler chooses kernels by measuring, which the others may disturb, so
a program that is compiled alone may be faster.) What does not fit into the
minutes is named as not measured; FILE has what is there at any moment.
`--small` runs every section in its smallest form, on a CPU too. The table
against PyTorch needs the extra `torch`.

peaks       the matrix product and the copy that the device reaches: what the
            utilisation of the other rows is a share of
flow        milliseconds of a pair of 128 pixels: TV-L1, Farneback of OpenCV
trainings   milliseconds of one step of one fold under `map` (folds in turn) and
            under `vmap` with 1, 4, 16 and all 68 folds at once, and PyTorch's,
            fold after fold, with TF32 where ours has it
whole       HTNet as released, 68 folds of 800 epochs, extrapolated from those
            rows that have the precision of PyTorch's
agreement   loss and gradient of one batch, the device against the CPU of the
            same machine, in full precision and in the device's own (TF32)
"""

from __future__ import annotations

import argparse
from concurrent import futures
import functools
import json
import math
import os
import pathlib
import statistics
import sys
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch

from mejax import models
from mejax.motion import flow
from mejax.training import batches
from mejax.training import devices
from mejax.training import folds as folds_lib
from mejax.training import trial as trial_lib
from tests.benchmarks import fold_training
from tests.benchmarks import torch_models

EPOCHS, FOLDS = 800, 68
RELEASED = 'htnet released'


class Case(NamedTuple):
  """A model, the precisions of its products, and how many train at once.

  The first precision is that of the config.
  """

  base: fold_training.Case
  precisions: tuple[str, ...] = ('default',)
  widths: tuple[int, ...] = (1, 4, 16, FOLDS)


CASES = {
  # 68 states of it would fill the largest devices, and the memory of the host.
  RELEASED: Case(
    fold_training.Case(
      lambda: models.make('htnet', preset='released', unread_weights=False),
      lambda: torch_models.HTNet(patch=7, dim=256, heads=3, depths=(2, 2, 10)),
      (256,),
    ),
    ('highest', 'default'),
    (1, 4, 16),
  ),
  **{
    name: Case(fold_training.CASES[name])
    for name in (
      'cnn', 'htnet regions_small', 'ststnet', 'artnet small', 'mmnet small'
    )
  },
}  # fmt: skip
SMALL = {'cnn': CASES['cnn']._replace(widths=(2,))}


class Clock:
  """Says whether there is time left, and names what is left out."""

  def __init__(self, minutes: float):
    self._end = time.monotonic() + 60 * minutes

  def has_time_for(self, what: str) -> bool:
    if time.monotonic() < self._end:
      return True
    print(f'NOT MEASURED, no time left: {what}', flush=True)
    return False


def seconds(call, rounds: int = 3) -> float:
  """Median seconds of a call that returns arrays, after one that compiles."""
  jax.block_until_ready(call())
  times = []
  for _ in range(rounds):
    start = time.perf_counter()
    jax.block_until_ready(call())
    times.append(time.perf_counter() - start)
  return statistics.median(times)


def measure_peaks(side: int, megabytes: int) -> dict[str, float]:
  """TFLOP/s of a matrix product by precision, and GB/s of a copy.

  Of random numbers: products of equal ones draw less power and run faster.
  """
  row = {}
  x = jax.random.normal(jax.random.key(0), (side, side))
  for name, precision, dtype in (
    ('float32', 'highest', jnp.float32),
    ('default', 'default', jnp.float32),
    ('bfloat16', 'default', jnp.bfloat16),
  ):
    product = functools.partial(jnp.matmul, precision=precision)
    y = x.astype(dtype)
    taken = seconds(functools.partial(jax.jit(product), y, y))
    row[f'{name} TFLOP/s'] = 2 * side**3 / taken / 1e12
  x = jnp.ones(megabytes * 2**18, jnp.float32)
  taken = seconds(functools.partial(jax.jit(lambda x: x + 1), x))
  row['GB/s'] = 2 * x.nbytes / taken / 1e9
  return row


def make_step(case: fold_training.Case, batch_size: int):
  """The gradient of one batch, and its arguments, which are on no device."""
  images, labels, _ = fold_training.make_data(case.shape, n=batch_size)
  model = case.make()
  trainer = trial_lib.Trainer(
    model=model,
    num_classes=3,
    num_epochs=1,
    batch_sizes=(batch_size,),
    takes_mask=model.capabilities.takes_mask,
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

  return step, init, data


def measure_agreement(case: Case, batch_size: int) -> dict[str, float]:
  """The largest difference of a gradient, over its largest value."""
  cpu = jax.devices('cpu')[0]
  step, init, data = make_step(case.base, batch_size)
  with jax.default_device(cpu):
    state = jax.device_get(jax.jit(init)(data))

  def run(device, precision):
    with jax.default_matmul_precision(precision):
      placed = jax.device_put((state, data), device)
      return jax.device_get(jax.jit(step)(*placed))

  loss, truth = run(cpu, 'highest')
  row = {}
  for precision in ('highest', 'default'):
    other_loss, other = run(jax.devices()[0], precision)
    # A leaf may be zero but for rounding: the scale is that of all leaves.
    scale = max(np.abs(x).max() for x in jax.tree.leaves(truth))
    gaps = jax.tree.map(lambda a, b: np.abs(a - b).max(), truth, other)
    row[f'gradient, {precision}'] = float(max(jax.tree.leaves(gaps)) / scale)
    row[f'loss, {precision}'] = float(abs(loss - other_loss) / abs(loss))
  return row


def count_flops(case: fold_training.Case) -> float:
  """FLOP of the gradient of one batch, as XLA counts them on a CPU.

  Not on the device: XLA counts none in the calls of a vendor's library.
  """
  step, init, data = make_step(case, case.batch_sizes[0])
  with jax.default_device(jax.devices('cpu')[0]):
    state = jax.eval_shape(init, data)
    cost = jax.jit(step).lower(state, data).compile().cost_analysis()
  return float(cost['flops'])


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
    """Returns the steps of all folds, and a function that makes them."""
    base, size = self.case.base, self.case.base.batch_sizes[0]
    images, labels, groups = fold_training.make_data(base.shape, people, clips)
    every = folds_lib.leave_one_group_out(groups)
    folds = every._replace(
      train=every.train[: self.folds], test=every.test[: self.folds]
    )
    steps = math.ceil(int(folds.train.sum(1).max()) / size)
    steps *= fold_training.NUM_EPOCHS * self.folds
    if self.mode in ('map', 'vmap'):
      with jax.default_matmul_precision(self.precision):
        return steps, fold_training.make_ours(
          base.make(), images, labels, folds, size, self.mode
        )
    on = 'cuda' if jax.default_backend() == 'gpu' else 'cpu'
    return steps, fold_training.make_torch(
      base.make_torch, images, labels, folds, size, on
    )

  def measure(self, steps: int, run, flops: float | None) -> dict:
    """Milliseconds of a step of a fold."""
    # By default PyTorch has TF32 in convolutions, and not in products.
    full = self.precision == 'highest'
    torch.set_float32_matmul_precision('highest' if full else 'high')
    torch.backends.cudnn.allow_tf32 = not full
    taken = fold_training.take_turns({'it': run}, rounds=2)['it']
    row = {'model': self.name, 'batch': self.case.base.batch_sizes[0]}
    row |= {'mode': self.mode, 'precision': self.precision}
    row |= {'folds': self.folds}
    row |= {'ms': 1e3 * taken / steps, 'steps': steps}
    return row | ({'TFLOP/s': flops / row['ms'] / 1e9} if flops else {})


def contestants(cases) -> list[Contestant]:
  """All of them, in the order of their worth."""
  found = []
  for name, case in cases.items():
    few, most = min(2, max(case.widths)), max(case.widths)
    first, *others = case.precisions

    def add(rank, mode, precision, folds, name=name, case=case):
      found.append((rank, Contestant(name, case, mode, precision, folds)))

    add(0, 'PyTorch, eager', first, few)
    add(1, 'map', first, few)
    for width in case.widths:
      add(0 if width == most else 2, 'vmap', first, width)
    for precision in others:
      add(1, 'vmap', precision, most)
  return [one for _, one in sorted(found, key=lambda x: x[0])]


def extrapolate(rows: list[dict]) -> str:
  """The hours of all folds and epochs of the released HTNet."""
  theirs = [row for row in rows if row['mode'] not in ('vmap', 'map')]
  precisions = [row['precision'] for row in theirs]
  ours = [
    row
    for row in rows
    if row['mode'] in ('vmap', 'map') and row['precision'] in precisions
  ]
  if not ours or not theirs:
    return ''
  best = min(ours, key=lambda row: row['ms'])
  # All people but one of 68 have 435 or more of the 442 clips: two batches.
  steps = FOLDS * EPOCHS * math.ceil(435 / best['batch'])
  hours = [row['ms'] * steps / 3.6e6 for row in (best, theirs[0])]
  return (
    f'{RELEASED}, {FOLDS} folds x {EPOCHS} epochs, extrapolated:'
    f' {hours[0]:.2f} h ({best["mode"]}, {best["folds"]} folds at once);'
    f' PyTorch {hours[1]:.2f} h'
  )


def measure_flow(counts, side: int = 128) -> list[dict]:
  """Milliseconds of a pair, of smooth faces moved by a pixel."""
  source = np.random.default_rng(0)
  coarse = source.uniform(size=(max(counts), side // 8, side // 8, 3))
  first = jax.image.resize(
    coarse.astype(np.float32), (max(counts), side, side, 3), 'cubic'
  )
  first = np.clip(first, 0, 1)
  second = np.roll(first, 1, 2)
  rows = []
  for count in counts:
    pairs = first[:count], second[:count]
    ours = seconds(lambda pairs=pairs: flow.tvl1(*pairs))
    theirs = seconds(lambda pairs=pairs: flow.farneback(*pairs), rounds=1)
    row = {'pairs': count, 'tvl1, ms': 1e3 * ours / count}
    rows.append(row | {'farneback, ms': 1e3 * theirs / count})
    print(json.dumps(rows[-1]), flush=True)
  return rows


def attempt(clock: Clock, what: str, call, *given):
  """Calls if there is time; what does not fit into memory is told, too."""
  if not clock.has_time_for(what):
    return None
  try:
    return call(*given)
  except (RuntimeError, MemoryError) as error:  # Those of JAX and PyTorch.
    reason = str(error).partition('\n')[0] or type(error).__name__
    print(f'FAILED, {what}: {reason}', flush=True)
    return None


def prepare(clock: Clock, cases, sizes, limit_s: float):
  """Compiles all contestants, and counts the operations of a step.

  Returns:
    What `Contestant.make` returns by contestant, and operations by name, of
    those that were ready in time.
  """
  pool = futures.ThreadPoolExecutor(os.cpu_count())

  def begin(what, call, *given):
    return pool.submit(attempt, clock, what, call, *given)

  made = {one: begin(f'{one}', one.make, *sizes) for one in contestants(cases)}
  flops = {
    name: begin(f'operations of {name}', count_flops, case.base)
    for name, case in cases.items()
  }
  futures.wait([*made.values(), *flops.values()], timeout=limit_s)
  pool.shutdown(wait=False, cancel_futures=True)
  ready = []
  for found in (made, flops):
    results = {}
    for what, future in found.items():
      if future.cancelled() or not future.done():
        print(f'NOT MEASURED, not compiled in time: {what}', flush=True)
      elif future.result() is not None:
        results[what] = future.result()
    ready.append(results)
  return ready


def main(arguments=None) -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--minutes', type=float, default=9.0)
  parser.add_argument('--out', type=pathlib.Path)
  parser.add_argument('--small', action='store_true')
  args = parser.parse_args(arguments)
  devices.use_every_core()
  clock, small = Clock(args.minutes), args.small
  report = {'trainings': [], 'agreement': {}}

  def tell(found: dict, into: dict) -> None:
    into.update(found)
    print(json.dumps(found), flush=True)
    if args.out:
      args.out.write_text(json.dumps(report, indent=1))

  about = {
    'device': devices.describe(jax.devices()),
    'jax': jax.__version__,
    'torch': torch.__version__,
    'python': sys.version.split()[0],
    'peaks': measure_peaks(256 if small else 8192, 1 if small else 1024),
  }
  tell(about, report)
  cases = SMALL if small else CASES
  sizes = ((1,), 32) if small else ((1, 32, 256),)
  tell({'flow': attempt(clock, 'flow', measure_flow, *sizes)}, report)
  made, flops = prepare(
    clock, cases, (24, 6) if small else (442, FOLDS), 60 * args.minutes / 2
  )
  for one in [*made]:
    # Popped, so that its states leave the device once they are measured.
    steps, run = made.pop(one)
    row = attempt(clock, f'{one}', one.measure, steps, run, flops.get(one.name))
    del run
    if row:
      report['trainings'].append(row)
      tell(row, {})
  released = [row for row in report['trainings'] if row['model'] == RELEASED]
  tell({'whole': extrapolate(released)}, report)
  if not report['whole']:
    print(f'NOT MEASURED: the whole of {RELEASED}')
  for name, case in cases.items():
    row = attempt(
      clock, f'agreement of {name}', measure_agreement, case, 8 if small else 32
    )
    tell({name: row}, report['agreement'])


if __name__ == '__main__':
  main()
