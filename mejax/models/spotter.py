"""Spotter: a dilated convolution over signals of a recording, 5,378 weights.

It tells for each frame how likely a micro- and a macro-expression is under way,
as two independent channels: one can lie on the other. Six layers of three taps
each, 1 to 32 frames apart, see 63 frames to either side, which is two seconds.
It is ours, and no classifier of clips, so that `models.make` does not know it.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float

from mejax.models import base


class Spotter(base.Model):
  """The whole model.

  Attributes:
    width: channels of each layer.
    dilations: frames between the taps of each layer.
    dropout: rate of whole channels of the input, for all frames of a window.
  """

  width: int = 16
  dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
  dropout: float = 0.1

  @property
  def reach(self) -> int:
    """Frames that an output sees to either side."""
    return sum(self.dilations)

  @nn.compact
  def __call__(
    self, inputs: Float[Array, '...'], *, train: bool | None = None
  ) -> tuple[Float[Array, 'b t 2'], dict[str, Any]]:
    """Computes logits of each frame, and the features that they are read from.

    Args:
      inputs: f32[b t c], windows of signals.
      train: whether inputs are dropped.

    Raises:
      ValueError: the inputs do not fit.
    """
    if inputs.ndim != 3:
      raise ValueError(
        f'Spotter got inputs of shape {inputs.shape}; expected [b, t, c]'
      )
    train = base.settle_train(self, train, 'dropout')
    x = nn.Dropout(self.dropout, broadcast_dims=(1,), deterministic=not train)(
      inputs
    )
    x = layer(self, self.width, 'first')(x)
    for i, step in enumerate(self.dilations):
      # Shifted copies and one product: faster on CPUs than a convolution, and
      # trials that run together become one batched product.
      taps = [_shifted(x, -step), x, _shifted(x, step)]
      more = layer(self, self.width, f'layer_{i}')(
        jnp.concatenate(taps, axis=-1)
      )
      x = x + nn.relu(more)
    return layer(self, 2, 'head')(x), {'features': x}


def layer(model: Spotter, features: int, name: str) -> nn.Dense:
  """Returns a linear layer with the types of the model."""
  return nn.Dense(
    features, dtype=model.dtype, param_dtype=model.param_dtype, name=name
  )


def _shifted(x: Float[Array, 'b t d'], by: int) -> Float[Array, 'b t d']:
  """Returns what lies `by` frames later; 0 beyond the ends."""
  length, room = x.shape[1], jnp.zeros_like(x[:, : abs(by)])
  if abs(by) >= length:
    return jnp.zeros_like(x)
  if by > 0:
    return jnp.concatenate([x[:, by:], room], 1)
  return jnp.concatenate([room, x[:, : length + by]], 1)
