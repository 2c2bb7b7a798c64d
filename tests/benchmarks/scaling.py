"""Time over folds, seeds and devices, and memory of trainings side by side.

  python -m tests.benchmarks.scaling [--parts folds seeds devices memory]

The model is linear, so that what is not the model shows. Times are CPU seconds
of the process for an epoch of one training, after a call that compiles, and
their ratio to the first row of the part: 1.00 means that more trainings, or
more devices, cost nothing beside their own work. Seconds of the clock are left
out, because they tell who else used the cores.

Memory is of trainings that advance together: what the compiled program needs
on a device, as `mejax forecast` tells it, and by how much the process grew
while it ran. That is its largest resident memory, minus what it had before,
when all was compiled and no arrays of the trainings were left (Linux only).
Each row is a process of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import ctypes
import gc
import json
import pathlib
import re
import subprocess
import sys
import time

import numpy as np

from tests import child

EPOCHS, PEOPLE, CLIPS = 10, 68, 442
PARTS = {
  'folds': [{'folds': n} for n in (8, 34, 68)],
  'seeds': [{'folds': 17, 'seeds': n} for n in (1, 4)],
  'devices': [{'folds': 16, 'devices': n} for n in (1, 2, 4, 8)],
  'memory': [{'folds': 17, 'seeds': n, 'mode': 'vmap'} for n in (1, 4, 8)],
}


def make_plan(folds: int, seeds: int):
  from mejax import experiment

  source = np.random.default_rng(0)
  people = np.arange(CLIPS) % PEOPLE
  subjects = np.char.add('s', people.astype(str))
  task = experiment.Task(
    inputs=source.normal(size=(CLIPS, 28, 28, 3)).astype(np.float32),
    labels=source.integers(0, 3, CLIPS).astype(np.int32),
    corpus=np.full(CLIPS, 'noise'),
    subject=subjects,
    clip=np.arange(CLIPS).astype(str),
    class_names=('a', 'b', 'c'),
    protocol='Noise.',
    groups=subjects,
  )
  config = experiment.load_config(
    'linear',
    [
      f'num_epochs={EPOCHS}', f'num_seeds={seeds}', 'batch_size=32',
      f'num_folds={folds}', 'setting.mirror=0', 'setting.shift=0',
      'selection=last',
    ],
  )  # fmt: skip
  return experiment.plan(config, task=task)


def measure(
  *, folds: int, seeds: int = 1, devices: int = 1, mode: str = 'map'
) -> dict[str, float]:
  """Trains noise, and returns what that took."""
  import jax

  from mejax.training import forecast
  from mejax.training import placement

  plan = make_plan(folds, seeds)
  count = len(plan.trials.train)
  assert count == folds * seeds and len(jax.devices()) == devices
  place = placement.Placement(mode, count if mode == 'vmap' else 1, count)
  options = {'devices': jax.devices(), 'eval_every': EPOCHS}
  program = placement.place(plan.trainer, place, max_windows=1, **options)

  def train() -> float:
    data = program.put_data(plan.data)
    spread = program.put_trials(plan.trials)
    states = program.init(plan.trials, plan.data)
    start = time.process_time()
    jax.block_until_ready(program.run_chunk(states, spread, data, 0, 1))
    return time.process_time() - start

  times = [train() for _ in range(3)]
  found = {'seconds': min(times[1:]) / count / EPOCHS}
  if mode == 'vmap':
    found['grew'] = measure_growth(train)
    told = forecast.measure(
      plan.trainer, plan.trials, plan.data, place, **options
    )
    found['needs'] = told.device_bytes
  return found


def measure_growth(call: Callable) -> int:
  """Returns the bytes by which this process is larger at most during a call."""

  def read(name):
    status = pathlib.Path('/proc/self/status').read_text()
    return 1024 * int(re.search(rf'{name}:\s+(\d+) kB', status)[1])

  gc.collect()
  # What compilers left would be used again, and would hide what is needed.
  ctypes.CDLL(None).malloc_trim(0)
  before = read('VmRSS')
  pathlib.Path('/proc/self/clear_refs').write_text('5')  # Forgets the largest.
  call()
  return read('VmHWM') - before


def show(part: str, rows: list[tuple[dict, dict]]) -> None:
  """Prints a table of a part."""
  first = rows[0][1]['seconds']
  for asked, found in rows:
    words = ', '.join(f'{value} {key}' for key, value in asked.items())
    line = f'{part:<8} {words:<22} {1e3 * found["seconds"]:8.1f} ms'
    line += f' {found["seconds"] / first:6.2f}'
    if 'needs' in found:
      line += f'  needs {found["needs"] / 2**20:.1f} MiB'
      line += f', grew by {found["grew"] / 2**20:.1f} MiB'
    print(line, flush=True)


def measure_apart(asked: dict, **variables: str) -> dict[str, float]:
  """Measures in a process of its own, with more variables of environment."""
  count = str(asked.get('devices', 1))
  done = subprocess.run(
    [sys.executable, '-m', __spec__.name, '--one', json.dumps(asked)],
    env=child.environment() | {'JAX_NUM_CPU_DEVICES': count, **variables},
    check=True,
    stdout=subprocess.PIPE,
    text=True,
  )
  return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--parts', nargs='+', choices=PARTS, default=[*PARTS])
  parser.add_argument('--one', help=argparse.SUPPRESS)
  args = parser.parse_args()
  if args.one:
    print(json.dumps(measure(**json.loads(args.one))))
    return
  for part in args.parts:
    rows = []
    for asked in PARTS[part]:
      found = measure_apart(asked)
      if 'grew' in found:
        # Large arrays have pages of their own then: that takes time, but what
        # earlier calls let go is no longer in the process.
        pages = {'MALLOC_MMAP_THRESHOLD_': '65536'}
        found['grew'] = measure_apart(asked, **pages)['grew']
      rows.append((asked, found))
    show(part, rows)


if __name__ == '__main__':
  main()
