"""HTNet: local transformers in a hierarchy of facial regions.

Wang et al., "HTNet for micro-expression recognition", arXiv 2307.14637, as
the authors released it. The input is the mosaic of four 14x14 facial regions
(strain, v, u in 0..255), or any other image. The first of H hierarchies splits
the patches into 2^(H - 1) blocks a side and attends only inside each block.
Between hierarchies a 3x3 convolution and a max-pool halve the sides and double
the width, until one block is left.

At the released sizes (28 pixels, patch 7, three hierarchies) EVERY BLOCK HOLDS
ONE TOKEN: attention is the identity on its values, query and key weights get a
gradient of exactly zero, and patches meet only in the convolutions and
max-pools. Attention needs image_size / (patch_size * 2^(H - 1)) >= 2. With
`unread_weights=False` a block of one token has no query and key weights: 16 %
of the parameters of `released` go, and outputs and gradients stay as they are.

The `regions` presets fulfil this: each facial region is one block. The `paper`
presets fulfil it in three hierarchies, as the paper draws them, on larger flow:
quarters of each region, then the four regions, then the whole. Widths and
depths of `paper` are the released ones.

The `face` presets are `regions` on flow of the whole face, which has no
seams: each quarter of the face is one block. Their last map is not averaged,
because it knows where the face moved.

preset         pixels  patch  tokens per block  parameters   GFLOP per sample
released           28      7  1, 1, 1           139,582,982  0.372
regions            28      2  49, 49                571,045  0.117
regions_small      28      2  49, 49                 81,861  0.020
face               28      2  49, 49                576,805  0.117
face_small         28      2  49, 49                 84,741  0.020
tiny               28      2  49, 49                  5,565  0.002
paper             128      8  16, 16, 16        139,768,627  6.916
paper_small       128      8  16, 16, 16          1,386,435  0.138
paper_tiny         64      8  4, 4, 4                24,311  0.001

GFLOP counts one forward pass, by XLA's cost analysis on a CPU. `released` needs
0.430 if the unused queries and keys are computed.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
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
from mejax.models import readout as readout_lib
from mejax.models.capabilities import Capabilities
from mejax.models.dtypes import DTypes


class Attention(nn.Module):
  """Multi-head attention among the tokens of each block.

  A head is floor(d / heads) wide, so the inner width may be less than d, as in
  the original. `unread_weights` is as in `HTNet`.
  """

  heads: int
  attention_fn: attention.AttentionFn
  dropout: float
  dtypes: DTypes
  unread_weights: bool

  @nn.compact
  def __call__(
    self,
    x: Float[Array, '*b n d'],
    *,
    train: bool,
    mask: Bool[Array, '*#b n'] | None = None,
  ) -> tuple[Float[Array, '*b n d'], Array | None]:
    dim = x.shape[-1]
    width = dim // self.heads

    def project(name):
      linear = layers.linear(
        self.heads * width, dim, use_bias=False, dtypes=self.dtypes, name=name
      )
      return linear(x).reshape(*x.shape[:-1], self.heads, width)

    # Three matrices, not one: the query and key of a lone token are never read,
    # and the compiler can drop them only if they have matrices of their own.
    if self.unread_weights or x.shape[-2] > 1:
      query, key, value = map(project, ('query', 'key', 'value'))
    else:
      _check_reads_no_query(self.attention_fn)
      query = key = value = project('value')
    mixed, weights = attention.attend(
      attention.own(self.attention_fn, self.dtypes.param_dtype),
      query,
      key,
      value,
      mask=mask,
      train=train,
    )
    mixed = mixed.reshape(*x.shape[:-1], -1)
    out = layers.linear(dim, mixed.shape[-1], dtypes=self.dtypes, name='out')
    return layers.Dropout(self.dropout)(out(mixed), train=train), weights


def _check_reads_no_query(attention_fn) -> None:
  if attention_fn is not attention.softmax:
    name = getattr(attention_fn, '__name__', repr(attention_fn))
    raise ValueError(
      f'unread_weights=False leaves out the query and key weights of blocks of'
      f' one token, which softmax attention never reads, but attention_fn is'
      f' {name}. Set unread_weights to True.'
    )


class MLP(nn.Module):
  """Two linear layers with the exact GELU between them."""

  mult: int
  dropout: float
  dtypes: DTypes

  @nn.compact
  def __call__(
    self, x: Float[Array, '*b n d'], *, train: bool
  ) -> Float[Array, '*b n d']:
    dim, dtypes = x.shape[-1], self.dtypes
    inner = layers.linear(self.mult * dim, dim, dtypes=dtypes, name='inner')
    hidden = layers.gelu(inner(x))
    hidden = layers.Dropout(self.dropout)(hidden, train=train)
    outer = layers.linear(dim, self.mult * dim, dtypes=dtypes, name='outer')
    return layers.Dropout(self.dropout)(outer(hidden), train=train)


class Block(nn.Module):
  """Pre-norm transformer block; stochastic depth may skip either half of it.

  `mask` marks the tokens that count as keys; `unread_weights` is as in `HTNet`.
  """

  heads: int
  mlp_mult: int
  dropout: float
  drop_path: float
  attention_fn: attention.AttentionFn
  dtypes: DTypes = dtypes_lib.DEFAULT
  unread_weights: bool = True

  @nn.compact
  def __call__(
    self,
    x: Float[Array, '*b n d'],
    *,
    train: bool,
    mask: Bool[Array, '*#b n'] | None = None,
  ) -> tuple[Float[Array, '*b n d'], Array | None]:
    dtypes = self.dtypes
    y = layers.LayerNorm(dtypes=dtypes, name='attention_norm')(x)
    y, weights = Attention(
      self.heads,
      self.attention_fn,
      self.dropout,
      dtypes,
      self.unread_weights,
      name='attention',
    )(y, train=train, mask=mask)
    x = x + layers.DropPath(self.drop_path)(y, train=train)
    y = layers.LayerNorm(dtypes=dtypes, name='mlp_norm')(x)
    y = MLP(self.mlp_mult, self.dropout, dtypes, name='mlp')(y, train=train)
    return x + layers.DropPath(self.drop_path)(y, train=train), weights


class Aggregate(nn.Module):
  """3x3 convolution to `features`, layer norm, max-pool to half the side."""

  features: int
  conv: convolution.ConvFn
  dtypes: DTypes

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w d']) -> Float[Array, 'b h2 w2 e']:
    conv = convolution.Conv3x3(
      self.features, conv=self.conv, dtypes=self.dtypes, name='conv'
    )
    norm = layers.LayerNorm(dtypes=self.dtypes, name='norm')
    return pooling.max_pool3x3(norm(conv(x)), 2)


class HTNet(base.Model):
  """The whole model.

  Attributes:
    num_classes: k.
    image_size: side of the square input in pixels.
    patch_size: side of a patch in pixels; a patch is one token.
    overlap: whether a token also reads half a patch on every side of its own.
    channel_positions: whether the embedding of a position has a number for each
      channel, not one scalar for all of them as in the original.
    dim: width d in the first hierarchy; each further one doubles it.
    heads: attention heads in the first hierarchy; each further one doubles it.
    depths: transformer blocks of each hierarchy, finest first.
    mlp_mult: width of the inner MLP layer over d.
    dropout: rate behind the attention's and the MLP's linear layers.
    drop_path: rate of stochastic depth in the last block; it rises evenly from
      0 in the first.
    readout: which places of the last map are read; see `readout.py`.
    num_units: number of action units that `out['units']` tells; 0 for none.
    readout_dropout: rate before the last linear layer, if the readout keeps
      more than one place.
    attention_fn: see `mejax.models.attention`.
    unread_weights: whether a block of one token has query and key weights, as
      the original does. Softmax attention, the only one for which this may be
      False, never reads them there.
    conv: computes the 3x3 convolutions, called as `convolution.conv3x3` is.
  """

  num_classes: int = 3
  image_size: int = 28
  patch_size: int = 7
  overlap: bool = False
  channel_positions: bool = False
  dim: int = 256
  heads: int = 3
  depths: tuple[int, ...] = (2, 2, 10)
  mlp_mult: int = 4
  dropout: float = 0.0
  drop_path: float = 0.0
  readout: str = 'mean'
  num_units: int = 0
  readout_dropout: float = 0.5
  attention_fn: attention.AttentionFn = attention.softmax
  unread_weights: bool = True
  conv: convolution.ConvFn = convolution.conv3x3

  capabilities = Capabilities(shows='hierarchies')

  @nn.compact
  def __call__(
    self, inputs: Num[Array, 'b h w c'], *, train: bool | None = None
  ) -> tuple[Float[Array, 'b k'], dict[str, Any]]:
    """Computes logits, and arrays that show what the model read.

    Args:
      inputs: the mosaic, or the whole face.
      train: whether dropout and stochastic depth act; it may be left out if
        their rates are 0 and the attention does not take it.

    Returns:
      logits, and a dict of
      attention: for each hierarchy, for each of its transformer blocks, the
        weights `[b, r, h, n, n]` (None if the function forms none);
      regions: for each hierarchy, the tokens `[b, r, n, d]` that leave it;
      head: the input of the last linear layer, `[b, d]`, or d for each place
        of the readout.

    Raises:
      ValueError: the sizes do not fit each other, the input or the parameters,
        the readout is unknown, `train` is needed, or the attention may read the
        weights that are left out.
    """
    self._check_sizes(inputs)
    places = readout_lib.keeps_places(self.readout)
    train = base.settle_train(
      self,
      train,
      'dropout',
      'drop_path',
      *['readout_dropout'] * places,
      'attention_fn',
    )
    inputs, dtypes = dtypes_lib.settle(inputs, self.dtype, self.param_dtype)
    out = {'attention': [], 'regions': []}
    # One series over all hierarchies: the rate rises with the depth.
    rates = iter(np.linspace(0, self.drop_path, sum(self.depths)).tolist())
    x = self._patches(inputs)
    x = layers.linear(self.dim, x.shape[-1], dtypes=dtypes, name='embed')(x)
    # Names of parameters call a hierarchy a level, as in saved weights.
    for hierarchy, depth in enumerate(self.depths):
      if hierarchy:
        aggregate = Aggregate(
          self.dim * 2**hierarchy,
          self.conv,
          dtypes,
          name=f'aggregate{hierarchy - 1}',
        )
        x = aggregate(x)
      side = 2 ** (len(self.depths) - 1 - hierarchy)
      # The transformer treats each block as an example of its own.
      tokens = split(x, side)
      tokens += self._positions(
        f'pos_emb{hierarchy}', *tokens.shape[2:], dtypes
      )
      weights = []
      for i in range(depth):
        block = Block(
          self.heads * 2**hierarchy,
          self.mlp_mult,
          self.dropout,
          next(rates),
          self.attention_fn,
          dtypes,
          self.unread_weights,
          name=f'level{hierarchy}_block{i}',
        )
        tokens, weight = block(tokens, train=train)
        weights.append(weight)
      out['attention'].append(tuple(weights))
      out['regions'].append(tokens)
      x = merge(tokens, side)
    x = layers.LayerNorm(dtypes=dtypes, name='head_norm')(x)
    out['head'] = x = readout_lib.read(self, x)
    if places:
      x = layers.Dropout(self.readout_dropout)(x, train=train)
    if self.num_units:
      units = layers.linear(
        self.num_units, x.shape[-1], dtypes=dtypes.wide, name='units'
      )
      out['units'] = units(x)
    head = layers.linear(
      self.num_classes, x.shape[-1], dtypes=dtypes.wide, name='head'
    )
    return head(x), out

  def _patches(self, inputs) -> Float[Array, 'b h2 w2 p']:
    if not self.overlap:
      return patchify(inputs, self.patch_size)
    return convolution.patches(
      inputs,
      self._reach,
      padding=self.patch_size // 2,
      stride=self.patch_size,
    )

  @property
  def block_tokens(self) -> int:
    """Number of tokens of a block, the same in all hierarchies."""
    side = self.image_size // self.patch_size
    return (side // 2 ** (len(self.depths) - 1)) ** 2

  @property
  def _reach(self) -> int:
    """Side of the square of pixels that a token reads."""
    more = 2 * (self.patch_size // 2) if self.overlap else 0
    return self.patch_size + more

  def _positions(
    self, name: str, count: int, dim: int, dtypes: DTypes
  ) -> Float[Array, 'n #d']:
    """Returns the embeddings of the positions in a block, for all blocks."""
    shape, scale = (count,), 1.0
    if self.channel_positions:
      # As large as the tokens.
      shape, scale = (count, dim), 0.5
    init = nn.initializers.normal(scale)
    position = self.param(name, init, shape, dtypes.param_dtype)
    return position.reshape(count, -1).astype(dtypes.dtype)

  def _check_sizes(self, inputs):
    base.check_layout(self, inputs)
    size, hierarchies = self.image_size, len(self.depths)
    if inputs.ndim != 4 or inputs.shape[1:3] != (size, size):
      raise ValueError(
        f'HTNet got inputs of shape {inputs.shape};'
        f' expected [b, {size}, {size}, c], or set image_size'
      )
    if size % (self.patch_size * 2 ** (hierarchies - 1)):
      raise ValueError(
        f'an image of {size} pixels does not divide into patches of'
        f' {self.patch_size} and {2 ** (hierarchies - 1)} blocks a side'
        f' ({hierarchies} hierarchies); change image_size, patch_size or depths'
      )
    if self.dim < self.heads:
      raise ValueError(
        f'dim {self.dim} is less than {self.heads} heads; expected dim >= heads'
      )
    base.check_channels(self, inputs, 'embed', 'kernel', places=self._reach**2)


def patchify(
  x: Float[Array, 'b h w c'], size: int
) -> Float[Array, 'b h2 w2 p']:
  """Cuts a map into square patches, each a vector (row, column, channel)."""
  b, h, w, c = x.shape
  x = x.reshape(b, h // size, size, w // size, size, c)
  return jnp.swapaxes(x, 2, 3).reshape(b, h // size, w // size, -1)


def split(x: Float[Array, 'b h w d'], side: int) -> Float[Array, 'b r n d']:
  """Splits a map into `side` x `side` blocks of tokens, both row-major."""
  b, h, w, d = x.shape
  x = x.reshape(b, side, h // side, side, w // side, d)
  return jnp.swapaxes(x, 2, 3).reshape(b, side**2, -1, d)


def merge(x: Float[Array, 'b r n d'], side: int) -> Float[Array, 'b h w d']:
  """Joins the blocks of `split` into a map again."""
  b, _, n, d = x.shape
  inner = int(n**0.5)
  x = x.reshape(b, side, side, inner, inner, d)
  return jnp.swapaxes(x, 2, 3).reshape(b, side * inner, side * inner, d)


PRESETS: dict[str, dict[str, Any]] = {
  'released': dict(patch_size=7, dim=256, heads=3, depths=(2, 2, 10)),
  'regions': dict(patch_size=2, dim=64, heads=4, depths=(2, 2)),
  'regions_small': dict(patch_size=2, dim=32, heads=2, depths=(1, 1)),
  'face': dict(patch_size=2, dim=64, heads=4, depths=(2, 2), readout='flat'),
  'face_small': dict(
    patch_size=2, dim=32, heads=2, depths=(1, 1), readout='flat'
  ),
  'tiny': dict(patch_size=2, dim=8, heads=2, depths=(1, 1)),
  'paper': dict(
    image_size=128, patch_size=8, dim=256, heads=4, depths=(2, 2, 10)
  ),
  'paper_small': dict(
    image_size=128, patch_size=8, dim=48, heads=3, depths=(2, 2, 2)
  ),
  'paper_tiny': dict(
    image_size=64, patch_size=8, dim=8, heads=2, depths=(1, 1, 1)
  ),
}
