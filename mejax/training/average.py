"""A moving average of weights, with which predictions are made.

It is that of `optax.ema(decay, debias=True)`, with two differences. The mean
can be read from the state at any time, even before the first step, where optax
returns it from an update only. And the start from zero is undone by the sum of
the shares, which is summed as the values are, where optax divides by
1 - decay ** count. That is a difference of nearly equal numbers: at a decay of
0.9999 it makes weights wrong by 5e-5 of themselves in the first steps.
"""

from __future__ import annotations

from typing import Any

from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import PyTree


class Average(struct.PyTreeNode):
  """Sums of a tree over steps, in which older steps fade.

  Attributes:
    total: f32, sum of the shares of all steps; nears 1.
    sums: the tree's values times these shares.
  """

  total: Any
  sums: PyTree


def start(tree: PyTree) -> Average:
  """Returns the average before the first step."""
  return Average(jnp.float32(0), jax.tree.map(jnp.zeros_like, tree))


def add(
  average: Average, tree: PyTree, *, decay: float | Float[Array, '']
) -> Average:
  """Returns the average after a step; at decay 0 it is the tree itself."""
  return jax.tree.map(
    lambda old, new: decay * old + (1 - decay) * new,
    average,
    Average(jnp.float32(1), tree),
  )


def mean(average: Average, tree: PyTree) -> PyTree:
  """Returns the average's values; those of `tree` before the first step.

  They are divided by the sum of the shares, which undoes the start from zero
  (Kingma and Ba, "Adam", arXiv 1412.6980, section 3).
  """
  total = jnp.where(average.total > 0, average.total, 1.0)
  return jax.tree.map(
    lambda sums, own: jnp.where(average.total > 0, sums / total, own),
    average.sums,
    tree,
  )
