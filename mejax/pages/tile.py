"""What the overview of a dataset keeps of each clip, and shows of it."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import re
from typing import Any

import cv2
from jaxtyping import UInt8
import numpy as np

from mejax.pages import pictures

SIDE = 84  # Of a thumbnail.


@dataclasses.dataclass(frozen=True)
class Tile:
  """A clip of the overview; small, so that all of a dataset are held.

  Attributes:
    corpus, subject, clip, emotion, apex_source: as in the example.
    apex: number of the apex frame; None without frames.
    motion: pixels that 99 % of the face move less than, at the first level;
      None where the flow is not in pixels.
    strain: the same of strain.
    face: thumbnail of the apex; None without frames.
    flow: thumbnail of (u, v, strain).
    points: landmarks in the thumbnail.
  """

  corpus: str
  subject: str
  clip: str
  emotion: str
  apex_source: str
  apex: int | None
  motion: float | None
  strain: float | None
  face: np.ndarray | None
  flow: np.ndarray
  points: np.ndarray

  @classmethod
  def of(cls, example: Mapping[str, Any], units: str) -> Tile:
    """The tile of an example."""
    flow = example['flow'][0]
    side = len(flow)
    is_pixel = units == 'pixel'
    how = cv2.INTER_AREA if side > SIDE else cv2.INTER_NEAREST
    small = cv2.resize(flow, (SIDE, SIDE), interpolation=how)
    face = example.get('apex')
    if face is not None:
      face = cv2.resize(face, (SIDE, SIDE), interpolation=how)
    return cls(
      **{
        key: example[key]
        for key in ('corpus', 'subject', 'clip', 'emotion', 'apex_source')
      },
      apex=int(example['apex_number']) if 'apex_number' in example else None,
      motion=pictures.size_of(flow[..., :2]) if is_pixel else None,
      strain=pictures.size_of(flow[..., 2]) if is_pixel else None,
      face=face,
      flow=small.astype(np.float16),
      points=(example['landmarks'] + 0.5) * SIDE / side - 0.5,
    )

  @property
  def identity(self) -> str:
    """`corpus/subject/clip`."""
    return f'{self.corpus}/{self.subject}/{self.clip}'

  def order(self) -> tuple:
    """Key to sort by corpus, subject and clip, numbers by their value."""
    return tuple(
      tuple(
        (int(part), '') if part.isdecimal() else (-1, part)
        for part in re.split(r'(\d+)', name)
      )
      for name in (self.corpus, self.subject, self.clip)
    )

  def strip(
    self, scales: tuple[float, float] | None
  ) -> UInt8[np.ndarray, 'h w 3']:
    """Thumbnails side by side: the face, if there is one, flow and strain.

    Args:
      scales: pixels of motion, and strain, of the full colours; None for flow
        in 0..255, whose channels are shown one by one.
    """
    flow = self.flow.astype(np.float32)
    if scales is None:
      shown = [pictures.grey(flow[..., i]) for i in range(3)]
    else:
      shown = [
        pictures.flow_colour(flow[..., :2], scale=scales[0]),
        pictures.strain_colour(flow[..., 2], scale=scales[1]),
      ]
    if self.face is not None:
      shown.insert(0, self.face)
    return np.concatenate(shown, axis=1)
