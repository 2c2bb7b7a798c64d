"""Schedules against Optax's own, at every step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mejax.training import schedule
from mejax.training import trial


def shares(name, steps, warmup):
  setting = trial.Setting(warmup_fraction=warmup)
  progress = jnp.arange(steps + 1) / steps
  function = schedule.SCHEDULES[name]
  return jax.jit(lambda x: function(x, jnp.zeros_like(x), setting))(progress)


@pytest.mark.parametrize('warmup', [0.1, 0.3, 0.5])
def test_one_cycle_equals_optax(warmup):
  steps = 200
  optax_own = optax.cosine_onecycle_schedule(steps, 1.0, pct_start=warmup)
  expected = jax.vmap(optax_own)(jnp.arange(steps + 1))
  ours = shares('one_cycle', steps, warmup)
  np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)
  assert int(ours.argmax()) == round(warmup * steps)


def test_one_cycle_begins_at_the_peak_without_warmup():
  ours = shares('one_cycle', 10, 0.0)
  assert ours[0] == 1 and ours[-1] == pytest.approx(4e-6, abs=1e-6)
