"""Hands out numbers that were drawn together.

Every call of `jax.random` is compiled anew, which takes most of a second on a
CPU, so a picture draws its numbers by a few calls.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
import numpy as np


class Numbers:
  """Independent numbers, each of which is given out once."""

  def __init__(self, drawn: Float[Array, ' n']):
    self._drawn, self._next = drawn, 0

  def __call__(self, *shape: int) -> Float[Array, '...']:
    """Returns the next numbers, as an array of this shape.

    Raises:
      ValueError: too few are left.
    """
    start, self._next = self._next, self._next + math.prod(shape)
    if self._next > len(self._drawn):
      raise ValueError(f'{self._next} numbers; {len(self._drawn)} were drawn')
    return self._drawn[start : self._next].reshape(shape)

  def log(self, least: float, most: float) -> Float[Array, '']:
    """Returns a number between two, whose logarithm is uniform.

    The numbers must have been drawn uniformly from 0 to 1, as for `sometimes`.
    """
    return least * jnp.exp(self() * np.log(most / least))

  def sometimes(
    self, chance: float, least: float, most: float
  ) -> Float[Array, '']:
    """Returns, by this chance, a number as from `log`; otherwise 0."""
    return jnp.where(self() < chance, self.log(least, most), 0.0)
