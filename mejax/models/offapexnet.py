"""OFF-ApexNet: two small convolution streams, one for u and one for v.

Gan, Liong, Yau, Huang, Tan, "OFF-ApexNet on micro-expression recognition
system", Signal Processing: Image Communication 74, 2019 (arXiv 1805.08699). A
stream is a 5x5 convolution to 6 maps, max-pool by 2, a 5x5 convolution to 16
maps, max-pool by 2; two linear layers of 1024 read both streams. Strain is not
used.

This is a reconstruction. The layers are those that the paper lists, and others
have counted the same 2,664,475 parameters. Two things are our reading of the
paper: a ReLU follows each convolution, and dropout of .5 precedes each linear
layer but the first.

preset      parameters  GFLOP per sample, forward
offapexnet  2,664,475   0.0077
tiny        1,983       0.0002
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Num

from mejax.models import base
from mejax.models import convolution
from mejax.models import dtypes as dtypes_lib
from mejax.models import layers
from mejax.models import pooling
from mejax.models.dtypes import DTypes


class Conv5x5(nn.Module):
  """5x5 convolution that keeps the size, ReLU, max-pool by 2."""

  features: int
  dtypes: DTypes

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 d']:
    shape = (5, 5, x.shape[-1], self.features)
    kernel, bias = layers.Weights(shape, self.dtypes, name='conv')()
    x = nn.relu(convolution.conv(x, kernel, padding=2) + bias)
    return pooling.max_pool(x, 2)


class OffApexNet(base.Model):
  """The whole model.

  Attributes:
    num_classes: k.
    filters: maps of the two convolutions of a stream.
    width: width of the two hidden linear layers.
    dropout: rate behind each hidden layer.
  """

  num_classes: int = 3
  filters: tuple[int, int] = (6, 16)
  width: int = 1024
  dropout: float = 0.5

  @nn.compact
  def __call__(
    self, inputs: Num[Array, 'b h w c'], *, train: bool | None = None
  ) -> tuple[Float[Array, 'b k'], dict[str, Any]]:
    """Computes logits, and the last maps as `streams` [b, 2, h / 4, w / 4, d].

    Raises:
      ValueError: u and v are not the first two channels, the sides are not
        multiples of 4, the parameters were initialised with another size, or
        `train` is needed.
    """
    base.check_layout(self, inputs)
    if (
      inputs.ndim != 4
      or inputs.shape[-1] < 2
      or inputs.shape[1] % 4
      or inputs.shape[2] % 4
    ):
      raise ValueError(
        f'OFF-ApexNet got inputs of shape {inputs.shape}; expected [b, h, w, c]'
        ' with sides that are multiples of 4 and u, v as the first channels:'
        " view.channels = 'u_v_strain'"
      )
    pixels = math.prod(inputs.shape[1:3])
    drawn = base.initialised_shape(self, 'hidden0', 'kernel')
    # A hidden layer reads two streams, at a sixteenth of the pixels.
    drawn = drawn and drawn[0] // (2 * self.filters[-1]) * 16
    if drawn and drawn != pixels:
      raise ValueError(
        f'OFF-ApexNet got inputs of shape {inputs.shape}, with {pixels} pixels;'
        f' expected {drawn} pixels, with which its parameters were initialised'
      )
    train = base.settle_train(self, train, 'dropout')
    inputs, dtypes = dtypes_lib.settle(inputs, self.dtype, self.param_dtype)
    streams = []
    for i, name in enumerate('uv'):
      x = inputs[..., i : i + 1]
      for number, features in enumerate(self.filters):
        x = Conv5x5(features, dtypes, name=f'{name}{number}')(x)
      streams.append(x)
    x = jnp.stack(streams, 1)
    out = {'streams': x}
    x = x.reshape(x.shape[0], -1)
    for i in range(2):
      hidden = layers.linear(
        self.width, x.shape[-1], dtypes=dtypes, name=f'hidden{i}'
      )
      x = layers.Dropout(self.dropout)(nn.relu(hidden(x)), train=train)
    head = layers.linear(
      self.num_classes, self.width, dtypes=dtypes.wide, name='head'
    )
    return head(x), out


PRESETS: dict[str, dict[str, Any]] = {
  'offapexnet': {},
  'tiny': dict(filters=(2, 2), width=8),
}
