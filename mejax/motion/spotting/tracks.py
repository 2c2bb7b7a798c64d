"""Follows the regions of a face through a long recording.

Each shot has signals of its own; an hour at 30 frames a second leaves 33 MB of
them. Above 40 frames a second, neighbouring frames are averaged.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses

from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.motion.spotting.following import Detector
from mejax.motion.spotting.following import Signals
from mejax.motion.spotting.shots import Shot

# Frames a second that are analysed, and above which frames are averaged.
_RATE, _MOST = 30.0, 40.0

Frames = Iterable[tuple[int, UInt8[np.ndarray, 'h w 3']]]


@dataclasses.dataclass(frozen=True)
class Tracks:
  """The signals of a recording, at the frames that were analysed.

  Distances are shares of that between the eyes. Where no face was found, all
  but `numbers` is nan.

  Attributes:
    numbers: the number of each analysed frame; of averaged ones, that in the
      middle.
    fps: analysed frames a second.
    motion: displacement of each of `places.REGIONS`, right and down.
    lids: downward displacement of the left and right upper lid.
    head: speed of the face as a whole, in distances a second.
    light: brightness of the face, as a share of its mean.
    shot: frames of one number follow each other without a cut or a gap; -1 if
      there is no face.
    eyes: pixels between the eyes.
  """

  numbers: Float[np.ndarray, ' t']
  fps: float
  motion: Float[np.ndarray, 't r 2']
  lids: Float[np.ndarray, 't 2']
  head: Float[np.ndarray, ' t']
  light: Float[np.ndarray, ' t']
  shot: np.ndarray
  eyes: float


def track(frames: Frames, *, fps: float | int, detector: Detector) -> Tracks:
  """Follows the regions of the face in numbered frames.

  Args:
    frames: number and RGB of each frame, in order; numbers may be missing.
    fps: frames a second.
    detector: image to faces; the largest one is followed.

  Raises:
    ValueError: there is no frame, or `fps` is not above 0.
  """
  recorder = Recorder(fps, detector)
  for number, image in recorder.averaged(frames):
    recorder.add(number, image)
  return recorder.close()


class Recorder:
  """Signals of a recording that goes on."""

  def __init__(self, fps: float | int, detector: Detector):
    if not fps > 0:
      raise ValueError(f'fps is {fps}; expected a number above 0')
    self._every = max(1, round(fps / _RATE)) if fps > _MOST else 1
    self._fps, self._detector = fps / self._every, detector
    self._shots = [Shot(self._fps, detector)]

  def averaged(
    self, frames: Frames
  ) -> Iterator[tuple[float, UInt8[np.ndarray, 'h w 3']]]:
    """Yields means of groups of frames, and the number in their middle."""
    every = self._every
    if every == 1:
      yield from ((float(number), image) for number, image in frames)
      return
    group: list[np.ndarray] = []
    start = 0
    for number, image in frames:
      if group and number // every != start:
        yield start * every + (every - 1) / 2, _mean(group)
        group = []
      start = number // every
      group.append(image)
    if group:
      yield start * every + (every - 1) / 2, _mean(group)

  def add(self, number: float, image: UInt8[np.ndarray, 'h w 3']) -> bool:
    """Takes the next frame; returns whether there are new signals."""
    shot, is_new = self._shots[-1], False
    if shot.ends_before(number, image, self._every):
      shot.close()
      shot, is_new = Shot(self._fps, self._detector), True
      self._shots.append(shot)
    return shot.add(number, image, self._every) or is_new

  def close(self) -> Tracks:
    """Follows the last frames, and returns all signals."""
    self._shots[-1].close()
    return self.tracks()

  def forget(self, before: float) -> None:
    """Lets go of the signals of frames before a number, more or less."""
    for shot in self._shots:
      shot.forget(before)
    last = self._shots[-1]
    self._shots = [one for one in self._shots if one.parts or one is last]

  def tracks(self) -> Tracks:
    """Returns the signals up to the last frame that was followed.

    Raises:
      ValueError: there are none yet.
    """
    known = [shot.known() for shot in self._shots]
    parts = [part for _, some in known for part in some]
    if not parts:
      raise ValueError('there are no frames')
    joined = Signals(*map(np.concatenate, zip(*parts, strict=True)))
    numbers = np.concatenate([own for own, _ in known])
    shot = np.repeat(np.arange(len(known)), [len(own) for own, _ in known])
    shot[np.isnan(joined.head)] = -1
    eyes = [size for shot in self._shots for size in shot.eyes]
    light = joined.light
    if np.isfinite(light).any():
      light = light / max(np.nanmean(light), 1e-6)
    return Tracks(
      numbers=numbers,
      fps=self._fps,
      motion=joined.motion,
      lids=joined.lids,
      head=joined.head,
      light=light,
      shot=shot,
      eyes=float(np.median(eyes)) if eyes else 0.0,
    )


def _mean(images: list[np.ndarray]) -> UInt8[np.ndarray, 'h w 3']:
  return np.rint(np.mean(images, 0, dtype=np.float32)).astype(np.uint8)
