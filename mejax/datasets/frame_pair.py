"""Makes the view of frames: onset, apex and their neighbours, resized."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import math

from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import Shaped
from jaxtyping import UInt8
import numpy as np

# Weights of a resize are whole multiples of 2^-22, as in Pillow.
_BITS = 22


def frame_pair(
  examples: Mapping[str, np.ndarray],
  *,
  size: int | None = None,
  level: int | None = None,
  windows: Sequence[float] = (),
) -> (
  UInt8[np.ndarray, 'n 2 h w 3']
  | tuple[UInt8[np.ndarray, 'n 2 h w 3'], dict[str, np.ndarray]]
):
  """Returns onset and apex, and their neighbours for training to draw from.

  Args:
    examples: onset, apex u8[n, h, w, 3]; with `windows` also onset_frames and
      apex_frames, onset_number, apex_number and offset_number, as
      `load_examples` returns them.
    size: side of the frames in pixels, as stored if None; see `resize`.
    level: index of the amplification level whose apex is shown; the apex as it
      was filmed if None.
    windows: how late training may draw an onset, how early an apex and how late
      an apex. The first two numbers count quarters of the time from onset to
      apex, the last one quarters of the time from apex to offset. If empty, no
      neighbours are returned.

  Returns:
    The pairs; with `windows` also the frames to draw from and their number, as
    `mejax.training.augment_frames.draw_pairs` takes them.

  Raises:
    ValueError: the dataset lacks an array, or `windows` and `level` are both
      given: the neighbours are stored as filmed, not amplified.
  """
  needed = ['onset', 'apex' if level is None else 'amplified']
  if windows:
    needed += ['onset_frames', 'apex_frames']
    needed += ['onset_number', 'apex_number', 'offset_number']
  missing = [name for name in needed if name not in examples]
  if missing:
    raise ValueError(
      f'frame_pair needs {", ".join(missing)}, which this dataset lacks: '
      + (
        'prepare it with --neighbours 4, or set view.windows to ()'
        if 'onset' in examples
        else 'it holds no frames'
      )
    )
  if windows and level is not None:
    raise ValueError(
      f'frame_pair got windows {tuple(windows)} and level {level}; no frames '
      'can be drawn beside an amplified apex: set view.windows to ()'
    )
  if level is None:
    apex = examples['apex']
  else:
    apex = at_level(examples['amplified'], level)
  pairs = np.stack([examples['onset'], apex], 1)
  if not windows:
    return resize(pairs, size)
  stored = examples['onset_frames'].shape[1] - 1
  counts = np.minimum(count_frames(examples, windows), stored)
  late, around = counts[:, 0].max(), counts[:, 1:].max()
  middle = examples['apex_frames'].shape[1] // 2
  near = examples['apex_frames'][:, middle - around : middle + around + 1]
  extra = {
    'onset_frames': resize(examples['onset_frames'][:, : late + 1], size),
    'apex_frames': resize(near, size),
    'windows': counts,
  }
  return resize(pairs, size), extra


def at_level(
  levels: Shaped[np.ndarray, 'n a *rest'], level: int
) -> Shaped[np.ndarray, 'n *rest']:
  """Returns the rows of one amplification level.

  Raises:
    ValueError: there is no such level.
  """
  if not 0 <= level < levels.shape[1]:
    raise ValueError(
      f'level is {level}, but there are {levels.shape[1]} levels'
    )
  return levels[:, level]


def count_frames(
  examples: Mapping[str, np.ndarray], windows: Sequence[float]
) -> Int[np.ndarray, 'n 3']:
  """Counts by how many frames an onset may be late, an apex early and late.

  Args:
    examples: onset_number, apex_number, offset_number i32[n].
    windows: factors of a quarter of the frames from onset to apex (the first
      two) and of a quarter of the frames from apex to offset (the last one).
  """
  onset, apex, offset = (
    examples[f'{name}_number'].astype(np.int64)
    for name in ('onset', 'apex', 'offset')
  )
  lengths = np.stack([apex - onset, apex - onset, offset - apex], 1)
  counts = np.asarray(windows) * np.maximum(lengths, 0) / 4
  # An exact whole number must not be lost to rounding.
  return np.floor(counts + 1e-9).astype(np.int32)


def resize(
  images: UInt8[np.ndarray, '*b h w c'], size: int | None
) -> UInt8[np.ndarray, '*b s s c']:
  """Resizes images to squares as Pillow's bilinear resize does.

  For square images the result equals Pillow's bit for bit: one side is resized
  after the other, and rounded to whole grey levels in between. For other images
  Pillow 13 begins with the side that shrinks most.
  """
  if size is None:
    return images
  height, width = images.shape[-3:-1]
  rows_first = height > max(width, size)
  for rows in (rows_first, not rows_first):
    if rows and height != size:
      images = np.swapaxes(_blend(np.swapaxes(images, -3, -2), size), -3, -2)
    elif not rows and width != size:
      images = _blend(images, size)
  return np.ascontiguousarray(images)


def _blend(
  images: UInt8[np.ndarray, '*b h w c'], size: int
) -> UInt8[np.ndarray, '*b h s c']:
  """Blends the columns of images into `size` columns."""
  weights = _weights(images.shape[-2], size)
  result = np.empty((*images.shape[:-2], size, images.shape[-1]), np.uint8)
  for index in np.ndindex(images.shape[:-3]):
    # Products and sums of these whole numbers are exact in float64.
    total = weights @ images[index].astype(np.float64) + 2 ** (_BITS - 1)
    result[index] = np.clip(np.floor(total / 2**_BITS), 0, 255)
  return result


def _weights(length: int, size: int) -> Float[np.ndarray, 's w']:
  """Returns each new pixel's triangle of weights over the old pixels.

  The weights are integers, in units of 2^-22.
  """
  scale = length / size
  reach = max(scale, 1.0)
  weights = np.zeros((size, length))
  for i, row in enumerate(weights):
    centre = (i + 0.5) * scale
    first = max(math.floor(centre - reach + 0.5), 0)
    last = min(math.floor(centre + reach + 0.5), length)
    distance = np.abs(np.arange(first, last) + 0.5 - centre) / reach
    triangle = np.maximum(1 - distance, 0)
    row[first:last] = triangle / triangle.sum()
  return np.floor(weights * 2**_BITS + 0.5)
