"""Mirroring a batch of flow images."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from mejax.training import augment


def _flow():
  source = np.random.default_rng(0)
  return jnp.asarray(source.normal(size=(64, 5, 6, 3)), jnp.float32)


def test_certain_mirror_reverses_columns_and_negates_u_only():
  flow = _flow()
  key = jax.random.key(0)
  mirrored = augment.mirror(key, flow, probability=1.0, u_channel=2)
  expected = flow[:, :, ::-1] * np.array([1, 1, -1])
  np.testing.assert_array_equal(mirrored, expected)
  twice = augment.mirror(key, mirrored, probability=1.0, u_channel=2)
  np.testing.assert_array_equal(twice, flow)


def test_each_example_draws_for_itself_with_the_probability_asked_for():
  flow = jnp.repeat(_flow(), 32, 0)
  mirrored = np.asarray(
    augment.mirror(jax.random.key(1), flow, probability=0.25, u_channel=0)
  )
  changed = (mirrored != flow).any((1, 2, 3))
  assert abs(changed.mean() - 0.25) < 0.03


def test_strength_may_be_traced():
  def mirrored(p):
    return augment.mirror(
      jax.random.key(2), _flow(), probability=p, u_channel=0
    )

  for p in (0.0, 0.5, 1.0):
    np.testing.assert_array_equal(jax.jit(mirrored)(p), mirrored(p))
