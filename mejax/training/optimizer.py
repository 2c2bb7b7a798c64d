"""Optimisers by name; each gives the direction of a step."""

from __future__ import annotations

from collections.abc import Callable

import optax

from mejax.training.setting import Setting

# `Trainer.apply_gradients` multiplies the direction by the learning rate,
# because optax's schedules cannot take a traced peak.
Optimizer = Callable[[Setting], optax.GradientTransformation]


def _adam(setting: Setting) -> optax.GradientTransformation:
  return optax.scale_by_adam(setting.b1, setting.b2, setting.eps)


def _adamw(setting: Setting) -> optax.GradientTransformation:
  decay = optax.add_decayed_weights(setting.weight_decay)
  return optax.chain(_adam(setting), decay)


def _sgd(setting: Setting) -> optax.GradientTransformation:
  return optax.trace(setting.b1)


OPTIMIZERS: dict[str, Optimizer] = {'adam': _adam, 'adamw': _adamw, 'sgd': _sgd}
