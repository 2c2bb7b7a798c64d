"""MMNet: a motion branch and a position branch over an (onset, apex) pair.

Li et al., "MMNet: Muscle Motion-guided Network for Micro-expression
Recognition", IJCAI 2022, arXiv 2201.05297, as the authors released it. The
motion branch reads apex - onset with convolutions. Each of its four blocks ends
in a gate, which multiplies the features by a map of continuous attention (CA);
the map is computed from the features and from the map of the previous block.
The position branch is a transformer over the onset, which is shrunk until a
pixel is a token. A linear layer with weights for each place reads the sum of
both branches.

The input is the pair (onset, apex), normalised as for ImageNet. Two things
differ from the release: its 3-class script has a group count with which the
network cannot be built, so the count is 1 here; and parameters that the release
creates but never uses are left out.

preset      pixels  tokens  parameters   GFLOP per sample, forward
released-5  224     196     9,438,841    14.7
released-3  224     196     9,442,425    14.8
small       64      16      138,405      0.023
tiny        32      4       7,041        0.0006

`small` takes any image_size that is a multiple of 16.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Num
import numpy as np

from mejax.models import attention
from mejax.models import base
from mejax.models import convolution
from mejax.models import dtypes as dtypes_lib
from mejax.models import layers
from mejax.models import pooling
from mejax.models.capabilities import Capabilities
from mejax.models.dtypes import DTypes

# (x [b, h, w, c], prior [b, h, w, m] or None) -> (x, prior), of the same size.
# `prior` comes from the previous block's gate, shrunk by a max-pool to the size
# of x; it is None in the first block. A gate that takes `train` and `mask` is
# called with them as well, so that it can keep batch statistics, and one that
# takes `dtypes` with those of the model's layers.
Gate = Callable[..., tuple[Array, Array | None]]

SHRINK = 16  # The stem and three of the blocks halve the sides.


def he_fan_out(size: int, features: int) -> nn.initializers.Initializer:
  """Returns He's normal initialiser, scaled by the fan-out of the kernel."""
  return nn.initializers.normal((2 / (size**2 * features)) ** 0.5)


def conv1x1(features: int, *, dtypes: DTypes, name: str) -> nn.Dense:
  """Returns a 1x1 convolution without bias."""
  init = he_fan_out(1, features)
  return nn.Dense(
    features,
    use_bias=False,
    kernel_init=init,
    name=name,
    **dtypes._asdict(),
  )


class Conv(nn.Module):
  """3x3 convolution, batch norm, ReLU.

  The convolution has no bias: batch norm would subtract it again.
  """

  features: int
  stride: int
  conv: convolution.ConvFn
  dtypes: DTypes = dtypes_lib.DEFAULT
  kernel_init: nn.initializers.Initializer | None = None

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'b h w c'],
    *,
    train: bool,
    mask: Bool[Array, 'b'] | None,
  ) -> Float[Array, 'b h2 w2 d']:
    x = convolution.Conv3x3(
      self.features,
      stride=self.stride,
      use_bias=False,
      kernel_init=self.kernel_init or he_fan_out(3, self.features),
      conv=self.conv,
      dtypes=self.dtypes,
      name='conv',
    )(x)
    norm = layers.BatchNorm(self.features, dtypes=self.dtypes, name='norm')
    return nn.relu(norm(x, train=train, mask=mask))


class ContinuousAttention(nn.Module):
  """The released gate: one map from this block, times the previous map.

  It returns the gated features and the product of all maps so far, so a place
  that an early block closes stays closed.
  """

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'b h w c'],
    prior: Float[Array, 'b h w 1'] | None,
    *,
    train: bool,
    mask: Bool[Array, 'b'] | None = None,
    dtypes: DTypes = dtypes_lib.DEFAULT,
  ) -> tuple[Float[Array, 'b h w c'], Float[Array, 'b h w 1']]:
    # The map has one channel, made from the mean and the maximum over channels,
    # so that maps of blocks of any width can be multiplied.
    seen = jnp.stack([x.mean(-1), pooling.largest_of_last(x)], -1)
    y = conv1x1(1, dtypes=dtypes, name='conv')(seen)
    norm = layers.BatchNorm(1, dtypes=dtypes, name='norm')
    y = norm(y, train=train, mask=mask)
    local = nn.sigmoid(y)
    prior = local if prior is None else local * prior
    return x * prior, prior


