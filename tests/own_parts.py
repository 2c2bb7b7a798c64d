"""Parts of a user's own, named `tests.own_parts:...` in configs of tests."""

from __future__ import annotations

import dataclasses

from flax import linen as nn
import numpy as np

from mejax.datasets import protocols
from mejax.models import attention


class Linear(nn.Module):
  """The smallest model there is."""

  num_classes: int = 3

  @nn.compact
  def __call__(self, inputs, *, train: bool):
    return nn.Dense(self.num_classes)(inputs.reshape(len(inputs), -1)), {}


class Portable(nn.Module):
  """The same, for batches whose size is a symbol when it is exported."""

  num_classes: int = 3

  @nn.compact
  def __call__(self, inputs, *, train: bool):
    return nn.Dense(self.num_classes)(inputs.reshape(inputs.shape[0], -1)), {}


class Scaled(nn.Module):
  """A model with fields of its own, one of which has no value."""

  num_classes: int
  scale: float = 1.0
  limit: float | None = None
  widths: tuple[int, ...] = ()


def view(examples, *, scale: float = 1.0):
  return (scale * examples['flow'][:, 0, ::4, ::4]).astype(np.float32)


def double_softmax(query, key, value):
  return attention.softmax(2.0 * query, key, value)


def no_gate(x, prior):
  return x, prior


protocol = dataclasses.replace(
  protocols.PROTOCOLS['megc2019'], name='own', sentence='My own protocol.'
)
