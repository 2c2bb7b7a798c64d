"""ARTNet: one clip at several amplifications, read by a transformer.

A RECONSTRUCTION FROM THE ABSTRACT of "ARTNet: Action Amplification
Representation and Transformer Network" (Sensors 2026, 26(1), 247, doi
10.3390/s26010247). Known are the idea and its order: amplify the motion between
frames, compute the optical flow of the amplified frames, and let transformer
layers relate the amplifications, because one amplification does not suit
everybody. Sizes, factors, encoder, loss and protocol are not known and are ours
here: no number of this model is a number of the paper.

The input is the flow of a clip at `a` amplifications alpha, each an image of
2 x 2 regions: a mosaic of eyes and mouth corners, or the quarters of a face.

1. An encoder shared by all levels attends among the patches of each region and
   gathers them, each place by weights of its own: one token a region and level,
   told its level by an embedding of log(alpha), which is zero for the motion as
   it is (alpha = 1).
2. Across levels: the tokens of one region at all levels attend to each other.
3. Across regions: the regions of each level attend to each other.
4. Attention pooling over levels and regions. Its weights say what was read, and
   with them at which amplification; by then a token has seen other levels.

Levels are a set: their order means nothing, and any of them may be absent.

preset  parameters  GFLOP per sample with 1 level, with 4 levels
base     2,286,723  0.249  0.997
small      432,835  0.040  0.159
tiny        30,643  0.005  0.019

For images of 128 pixels, 64 patches a region; GFLOP: one forward pass, as XLA's
cost analysis counts it on a CPU. The size of the images is part of the
parameters, as every place has its own: a model reads the size it was made for.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float

from mejax.models import attention
from mejax.models import htnet
from mejax.models import layers
from mejax.models.capabilities import Capabilities

REGIONS = 4  # 2 x 2


class ARTNet(nn.Module):
  """The whole model.

  Attributes:
    num_classes: k.
    levels: amplification of each level of the input, unless the call says it.
    patch_size: side of a patch in pixels; a patch is one token.
    dim: width d.
    heads: attention heads.
    encoder_depth: transformer blocks among the patches of a region.
    level_depth: transformer blocks across levels.
    region_depth: transformer blocks across regions.
    mlp_mult: width of the inner MLP layer over d.
    dropout: rate behind the attention's and the MLP's linear layers.
    level_dropout: chance that a level of an example is left out of a training
      step; one always stays.
    attention_fn: among patches and among regions; see `mejax.models.attention`.
    level_attention_fn: among levels; takes a mask, for absent ones.
  """

  num_classes: int = 3
  levels: tuple[float, ...] = ()
  patch_size: int = 8
  dim: int = 128
  heads: int = 4
  encoder_depth: int = 2
  level_depth: int = 2
  region_depth: int = 2
  mlp_mult: int = 4
  dropout: float = 0.1
  level_dropout: float = 0.25
  attention_fn: attention.AttentionFn = attention.softmax
  level_attention_fn: attention.AttentionFn = attention.softmax

  @property
  def capabilities(self) -> Capabilities:
    return Capabilities(
      levels=self.levels,
      shows='levels',
      caution='The model is a reconstruction from the abstract of the ARTNet'
      ' paper: its numbers are not those of the paper.',
    )

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, 'b a h w c'],
    *,
    train: bool,
    levels: Float[Array, '*#b a'] | None = None,
    present: Bool[Array, '*#b a'] | None = None,
  ) -> tuple[Float[Array, 'b k'], dict[str, Any]]:
    """Logits, and what a person may want to look at.

    Args:
      inputs: flow at each level.
      train: whether levels and units are dropped.
      levels: amplification of each level, `[a]` or `[b, a]`, in the place of
        the model's own.
      present: which levels count, `[a]` or `[b, a]`, at least one of them; all
        by default. What an absent level holds has no effect.

    Returns:
      logits, and a dict of
      level_weights: what share of the pooled token is of each level, `[b, a]`;
      region_weights: the same for each level and region, `[b, a, r]`;
      place_weights: what share of a region's token comes from each of its
        places, by the sizes of what they add, `[b, a, r, n]`;
      encoder_attention, level_attention, region_attention: for each block the
        weights `[b, a, r, h, n, n]`, `[b, r, h, a, a]`, `[b, a, h, r, r]`
        (None if the function forms none);
      head: what the last linear layer reads, `[b, d]`.
    """
    out: dict[str, Any] = {}
    scale = self._log_levels(inputs, levels)
    present = self._present(inputs, present, train=train)
    if present is not None:
      inputs = jnp.where(present[..., None, None, None], inputs, 0)

    x = self._patches(inputs)
    x, out['encoder_attention'] = self._blocks(
      'encoder', self.encoder_depth, self.attention_fn, x, train=train
    )
    # Each place of a region has weights of its own: where it moved is what an
    # expression is, and aligned faces have the same thing at the same place.
    x, out['place_weights'] = self._gather(x)  # [b, a, r, d]
    embedding = layers.linear(self.dim, 1, use_bias=False, name='alpha_inner')
    embedding = layers.gelu(embedding(scale[..., None]))
    outer = layers.linear(
      self.dim, self.dim, use_bias=False, name='alpha_outer'
    )
    x = x + outer(embedding)[..., None, :]

    x, out['level_attention'] = self._blocks(
      'level',
      self.level_depth,
      self.level_attention_fn,
      jnp.swapaxes(x, 1, 2),
      train=train,
      mask=None if present is None else present[:, None],
    )
    x, out['region_attention'] = self._blocks(
      'region',
      self.region_depth,
      self.attention_fn,
      jnp.swapaxes(x, 1, 2),
      train=train,
    )

    x = layers.LayerNorm(name='head_norm')(x)
    scores = layers.linear(1, self.dim, use_bias=False, name='pool')(x)[..., 0]
    if present is not None:
      scores = jnp.where(present[..., None], scores, -jnp.inf)
    weights = jax.nn.softmax(scores, (1, 2))
    out['region_weights'] = weights
    out['level_weights'] = weights.sum(-1)
    out['head'] = x = jnp.einsum('bar,bard->bd', weights, x)
    return layers.linear(self.num_classes, self.dim, name='head')(x), out

  def _log_levels(self, inputs, levels) -> Float[Array, '#b a']:
    b, a = inputs.shape[:2]
    levels = jnp.asarray(self.levels if levels is None else levels, jnp.float32)
    if levels.shape not in ((a,), (b, a)):
      raise ValueError(
        f'ARTNet got inputs of {a} levels and factors of shape {levels.shape};'
        f' expected one factor for each level: the field levels, or [{a}] or'
        f' [{b}, {a}] in the call'
      )
    return jnp.atleast_2d(jnp.log(levels))

  def _present(self, inputs, present, *, train) -> Bool[Array, 'b a'] | None:
    """Levels that count, some of them dropped in training."""
    shape = inputs.shape[:2]
    if present is not None:
      present = jnp.broadcast_to(present, shape)
    if not train or not self.level_dropout or shape[1] == 1:
      return present
    draw = jax.random.uniform(self.make_rng('dropout'), shape)
    if present is not None:
      draw = jnp.where(present, draw, -1.0)
    # The luckiest level always stays.
    return (draw >= self.level_dropout) | (draw == draw.max(1, keepdims=True))

  def _patches(
    self, inputs: Float[Array, 'b a h w c']
  ) -> Float[Array, 'b a r n d']:
    """Tokens of each region, with what tells place and region."""
    b, a, h, w, _ = inputs.shape
    if h != w or h % (2 * self.patch_size):
      raise ValueError(
        f'ARTNet got images of {h} x {w} pixels; expected a square whose side'
        f' is a multiple of {2 * self.patch_size}: 2 x 2 regions of patches of'
        f' {self.patch_size} pixels. Change patch_size or the size of the flow.'
      )
    x = inputs.reshape(b * a, *inputs.shape[2:])
    x = htnet.split(htnet.patchify(x, self.patch_size), 2)
    x = layers.linear(self.dim, x.shape[-1], name='embed')(x)
    # As large as what they are added to: what moved says little without where.
    start = nn.initializers.normal(0.5)
    x += self.param('place', start, x.shape[-2:])
    x += self.param('region', start, (REGIONS, 1, self.dim))
    return x.reshape(b, a, *x.shape[1:])

  def _gather(
    self, x: Float[Array, 'b a r n d']
  ) -> tuple[Float[Array, 'b a r d'], Float[Array, 'b a r n']]:
    """One token for each region, and the share of each place in it.

    A share is by the norm of what the place adds (Kobayashi et al., "Attention
    is not only a weight", arXiv 2004.10102).
    """
    n, d = x.shape[-2:]
    kernel, bias = layers.Weights((n * d, self.dim), name='gather')()
    gathered = x.reshape(*x.shape[:-2], n * d) @ kernel + bias
    # Nobody reads this in training, where it is compiled away.
    added = jnp.einsum('...nd,nde->...ne', x, kernel.reshape(n, d, self.dim))
    sizes = jnp.sqrt(jnp.square(added).sum(-1))
    return gathered, sizes / jnp.maximum(sizes.sum(-1, keepdims=True), 1e-12)

  def _blocks(self, name, depth, attention_fn, x, *, train, mask=None):
    """Transformer blocks over the last axis but one, and their weights."""
    all_weights = []
    for i in range(depth):
      block = htnet.Block(
        self.heads,
        self.mlp_mult,
        self.dropout,
        0.0,
        attention_fn,
        name=f'{name}_block{i}',
      )
      x, weights = block(x, train=train, mask=mask)
      all_weights.append(weights)
    return x, tuple(all_weights)


PRESETS: dict[str, dict[str, Any]] = {
  'base': dict(
    dim=128, heads=4, encoder_depth=2, level_depth=2, region_depth=2
  ),
  'small': dict(
    dim=64, heads=4, encoder_depth=1, level_depth=1, region_depth=1
  ),
  'tiny': dict(dim=16, heads=2, encoder_depth=1, level_depth=1, region_depth=1),
}


def make(preset: str = 'base', **overrides: Any) -> ARTNet:
  """ARTNet of a preset, single fields replaced.

  Raises:
    ValueError: unknown preset.
    TypeError: unknown field.
  """
  if preset not in PRESETS:
    raise ValueError(f'no ARTNet preset {preset!r}; there are {list(PRESETS)}')
  fields = PRESETS[preset] | overrides
  if 'levels' in fields:
    fields['levels'] = tuple(float(alpha) for alpha in fields['levels'])
  return ARTNet(**fields)
