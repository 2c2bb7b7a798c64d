"""What an accelerator does: agreement, trainings a second, flow, utilisation.

  python -m tests.benchmarks.accelerator [--minutes 9] [--out FILE] [--small]

It needs no network and no data, and of mejax only models, training and motion.
Sections come in the order of their worth; what does not fit into the minutes is
named as not measured. `--small` runs every section in its smallest form, on a
CPU too. The table against PyTorch needs the extra `torch`.

agreement   loss and gradient of one batch, the device against the CPU of the
            same machine, in full precision and as trained
peaks       the matrix product and the copy that the device reaches: what the
            utilisation of the other rows is a share of
trainings   milliseconds of one step of one fold under `vmap` and `map`, for 1,
            4, 16 and all 68 folds at once, and PyTorch's, fold after fold
whole       HTNet as released, 68 folds of 800 epochs, extrapolated from them
flow        milliseconds of a pair of 128 pixels: TV-L1, Farneback of OpenCV
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import pathlib
import statistics
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

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
CASES = {
  'cnn': fold_training.CASES['cnn'],
  'htnet regions_small': fold_training.CASES['htnet regions_small'],
  RELEASED: fold_training.Case(
    lambda: models.make('htnet', preset='released'),
    lambda: torch_models.HTNet(patch=7, dim=256, heads=3, depths=(2, 2, 10)),
    (256,),
  ),
  'ststnet': fold_training.CASES['ststnet'],
  'artnet small': fold_training.CASES['artnet small'],
  'mmnet small': fold_training.CASES['mmnet small'],
}
SMALL = ('cnn',)


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


def measure_agreement(name: str, batch_size: int) -> dict[str, float]:
  """The largest difference of a gradient, over its largest value."""
  case, cpu = CASES[name], jax.devices('cpu')[0]
  step, init, data = make_step(case, batch_size)
  with jax.default_device(cpu):
    state = jax.device_get(jax.jit(init)(data))

  def run(device, precision):
    with jax.default_matmul_precision(precision):
      placed = jax.device_put((state, data), device)
      return jax.device_get(jax.jit(step)(*placed))

  loss, truth = run(cpu, 'highest')
  row = {}
  for what, precision in (('full', 'highest'), ('trained', 'default')):
    other_loss, other = run(jax.devices()[0], precision)
    # A leaf may be zero but for rounding: the scale is that of all leaves.
    scale = max(np.abs(x).max() for x in jax.tree.leaves(truth))
    gaps = jax.tree.map(lambda a, b: np.abs(a - b).max(), truth, other)
    row[f'gradient, {what}'] = float(max(jax.tree.leaves(gaps)) / scale)
    row[f'loss, {what}'] = float(abs(loss - other_loss) / abs(loss))
  return row


def count_flops(name: str, batch_size: int) -> float:
  """FLOP of the gradient of one batch, as XLA counts them on a CPU.

  Not on the device: XLA counts none in the calls of a vendor's library.
  """
  step, init, data = make_step(CASES[name], batch_size)
  with jax.default_device(jax.devices('cpu')[0]):
    state = jax.eval_shape(init, data)
    cost = jax.jit(step).lower(state, data).compile().cost_analysis()
  return float(cost['flops'])


def measure_peaks(side: int, megabytes: int) -> dict[str, float]:
  """TFLOP/s of a matrix product by type, and GB/s of a copy."""
  row = {}
  for dtype in (jnp.float32, jnp.bfloat16):
    x = jnp.ones((side, side), dtype)
    taken = seconds(functools.partial(jax.jit(jnp.matmul), x, x))
    row[f'{x.dtype} TFLOP/s'] = 2 * side**3 / taken / 1e12
  x = jnp.ones(megabytes * 2**18, jnp.float32)
  taken = seconds(functools.partial(jax.jit(lambda x: x + 1), x))
  row['GB/s'] = 2 * x.nbytes / taken / 1e9
  return row


def first_folds(groups, count: int):
  folds = folds_lib.leave_one_group_out(groups)
  return folds._replace(train=folds.train[:count], test=folds.test[:count])


def measure_trainings(
  name: str, counts, clock: Clock, *, clips: int, people: int
) -> list[dict]:
  """Milliseconds of a step of a fold, by number of folds and mode."""
  case, rows = CASES[name], []
  batch_size = case.batch_sizes[0]
  images, labels, groups = fold_training.make_data(case.shape, people, clips)
  flops = None

  def add(mode: str, count: int, make) -> None:
    nonlocal flops
    if not clock.has_time_for(f'{name}, {mode}, {count} folds at once'):
      return
    flops = flops or count_flops(name, batch_size)
    folds = first_folds(groups, count)
    steps = math.ceil(int(folds.train.sum(1).max()) / batch_size)
    steps *= fold_training.NUM_EPOCHS * len(folds.train)
    try:
      times = fold_training.take_turns({mode: make(folds)}, rounds=2)
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
      # One that does not fit is a result, too.
      print(f'{name}, {mode}, {count} folds: {str(error).splitlines()[0]}')
      return
    row = {'model': name, 'batch': batch_size, 'mode': mode, 'folds': count}
    row |= {'ms': 1e3 * times[mode] / steps, 'steps': steps}
    row['TFLOP/s'] = flops / row['ms'] / 1e9
    rows.append(row)
    print(json.dumps(row), flush=True)

  on = 'cuda' if jax.default_backend() == 'gpu' else 'cpu'
  add(
    'PyTorch, eager',
    min(counts[-1], 2),
    lambda folds: fold_training.make_torch(
      case.make_torch, images, labels, folds, batch_size, on
    ),
  )
  for count in counts:
    for mode in ('vmap', 'map'):
      add(
        mode,
        count,
        lambda folds, mode=mode: fold_training.make_ours(
          case.make(), images, labels, folds, batch_size, mode
        ),
      )
  return rows


def extrapolate(rows: list[dict]) -> str:
  """The hours of all folds and epochs of the released HTNet."""
  ours = [row for row in rows if row['mode'] in ('vmap', 'map')]
  theirs = [row for row in rows if row not in ours]
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


def main(arguments=None) -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--minutes', type=float, default=9.0)
  parser.add_argument('--out', type=pathlib.Path)
  parser.add_argument('--small', action='store_true')
  args = parser.parse_args(arguments)
  devices.use_every_core()
  clock, small = Clock(args.minutes), args.small
  names = SMALL if small else tuple(CASES)
  counts = (2,) if small else (16, FOLDS, 1, 4)
  sizes = {'clips': 24, 'people': 6} if small else {'clips': 442, 'people': 68}
  report = {
    'device': devices.describe(jax.devices()),
    'jax': jax.__version__,
    'python': sys.version.split()[0],
    'peaks': measure_peaks(256 if small else 8192, 1 if small else 1024),
  }
  print(json.dumps(report, indent=1), flush=True)
  report['agreement'], report['trainings'] = {}, []
  for name in names:
    if clock.has_time_for(f'agreement of {name}'):
      row = measure_agreement(name, 8 if small else 32)
      report['agreement'][name] = row
      print(name, json.dumps(row), flush=True)
  if clock.has_time_for('flow'):
    report['flow'] = (
      measure_flow((1,), 32) if small else measure_flow((1, 32, 256))
    )
  for name in names:
    report['trainings'] += measure_trainings(name, counts, clock, **sizes)
  released = [row for row in report['trainings'] if row['model'] == RELEASED]
  report['whole'] = extrapolate(released)
  print(report['whole'] or f'NOT MEASURED: the whole of {RELEASED}')
  if args.out:
    args.out.write_text(json.dumps(report, indent=1))


if __name__ == '__main__':
  main()
