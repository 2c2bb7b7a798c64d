"""STSTNet: three shallow convolution branches, 1,683 parameters.

Liong et al., "Shallow Triple Stream Three-dimensional CNN (STSTNet) for
micro-expression recognition", FG 2019. The input is strain, v, u in 0..255,
28x28. A branch is conv 3x3 pad 2, ReLU, batch norm, max-pool 3 stride 3 pad 1,
dropout; the branches are joined, average-pooled by 2 and read linearly.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float

from mejax.models import layers


class STSTNet(nn.Module):
  """The whole model.

  Attributes:
    num_classes: k.
    branches: filters of each branch.
    dropout: rate behind each branch.
  """

  num_classes: int = 3
  branches: tuple[int, ...] = (3, 5, 8)
  dropout: float = 0.5

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, 'b 28 28 3'],
    *,
    train: bool,
    mask: Bool[Array, 'b'] | None = None,
  ) -> tuple[Float[Array, 'b k'], dict[str, Any]]:
    """Logits, and the pooled branches `[b, 5, 5, 16]` as `features`."""
    parts = []
    for i, filters in enumerate(self.branches):
      x = layers.Conv3x3(filters, padding=2, name=f'conv{i}')(inputs)
      x = layers.BatchNorm(name=f'norm{i}')(
        jax.nn.relu(x), train=train, mask=mask
      )
      parts.append(layers.max_pool3x3(x, stride=3))
    x = layers.Dropout(self.dropout)(jnp.concatenate(parts, -1), train=train)
    b, h, w, c = x.shape
    x = x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))
    logits = layers.linear(self.num_classes, x[0].size, name='head')(
      x.reshape(b, -1)
    )
    return logits, {'features': x}


PRESETS: dict[str, dict[str, Any]] = {'ststnet': {}}


def make(preset: str = 'ststnet', **overrides: Any) -> STSTNet:
  """STSTNet of a preset.

  Raises:
    ValueError: unknown preset.
    TypeError: unknown field.
  """
  if preset not in PRESETS:
    raise ValueError(f'no STSTNet preset {preset!r}; there are {list(PRESETS)}')
  return STSTNet(**(PRESETS[preset] | overrides))