GATES: dict[str, Gate] = {'continuous': ContinuousAttention}


class Block(nn.Module):
  """Residual block that ends in a gate.

  A block of stride 2 shrinks the previous gate's map with the features.
  """

  features: int
  stride: int
  gate: Gate
  conv: convolution.ConvFn
  dtypes: DTypes = dtypes_lib.DEFAULT

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'b h w c'],
    prior: Float[Array, 'b h w m'] | None,
    *,
    train: bool,
    mask: Bool[Array, 'b'] | None,
  ) -> tuple[Float[Array, 'b h2 w2 d'], Float[Array, 'b h2 w2 n'] | None]:
    def conv(x, name, norm_name):
      norm = layers.BatchNorm(self.features, dtypes=self.dtypes, name=norm_name)
      x = conv1x1(self.features, dtypes=self.dtypes, name=name)(x)
      return norm(x, train=train, mask=mask)

    y = Conv(self.features, self.stride, self.conv, self.dtypes, name='wide')(
      x, train=train, mask=mask
    )
    y = conv(y, 'conv', 'norm')
    if self.stride > 1:
      # A 1x1 convolution of stride 2 reads every other pixel only.
      x = x[:, :: self.stride, :: self.stride]
      x = conv(x, 'short', 'short_norm')
      if prior is not None:
        prior = pooling.max_pool3x3(prior, self.stride)
    x = nn.relu(y + x)
    gate = attention.own(self.gate, self.dtypes.param_dtype, name='gate')
    options = {'train': train, 'mask': mask, 'dtypes': self.dtypes}
    options = {k: v for k, v in options.items() if base.takes(gate, k)}
    gated, prior = gate(x, prior, **options)
    if gated.shape != x.shape:
      raise ValueError(
        f'the gate returned features of shape {gated.shape}; expected those of'
        f' its input, {x.shape}'
      )
    # A gate of the user's own may compute in another dtype.
    return gated.astype(x.dtype), prior


def dense(features: int, *, dtypes: DTypes, name: str) -> nn.Dense:
  """Returns a linear layer that starts with normal weights and zero biases."""
  init = nn.initializers.normal(0.02)
  return nn.Dense(features, kernel_init=init, name=name, **dtypes._asdict())


class TransformerBlock(nn.Module):
  """Pre-norm transformer block with stochastic depth."""

  heads: int
  mlp_mult: int
  drop_path: float
  attention_fn: attention.AttentionFn
  dtypes: DTypes = dtypes_lib.DEFAULT

  @nn.compact
  def __call__(
    self, x: Float[Array, 'b n d'], *, train: bool
  ) -> tuple[Float[Array, 'b n d'], Array | None]:
    b, n, d = x.shape
    linear = functools.partial(dense, dtypes=self.dtypes)
    y = layers.LayerNorm(1e-6, self.dtypes, name='attention_norm')(x)
    query, key, value = (
      linear(d, name=name)(y).reshape(b, n, self.heads, -1)
      for name in ('query', 'key', 'value')
    )
    y, weights = attention.attend(
      attention.own(self.attention_fn, self.dtypes.param_dtype),
      query,
      key,
      value,
      train=train,
    )
    y = linear(d, name='out')(y.reshape(b, n, d))
    x = x + layers.DropPath(self.drop_path)(y, train=train)
    y = layers.LayerNorm(1e-6, self.dtypes, name='mlp_norm')(x)
    y = layers.gelu(linear(self.mlp_mult * d, name='inner')(y))
    y = linear(d, name='outer')(y)
    return x + layers.DropPath(self.drop_path)(y, train=train), weights


