"""Trainings a second: our modes against PyTorch, eager, fold after fold.

  python -m tests.benchmarks.fold_training [--rounds 5] [--folds 4] [CASE ...]

Every figure is milliseconds of one training step of one fold, batch drawing
and evaluation of the held-out examples included, the median of rounds in which
all contestants take turns; the ratio is PyTorch's over ours (above 1: ours is
faster). Needs the extra `torch`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import statistics
import time
from typing import NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import torch

from mejax import models
from mejax.models import capabilities
from mejax.training import batches
from mejax.training import devices
from mejax.training import folds as folds_lib
from mejax.training import placement
from mejax.training import trial
from tests.benchmarks import torch_models

NUM_EPOCHS = 2
LEVELS = (1.0, 2.0, 4.0)


class Case(NamedTuple):
  """A model, the same in PyTorch, and the shape of an input."""

  make: Callable[[], nn.Module]
  make_torch: Callable[[], torch.nn.Module]
  batch_sizes: tuple[int, ...] = (32, 256)
  shape: tuple[int, ...] = (28, 28, 3)
  microbatch: int = 0


CASES = {
  'ststnet': Case(lambda: models.make('ststnet'), torch_models.STSTNet),
  'cnn': Case(lambda: models.make('cnn'), torch_models.CNN, (32,)),
  'sssnet': Case(lambda: models.make('sssnet'), torch_models.SSSNet, (32,)),
  'resnet small': Case(
    lambda: models.make('resnet', 'small'), torch_models.ResNet, (32,)
  ),
  'offapexnet': Case(
    lambda: models.make('offapexnet'), torch_models.OffApexNet, (64,)
  ),
  'htnet regions_small': Case(
    lambda: models.make('htnet', preset='regions_small'),
    lambda: torch_models.HTNet(patch=2, dim=32, heads=2, depths=(1, 1)),
  ),
  'artnet small': Case(
    lambda: models.make(
      'artnet', 'small', levels=LEVELS, dim=32, level_dropout=0.0, dropout=0.0
    ),
    lambda: torch_models.ARTNet(
      levels=LEVELS, side=64, patch=8, dim=32, heads=4, depth=1
    ),
    (16,),
    (len(LEVELS), 64, 64, 3),
  ),
  'mmnet small': Case(
    lambda: models.make('mmnet', 'small', num_classes=3),
    lambda: torch_models.MMNet(
      size=64, stem=(16, 16), widths=(16, 32, 48, 64), mlp_mult=2, num_classes=3
    ),
    (16,),
    (2, 64, 64, 3),
  ),
}

CASES['htnet in parts of 16'] = CASES['htnet regions_small']._replace(
  microbatch=16
)


def make_data(
  shape: tuple[int, ...], num_subjects: int = 68, n: int = 442
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Smooth random images stretched to 0..255, like the released flow."""
  source = np.random.default_rng(0)
  *before, h, w, c = shape
  coarse = source.normal(size=(n, *before, h // 4, w // 4, c))
  images = coarse.repeat(4, -3).repeat(4, -2)
  images -= images.min((-3, -2), keepdims=True)
  images *= 255 / images.max((-3, -2), keepdims=True)
  labels = source.integers(0, 3, n)
  groups = np.sort(source.integers(0, num_subjects, n)).astype(str)
  return images.astype(np.float32), labels.astype(np.int32), groups


def make_torch(
  make_model, images, labels, folds, batch_size: int, device: str = 'cpu'
):
  """A function that trains every fold in turn for `NUM_EPOCHS`."""
  inputs = torch.tensor(images).movedim(-1, -3).contiguous().to(device)
  targets = torch.tensor(labels).long().to(device)
  fits = [torch.tensor(np.flatnonzero(train)) for train in folds.train]
  tests = [torch.tensor(np.flatnonzero(test)) for test in folds.test]
  nets = [make_model().to(device) for _ in fits]
  adams = [torch.optim.Adam(net.parameters(), 5e-5) for net in nets]

  def run() -> None:
    for net, adam, fit, test in zip(nets, adams, fits, tests, strict=True):
      for _ in range(NUM_EPOCHS):
        net.train()
        for index in fit[torch.randperm(len(fit))].split(batch_size):
          adam.zero_grad()
          loss = torch.nn.functional.cross_entropy(
            net(inputs[index]), targets[index]
          )
          loss.backward()
          adam.step()
        net.eval()
        with torch.no_grad():
          # On the host, so that an accelerator has really done it.
          net(inputs[test]).cpu()

  return run


def make_ours(
  model, images, labels, folds, batch_size: int, mode: str, microbatch: int = 0
):
  """The same through the compiled call that `mejax train` makes.

  It is compiled here, from shapes; states are made at the first run.
  """
  count = len(folds.train)
  trainer = trial.Trainer(
    model=model,
    num_classes=3,
    num_epochs=NUM_EPOCHS,
    batch_sizes=batches.epoch_batch_sizes(folds.train, batch_size),
    takes_mask=capabilities.declared_by(model).takes_mask,
    microbatch=microbatch,
  )
  key = jax.random.key(0)
  trials = trial.Trial(
    key=jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(count)),
    train=jnp.asarray(folds.train),
    held_out=jnp.asarray(folds_lib.held_out_index(folds.test)),
    setting=jax.tree.map(
      lambda x: jnp.full(count, x, jnp.float32), trial.Setting(5e-5)
    ),
  )
  cores = jax.devices()
  width = -(-count // len(cores)) if mode == 'vmap' else 1
  program = placement.place(
    trainer,
    placement.Placement(mode, width, count),
    devices=cores,
    eval_every=1,
    max_windows=NUM_EPOCHS,
  )
  data = program.put_data(trial.Data(jnp.asarray(images), jnp.asarray(labels)))
  spread = program.put_trials(trials)
  chunk = program.lower(trials, data).compile()
  state = []

  def run() -> None:
    if not state:
      state.append(program.init(trials, data))
    state[0], logits, _ = chunk(state[0], spread, data, 0, NUM_EPOCHS)
    logits.block_until_ready()

  return run


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--folds', type=int, default=4)
  parser.add_argument('cases', nargs='*', metavar='CASE', default=[*CASES])
  args = parser.parse_args()
  devices.use_every_core()
  print(f'jax {jax.__version__}, {jax.devices()}; torch {torch.__version__}')
  print(f'{"":<21}{"batch":>5}{"PyTorch":>9}{"map":>16}{"vmap":>16}')
  for name in args.cases:
    case = CASES[name]
    images, labels, groups = make_data(case.shape)
    folds = folds_lib.leave_one_group_out(groups)
    folds = folds._replace(
      train=folds.train[: args.folds], test=folds.test[: args.folds]
    )
    data = (images, labels, folds)
    for batch_size in case.batch_sizes:
      runs = {'torch': make_torch(case.make_torch, *data, batch_size)}
      for mode in placement.MODES:
        runs[mode] = make_ours(
          case.make(), *data, batch_size, mode, case.microbatch
        )
      steps = -(-int(folds.train.sum(1).max()) // batch_size)
      times = take_turns(runs, args.rounds)
      ms = {
        key: 1e3 * value / (args.folds * NUM_EPOCHS * steps)
        for key, value in times.items()
      }
      row = f'{name:<21}{batch_size:>5}{ms["torch"]:>9.2f}'
      for mode in ('map', 'vmap'):
        row += f'{ms[mode]:>9.2f} ({ms["torch"] / ms[mode]:.2f})'
      print(row, flush=True)


def take(run) -> float:
  """Seconds of a round."""
  start = time.perf_counter()
  run()
  return time.perf_counter() - start


def take_turns(runs, rounds: int) -> dict[str, float]:
  """Median seconds of each, after one round that warms up and compiles."""
  times = {name: [] for name in runs}
  for turn in range(rounds + 1):
    for name, run in runs.items():
      seconds = take(run)
      if turn:
        times[name].append(seconds)
  return {name: statistics.median(values) for name, values in times.items()}


if __name__ == '__main__':
  main()
