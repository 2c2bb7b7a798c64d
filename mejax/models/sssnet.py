"""SSSNet: one stream, two convolutions, two linear layers.

Varanka, Peng, Zhao, "Micro-expression recognition with noisy labels", Human
Vision and Electronic Imaging, 2021; the small network that does best in MEB
(arXiv 2211.11425) under honest protocols. A 5x5 convolution to 32 maps, ReLU,
max-pool by 3, batch norm, dropout of whole maps; a 3x3 convolution to 64 maps,
ReLU, max-pool by 2, batch norm, dropout of whole maps; a linear layer of 256,
ReLU, dropout; the last linear layer. No convolution pads.

MEB gives layers, widths and a dropout of .5 for inputs of 64 pixels, which
makes 1,349,251 parameters. At 28 pixels the last map is 3x3 rather than 9x9;
nothing else changes.

preset  parameters  GFLOP per sample, forward
sssnet  169,603     0.0045
tiny    791         0.0004
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Num

from mejax.models import base
from mejax.models import convolution
from mejax.models import dtypes as dtypes_lib
from mejax.models import layers
from mejax.models import pooling
from mejax.models.capabilities import Capabilities
from mejax.models.dtypes import DTypes


class Conv(nn.Module):
  """Convolution, ReLU, max-pool, batch norm, dropout of whole maps."""

  features: int
  size: int
  pool: int
  dropout: float
  dtypes: DTypes

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'b h w c'],
    *,
    train: bool,
    mask: Bool[Array, 'b'] | None,
  ) -> Float[Array, 'b h2 w2 d']:
    shape = (self.size, self.size, x.shape[-1], self.features)
    kernel, bias = layers.Weights(shape, self.dtypes, name='conv')()
    x = nn.relu(convolution.conv(x, kernel, padding=0) + bias)
    x = pooling.max_pool(x, self.pool)
    norm = layers.BatchNorm(self.features, dtypes=self.dtypes, name='norm')
    x = norm(x, train=train, mask=mask)
    # One draw for each map of an example, not for each pixel.
    kept = jnp.ones((x.shape[0], self.features), x.dtype)
    kept = layers.Dropout(self.dropout)(kept, train=train)
    return x * kept[:, None, None]


class SSSNet(base.Model):
  """The whole model.

  Attributes:
    num_classes: k.
    widths: maps of the two convolutions, and width of the linear layer.
    dropout: rate behind each of these three layers.
  """

  num_classes: int = 3
  widths: tuple[int, int, int] = (32, 64, 256)
  dropout: float = 0.5

  capabilities = Capabilities(takes_mask=True)

  @nn.compact
  def __call__(
    self,
    inputs: Num[Array, 'b h w c'],
    *,
    train: bool | None = None,
    mask: Bool[Array, 'b'] | None = None,
  ) -> tuple[Float[Array, 'b k'], dict[str, Any]]:
    """Computes logits, and the second convolution's maps as `features`.

    Raises:
      ValueError: the inputs do not fit, or `train` is needed.
    """
    base.check_layout(self, inputs)
    if inputs.ndim != 4 or min(inputs.shape[1:3]) < 16:
      raise ValueError(
        f'SSSNet got inputs of shape {inputs.shape}; expected [b, h, w, c] with'
        ' sides of 16 pixels or more'
      )
    base.check_channels(self, inputs, 'first', 'conv', 'kernel', places=25)
    train = base.settle_train(self, train)
    inputs, dtypes = dtypes_lib.settle(inputs, self.dtype, self.param_dtype)
    first, second, width = self.widths
    options = {'train': train, 'mask': mask}
    x = Conv(first, 5, 3, self.dropout, dtypes, name='first')(inputs, **options)
    x = Conv(second, 3, 2, self.dropout, dtypes, name='second')(x, **options)
    out = {'features': x}
    drawn = base.initialised_shape(self, 'hidden', 'kernel')
    if drawn and drawn[0] != math.prod(x.shape[1:]):
      raise ValueError(
        f'SSSNet got inputs of shape {inputs.shape}, which end in a map of'
        f' {x.shape[1]} x {x.shape[2]} places; expected {drawn[0] // second}'
        ' places, as in the images with which its parameters were initialised'
      )
    x = x.reshape(x.shape[0], -1)
    hidden = layers.linear(width, x.shape[-1], dtypes=dtypes, name='hidden')
    x = nn.relu(hidden(x))
    x = layers.Dropout(self.dropout)(x, train=train)
    head = layers.linear(
      self.num_classes, width, dtypes=dtypes.wide, name='head'
    )
    return head(x), out


PRESETS: dict[str, dict[str, Any]] = {
  'sssnet': {},
  'tiny': dict(widths=(4, 4, 8)),
}
