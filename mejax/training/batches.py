"""Draws the batches of a trial from its own training examples.

All folds take the same number of steps of the same sizes, because they are one
program. Batches with fewer examples are filled up with repeats of weight 0.
These are never held-out examples, which would leak into batch statistics.

By default all batches are full but those at the end of an epoch, so that its
last step may follow a single example, with its gradient and batch statistics.
Even batches have the same number of examples, give or take one.
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
    weight: f32[b], weight in the loss; 0 marks a repeat that only pads.
  """

  index: Any
  weight: Any


def epoch_batch_sizes(
  train: Float[np.ndarray, 'f n'], batch_size: int, *, even: bool = False
) -> tuple[int, ...]:
  """Returns the batch size of each step of an epoch, padding included.

  The fold with the most training examples decides the number of steps. Each has
  `batch_size` examples, but if there are only one or two steps, the last has as
  few as possible. Even batches are as small as this number of steps allows.
  """
  most = int((train > 0).sum(1).max())
  steps = -(-most // batch_size)
  if even:
    return (-(-most // steps),) * steps
  # A step of another size is compiled separately. That is worth it among one or
  # two steps, where it saves much padding, but not among many.
  last = most - (steps - 1) * batch_size if steps <= 2 else batch_size
  return (batch_size,) * (steps - 1) + (last,)


def draw(
  key: PRNGKeyArray | None,
  train: Float[Array, ' n'],
  *,
  sizes: tuple[int, ...],
  even: bool = False,
) -> tuple[Batch, ...]:
  """Draws the batches of an epoch, which hold each training example once.

  Args:
    key: draws the order; None keeps the order of the data.
    train: weight of every example in training; 0 = never seen.
    sizes: batch size of each step, padding included.
    even: whether the numbers of examples, without padding, differ by at most
      one; otherwise each step is filled before the next. Then all `sizes` are
      the same.

  Returns:
    Batches stacked [step, b]: one stack, and a second one if the last step has
    another size.
  """
  size = train.shape[0]
  order = jnp.arange(size)
  if key is not None:
    order = jax.random.permutation(key, size)
  # Shapes must not depend on the fold, so no example is removed. Those that are
  # not in training are moved behind the others, where no slot points to them.
  unseen = train[order] <= 0
  order = order[jnp.argsort(unseen, stable=True)]
  count = size - unseen.sum()
  slot, end = jnp.arange(sum(sizes)), count
  if even:
    # Every step has `share` examples, and each of the first `spare` one more.
    step, place = slot // sizes[0], slot % sizes[0]
    share, spare = count // len(sizes), count % len(sizes)
    slot = step * share + jnp.minimum(step, spare) + place
    end = (step + 1) * share + jnp.minimum(step + 1, spare)
  # Slots behind the last training example start again at the first.
  index = order[slot % count]
  weight = jnp.where(slot < end, train[index], 0.0)
  stacks, start = [], 0
  for size, group in itertools.groupby(sizes):
    shape = (len(list(group)), size)
    part = slice(start, start + math.prod(shape))
    stacks.append(
      Batch(index[part].reshape(shape), weight[part].reshape(shape))
    )
    start = part.stop
  return tuple(stacks)
