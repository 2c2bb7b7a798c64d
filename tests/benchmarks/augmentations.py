"""What each augmentation and regularisation adds to a training step.

  python -m tests.benchmarks.augmentations [--rounds 5] [--mode map]

HTNet regions_small at batch 32. Milliseconds of a step of one fold, the fastest
of rounds in which all contestants take turns, and the ratio to a plain step.
Wants an idle machine: each costs less than others that run beside it.
"""

from __future__ import annotations

import argparse
import time

import jax
import jax.numpy as jnp

from mejax import models
from mejax.training import augment
from mejax.training import batches
from mejax.training import folds as folds_lib
from mejax.training import placement
from mejax.training import sample
from mejax.training import trial
from tests.benchmarks import fold_training

STRENGTHS = {
  'mirror': 0.5,
  'shift': 2.0,
  'scale_jitter': 0.3,
  'region_dropout': 0.2,
  'balance': 1.0,
  'mixup': 0.4,
  'ema': 0.99,
  'test_mirror': 0.5,
  'drop_path': 0.2,
}
CASES = {'plain': (), **{name: (name,) for name in STRENGTHS}}
CASES['all of them'] = tuple(STRENGTHS)


def make_run(names, *, folds: int, mode: str):
  """A function that trains an epoch of every fold, and its count of steps."""
  images, labels, groups = fold_training.make_data((28, 28, 3))
  train = folds_lib.leave_one_group_out(groups)
  on = {name: STRENGTHS[name] for name in names if name != 'drop_path'}
  layout = sample.Layout('mosaic', u_channel=2, centred=True)
  drop_path = STRENGTHS['drop_path'] if 'drop_path' in names else 0.0
  trainer = trial.Trainer(
    model=models.make(
      'htnet',
      num_classes=3,
      preset='regions_small',
      dropout=0.2,
      drop_path=drop_path,
    ),
    num_classes=3,
    num_epochs=1000,
    batch_sizes=batches.epoch_batch_sizes(train.train, 32),
    augment=augment.compose(on, layout),
    in_use=frozenset(on),
    flip=augment.flip(layout) if 'test_mirror' in on else None,
  )
  setting = trial.Setting(**on)
  trials = trial.Trial(
    key=jax.random.split(jax.random.key(0), folds),
    train=jnp.asarray(train.train[:folds]),
    held_out=jnp.asarray(folds_lib.held_out_index(train.test)[:folds]),
    setting=jax.tree.map(lambda x: jnp.full(folds, x, jnp.float32), setting),
  )
  program = placement.place(
    trainer,
    placement.Placement(mode, folds if mode == 'vmap' else 1, folds),
    devices=jax.devices()[:1],
    eval_every=1,
    max_windows=1,
  )
  data = program.put_data(trial.Data(jnp.asarray(images), jnp.asarray(labels)))
  spread = program.put_trials(trials)
  state = [program.init(trials, data)]

  def run() -> None:
    state[0], logits, _ = program.run_chunk(state[0], spread, data, 0, 1)
    logits.block_until_ready()

  return run, folds * len(trainer.batch_sizes)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--folds', type=int, default=2)
  parser.add_argument('--mode', default='map', choices=placement.MODES)
  args = parser.parse_args()
  runs = {
    name: make_run(names, folds=args.folds, mode=args.mode)
    for name, names in CASES.items()
  }
  times = {name: [] for name in runs}
  for turn in range(args.rounds + 1):  # The first compiles.
    for name, (run, steps) in runs.items():
      start = time.perf_counter()
      run()
      if turn:
        times[name].append(1e3 * (time.perf_counter() - start) / steps)
  print(f'jax {jax.__version__}, {jax.devices()[0]}, mode {args.mode}')
  plain = min(times['plain'])
  for name, values in times.items():
    best = min(values)
    print(f'{name:<16}{best:>8.2f} ms{best / plain:>8.3f}')


if __name__ == '__main__':
  main()
