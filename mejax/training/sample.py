"""A training batch on its way from the data to the loss."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
from typing import Any

from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import PRNGKeyArray
from jaxtyping import UInt8
import numpy as np

from mejax.training import batches
from mejax.training.setting import Setting

# Of ImageNet's pixels, red, green, blue in 0..1.
MEAN = np.float32([0.485, 0.456, 0.406])
STD = np.float32([0.229, 0.224, 0.225])


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


# Changes a batch; its draws derive from the key alone.
Augmentation = Callable[[PRNGKeyArray, Sample, Setting], Sample]


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


def normalise(frames: UInt8[Array, '*b h w 3']) -> Float[Array, '*b h w 3']:
  """Frames as models of the ImageNet tradition read them."""
  return (frames.astype(jnp.float32) / 255 - MEAN) / STD


def decode(inputs: Array) -> Array:
  """Stored inputs as a model reads them.

  Frames lie on the device as u8, a quarter of the memory, and are normalised
  here. All other inputs come as they are.
  """
  is_frames = inputs.dtype == jnp.uint8
  return normalise(inputs) if is_frames else inputs


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
