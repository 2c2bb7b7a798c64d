"""The batches of a trial: its own training examples, and no other.

All folds take the same number of steps of the same sizes, because they are one
program. If a fold has fewer examples, some of them fill its batches up, with
weight 0: never a held-out example, which batch statistics would see.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import PRNGKeyArray
import numpy as np


class Batch(struct.PyTreeNode):
  """The training examples of a step.

  Attributes:
    index: i32[b], their positions in the data.
    weight: f32[b]; 0 marks a repeat that only pads.
  """

  index: Any
  weight: Any


def epoch_batch_sizes(
  train: Float[np.ndarray, 'f n'], batch_size: int
) -> tuple[int, ...]:
  """Returns the sizes of an epoch's steps, for the fold with most examples.

  Each is `batch_size`, but if there are one or two steps, the last is as small
  as it can be.
  """
  most = int((train > 0).sum(1).max())
  steps = -(-most // batch_size)
  # A step of another size must be compiled on its own. Among one or two steps
  # the padding that it saves is worth that; among many it is not.
  last = most - (steps - 1) * batch_size if steps <= 2 else batch_size
  return (batch_size,) * (steps - 1) + (last,)


def draw(
  key: PRNGKeyArray | None,
  train: Float[Array, ' n'],
  *,
  sizes: tuple[int, ...],
) -> tuple[Batch, ...]:
  """Draws the batches of an epoch, which hold each training example once.

  Args:
    key: draws the order; None keeps the order of the data.
    train: weight of every example in training; 0 = never seen.
    sizes: examples of each step, padding included.

  Returns:
    Batches of equal size stacked [step, b]: one stack, or a second one for a
    last step of another size.
  """
  size = train.shape[0]
  order = jnp.arange(size)
  if key is not None:
    order = jax.random.permutation(key, size)
  # The shapes must not depend on the fold, so nobody is removed: those who do
  # not train are moved behind the others, and never pointed to.
  unseen = train[order] <= 0
  order = order[jnp.argsort(unseen, stable=True)]
  count = size - unseen.sum()
  slot = jnp.arange(sum(sizes))
  # Slots behind the last training example start again at the first.
  index = order[slot % count]
  weight = jnp.where(slot < count, train[index], 0.0)
  stacks, start = [], 0
  for size, group in itertools.groupby(sizes):
    shape = (len(list(group)), size)
    part = slice(start, start + math.prod(shape))
    stacks.append(
      Batch(index[part].reshape(shape), weight[part].reshape(shape))
    )
    start = part.stop
  return tuple(stacks)
