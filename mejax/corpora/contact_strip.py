"""A picture of a few rendered clips: onset to offset, and the true flow."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.corpora.clip import Clip


def flow_colour(
  flow: Float[np.ndarray, 'h w 2'], *, scale: float
) -> UInt8[np.ndarray, 'h w 3']:
  """Colours a flow: the hue says where to, the depth of colour how far.

  Args:
    flow: right and down, in pixels.
    scale: length in pixels that gets the full colour.
  """
  length, angle = cv2.cartToPolar(
    np.ascontiguousarray(flow[..., 0]),
    np.ascontiguousarray(flow[..., 1]),
    angleInDegrees=True,
  )
  depth = np.clip(length / scale, 0, 1)
  hsv = np.stack([angle, depth, 1 - 0.15 * depth], axis=-1)
  rgb = cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2RGB)
  return (255 * rgb + 0.5).astype(np.uint8)


def contact_strip(
  clips: Sequence[Clip], *, columns: int = 5, gap: int = 3
) -> UInt8[np.ndarray, 'h w 3']:
  """Lays out rendered clips, one a row, the last column the true flow.

  Args:
    clips: whole clips of the synthetic corpus with frames of one size.
    columns: frames of each clip, evenly from onset to apex to offset; odd, so
      that the apex stands in the middle.
    gap: white pixels between the pictures.

  Raises:
    ValueError: no clip, a clip that cannot be used, or `columns` is even or
      below 3.
  """
  if columns < 3 or columns % 2 == 0:
    raise ValueError(f'columns is {columns}; expected 3, 5, 7, ...')
  if not clips:
    raise ValueError('No clips; expected at least one.')
  rows = []
  for clip in clips:
    if clip.problem:
      raise ValueError(f'{clip.identity} cannot be shown: {clip.problem}.')
    half = columns // 2 + 1
    numbers = np.concatenate(
      [
        np.linspace(clip.onset, clip.apex, half),
        np.linspace(clip.apex, clip.offset, half)[1:],
      ]
    ).round()
    pictures = [
      cv2.imread(str(clip.frames[clip.frame_numbers.index(n)]))[..., ::-1]
      for n in numbers.astype(int).tolist()
    ]
    with np.load(clip.truth) as truth:
      flow = truth['true_flow']
    pictures.append(flow_colour(flow, scale=1.5 * len(flow) / 128))
    border = ((0, gap), (0, gap), (0, 0))
    rows.append(
      np.concatenate(
        [np.pad(p, border, constant_values=255) for p in pictures], axis=1
      )
    )
  return np.concatenate(rows)[: -gap or None, : -gap or None]
