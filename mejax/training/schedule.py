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


def _one_cycle(progress: Array, epoch: Array, setting: Setting) -> Array:
  """Rises from 1/25 along half a cosine, then falls to 4e-6 along another.

  Smith and Topin, "Super-convergence", arXiv 1708.07120, with the factors that
  are the defaults of PyTorch and Optax.
  """
  del epoch
  warmup = setting.warmup_fraction
  rise = progress / jnp.maximum(warmup, 1e-9)
  fall = (progress - warmup) / jnp.maximum(1.0 - warmup, 1e-9)
  start, end, rising = 1 / 25, 1 / 25e4, progress < warmup
  low = jnp.where(rising, start, end)
  # The share of the way down from the peak to the low end of this half.
  down = 0.5 - 0.5 * jnp.cos(jnp.pi * jnp.where(rising, 1 - rise, fall))
  return 1 - (1 - low) * down


def _mmnet(progress: Array, epoch: Array, setting: Setting) -> Array:
  """Falls by 1.3 % after each of the first 50 epochs, as in MMNet's code."""
  del progress, setting
  return 0.987 ** jnp.minimum(epoch, 50)


SCHEDULES: dict[str, Schedule] = {
  'constant': _constant,
  'warmup_cosine': _warmup_cosine,
  'one_cycle': _one_cycle,
  'mmnet': _mmnet,
}