class Position(nn.Module):
  """The transformer over the shrunken onset, in which a pixel is a token."""

  width: int
  heads: int
  depth: int
  mlp_mult: int
  drop_path: float
  antialias: bool
  attention_fn: attention.AttentionFn
  dtypes: DTypes = dtypes_lib.DEFAULT

  @nn.compact
  def __call__(
    self, onset: Float[Array, 'b h w 3'], *, train: bool
  ) -> tuple[Float[Array, 'b h2 w2 d'], tuple[Array | None, ...]]:
    b, h, w, c = onset.shape
    h, w = h // SHRINK, w // SHRINK
    # Only one colour is left of every 16 x 16 pixels of the face.
    x = jax.image.resize(
      onset, (b, h, w, c), 'bilinear', antialias=self.antialias
    )
    x = layers.linear(self.width, c, dtypes=self.dtypes, name='embed')(x)
    x = x.reshape(b, h * w, self.width)
    start, shape = nn.initializers.normal(0.02), x.shape[1:]
    position = self.param('position', start, shape, self.dtypes.param_dtype)
    x += position.astype(x.dtype)
    all_weights = []
    for i, rate in enumerate(np.linspace(0, self.drop_path, self.depth)):
      x, weights = TransformerBlock(
        self.heads,
        self.mlp_mult,
        float(rate),
        self.attention_fn,
        self.dtypes,
        name=f'block{i}',
      )(x, train=train)
      all_weights.append(weights)
    x = layers.LayerNorm(1e-6, self.dtypes, name='norm')(x)
    return x.reshape(b, h, w, self.width), tuple(all_weights)


