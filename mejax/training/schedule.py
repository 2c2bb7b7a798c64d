"""Learning-rate schedules by name: the share of the peak rate at a step."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array

from mejax.training.setting import Setting

# (share of all steps done, number of epochs done, setting) -> share of the peak
# learning rate.
Schedule = Callable[[Array, Array, Setting], Array]


def _constant(progress: Array, epoch: Array, setting: Setting) -> Array:
  del epoch, setting
  return jnp.ones_like(progress)


def _warmup_cosine(progress: Array, epoch: Array, setting: Setting) -> Array:
  """Rises linearly, then falls to 0 along half a cosine."""
  del epoch
  warmup = setting.warmup_fraction
  rise = progress / jnp.maximum(warmup, 1e-9)
  fall = 0.5 + 0.5 * jnp.cos(
    jnp.pi * (progress - warmup) / jnp.maximum(1.0 - warmup, 1e-9)
  )
  return jnp.where(progress < warmup, rise, fall)


def _mmnet(progress: Array, epoch: Array, setting: Setting) -> Array:
  """Falls by 1.3 % after each of the first 50 epochs, as in MMNet's code."""
  del progress, setting
  return 0.987 ** jnp.minimum(epoch, 50)


SCHEDULES: dict[str, Schedule] = {
  'constant': _constant,
  'warmup_cosine': _warmup_cosine,
  'mmnet': _mmnet,
}
