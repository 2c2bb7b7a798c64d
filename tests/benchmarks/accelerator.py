"""What an accelerator does: agreement, flow, milliseconds of a training step.

  python -m tests.benchmarks.accelerator [--minutes 9] [--out FILE] [--small]

It needs no network and no data, and of mejax only models, training and motion.
Programs are compiled before anything but peaks and flow is timed, side by side.
(A GPU's compiler chooses kernels by measuring, which the others may disturb, so
a program that is compiled alone may be faster.) What does not fit into the
minutes is named as not measured; FILE has what is there at any moment. The
process ends at most half a minute later, whatever is still at work.
`--small` runs every section in its smallest form, on a CPU too. The table
against PyTorch needs the extra `torch`.

peaks       the matrix product and the copy that the device reaches
flow        milliseconds of a pair of 128 pixels: TV-L1, Farneback of OpenCV,
            and TV-L1 of OpenCV where that has the modules of opencv-contrib
trainings   milliseconds of one step of one fold under `map` (folds in turn) and
            under `vmap` (side by side), of 1, 4, 16 and all 68 folds, and of
            PyTorch, fold after fold, with TF32 where ours has it. Trainings a
            second are of all epochs of the model's config, on 442 clips. The
            share of the peak is that of its precision; the share of the
            bandwidth is what parameters, moments and inputs alone would need
whole       HTNet as released, 68 folds of 800 epochs, extrapolated from those
            rows that have the precision of PyTorch's
agreement   loss and gradient of one batch, the device against the CPU of the
            same machine, in full precision and in the device's own (TF32)
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import pathlib
import statistics
import sys
import threading
import time
import traceback

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import torch

from mejax import files
from mejax.motion import flow
from mejax.training import devices
from mejax.training import placement
from tests.benchmarks import contestants

# Pairs that OpenCV's TV-L1 is timed on: each takes a fifth of a second.
_OPENCV_PAIRS = 8
# Minutes after its time at which the process ends.
_LATE = 0.5


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


def measure_agreement(
  case: contestants.Case, batch_size: int
) -> dict[str, float]:
  """The largest difference of a gradient, over its largest value."""
  cpu = jax.devices('cpu')[0]
  _, step, init, data = contestants.make_step(case.base, batch_size)
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


def extrapolate(rows: list[dict]) -> str:
  """The hours of all folds and epochs of the released HTNet."""
  theirs = [row for row in rows if row['mode'] not in placement.MODES]
  precisions = [row['precision'] for row in theirs]
  ours = [
    row
    for row in rows
    if row['mode'] in placement.MODES and row['precision'] in precisions
  ]
  if not ours or not theirs:
    return ''
  best = min(ours, key=lambda row: row['ms'])
  # All people but one of 68 have 435 or more of the 442 clips: two batches.
  folds = contestants.FOLDS
  epochs = contestants.CASES[contestants.RELEASED].epochs
  steps = folds * epochs * math.ceil(435 / best['batch'])
  hours = [row['ms'] * steps / 3.6e6 for row in (best, theirs[0])]
  return (
    f'{contestants.RELEASED}, {folds} folds x {epochs} epochs, extrapolated:'
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
  first = np.clip(np.asarray(first), 0, 1)
  second = np.roll(first, 1, 2)
  there = hasattr(cv2, 'optflow')
  if not there:
    print('NOT MEASURED, this OpenCV lacks it: TV-L1 of OpenCV', flush=True)
  rows = []
  for count in counts:
    pairs = first[:count], second[:count]
    ours = seconds(lambda pairs=pairs: flow.tvl1(*pairs))
    theirs = seconds(lambda pairs=pairs: flow.farneback(*pairs), rounds=1)
    row = {'pairs': count, 'tvl1, ms': 1e3 * ours / count}
    row['farneback, ms'] = 1e3 * theirs / count
    if there:
      row['tvl1 of OpenCV, ms'] = 1e3 * time_opencv(*pairs)
    rows.append(row)
    print(json.dumps(rows[-1]), flush=True)
  return rows


def time_opencv(first: np.ndarray, second: np.ndarray) -> float:
  """Seconds of a pair, which it takes one after another, on all cores."""
  method = cv2.optflow.DualTVL1OpticalFlow_create()
  grey = [
    np.rint(255 * frames[:_OPENCV_PAIRS].mean(-1)).astype(np.uint8)
    for frames in (first, second)
  ]
  method.calc(grey[0][0], grey[1][0], None)
  start = time.perf_counter()
  for pair in zip(*grey, strict=True):
    method.calc(*pair, None)
  return (time.perf_counter() - start) / len(grey[0])


def leave(code: int) -> None:
  """Ends the process, whatever is at work: Python would wait for compilers."""
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code)


def run_in_time() -> None:
  """Measures, and ends the process soon after the minutes, come what may."""
  args = parse()
  minutes = args.minutes + _LATE

  def end():
    print(f'ENDED after {minutes:.1f} minutes: the rest is NOT MEASURED')
    leave(0)

  timer = threading.Timer(60 * minutes, end)
  timer.daemon = True
  timer.start()
  try:
    measure(args)
  except Exception:
    traceback.print_exc()
    leave(1)
  leave(0)


def parse(arguments=None) -> argparse.Namespace:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--minutes', type=float, default=9.0)
  parser.add_argument('--out', type=pathlib.Path)
  parser.add_argument('--small', action='store_true')
  return parser.parse_args(arguments)


def measure(args: argparse.Namespace) -> None:
  """Measures all sections and prints what is there as soon as it is there."""
  devices.use_every_core()
  clock, small = contestants.Clock(args.minutes), args.small
  report = {'trainings': [], 'agreement': {}}

  def tell(found: dict, into: dict) -> None:
    into.update(found)
    print(json.dumps(found), flush=True)
    if args.out:
      with files.writing(args.out) as file:
        file.write(json.dumps(report, indent=1))

  peaks = measure_peaks(256 if small else 8192, 1 if small else 1024)
  about = {
    'device': devices.describe(jax.devices()),
    'jax': jax.__version__,
    'torch': torch.__version__,
    'python': sys.version.split()[0],
    'peaks': peaks,
  }
  tell(about, report)
  cases = contestants.SMALL if small else contestants.CASES
  sizes = ((1,), 32) if small else ((1, 32, 256),)
  tell({'flow': clock.attempt('flow', measure_flow, *sizes)}, report)
  ready = contestants.prepare(
    clock, list_jobs(cases, small), 60 * args.minutes / 2
  )
  for name in cases:
    tell({name: ready.get(f'agreement of {name}')}, report['agreement'])
  for _, one in contestants.line_up(cases):
    if one not in ready:
      continue  # Named already.
    # Popped, so that its states leave the device once they are measured.
    examples, run = ready.pop(one)
    work = ready.get(f'operations of {one.name}')
    row = clock.attempt(f'{one}', one.measure, examples, run, work, peaks)
    del run
    if row:
      report['trainings'].append(row)
      tell(row, {})
  released = [
    row for row in report['trainings'] if row['model'] == contestants.RELEASED
  ]
  tell({'whole': extrapolate(released)}, report)
  if not report['whole']:
    print(f'NOT MEASURED: the whole of {contestants.RELEASED}')


def list_jobs(cases, small: bool) -> list[contestants.Job]:
  """Lists what is prepared side by side."""
  clips = (24, 6) if small else (442, contestants.FOLDS)
  jobs = [
    contestants.Job(rank, one, functools.partial(one.make, *clips))
    for rank, one in contestants.line_up(cases)
  ]
  for name, case in cases.items():
    count = functools.partial(contestants.count_work, case.base)
    jobs.append(contestants.Job(1, f'operations of {name}', count))
    agree = functools.partial(measure_agreement, case, 8 if small else 32)
    jobs.append(contestants.Job(2, f'agreement of {name}', agree))
  return jobs


if __name__ == '__main__':
  run_in_time()
