"""A linear probe: how far a linear function of the pixels goes.

preset  parameters at 28x28x3  GFLOP per sample, forward
linear  7,059                  0.000
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Num

from mejax.models import base
from mejax.models import dtypes as dtypes_lib
from mejax.models import layers


class Linear(base.Model):
  """One linear layer.

  Attributes:
    num_classes: k.
  """

  num_classes: int = 3

  @nn.compact
  def __call__(
    self, inputs: Num[Array, 'b ...'], *, train: bool | None = None
  ) -> tuple[Float[Array, 'b k'], dict[str, Any]]:
    """Computes logits, and an empty dict.

    Raises:
      ValueError: the parameters were initialised with another size, or the
        channels of images come first.
    """
    base.check_layout(self, inputs, axes=max(4, inputs.ndim))
    if not inputs.ndim:
      raise ValueError('Linear got a lone number; expected examples [b, ...]')
    inputs, dtypes = dtypes_lib.settle(inputs, self.dtype, self.param_dtype)
    x = inputs.reshape(inputs.shape[0], -1)
    drawn = base.initialised_shape(self, 'head', 'kernel')
    if drawn and drawn[0] != x.shape[-1]:
      raise ValueError(
        f'Linear got inputs of shape {inputs.shape}, {x.shape[-1]} numbers an'
        f' example; expected {drawn[0]} numbers, with which its parameters were'
        ' initialised'
      )
    head = layers.linear(
      self.num_classes, x.shape[-1], dtypes=dtypes.wide, name='head'
    )
    return head(x), {}


PRESETS: dict[str, dict[str, Any]] = {'linear': {}}
