"""ARTNet: a transformer over one clip at several amplifications.

A RECONSTRUCTION FROM THE ABSTRACT of "ARTNet: Action Amplification
Representation and Transformer Network" (Sensors 2026, 26(1), 247, doi
10.3390/s26010247). The abstract gives the idea and the order of its steps:
amplify the motion between frames, compute the optical flow of the amplified
frames, and let transformer layers relate the amplifications, because one
amplification does not suit everybody. It does not give sizes, factors, encoder,
loss or protocol. These are our own choice, so no number of this model is a
number of the paper.

The input is the flow of a clip at `a` amplification levels with factors alpha,
each an image of 2 x 2 regions: a mosaic of eyes and mouth corners, or the
quarters of a face.

1. An encoder, shared by all levels, attends among the patches of each region.
   It gathers them with weights for each place into one token for each region
   and level. An embedding of log(alpha) is added; it is zero for the motion as
   it is (alpha = 1).
2. The tokens of one region at all levels attend to each other.
3. The tokens of all regions at one level attend to each other.
4. Attention pools levels and regions. Its weights tell which regions and levels
   were read, although by then a token holds something of other levels, too.

Levels are a set: their order means nothing, and any of them may be absent.

The abstract also says that the amplitude is adjusted to the individual. With
`adaptive` a head predicts a factor for each clip, or each of its regions, from
how much it moves; the levels are interpolated at that factor, and the model
reads the result as its only level (`adaptive.py`). IT GAINS NOTHING BY IT: on
rendered people of known expressiveness the same models do as well at the
factors of other clips (UF1 .803 and .800), so does the inverse of the true
factor (.801), and so does flow that is multiplied by 8 for everybody (.807):
`docs/measurements.md`.

preset  parameters  GFLOP per sample with 1 level, with 4 levels
base     2,286,723  0.249  0.997
small      432,835  0.040  0.159
tiny        30,643  0.005  0.019

The table is for images of 128 pixels, which have 64 patches in a region. GFLOP
counts one forward pass, by XLA's cost analysis on a CPU. Every place has
parameters of its own, so a model reads only the image size that it was
initialised with.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Num
import numpy as np

from mejax.models import adaptive as adaptive_lib
from mejax.models import attention
from mejax.models import base
from mejax.models import dtypes as dtypes_lib
from mejax.models import htnet
from mejax.models import layers
from mejax.models import readout as readout_lib
from mejax.models import scores as scores_lib
from mejax.models.capabilities import Capabilities
from mejax.models.dtypes import DTypes

REGIONS = 4  # 2 x 2


class ARTNet(base.Model):
  """The whole model.

  Attributes:
    num_classes: k.
    levels: factor of each level of the input; a call may give other factors.
    patch_size: side of a patch in pixels; a patch is one token.
    dim: width d.
    heads: attention heads.
    encoder_depth: transformer blocks among the patches of a region.
    level_depth: transformer blocks across levels.
    region_depth: transformer blocks across regions.
    mlp_mult: width of the inner MLP layer over d.
    dropout: rate behind the attention's and the MLP's linear layers.
    readout: `mean` pools regions by attention as well as levels; with `regions`
      or `flat` each region is read by itself, see `readout.py`.
    num_units: number of action units that `out['units']` tells; 0 for none.
    readout_dropout: rate before the last linear layer, if each region is read
      by itself.
    level_dropout: probability that a training step leaves out a level of an
      example; one level always stays.
    adaptive: `clip` or `region` to read the levels at one factor, which a head
      predicts for each clip, or for each of its regions; see `adaptive.py`. The
      read image then goes through the model as the only level, without an
      embedding of its factor. Empty to read all levels.
    attention_fn: attention among patches and among regions; see
      `mejax.models.attention`.
    level_attention_fn: attention among levels; it needs the argument `mask` if
      levels may be absent, as with `level_dropout`.
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
  readout: str = 'mean'
  num_units: int = 0
  readout_dropout: float = 0.5
  level_dropout: float = 0.25
  adaptive: str = ''
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
    inputs: Num[Array, 'b a h w c'],
    *,
    train: bool | None = None,
    levels: Float[Array | np.ndarray, '*#b a'] | None = None,
    present: Bool[Array | np.ndarray, '*#b a'] | None = None,
    factor: Float[Array | np.ndarray, 'b *f'] | None = None,
  ) -> tuple[Float[Array, 'b k'], dict[str, Any]]:
    """Computes logits, and arrays that show what the model read.

    Args:
      inputs: flow at each level.
      train: whether dropout of units and of levels acts; it may be left out if
        both rates are 0 and the attention does not take it.
      levels: factor of each level, `[a]` or `[b, a]`, in place of the model's
        own.
      present: which levels count, `[a]` or `[b, a]`, at least one of them; all
        by default. Neither the content nor the factor of an absent level has
        an effect, even if it is NaN.
      factor: for an adaptive model, the factor of each clip `[b]` or region
        `[b, r]`, in place of what its head predicts. Outside of the range of
        the levels that count, the nearest of them is read.

    Returns:
      logits, and a dict of
      factor: of an adaptive model, the factor at which each clip `[b, 1]` or
        region `[b, r]` was read;
      level_weights: the share of each level in the pooled token, `[b, a]`;
      region_weights: the same for each level and region, `[b, a, r]`; if each
        region is read by itself, all regions have the same share;
      place_weights: the share of each place in its region's token, by the size
        of its contribution, `[b, a, r, n]`;
      encoder_attention, level_attention, region_attention: for each block the
        weights `[b, a, r, h, n, n]`, `[b, r, h, a, a]`, `[b, a, h, r, r]`
        (None if the function forms none); an adaptive model has a = 1 here;
      head: the input of the last linear layer, `[b, d]`, or d for each region.

    Raises:
      ValueError: the levels or the image size do not fit, a factor that is
        read is not a finite number above 0, an example has no level, `factor`
        does not fit the model, or `train` is needed. Inside `jit` nobody can
        look at `levels`, `present` and `factor` that are arguments: there the
        logits of the examples with such factors are NaN, and so is a loss that
        counts them. They add nothing to gradients, and the other examples are
        computed as ever.
    """
    self._check_inputs(inputs)
    out: dict[str, Any] = {}
    apart = readout_lib.keeps_places(self.readout)
    train = base.settle_train(
      self,
      train,
      'dropout',
      'level_dropout',
      *['readout_dropout'] * apart,
      'attention_fn',
      'level_attention_fn',
    )
    scale, present, sound = self._read_levels(inputs, levels, present)
    factor, sound = self._check_factor(inputs, factor, sound)
    present = self._drop_levels(inputs, present, train=train)
    inputs, dtypes = dtypes_lib.settle(inputs, self.dtype, self.param_dtype)
    if present is not None:
      # A weight of zero is not enough: zero times NaN is NaN.
      inputs = jnp.where(present[..., None, None, None], inputs, 0)
    if self.adaptive:
      shares = self._share_levels(inputs, scale, present, factor, dtypes)
      # Not `factor` itself, which may lie outside of the range.
      out['factor'] = jnp.exp((scale[..., None] * shares).sum(1))
      inputs, present = adaptive_lib.read(inputs, shares), None

    x = self._patches(inputs, dtypes)
    x, out['encoder_attention'] = self._blocks(
      'encoder',
      self.encoder_depth,
      self.attention_fn,
      x,
      dtypes=dtypes,
      train=train,
    )
    # Not a mean over places: an expression is where a face moves, and aligned
    # faces have the same part at the same place.
    x, out['place_weights'] = self._gather(x, dtypes)  # [b, a, r, d]
    # Without biases and with GELU(0) = 0, so that log(1) = 0 adds nothing.
    options = {'use_bias': False, 'dtypes': dtypes}
    if not self.adaptive:
      inner = layers.linear(self.dim, 1, name='alpha_inner', **options)
      outer = layers.linear(self.dim, self.dim, name='alpha_outer', **options)
      embedding = outer(layers.gelu(inner(scale[..., None])))
      x = x + embedding[..., None, :]

    # Regions become the outer axis: the tokens are the levels of one region.
    x, out['level_attention'] = self._blocks(
      'level',
      self.level_depth,
      self.level_attention_fn,
      jnp.swapaxes(x, 1, 2),
      dtypes=dtypes,
      train=train,
      mask=None if present is None else present[:, None],
    )
    # Levels are the outer axis again: the tokens are the regions of one level.
    x, out['region_attention'] = self._blocks(
      'region',
      self.region_depth,
      self.attention_fn,
      jnp.swapaxes(x, 1, 2),
      dtypes=dtypes,
      train=train,
    )

    x = layers.LayerNorm(dtypes=dtypes, name='head_norm')(x)
    pool = layers.linear(1, self.dim, name='pool', **options)
    scores = pool(x)[..., 0].astype(dtypes.wide.dtype)
    counts = None if present is None else present[..., None]
    axis = 1 if apart else (1, 2)
    weights = scores_lib.masked_softmax(scores, counts, axis=axis)
    if apart:
      x = jnp.einsum('bar,bard->brd', weights.astype(x.dtype), x)
      x = readout_lib.read(self, x.reshape(x.shape[0], 2, 2, -1))
      weights /= REGIONS
    else:
      x = jnp.einsum('bar,bard->bd', weights.astype(x.dtype), x)
    if self.adaptive:
      weights = weights * shares.astype(weights.dtype)  # [b, a, r]
      places = out['place_weights']
      shape = (*weights.shape, places.shape[-1])
      out['place_weights'] = jnp.broadcast_to(places, shape)
    out['region_weights'] = weights
    out['level_weights'] = weights.sum(-1)
    out['head'] = x
    if apart:
      x = layers.Dropout(self.readout_dropout)(x, train=train)
    if self.num_units:
      units = layers.linear(
        self.num_units, x.shape[-1], dtypes=dtypes.wide, name='units'
      )
      out['units'] = units(x)
    head = layers.linear(
      self.num_classes, x.shape[-1], dtypes=dtypes.wide, name='head'
    )
    logits = head(x)
    if sound is not None:
      # Selected, not added: the gradients of the other examples stay right.
      logits = jnp.where(sound[..., None], logits, jnp.nan)
    return logits, out

  def _read_levels(self, inputs, levels, present):
    """Returns log(alpha), the levels that count, and which examples are sound.

    The second is None if all levels count, the third if all examples are known
    to be sound: all factors that count are finite and above 0, and at least one
    level counts.
    """
    b, a = inputs.shape[:2]
    own = np.asarray(self.levels, np.float32)
    if not _is_factor(own).all():
      raise ValueError(
        f'levels is {self.levels}; expected finite numbers above 0'
      )
    given = (own if levels is None else levels, present)
    traced = any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(given))
    xp = jnp if traced else np
    levels = xp.asarray(given[0], np.float32)
    if levels.shape not in ((a,), (b, a)):
      raise ValueError(
        f'ARTNet got inputs of {a} levels and factors of shape {levels.shape};'
        ' expected one factor for each level: set the field levels, or call it'
        f' with levels of shape [{a}] or [{b}, {a}]'
      )
    is_factor = _is_factor(levels)
    sound = is_factor.all(-1)
    if present is not None:
      present = xp.asarray(present, bool)
      if present.shape not in ((a,), (1, a), (b, a)):
        raise ValueError(
          f'ARTNet got inputs of {a} levels and present of shape'
          f' {present.shape}; expected [{a}] or [{b}, {a}]'
        )
      sound = (is_factor | ~present).all(-1) & present.any(-1)
    if not traced and not sound.all():
      wrong = int(np.argmin(sound))
      shown = [] if present is None else [f'present={_row(present, wrong)}']
      shown = ', '.join([f'the factors {_row(levels, wrong)}', *shown])
      raise ValueError(
        f'ARTNet got {shown} in example {wrong}; expected at least one level,'
        ' and finite numbers above 0 for the levels that are present'
      )
    # The logarithm of a factor that does not count must not be NaN either.
    scale = jnp.log(jnp.where(is_factor, levels, 1))
    if present is not None:
      present = jnp.broadcast_to(present, (b, a))
    return jnp.atleast_2d(scale), present, sound if traced else None

  def _check_factor(self, inputs, factor, sound):
    """Returns log(factor) or None, and which examples are sound."""
    if self.adaptive and self.adaptive not in adaptive_lib.FACTORS:
      raise ValueError(
        f'adaptive is {self.adaptive!r}.'
        + base.closest(self.adaptive, [*adaptive_lib.FACTORS], 'values')
      )
    if factor is None:
      return None, sound
    b = inputs.shape[0]
    count = adaptive_lib.FACTORS.get(self.adaptive)
    if count is None or factor.shape not in ((b,), (b, count)):
      raise ValueError(
        f'ARTNet got a factor of shape {factor.shape} with'
        f' adaptive={self.adaptive!r}; expected'
        + (f' [{b}] or [{b}, {count}]' if count else ' none')
      )
    traced = isinstance(factor, jax.core.Tracer)
    factor = (jnp if traced else np).reshape(factor, (b, -1))
    is_factor = _is_factor(factor)
    if not traced and not is_factor.all():
      wrong = int(np.argmin(is_factor.all(1)))
      raise ValueError(
        f'ARTNet got the factor {_row(factor, wrong)} in example {wrong};'
        ' expected finite numbers above 0'
      )
    if traced:
      sound = is_factor.all(1) & (True if sound is None else sound)
    return jnp.log(jnp.where(is_factor, factor, 1)), sound

  def _share_levels(self, inputs, scale, present, factor, dtypes):
    """Returns the share of each level in the image that is read, [b, a, f]."""
    count = adaptive_lib.FACTORS[self.adaptive]
    if factor is None or self.is_initializing():
      head = adaptive_lib.Head(count, dtypes, name='factor')
      factor = head(inputs, scale, present)
    shape = (inputs.shape[0], count)
    return adaptive_lib.share_levels(
      scale, jnp.broadcast_to(factor, shape), present
    )

  def _drop_levels(
    self, inputs, present, *, train
  ) -> Bool[Array, 'b a'] | None:
    """Returns the levels that count after dropout; None if all of them do."""
    shape = inputs.shape[:2]
    if not train or not self.level_dropout or shape[1] == 1:
      return present
    draw = jax.random.uniform(self.make_rng('dropout'), shape)
    if present is not None:
      draw = jnp.where(present, draw, -1.0)  # Below every rate: never kept.
    # The level with the largest draw stays: attention needs one key at least.
    kept = (draw >= self.level_dropout) | (draw == draw.max(1, keepdims=True))
    return kept if present is None else kept & present

  def _check_inputs(self, inputs) -> None:
    base.check_layout(self, inputs, axes=5)
    if inputs.ndim != 5:
      raise ValueError(
        f'ARTNet got inputs of shape {inputs.shape}; expected flow at each'
        ' level, [b, a, h, w, c]'
      )
    side = 2 * self.patch_size
    h, w = inputs.shape[2:4]
    if h != w or h % side:
      raise ValueError(
        f'ARTNet got images of {h} x {w} pixels; expected a square whose side'
        f' is a multiple of {side}: 2 x 2 regions of patches of'
        f' {self.patch_size} pixels. Change patch_size or the size of the flow.'
      )
    places = base.initialised_shape(self, 'place')
    drawn = places and side * math.isqrt(places[0])
    if drawn and drawn != h:
      raise ValueError(
        f'ARTNet got images of {h} x {w} pixels; expected {drawn} x {drawn},'
        ' with which its parameters were initialised: every place has its own'
      )
    base.check_channels(
      self, inputs, 'embed', 'kernel', places=self.patch_size**2
    )

  def _patches(
    self, inputs: Float[Array, 'b a h w c'], dtypes: DTypes
  ) -> Float[Array, 'b a r n d']:
    """Returns the tokens of each region, with place and region embedded."""
    b, a = inputs.shape[:2]
    x = inputs.reshape(b * a, *inputs.shape[2:])
    x = htnet.split(htnet.patchify(x, self.patch_size), 2)
    x = layers.linear(self.dim, x.shape[-1], dtypes=dtypes, name='embed')(x)
    # Places start as large as the tokens: motion means little without place.
    start = nn.initializers.normal(0.5)
    for name, shape in (
      ('place', x.shape[-2:]),
      ('region', (REGIONS, 1, self.dim)),
    ):
      x += self.param(name, start, shape, dtypes.param_dtype).astype(x.dtype)
    return x.reshape(b, a, *x.shape[1:])

  def _gather(
    self, x: Float[Array, 'b a r n d'], dtypes: DTypes
  ) -> tuple[Float[Array, 'b a r d'], Float[Array, 'b a r n']]:
    """Returns one token for each region, and the share of each place in it.

    The token is a linear layer over all places at once. The share of a place is
    the norm of its contribution over the sum of all norms (Kobayashi et al.,
    "Attention is not only a weight", arXiv 2004.10102).
    """
    n, d = x.shape[-2:]
    kernel, bias = layers.Weights((n * d, self.dim), dtypes, name='gather')()
    gathered = x.reshape(*x.shape[:-2], n * d) @ kernel + bias
    # Contribution of each place. Training does not read it, so the compiler
    # leaves it out there.
    added = jnp.einsum('...nd,nde->...ne', x, kernel.reshape(n, d, self.dim))
    added = added.astype(dtypes.wide.dtype)
    squares = jnp.square(added).sum(-1)
    # The root of zero has no derivative; a place that adds nothing gets 0.
    sizes = jnp.sqrt(jnp.where(squares > 0, squares, 1))
    sizes = jnp.where(squares > 0, sizes, 0)
    return gathered, sizes / jnp.maximum(sizes.sum(-1, keepdims=True), 1e-12)

  def _blocks(self, name, depth, attention_fn, x, *, dtypes, train, mask=None):
    """Applies transformer blocks over the tokens, the last axis but one."""
    all_weights = []
    for i in range(depth):
      block = htnet.Block(
        self.heads,
        self.mlp_mult,
        self.dropout,
        0.0,
        attention_fn,
        dtypes,
        name=f'{name}_block{i}',
      )
      x, weights = block(x, train=train, mask=mask)
      all_weights.append(weights)
    return x, tuple(all_weights)


def _is_factor(levels):
  return (levels > 0) & (levels < np.inf)


def _row(x, example):
  """Returns the row of an example; a lone row is that of all of them."""
  x = np.atleast_2d(x)
  return x[min(example, len(x) - 1)].tolist()


PRESETS: dict[str, dict[str, Any]] = {
  'base': dict(
    dim=128, heads=4, encoder_depth=2, level_depth=2, region_depth=2
  ),
  'small': dict(
    dim=64, heads=4, encoder_depth=1, level_depth=1, region_depth=1
  ),
  'tiny': dict(dim=16, heads=2, encoder_depth=1, level_depth=1, region_depth=1),
}
