"""A run knows every option of JAX that changes its numbers."""

from __future__ import annotations

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from mejax.training import numerics
from tests import child


def _draw():
  key = jax.random.key(3)
  return np.asarray(jax.random.uniform(key, (5,)))


@pytest.mark.parametrize(
  'name, other',
  [
    ('jax_threefry_partitionable', False),
    ('jax_default_prng_impl', 'rbg'),
    ('jax_random_seed_offset', 7),
    ('jax_enable_x64', True),
  ],
)
def test_an_option_that_changes_draws_is_told(name, other):
  drawn, told = _draw(), numerics.read()
  before = getattr(jax.config, name)
  jax.config.update(name, other)
  try:
    assert not np.array_equal(_draw(), drawn)
    assert numerics.read() == told | {name: other} != told
  finally:
    jax.config.update(name, before)


def test_no_option_on_random_numbers_or_dtypes_is_forgotten():
  harmless = {
    # They decide what is allowed, not what is drawn.
    'jax_enable_custom_prng', 'jax_legacy_prng_key',
    # With it, a 64-bit dtype is an error or is not; the values stay.
    'jax_explicit_x64_dtypes',
    'jax_numpy_rank_promotion',
  }  # fmt: skip
  words = 'prng', 'threefry', 'random', 'x64', 'gumbel', 'promotion', 'softmax'
  about = {
    name for name in jax.config.values if any(word in name for word in words)
  }
  assert about - harmless == set(numerics.read())


def test_a_variable_of_the_environment_is_told_in_json():
  shown = subprocess.run(
    [
      sys.executable,
      '-c',
      'import json; from mejax.training import numerics;'
      ' print(json.dumps(numerics.read()))',
    ],
    env=child.environment()
    | {'JAX_THREEFRY_PARTITIONABLE': '0', 'JAX_ENABLE_X64': '1'},
    capture_output=True,
    text=True,
    check=True,
  ).stdout
  told = json.loads(shown)
  assert told['jax_threefry_partitionable'] is False
  assert told['jax_enable_x64'] is True
