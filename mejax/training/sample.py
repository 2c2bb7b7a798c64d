"""A training batch on its way from the data to the loss, and what changes it.

A number of `Setting` above 0 switches on the augmentation of the same name. It
must fit the layout of the inputs, or is refused before anything is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
from typing import Any

from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import PRNGKeyArray

from mejax.training import augment
from mejax.training import augment_frames
from mejax.training import batches


class Sample(struct.PyTreeNode):
  """A training batch.

  Attributes:
    inputs: f32[b ...].
    targets: f32[b, k], share of each class.
    weight: f32[b]; 0 marks a repeat that only pads.
    class_share: f32[k], weight of each class among all training examples of
      the fold.
    extra: what else a view knows of each example, arrays [b ...] by name.
  """

  inputs: Any
  targets: Any
  weight: Any
  class_share: Any
  extra: Mapping[str, Any] = struct.field(default_factory=dict)


def decode(inputs: Array) -> Array:
  """Stored inputs as a model reads them.

  Frames lie on the device as u8, a quarter of the memory, and are normalised
  here; all else comes as it is.
  """
  is_frames = inputs.dtype == jnp.uint8
  return augment_frames.normalise(inputs) if is_frames else inputs


def take(
  data: Any, batch: batches.Batch, *, train: Array, num_classes: int
) -> Sample:
  """The examples of a batch.

  Args:
    data: `trial.Data`, all examples.
    batch: positions and weights.
    train: f32[n], weight of every example in training; 0 for held-out ones.
    num_classes: k.
  """
  labels = jax.nn.one_hot(data.labels, num_classes)
  return Sample(
    inputs=decode(data.inputs[batch.index]),
    targets=jax.nn.one_hot(data.labels[batch.index], num_classes),
    weight=batch.weight,
    class_share=(labels * train[:, None]).sum(0),
    extra={name: data.extra[name][batch.index] for name in data.extra},
  )


# The last argument is a `trial.Setting`.
Augmentation = Callable[[PRNGKeyArray, Sample, Any], Sample]


@dataclasses.dataclass(frozen=True)
class Layout:
  """What the inputs are, as far as it decides how they may be changed.

  Attributes:
    kind: `image` flow of a whole face, `mosaic` flow of its four regions, with
      an axis of amplification levels before rows and columns or without;
      `frames` pictures of a face in time, [b t h w c]; '' not known.
    levels: amplification levels; 1 where they have no axis.
    u_channel: channel of the horizontal flow; None where there is none, or
      where it is not known how the image mirrors.
    centred: whether 0 means no motion.
    windows: whether frames near onset and apex can be drawn in their place.
  """

  kind: str = ''
  levels: int = 1
  u_channel: int | None = None
  centred: bool = False
  windows: bool = False

  @property
  def is_flow(self) -> bool:
    return self.kind in ('image', 'mosaic')


def _needs_motion(layout: Layout, what: str) -> None:
  if not layout.is_flow or not layout.centred:
    raise ValueError(
      f'{what}, which needs flow (full_flow or region_mosaic as the view) with'
      " 0 for no motion: set view.normalise to 'centre_std', or this number to"
      ' 0.'
    )


def flip(layout: Layout) -> Callable[[Array], Array]:
  """The function that mirrors inputs of this layout.

  Raises:
    ValueError: it is not known how they mirror.
  """
  if layout.kind != 'frames':
    _needs_motion(layout, 'Mirroring negates the horizontal flow')
    if layout.u_channel is None:
      raise ValueError(
        'Mirroring needs regions that stand as on a face: set view.mode to'
        " 'landmarks', or setting.mirror and setting.test_mirror to 0."
      )
  return lambda images: augment.flip(images, u_channel=layout.u_channel)


def _mirror(layout: Layout) -> Augmentation:
  flip(layout)
  return lambda key, sample, setting: sample.replace(
    inputs=augment.mirror(
      key,
      sample.inputs,
      probability=setting.mirror,
      u_channel=layout.u_channel,
    )
  )


def _shift(layout: Layout) -> Augmentation:
  if not layout.kind:
    raise ValueError(
      'setting.shift moves pictures, but it is not known what the inputs are:'
      " give the task's layout a kind, or set setting.shift to 0."
    )
  return lambda key, sample, setting: sample.replace(
    inputs=augment.shift(
      key,
      sample.inputs,
      pixels=setting.shift,
      blocks=2 if layout.kind == 'mosaic' else 1,
      border='zero' if layout.kind == 'frames' else 'edge',
    )
  )


def _jitter(layout: Layout) -> Augmentation:
  if layout.kind != 'frames' or not layout.windows:
    raise ValueError(
      'setting.jitter draws other frames near onset and apex: use frame_pair as'
      ' the view and set view.windows, or set setting.jitter to 0.'
    )

  def apply(key, sample, setting):
    draw, whether = jax.random.split(key)
    names = ('onset_frames', 'apex_frames', 'windows')
    frames = (sample.extra[name] for name in names)
    drawn = decode(augment_frames.jitter(draw, *frames))
    chosen = jax.random.bernoulli(whether, setting.jitter, (len(drawn),))
    chosen = chosen[:, None, None, None, None]
    return sample.replace(inputs=jnp.where(chosen, drawn, sample.inputs))

  return apply


def _rotation(layout: Layout) -> Augmentation:
  if layout.kind != 'frames':
    raise ValueError(
      'setting.rotation turns pictures but not the directions of flow: use'
      ' frame_pair as the view, or set it to 0.'
    )
  return lambda key, sample, setting: sample.replace(
    inputs=augment_frames.rotate(key, sample.inputs, degrees=setting.rotation)
  )


def _scale_jitter(layout: Layout) -> Augmentation:
  _needs_motion(layout, 'setting.scale_jitter multiplies motion')
  return lambda key, sample, setting: sample.replace(
    inputs=augment.scale_jitter(key, sample.inputs, amount=setting.scale_jitter)
  )


def _region_dropout(layout: Layout) -> Augmentation:
  _needs_motion(layout, 'setting.region_dropout takes the motion of regions')
  return lambda key, sample, setting: sample.replace(
    inputs=augment.region_dropout(
      key, sample.inputs, rate=setting.region_dropout
    )
  )


def _level_dropout(layout: Layout) -> Augmentation:
  _needs_motion(layout, 'setting.level_dropout takes the motion of levels')
  if layout.levels < 2:
    raise ValueError(
      'setting.level_dropout leaves out amplification levels, but the view has'
      ' one level only; choose a view with several, or set it to 0.'
    )
  return lambda key, sample, setting: sample.replace(
    inputs=augment.level_dropout(key, sample.inputs, rate=setting.level_dropout)
  )


def _balance(layout: Layout) -> Augmentation:
  del layout  # It looks at classes only.
  return lambda key, sample, setting: sample.replace(
    weight=sample.weight
    * augment.balance(
      sample.targets, sample.class_share, strength=setting.balance
    )
  )


def _mixup(layout: Layout) -> Augmentation:
  del layout  # Inputs of any kind can be mixed.

  def apply(key, sample, setting):
    inputs, targets, weight = augment.mixup(
      key, sample.inputs, sample.targets, sample.weight, alpha=setting.mixup
    )
    return sample.replace(inputs=inputs, targets=targets, weight=weight)

  return apply


# By the number of `Setting` that switches them on, in the order in which they
# act. An augmentation draws from a key of its own number, so that others cannot
# change its draws; a number is never given again.
AUGMENTATIONS: dict[str, tuple[int, Callable[[Layout], Augmentation]]] = {
  'jitter': (8, _jitter),
  'mirror': (1, _mirror),
  'rotation': (9, _rotation),
  'shift': (2, _shift),
  'scale_jitter': (3, _scale_jitter),
  'region_dropout': (4, _region_dropout),
  'level_dropout': (5, _level_dropout),
  'balance': (6, _balance),
  'mixup': (7, _mixup),
}


def compose(
  names: Collection[str], layout: Layout
) -> tuple[tuple[int, Augmentation], ...]:
  """The augmentations of these names, as `Trainer.augment` takes them.

  Raises:
    ValueError: one does not fit the layout of the inputs.
  """
  return tuple(
    (number, make(layout))
    for name, (number, make) in AUGMENTATIONS.items()
    if name in names
  )
