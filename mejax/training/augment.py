"""Augments a training batch by random changes, inside the compiled step.

Each augmentation has a function here, with the name of its number in
`setting.py`. The function takes the layout of the inputs, raises a ValueError
before any training if the augmentation does not fit it, and returns the
augmentation: a function of a key, a `Sample` and a `Setting`. The number in the
setting is the strength. It may be traced, so that trials of one program can
differ in it; at 0 the arrays are returned unchanged. Each example has its own
draw unless the docstring says otherwise.

Augmentations of frames only are in `augment_frames.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import PRNGKeyArray
import numpy as np

from mejax.training import augment_frames
from mejax.training import setting as setting_lib
from mejax.training.sample import Augmentation
from mejax.training.sample import Layout


def compose(
  names: Collection[str], layout: Layout
) -> tuple[tuple[int, Augmentation], ...]:
  """Returns the augmentations of these names, for `Trainer.augment`.

  Each comes with the number of its random stream. They act in the order of the
  fields of `Setting`. Names of numbers that drive no augmentation are ignored.

  Raises:
    ValueError: an augmentation does not fit the layout of the inputs.
  """
  return tuple(
    (stream, _find(name)(layout))
    for name, stream in setting_lib.STREAMS.items()
    if name in names
  )


def _find(name: str) -> Callable[[Layout], Augmentation]:
  return getattr(augment_frames, name, None) or globals()[name]


def _check_motion(layout: Layout, what: str) -> None:
  if not layout.is_flow or not layout.centred:
    raise ValueError(
      f'{what}, which needs flow (full_flow or region_mosaic as the view) with'
      " 0 for no motion: set view.normalise to 'centre_std', or this number to"
      ' 0.'
    )


def flip(
  layout: Layout,
) -> Callable[[Float[Array, 'b *a h w c']], Float[Array, 'b *a h w c']]:
  """Returns the function that mirrors inputs left-right.

  Columns are reversed and the horizontal flow is negated, so flow must be
  centred (0 = no motion). A mosaic whose four regions lie as on a face is
  mirrored in the same way, because its left and right regions change places.

  Raises:
    ValueError: it is not known how inputs of this layout mirror.
  """
  if layout.kind != 'frames':
    _check_motion(layout, 'Mirroring negates the horizontal flow')
    if layout.u_channel is None:
      raise ValueError(
        'Mirroring needs regions that lie as on a face: set view.mode to'
        " 'landmarks', or setting.mirror and setting.test_mirror to 0."
      )

  def apply(images):
    images = images[..., ::-1, :]
    if layout.u_channel is None:
      return images
    return images * jnp.ones(images.shape[-1]).at[layout.u_channel].set(-1.0)

  return apply


def mirror(layout: Layout) -> Augmentation:
  """Mirrors faces with a probability of `setting.mirror`; see `flip`."""
  flipped = flip(layout)

  def apply(key, sample, setting):
    images = sample.inputs
    shape = (images.shape[0], *(1,) * (images.ndim - 1))
    drawn = jax.random.bernoulli(key, setting.mirror, shape)
    return sample.replace(inputs=jnp.where(drawn, flipped(images), images))

  return apply


def shift(layout: Layout) -> Augmentation:
  """Moves pictures by up to `setting.shift` whole pixels, rounded down.

  All offsets are equally likely. Levels or frames of an example move together.
  In a mosaic each of the four regions has its own offset and moves within its
  borders, as if the face points were slightly elsewhere. Places without a
  source pixel repeat the pixel at the border in flow, and are 0 in frames.
  """
  if not layout.kind:
    raise ValueError(
      'setting.shift moves pictures, but it is not known what the inputs are:'
      " give the task's layout a kind, or set setting.shift to 0."
    )
  blocks = 2 if layout.kind == 'mosaic' else 1

  def apply(key, sample, setting):
    images = sample.inputs
    height, width = images.shape[-3:-1]
    reach = jnp.floor(setting.shift)
    draw = jax.random.uniform(key, (images.shape[0], 2, blocks, blocks))
    offsets = (jnp.floor(draw * (2 * reach + 1)) - reach).astype(jnp.int32)
    # The block of each pixel, and where that block begins and ends.
    place = np.stack(np.indices((height, width)))
    sides = np.array([height, width]).reshape(2, 1, 1) // blocks
    block = place // sides
    first, last = block * sides, (block + 1) * sides - 1

    def move(image, offset):
      source = place - offset[:, block[0], block[1]]
      row, column = inside = jnp.clip(source, first, last)
      moved = image[..., row, column, :]
      if layout.kind == 'frames':
        moved = jnp.where((inside == source).all(0)[..., None], moved, 0)
      return moved

    return sample.replace(inputs=jax.vmap(move)(images, offsets))

  return apply


def scale_jitter(layout: Layout) -> Augmentation:
  """Multiplies each example's motion by a factor, which amplifies the flow.

  The factor lies between 1 / (1 + `setting.scale_jitter`) and its inverse, and
  its logarithm is uniform. Strain is linear in the flow and scales with it.
  """
  _check_motion(layout, 'setting.scale_jitter multiplies motion')

  def apply(key, sample, setting):
    flow = sample.inputs
    shape = (flow.shape[0], *(1,) * (flow.ndim - 1))
    draw = jax.random.uniform(key, shape, minval=-1.0)
    factor = jnp.exp(draw * jnp.log1p(setting.scale_jitter))
    return sample.replace(inputs=flow * factor)

  return apply


def region_dropout(layout: Layout) -> Augmentation:
  """Zeroes quarters of the image, which are the regions of a mosaic.

  Each is zeroed with a probability of `setting.region_dropout`, but one always
  stays. This is Cutout (DeVries and Taylor, arXiv 1708.04552) with regions of
  the face as patches.
  """
  _check_motion(layout, 'setting.region_dropout takes the motion of regions')

  def apply(key, sample, setting):
    images = sample.inputs
    batch, height, width = images.shape[0], *images.shape[-3:-1]
    row, column = np.indices((height, width))
    region = 2 * (2 * row // height) + 2 * column // width
    keep = _keep(key, (batch, 4), setting.region_dropout)[:, region]
    keep = keep.reshape(batch, *(1,) * (images.ndim - 4), height, width, 1)
    return sample.replace(inputs=jnp.where(keep, images, 0))

  return apply


def level_dropout(layout: Layout) -> Augmentation:
  """Zeroes levels, each with a probability of `setting.level_dropout`.

  At least one level of each example stays.
  """
  _check_motion(layout, 'setting.level_dropout takes the motion of levels')
  if layout.levels < 2:
    raise ValueError(
      'setting.level_dropout leaves out amplification levels, but the view has'
      ' one level only; choose a view with several, or set it to 0.'
    )

  def apply(key, sample, setting):
    stack = sample.inputs
    keep = _keep(key, stack.shape[:2], setting.level_dropout)
    keep = keep[..., None, None, None]
    return sample.replace(inputs=jnp.where(keep, stack, 0))

  return apply


def _keep(
  key: PRNGKeyArray, shape: tuple[int, int], rate: float | Float[Array, '']
) -> Bool[Array, 'b r']:
  """Draws which parts stay when they are dropped at `rate`; one always does."""
  draw = jax.random.uniform(key, shape)
  return (draw >= rate) | (draw == draw.max(1, keepdims=True))


def balance(layout: Layout) -> Augmentation:
  """Gives examples of rare classes a higher weight.

  At `setting.balance` 1 every class has the same total weight (scikit-learn's
  `balanced`); between 0 and 1 the factors are raised to that power, for example
  1/2 (Mahajan et al., arXiv 1805.00932). Class frequencies are those of the
  fold's training examples.
  """
  del layout  # Inputs of any kind have classes.

  def apply(key, sample, setting):
    del key  # Nothing is drawn.
    share = sample.class_share
    present = (share > 0).sum()
    even = share.sum() / (present * jnp.where(share > 0, share, 1.0))
    factor = jnp.where(share > 0, even, 1.0) ** setting.balance
    return sample.replace(
      weight=sample.weight * (sample.targets * factor).sum(-1)
    )

  return apply


def mixup(layout: Layout) -> Augmentation:
  """Mixes each example with another of the batch (Zhang et al., 1710.09412).

  The share is drawn from Beta(alpha, alpha) with `setting.mixup` as alpha, once
  for the whole batch, as in the authors' code. Rows of weight 0 neither change
  nor mix into others. With weights w, w' and targets t, t' of its two parts, a
  mixed row has weight share * w + (1 - share) * w', and its weight times target
  is share * w t + (1 - share) * w' t'.
  """
  del layout  # Inputs of any kind can be mixed.

  def apply(key, sample, setting):
    pair_key, share_key = jax.random.split(key)
    alpha, weight = setting.mixup, sample.weight
    drawn = jax.random.beta(share_key, *[jnp.where(alpha > 0, alpha, 1.0)] * 2)
    share = jnp.where((weight > 0) & (alpha > 0), drawn, 1.0)
    other = _partners(pair_key, weight > 0)

    def mix(x):
      rows = share.reshape(-1, *(1,) * (x.ndim - 1))
      return rows * x + (1 - rows) * x[other]

    mixed = mix(weight)
    parts = mix(sample.targets * weight[:, None])
    # Rows that only pad have no weight to divide by.
    divisor = jnp.where(mixed > 0, mixed, 1.0)[:, None]
    targets = jnp.where(mixed[:, None] > 0, parts / divisor, sample.targets)
    units = {k: mix(x) for k, x in sample.extra.items() if k == 'units'}
    return sample.replace(
      inputs=mix(sample.inputs),
      targets=targets,
      weight=mixed,
      extra={**sample.extra, **units},
    )

  return apply


def _partners(key: PRNGKeyArray, real: Bool[Array, ' b']) -> Int[Array, ' b']:
  """Draws a partner for each row: the next one in a random cycle of real rows.

  Rows that only pad are their own partners.
  """
  draw = jnp.where(real, jax.random.uniform(key, real.shape), 2.0)
  order = jnp.argsort(draw)
  place = jnp.arange(len(real))
  following = order[(place + 1) % jnp.maximum(real.sum(), 1)]
  return jnp.where(real, jnp.zeros_like(order).at[order].set(following), place)
