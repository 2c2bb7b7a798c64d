"""JAX's random words, drawn faster on a CPU.

On a CPU, JAX runs Threefry's twenty rounds as a loop, whose turns read and
write all words. Written out, the rounds are one pass that stays in registers.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array
import numpy as np

# Threefry-2x32: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
# SC 2011.
_TURNS = (13, 15, 26, 6), (17, 29, 16, 24)
_PARITY = np.uint32(0x1BD11BDA)


def draw(key: Array, shape: tuple[Any, ...]) -> Array:
  """Returns `jax.random.bits(key, shape, 'uint32')`, the same words."""

  def plain(key):
    return jax.random.bits(key, shape, jnp.uint32)

  known = all(isinstance(side, int) for side in shape)
  if not (
    known
    and math.prod(shape) < 2**32
    and str(jax.random.key_impl(key)) == 'threefry2x32'
    and jax.config.jax_threefry_partitionable
  ):
    return plain(key)
  return jax.lax.platform_dependent(
    key, cpu=lambda key: _threefry(key, shape), default=plain
  )


def _threefry(key, shape):
  """Encrypts the number of each word: high half zero, low half the number."""
  one, two = jax.random.key_data(key)
  keys = one, two, one ^ two ^ _PARITY
  number = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
  x, y = jnp.broadcast_to(keys[0], shape), number + keys[1]
  for block in range(5):
    for turn in _TURNS[block % 2]:
      x += y
      y = (y << np.uint32(turn)) | (y >> np.uint32(32 - turn))
      y ^= x
    x += keys[(block + 1) % 3]
    y += keys[(block + 2) % 3] + np.uint32(block + 1)
  return x ^ y
