"""Events in long videos, and the overlap of their intervals."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from jaxtyping import Float
from jaxtyping import Integer
import numpy as np

MICRO, MACRO = 'micro', 'macro'
TYPES = (MICRO, MACRO)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
  """An expression that was annotated, or a candidate for one.

  Attributes:
    onset: number of the first frame of the movement.
    offset: number of the last one, which belongs to it.
    type: one of `TYPES`.
    apex: number of the frame of largest movement, if it is known.
    score: how sure a candidate is; only the order matters.
    label: class of the expression; '' if it is not known.
  """

  onset: int
  offset: int
  type: str
  apex: int | None = None
  score: float = 0.0
  label: str = ''

  def __post_init__(self):
    if self.type not in TYPES:
      raise ValueError(f'type is {self.type!r}; expected one of {TYPES}')
    if self.offset < self.onset:
      raise ValueError(
        f'offset {self.offset} is before onset {self.onset}; expected onset '
        'first'
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Video:
  """A long video with what is in it and what was spotted.

  Attributes:
    subject: who is seen; intervals are over people.
    name: unique within the subject.
    num_frames: number of frames, the lost ones included.
    fps: frames per second.
    truths: annotated events.
    candidates: spotted events.
  """

  subject: str
  name: str
  num_frames: int
  fps: float | int
  truths: tuple[Event, ...] = ()
  candidates: tuple[Event, ...] = ()

  def __post_init__(self):
    if not (self.num_frames > 0 and self.fps > 0):
      raise ValueError(
        f'{self.subject}/{self.name} has {self.num_frames} frames at '
        f'{self.fps} frames a second; expected numbers above 0'
      )

  @property
  def minutes(self) -> float:
    """Length of the video."""
    return self.num_frames / self.fps / 60

  def of_type(self, kind: str) -> Video:
    """Returns the video with the events of one type only."""
    return dataclasses.replace(
      self,
      truths=tuple(e for e in self.truths if e.type == kind),
      candidates=tuple(e for e in self.candidates if e.type == kind),
    )


def intervals(events: Sequence[Event]) -> Integer[np.ndarray, 'n 2']:
  """Returns onset and offset of each event."""
  pairs = [(event.onset, event.offset) for event in events]
  return np.array(pairs, np.int64).reshape(-1, 2)


def overlap(
  first: Integer[np.ndarray, 'n 2'],
  second: Integer[np.ndarray, 'm 2'],
  *,
  inclusive: bool = True,
) -> Float[np.ndarray, 'n m']:
  """Returns the intersection over union (IoU) of each pair of intervals.

  Args:
    first: onset and offset of each interval.
    second: likewise.
    inclusive: whether the offset belongs to the interval. Some published code
      takes offset - onset for the length, which differs near a threshold.
  """
  extra = 1 if inclusive else 0
  (a, b), (c, d) = (x.T for x in (first[:, None], second[None]))
  shared = np.clip(np.minimum(b, d) - np.maximum(a, c) + extra, 0, None)
  union = (b - a + extra) + (d - c + extra) - shared
  return (shared / np.maximum(union, 1)).T
