"""Makes the inputs of models from flow: whole, in four regions, at all levels.

A view is a function `(examples, **options)` that returns inputs f32[n, ...], or
u8 for frames. It may also return a pair: the inputs, and a dict of arrays
[n, ...] that augmentations need. Row i depends on example i alone: no number is
computed over the dataset, so nothing of a held-out subject can reach training
through a view.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from jaxtyping import Float
import numpy as np

from mejax.datasets import frame_pair
from mejax.motion import regions

Image = Float[np.ndarray, '*a h w 3']

# Flow is stored as (u, v, strain).
CHANNELS = {'strain_v_u': (2, 1, 0), 'u_v_strain': (0, 1, 2)}

# Longer movements than this are rare, so `fixed` keeps most values in [-1, 1].
FIXED_PIXELS = 2.0


def full_flow(
  examples: Mapping[str, np.ndarray],
  *,
  level: int = 0,
  channels: str = 'strain_v_u',
  normalise: str = 'none',
) -> Float[np.ndarray, 'n h w 3']:
  """Returns the flow image of one amplification level.

  Args:
    examples: flow f32[n, a, h, w, 3], as `load_examples` returns it.
    level: index of the amplification level.
    channels: name and order of the channels, a key of `CHANNELS`.
    normalise: how each image is normalised, a key of `NORMALISE`.
  """
  images = _images(examples, level=level, normalise=normalise)
  return _stack(images, channels)


def region_mosaic(
  examples: Mapping[str, np.ndarray],
  *,
  mode: str = 'landmarks',
  level: int = 0,
  channels: str = 'strain_v_u',
  normalise: str = 'none',
) -> Float[np.ndarray, 'n h w 3']:
  """Returns four crops, half as wide as the image, at eyes and mouth corners.

  Mode `landmarks` puts them where they are on a face, eyes above. Mode
  `released` repeats the released HTNet pipeline, which exchanges x and y (see
  `motion.regions.released_corners`), for comparison with published numbers.
  The image is normalised before it is cut.

  Args:
    examples: flow f32[n, a, h, h, 3], landmarks f32[n, 5, 2] or, for
      `released`, crop_points i32[n, 5, 2], as `load_examples` returns them.
    mode: `landmarks` or `released`.
    level: index of the amplification level.
    channels: name and order of the channels, a key of `CHANNELS`.
    normalise: how each image is normalised, a key of `NORMALISE`.
  """
  images = _images(examples, level=level, normalise=normalise)
  return _stack(_mosaics(examples, images, mode), channels)


def level_stack(
  examples: Mapping[str, np.ndarray],
  *,
  stored_levels: Sequence[float | int],
  levels: Sequence[float | int] = (),
  mode: str = 'landmarks',
  channels: str = 'strain_v_u',
  normalise: str = 'fixed',
) -> Float[np.ndarray, 'n a h w 3']:
  """Returns the flow of several amplification levels, one mosaic or image each.

  Levels are normalised together: the range, or the deviation, is that of all
  chosen levels, because dividing each level by its own would undo the
  amplification. `centre` subtracts each level's own mean, since the mean grows
  with the amplification too. Only `fixed` keeps how much a face moves, and
  makes a level independent of the other chosen levels.

  Args:
    examples: flow f32[n, a, h, h, 3] and, for a mosaic, the arrays that
      `region_mosaic` needs, as `load_examples` returns them.
    stored_levels: amplification of each level of the flow, as the dataset's
      metadata lists them.
    levels: amplifications to keep, in this order; all by default.
    mode: of the mosaic, see `region_mosaic`; or `full`, the whole flow.
    channels: name and order of the channels, a key of `CHANNELS`.
    normalise: how each stack is normalised, a key of `NORMALISE`.
  """
  stored, flow = [float(alpha) for alpha in stored_levels], examples['flow']
  if len(stored) != flow.shape[1]:
    raise ValueError(
      f'there are {len(stored)} factors for the {flow.shape[1]} levels of flow'
    )
  missing = [alpha for alpha in levels if float(alpha) not in stored]
  if missing:
    raise ValueError(
      f'no level is amplified {missing[0]:g} times; there are '
      f'{", ".join(f"{alpha:g}" for alpha in stored)}'
    )
  chosen = [stored.index(float(alpha)) for alpha in levels or stored]
  function = _known(normalise, NORMALISE, 'normalise')
  stacks = (function(stack) for stack in flow[:, chosen])
  if mode != 'full':
    stacks = _mosaics(examples, stacks, mode)
  return _stack(stacks, channels)


def _mosaics(examples, images, mode: str):
  """Yields the mosaic of each `[*a, h, h, 3]`, cut at its example's points."""
  key, corners = _known(mode, MOSAICS, 'mode')
  if key not in examples:
    raise ValueError(
      f'mode {mode!r} needs {key}, which only some datasets have; here are '
      f'{", ".join(examples)}'
    )
  height, size = examples['flow'].shape[2:4]
  if height != size or size % 4:
    raise ValueError(
      f'flow is {height} x {size}; a mosaic needs a square image whose side is'
      ' a multiple of 4'
    )
  return (
    regions.mosaic(image, corners(points, size=size))
    for image, points in zip(images, examples[key], strict=True)
  )


