"""Which examples a step sees: the trial's own training examples, and no other.

All folds take the same number of steps of the same sizes. Where a fold has
fewer examples, some come twice, the second time with weight 0.
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
  """Training examples of a step.

  Attributes:
    index: i32[b], positions.
    weight: f32[b]; 0 marks a repeat that only pads.
  """

  index: Any
  weight: Any


def epoch_batch_sizes(
  train: Float[np.ndarray, 'f n'], batch_size: int
) -> tuple[int, ...]:
  """Sizes of the steps of an epoch, enough for the fold with most examples.

  Each is `batch_size`, except that the last of one or two is no larger than it
  must be: among few steps its padding would cost most.
  """
  most = int((train > 0).sum(1).max())
  steps = -(-most // batch_size)
  last = most - (steps - 1) * batch_size if steps <= 2 else batch_size
  return (batch_size,) * (steps - 1) + (last,)


def draw(
  key: PRNGKeyArray | None,
  train: Float[Array, ' n'],
  *,
  sizes: tuple[int, ...],
) -> tuple[Batch, ...]:
  """An epoch of batches that hold training examples only, each once.

  Args:
    key: of the order; None is the order of the data.
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
  unseen = train[order] <= 0
  order = order[jnp.argsort(unseen, stable=True)]
  count = size - unseen.sum()
  slot = jnp.arange(sum(sizes))
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