class MMNet(base.Model):
  """The whole model.

  Attributes:
    num_classes: k.
    spare_outputs: outputs beyond the classes that no label ever uses. The
      released 3-class network has two.
    image_size: side of the square frames in pixels, a multiple of 16.
    stem: widths of the two convolutions before the blocks.
    widths: width of each block; the last is also that of the position branch.
    heads: attention heads of the position branch.
    depth: transformer blocks of the position branch.
    mlp_mult: width of the position branch's inner MLP layers, over that of the
      branch.
    drop_path: rate of stochastic depth in the last transformer block; it rises
      evenly from 0 in the first.
    antialias: whether the onset is smoothed before it is shrunk. Until 2023
      PyTorch did not do so by default; see `jax.image.resize`.
    gate: the end of each block: the released `ContinuousAttention`, or another
      function or module `(x, prior) -> (x, prior)`; see `Gate`.
    attention_fn: see `mejax.models.attention`.
    conv: computes the 3x3 convolutions, called as `convolution.conv3x3` is.
  """

  num_classes: int = 5
  spare_outputs: int = 0
  image_size: int = 224
  stem: tuple[int, int] = (180, 128)
  widths: tuple[int, int, int, int] = (128, 128, 256, 512)
  heads: int = 4
  depth: int = 2
  mlp_mult: int = 4
  drop_path: float = 0.0
  antialias: bool = False
  gate: Gate = ContinuousAttention()
  attention_fn: attention.AttentionFn = attention.softmax
  conv: convolution.ConvFn = convolution.conv3x3

  @property
  def capabilities(self) -> Capabilities:
    return Capabilities(
      takes_mask=True, spare_outputs=self.spare_outputs, shows='gates'
    )

  @nn.compact
  def __call__(
    self,
    inputs: Num[Array, 'b 2 h w 3'],
    *,
    train: bool | None = None,
    mask: Bool[Array, 'b'] | None = None,
  ) -> tuple[Float[Array, 'b k'], dict[str, Any]]:
    """Computes logits, and arrays that show what the model read.

    Args:
      inputs: onset and apex.
      train: whether batch norm uses the batch, and stochastic depth acts; only
        the call that draws the weights may leave it out.
      mask: examples that count in the batch's statistics; all if None.

    Returns:
      logits, and a dict of
      gates: the map that the gate of each block handed on; for the released
        gate `[b, h, w, 1]`, by which it multiplied the features;
      attention: for each transformer block the weights `[b, heads, n, n]` among
        the tokens of the onset, row-major (None if the function forms none);
      motion, position: the two maps `[b, h / 16, w / 16, d]` that are added.

    Raises:
      ValueError: the sizes do not fit each other or the input.
    """
    self._check_sizes(inputs)
    train = base.settle_train(self, train)
    frames, dtypes = dtypes_lib.settle(inputs, self.dtype, self.param_dtype)
    # Motion is a small difference: bfloat16 would round most of it away if the
    # frames were rounded first.
    inputs = jnp.asarray(inputs, dtypes.wide.dtype)
    # Still parts cancel, so this branch sees little of the person's identity.
    x = (inputs[:, 1] - inputs[:, 0]).astype(dtypes.dtype)
    conv_options = {'train': train, 'mask': mask}
    # As in the release, the first convolution starts like PyTorch's default,
    # all others like He's.
    first = layers.uniform_init(9 * x.shape[-1])
    stem = Conv(self.stem[0], 2, self.conv, dtypes, first, name='stem0')
    x = stem(x, **conv_options)
    stem = Conv(self.stem[1], 1, self.conv, dtypes, name='stem1')
    x = stem(x, **conv_options)
    prior, priors = None, []
    for i, width in enumerate(self.widths):
      # The first block keeps the size of the stem's output, others halve it.
      block = Block(
        width, min(i + 1, 2), self.gate, self.conv, dtypes, name=f'block{i}'
      )
      x, prior = block(x, prior, **conv_options)
      priors.append(prior)
    position, weights = Position(
      self.widths[-1],
      self.heads,
      self.depth,
      self.mlp_mult,
      self.drop_path,
      self.antialias,
      self.attention_fn,
      dtypes,
      name='position',
    )(frames[:, 0], train=train)
    # Not pooled: the last layer knows where on the face a feature lies.
    flat = (x + position).reshape(x.shape[0], -1)
    out = {
      'gates': tuple(priors),
      'attention': weights,
      'motion': x,
      'position': position,
    }
    outputs = self.num_classes + self.spare_outputs
    head = layers.linear(
      outputs, flat.shape[-1], dtypes=dtypes.wide, name='head'
    )
    return head(flat), out

  def _check_sizes(self, inputs):
    base.check_layout(self, inputs, axes=5)
    size = self.image_size
    if inputs.ndim != 5 or inputs.shape[1:4] != (2, size, size):
      raise ValueError(
        f'MMNet got inputs of shape {inputs.shape}; expected pairs [b, 2,'
        f' {size}, {size}, 3], or set image_size'
      )
    if size % SHRINK:
      raise ValueError(f'image_size is {size}; expected a multiple of {SHRINK}')
    if self.widths[-1] % self.heads or self.widths[0] != self.stem[-1]:
      raise ValueError(
        f'stem {self.stem}, widths {self.widths} and {self.heads} heads do not'
        ' fit: the first width must be the last of the stem, and the last must'
        ' divide into the heads'
      )
    base.check_channels(self, inputs, 'stem0', 'conv', 'kernel', places=9)


PRESETS: dict[str, dict[str, Any]] = {
  'released-5': {},
  'released-3': dict(
    num_classes=3, spare_outputs=2, depth=3, mlp_mult=2, drop_path=0.3
  ),
  'small': dict(
    image_size=64, stem=(16, 16), widths=(16, 32, 48, 64), mlp_mult=2
  ),
  'tiny': dict(
    image_size=32, stem=(4, 4), widths=(4, 8, 8, 16), heads=2, depth=1
  ),
}
