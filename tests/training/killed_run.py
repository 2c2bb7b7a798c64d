"""A run in a process of its own, so that a test can kill it."""

from __future__ import annotations

import pathlib
import sys

import jax
import numpy as np

from mejax.training import loop
from mejax.training import placement
from tests.training import setup_trials as given


def main(workdir: str, mode: str) -> None:
  inputs, labels, groups = given.make_arrays()
  inputs = given.make_stacks(inputs)
  trainer = given.make_full_trainer(groups, num_epochs=24)
  trials = given.make_trials(groups, setting=given.EVERYTHING)
  size = 5  # Two rounds: 9 trials do not fit at once.
  outcome = loop.run(
    trainer,
    trials,
    given.make_data(inputs, labels),
    workdir=pathlib.Path(workdir),
    placement=placement.Placement(mode, size if mode == 'vmap' else 1, size),
    devices=jax.devices()[:1],
    eval_every=2,
    checkpoint_every_s=0.0,
    progress=False,
    call_seconds=0.0,
  )
  np.savez(pathlib.Path(workdir) / 'outcome.npz', **outcome._asdict())


if __name__ == '__main__':
  main(*sys.argv[1:])
