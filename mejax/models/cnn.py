"""CNN: two convolutions and a readout that keeps places, 24,099 parameters.

A 5x5 convolution of stride 2 to 32 maps and a 3x3 convolution to 64 maps, each
with batch norm, ReLU and max-pool by 2; the maps are averaged to at most 4x4,
flattened, and read by one linear layer behind dropout. It is ours: it keeps
where a face moves, and it is as small as that allows. Images of 28 pixels end
in 4x4; larger ones are averaged to it, so that the parameters fit every size.

preset  parameters  GFLOP per sample, forward
cnn     24,099      0.0028
tiny    999         0.0002
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
from mejax.models import pooling
from mejax.models import readout as readout_lib
from mejax.models.capabilities import Capabilities
from mejax.models.dtypes import DTypes


class Conv(nn.Module):
  """Convolution without bias, batch norm, ReLU, max-pool by 2."""

  features: int
  size: int
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
    shape = (self.size, self.size, x.shape[-1], self.features)
    # No bias: batch norm would subtract it again.
    kernel, _ = layers.Weights(
      shape, self.dtypes, use_bias=False, name='conv'
    )()
    x = convolution.conv(x, kernel, padding=self.size // 2, stride=self.stride)
    norm = layers.BatchNorm(self.features, dtypes=self.dtypes, name='norm')
    # ReLU keeps the order, so it may act on the fewer values behind the pool.
    return nn.relu(
      pooling.max_pool(norm(x, train=train, mask=mask), 2, ceil=True)
    )


class CNN(base.Model):
  """The whole model.

  Attributes:
    num_classes: k.
    widths: maps of the two convolutions.
    readout: which places of the last map are read; see `readout.py`.
    dropout: rate before the linear layer.
    num_units: number of action units that `out['units']` tells; 0 for none.
  """

  num_classes: int = 3
  widths: tuple[int, int] = (32, 64)
  readout: str = 'flat'
  dropout: float = 0.5
  num_units: int = 0

  capabilities = Capabilities(takes_mask=True)

  @nn.compact
  def __call__(
    self,
    inputs: Num[Array, 'b h w c'],
    *,
    train: bool | None = None,
    mask: Bool[Array, 'b'] | None = None,
  ) -> tuple[Float[Array, 'b k'], dict[str, Any]]:
    """Computes logits, and what the last layer reads.

    Returns:
      logits, and a dict of
      features: the last map, `[b, h / 8, w / 8, d]`, sides rounded up;
      head: the input of the last linear layer, d for each place of the readout;
      units: if asked for, a logit for each action unit, `[b, u]`.

    Raises:
      ValueError: the inputs do not fit, the readout is unknown, or `train` is
        needed.
    """
    base.check_layout(self, inputs)
    if inputs.ndim != 4:
      raise ValueError(
        f'CNN got inputs of shape {inputs.shape}; expected [b, h, w, c]'
      )
    base.check_channels(self, inputs, 'first', 'conv', 'kernel', places=25)
    train = base.settle_train(self, train)
    inputs, dtypes = dtypes_lib.settle(inputs, self.dtype, self.param_dtype)
    first, second = self.widths
    options = {'train': train, 'mask': mask}
    x = Conv(first, 5, 2, dtypes, name='first')(inputs, **options)
    x = Conv(second, 3, 1, dtypes, name='second')(x, **options)
    out = {'features': x}
    out['head'] = x = readout_lib.read(self, x)
    x = layers.Dropout(self.dropout)(x, train=train)
    if self.num_units:
      units = layers.linear(
        self.num_units, x.shape[-1], dtypes=dtypes.wide, name='units'
      )
      out['units'] = units(x)
    head = layers.linear(
      self.num_classes, x.shape[-1], dtypes=dtypes.wide, name='head'
    )
    return head(x), out


PRESETS: dict[str, dict[str, Any]] = {
  'cnn': {},
  'tiny': dict(widths=(4, 8)),
}
