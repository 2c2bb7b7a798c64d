"""A training step of the released MMNet: ours against PyTorch, eager.

  python -m tests.benchmarks.mmnet_step ours|torch [--batch 4] [--steps 3]

Forward, backward and AdamW on 224 pixels. Prints seconds of wall clock and of
CPU a sample, the best of the steps after the first, and the peak memory of the
process; run the two in turn. Needs the extra `torch`.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np


def make_ours(frames, labels):
  """A function that makes one step, as a fold of `mejax train` makes it."""
  import jax
  import jax.numpy as jnp

  from mejax import models
  from mejax.training import batches
  from mejax.training import optimizer
  from mejax.training import trial as trial_lib

  count = len(labels)
  trainer = trial_lib.Trainer(
    model=models.make('mmnet', 'released-5'),
    num_classes=5,
    num_epochs=1,
    batch_sizes=(count,),
    optimizer=optimizer.OPTIMIZERS['adamw'],
    takes_mask=True,
  )
  setting = trial_lib.Setting(8e-4, 0.6)
  trial = trial_lib.Trial(jax.random.key(0), jnp.ones(count), None, setting)
  data = trial_lib.Data(jnp.asarray(frames), jnp.asarray(labels))
  batch = batches.Batch(jnp.arange(count), jnp.ones(count))

  def step(state, data):
    gradient = jax.grad(trainer.loss, has_aux=True)
    sample = trainer.sample(state, trial, data, batch)
    gradients, collections = gradient(state.params, state, trial, sample)
    return trainer.apply_gradients(state, trial, gradients, collections, batch)

  step = jax.jit(step, donate_argnums=0)
  state = [jax.jit(trainer.init)(trial, data)]

  def run():
    state[0] = jax.block_until_ready(step(state[0], data))

  return run


def make_torch(frames, labels):
  """The same in PyTorch."""
  import torch

  from tests.benchmarks import torch_models

  model = torch_models.MMNet()
  adamw = torch.optim.AdamW(model.parameters(), 8e-4, weight_decay=0.6)
  pairs = torch.tensor(frames).movedim(-1, -3).contiguous()
  targets = torch.tensor(labels).long()

  def run():
    adamw.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(pairs), targets)
    loss.backward()
    adamw.step()

  return run


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('side', choices=['ours', 'torch'])
  parser.add_argument('--batch', type=int, default=4)
  parser.add_argument('--steps', type=int, default=3)
  args = parser.parse_args()
  source = np.random.default_rng(0)
  shape = (args.batch, 2, 224, 224, 3)
  frames = source.normal(size=shape).astype(np.float32)
  labels = source.integers(0, 5, args.batch).astype(np.int32)
  run = {'ours': make_ours, 'torch': make_torch}[args.side](frames, labels)
  run()
  times = []
  for _ in range(args.steps):
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    times.append((time.perf_counter() - wall, time.process_time() - cpu))
  wall, cpu = (min(column) / args.batch for column in zip(*times, strict=True))
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
  print(
    f'{args.side}: {wall:.2f} s wall, {cpu:.2f} s CPU a sample;'
    f' {peak:.1f} GiB peak, batch {args.batch}'
  )


if __name__ == '__main__':
  main()
