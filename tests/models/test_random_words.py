"""Our random words against those of JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.models import random_words


@pytest.mark.parametrize('shape', [(), (1,), (7,), (5, 3), (2, 3, 4)])
def test_words_are_those_of_jax_bit_for_bit(shape):
  for seed in (0, 1, 2**31):
    key = jax.random.fold_in(jax.random.key(seed), 3)
    ours = jax.jit(random_words.draw, static_argnums=1)(key, shape)
    np.testing.assert_array_equal(ours, jax.random.bits(key, shape, 'uint32'))


def test_words_of_many_keys_are_those_of_each():
  keys = jax.random.split(jax.random.key(0), 3)
  ours = jax.vmap(lambda key: random_words.draw(key, (4, 5)))(keys)
  for key, mine in zip(keys, ours, strict=True):
    np.testing.assert_array_equal(mine, jax.random.bits(key, (4, 5), 'uint32'))


@pytest.mark.parametrize('kind', ['rbg', 'unsafe_rbg'])
def test_another_kind_of_key_keeps_its_own_words(kind):
  key = jax.random.key(0, impl=kind)
  ours = random_words.draw(key, (8,))
  np.testing.assert_array_equal(ours, jax.random.bits(key, (8,), 'uint32'))


def test_an_old_key_and_the_old_order_of_words_are_those_of_jax():
  key = jax.random.PRNGKey(5)
  for partitionable in (True, False):
    with jax.threefry_partitionable(partitionable):
      ours = random_words.draw(key, (5,))
      true = jax.random.bits(key, (5,), jnp.uint32)
    np.testing.assert_array_equal(ours, true)