def _images(examples, *, level: int, normalise: str):
  flow = frame_pair.at_level(examples['flow'], level)
  function = _known(normalise, NORMALISE, 'normalise')
  return (function(image) for image in flow)


def _stack(images, channels: str) -> Float[np.ndarray, 'n *a h w 3']:
  order = list(_known(channels, CHANNELS, 'channels'))
  return np.stack([image[..., order] for image in images]).astype(np.float32)


def _known(name: str, table: Mapping, what: str):
  if name not in table:
    raise ValueError(f'unknown {what} {name!r}; known: {", ".join(table)}')
  return table[name]


def _minmax(image: Image) -> Image:
  """Stretches each channel to [0, 1]; a constant channel becomes 0."""
  axes = tuple(range(image.ndim - 1))
  low = image.min(axes)
  span = image.max(axes) - low
  return (image - low) / np.where(span > 0, span, 1)


def _centre(image: Image) -> Float[np.ndarray, '*a h w 3']:
  """Subtracts each channel's mean; a constant channel becomes exactly 0."""
  # The sum of up to 2^29 equal f32 values is exact in f64: a constant is its
  # own mean.
  return image - image.mean((-3, -2), keepdims=True, dtype=np.float64)


def _std(image: Image) -> Float[np.ndarray, '*a h w 3']:
  """Divides by the standard deviation of all channels together; 0 stays 0."""
  deviation = np.sqrt(np.mean(_centre(image) ** 2))
  return image / deviation if deviation > 0 else image


def _std_each(image: Image) -> Float[np.ndarray, '*a h w 3']:
  """Divides each channel by its own standard deviation; 0 stays 0."""
  axes = tuple(range(image.ndim - 1))
  deviation = np.sqrt(np.mean(_centre(image) ** 2, axes))
  return image / np.where(deviation > 0, deviation, 1)


# Each function normalises an image, or the levels of a stack together. It sees
# nothing else, so no number comes from the dataset.
NORMALISE: dict[str, Callable] = {
  'none': lambda image: image,  # pixels, as stored
  'fixed': lambda image: image / np.float32(FIXED_PIXELS),
  'std': _std,
  'centre': _centre,  # motion relative to that of the whole image
  'centre_std': lambda image: _std(_centre(image)),
  # Loses the proportions of the channels.
  'centre_std_each': lambda image: _std_each(_centre(image)),
  'minmax': _minmax,  # loses zero and scale; for comparison with originals
}

MOSAICS = {
  'landmarks': ('landmarks', regions.face_corners),
  'released': ('crop_points', regions.released_corners),
}


@dataclasses.dataclass(frozen=True)
class View:
  """A view, and what it declares about the inputs that it makes.

  Attributes:
    make: the function from examples to inputs.
    kind: the kind of the inputs, which decides the augmentations: `image`, flow
      of a whole face, or `mosaic`, flow of its regions, [n h w c] or
      [n a h w c] with levels; or `frames` of a face, [n t h w c]; empty if the
      kind is not known.
    takes_stored_levels: whether `make` takes `stored_levels`, the amplification
      of each level in the dataset.
  """

  make: Callable[..., Any]
  kind: str = ''
  takes_stored_levels: bool = False

  def __call__(self, examples: Mapping[str, np.ndarray], **options: Any) -> Any:
    return self.make(examples, **options)


VIEWS = {
  'full_flow': View(full_flow, 'image'),
  'region_mosaic': View(region_mosaic, 'mosaic'),
  'level_stack': View(level_stack, 'mosaic', takes_stored_levels=True),
  'frame_pair': View(frame_pair.frame_pair, 'frames'),
}


def declared(view: View | Callable[..., Any]) -> View:
  """Returns the `View` of a function, or a view as it is.

  A function that is not in `VIEWS` becomes a view of unknown kind.
  """
  if isinstance(view, View):
    return view
  shipped = {each.make: each for each in VIEWS.values()}
  return shipped.get(view, View(view))
