"""Reads the examples of a training batch, and describes their layout."""

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

# Mean and deviation of ImageNet's pixels: red, green, blue in 0..1.
MEAN = np.float32([0.485, 0.456, 0.406])
STD = np.float32([0.229, 0.224, 0.225])


class Sample(struct.PyTreeNode):
  """A training batch, or a part of one.

  Attributes:
    inputs: f32[b ...].
    targets: f32[b, k], share of each class in the target.
    weight: f32[b], weight in the loss; 0 marks a repeat that only pads.
    class_share: f32[k], weight of each class among all training examples of
      the fold.
    extra: further arrays [b ...] by name that a view makes of each example.
    counts: bool[b], which examples do not only pad.
    total: f32, by which the sum of the losses is divided: the weight of the
      whole batch.
    key: random key of dropout. It, `total` and `counts` are there when the
      batch is augmented.
  """

  inputs: Any
  targets: Any
  weight: Any
  class_share: Any = None
  extra: Mapping[str, Any] = struct.field(default_factory=dict)
  counts: Any = None
  total: Any = None
  key: Any = None


# Changes a batch; all of its random draws derive from the key.
Augmentation = Callable[[PRNGKeyArray, Sample, Setting], Sample]


@dataclasses.dataclass(frozen=True)
class Layout:
  """The properties of inputs that decide how they may be augmented.

  Attributes:
    kind: `image` for flow of a whole face, `mosaic` for flow of its four
      regions, both with or without an axis of amplification levels before rows
      and columns; `frames` for pictures of a face in time, [b t h w c]; '' if
      it is not known.
    levels: number of amplification levels; 1 without an axis of levels.
    u_channel: channel of the horizontal flow; None if there is none, or if it
      is not known how the image mirrors.
    centred: whether 0 means no motion.
    windows: whether frames near onset and apex can be drawn instead of them.
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
  """Normalises frames by the mean and deviation of ImageNet's pixels."""
  return (frames.astype(jnp.float32) / 255 - MEAN) / STD


def decode(inputs: Array) -> Array:
  """Turns stored inputs into the inputs that a model reads.

  Frames are stored on the device as u8, which takes a quarter of the memory,
  and are normalised here. All other inputs are returned as they are.
  """
  is_frames = inputs.dtype == jnp.uint8
  return normalise(inputs) if is_frames else inputs


def take(
  data: Any, batch: batches.Batch, *, train: Array, num_classes: int
) -> Sample:
  """Reads the examples of a batch.

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


def parts(sample: Sample, size: int) -> Sample:
  """Cuts a batch into equal parts, stacked [p, b / p ...] for a loop.

  Args:
    sample: a batch that is augmented, since augmentation may mix its examples.
      Its `counts` is for models that take whole batches, and is left out.
    size: largest number of examples of a part.
  """
  batch = len(sample.weight)
  count = -(-batch // size)
  each = -(-batch // count)

  def fill(x):
    # Repeats, because zeros may have no gradient.
    return jnp.concatenate([x, x[: count * each - batch]])

  filled = jax.tree.map(
    fill,
    sample.replace(class_share=None, counts=None, total=None, key=None),
  )
  filled = filled.replace(weight=filled.weight.at[batch:].set(0))
  stacked = jax.tree.map(lambda x: x.reshape(count, each, *x.shape[1:]), filled)
  return stacked.replace(
    total=jnp.broadcast_to(sample.total, count),
    key=jax.random.split(sample.key, count),
  )
