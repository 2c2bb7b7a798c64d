"""Optimisers by name; each gives the direction of a step.

`adam_bf16` and `adamw_bf16` keep the mean gradient, Adam's first moment, in
bfloat16 between steps: a parameter of float32 takes 10 bytes of state in place
of 12. Each step computes in float32; only what it hands on is rounded, to 8
bits. The second moment is not, because (1 - b2) of a squared gradient is less
than half of the last bit of a larger sum, and would be lost.
"""

from __future__ import annotations

from collections.abc import Callable
import functools

import jax.numpy as jnp
import optax

from mejax.training.setting import Setting

# `Trainer.apply_gradients` multiplies the direction by the learning rate,
# because optax's schedules cannot take a traced peak.
Optimizer = Callable[[Setting], optax.GradientTransformation]


def _adam(setting: Setting, *, mu_dtype=None) -> optax.GradientTransformation:
  return optax.scale_by_adam(
    setting.b1, setting.b2, setting.eps, mu_dtype=mu_dtype
  )


def _adamw(setting: Setting, *, mu_dtype=None) -> optax.GradientTransformation:
  decay = optax.add_decayed_weights(setting.weight_decay)
  return optax.chain(_adam(setting, mu_dtype=mu_dtype), decay)


def _sgd(setting: Setting) -> optax.GradientTransformation:
  return optax.trace(setting.b1)


OPTIMIZERS: dict[str, Optimizer] = {
  'adam': _adam,
  'adam_bf16': functools.partial(_adam, mu_dtype=jnp.bfloat16),
  'adamw': _adamw,
  'adamw_bf16': functools.partial(_adamw, mu_dtype=jnp.bfloat16),
  'sgd': _sgd,
}
# Those that do not read `weight_decay`. Of a function of the user nobody knows.
WITHOUT_DECAY = ('adam', 'adam_bf16', 'sgd')
