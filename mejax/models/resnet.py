"""A small residual network on flow.

He et al., "Deep residual learning for image recognition", CVPR 2016, reduced to
inputs of 28 pixels: a stem of stride 2, then one residual block for each width,
all but the first of stride 2, and the mean over the last map, or another
readout. It takes the place of the ResNet18 that others train on flow; nobody
published this one.

preset  blocks  parameters  GFLOP per sample, forward
small   3       77,587      0.0058
tiny    2       763         0.0003
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Num

from mejax.models import base
from mejax.models import convolution
from mejax.models import dtypes as dtypes_lib
from mejax.models import layers
from mejax.models import readout as readout_lib
from mejax.models.capabilities import Capabilities
from mejax.models.dtypes import DTypes


class Block(nn.Module):
  """Two 3x3 convolutions with a shortcut around them."""

  features: int
  stride: int
  dtypes: DTypes

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'b h w c'],
    *,
    train: bool,
    mask: Bool[Array, 'b'] | None,
  ) -> Float[Array, 'b h2 w2 d']:
    def norm(x, name):
      norm = layers.BatchNorm(self.features, dtypes=self.dtypes, name=name)
      return norm(x, train=train, mask=mask)

    def conv(x, stride, name):
      # No bias: batch norm would subtract it again.
      return convolution.Conv3x3(
        self.features,
        stride=stride,
        use_bias=False,
        dtypes=self.dtypes,
        name=name,
      )(x)

    y = nn.relu(norm(conv(x, self.stride, 'conv0'), 'norm0'))
    y = norm(conv(y, 1, 'conv1'), 'norm1')
    if self.stride > 1 or x.shape[-1] != self.features:
      x = x[:, :: self.stride, :: self.stride]
      short = layers.linear(
        self.features,
        x.shape[-1],
        use_bias=False,
        dtypes=self.dtypes,
        name='short',
      )
      x = norm(short(x), 'short_norm')
    return nn.relu(x + y)


class ResNet(base.Model):
  """The whole model.

  Attributes:
    num_classes: k.
    widths: widths of the blocks; the stem has the first.
    readout: which places of the last map are read; see `readout.py`.
    dropout: rate before the linear layer.
  """

  num_classes: int = 3
  widths: tuple[int, ...] = (16, 32, 64)
  readout: str = 'mean'
  dropout: float = 0.2

  capabilities = Capabilities(takes_mask=True)

  @nn.compact
  def __call__(
    self,
    inputs: Num[Array, 'b h w c'],
    *,
    train: bool | None = None,
    mask: Bool[Array, 'b'] | None = None,
  ) -> tuple[Float[Array, 'b k'], dict[str, Any]]:
    """Computes logits, and the last map as `features`, [b, h / 8, w / 8, d].

    Raises:
      ValueError: the inputs do not fit, the readout is unknown, or `train` is
        needed.
    """
    base.check_layout(self, inputs)
    if inputs.ndim != 4:
      raise ValueError(
        f'ResNet got inputs of shape {inputs.shape}; expected [b, h, w, c]'
      )
    base.check_channels(self, inputs, 'stem', 'kernel', places=9)
    train = base.settle_train(self, train)
    inputs, dtypes = dtypes_lib.settle(inputs, self.dtype, self.param_dtype)
    stem = convolution.Conv3x3(
      self.widths[0], stride=2, use_bias=False, dtypes=dtypes, name='stem'
    )
    norm = layers.BatchNorm(self.widths[0], dtypes=dtypes, name='stem_norm')
    x = nn.relu(norm(stem(inputs), train=train, mask=mask))
    for i, width in enumerate(self.widths):
      block = Block(width, 2 if i else 1, dtypes, name=f'block{i}')
      x = block(x, train=train, mask=mask)
    out = {'features': x}
    x = readout_lib.read(self, x)
    x = layers.Dropout(self.dropout)(x, train=train)
    head = layers.linear(
      self.num_classes, x.shape[-1], dtypes=dtypes.wide, name='head'
    )
    return head(x), out


PRESETS: dict[str, dict[str, Any]] = {
  'small': {},
  'tiny': dict(widths=(4, 4)),
}
