"""The training program of a config, traced but not compiled."""

from __future__ import annotations

import functools
import pathlib

import jax
import ml_collections

from mejax.experiment import planning
from mejax.training import placement


def trace(
  config: ml_collections.ConfigDict, data_dir: pathlib.Path
) -> jax.ShapeDtypeStruct:
  """Traces all of a training, from the dataset to a step and an evaluation.

  XLA takes a minute for what Python reads in seconds, and what does not fit
  shows while it is read.

  Returns:
    shape and dtype of the logits [trials, evaluations, held-out clips, k].
  """
  plan = planning.plan(config, data_dir=data_dir)
  init = jax.vmap(plan.trainer.init, (0, None))
  states = jax.eval_shape(init, plan.trials, plan.data)
  run = functools.partial(
    placement.run_local,
    plan.trainer,
    mode='map',
    width=1,
    eval_every=plan.options.eval_every,
    max_windows=plan.trainer.num_epochs // plan.options.eval_every,
  )
  after, logits, _ = jax.eval_shape(run, states, plan.trials, plan.data, 0, 1)
  assert after == states
  return logits
