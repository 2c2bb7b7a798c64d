"""Plays long recordings of made-up people: what happens in them, and when.

A recording has events (micro- and macro-expressions, whose onset, apex and
offset are known) and things that are no expression: blinks, gaze, speech, a
head that drifts and turns, light that changes, a cut, a face that is away. Each
of these can be switched off, to see what it costs.

Amplitudes are in pixels of a face of 256 pixels, which is a frame of 256, too.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses

from jaxtyping import UInt8
import numpy as np

from mejax.corpora.faces import acting
from mejax.corpora.faces import camera
from mejax.corpora.faces import disturbances
from mejax.corpora.faces import long_events
from mejax.corpora.faces import movement
from mejax.corpora.faces.script import Event
from mejax.corpora.faces.script import Script
from mejax.corpora.faces.script import Stage


@dataclasses.dataclass(frozen=True, eq=False)
class LongTake:
  """A recording before it is rendered.

  Attributes:
    person: who is seen.
    events: expressions in the order of onsets.
    blinks: first and last frame of each blink.
    movements: everything that moves.
    lighting: lamp and camera.
    poses: position of the head, and the frame from which on it holds.
    lost: frames that the camera lost.
    away: first and last frame without a face, or None.
    size, num_frames: of the frames.
  """

  person: acting.Person
  events: tuple[Event, ...]
  blinks: tuple[tuple[int, int], ...]
  movements: tuple[movement.Movement, ...]
  lighting: camera.Lighting
  poses: tuple[tuple[int, camera.Pose], ...]
  lost: frozenset[int]
  away: tuple[int, int] | None
  size: int
  num_frames: int

  def frames(
    self, generator: np.random.Generator
  ) -> Iterator[UInt8[np.ndarray, 'h w 3']]:
    """Renders one frame after the other; `generator` draws the noise."""
    for t in range(self.num_frames):
      yield self.frame(t, generator)

  def frame(
    self, t: int, generator: np.random.Generator
  ) -> UInt8[np.ndarray, 'h w 3']:
    """Renders the frame of a number."""
    pose = [pose for start, pose in self.poses if start <= t][-1]
    moved = np.zeros((self.size, self.size, 2), np.float32)
    for one in self.movements:
      if abs(one.envelope[t]) > 1e-5:
        moved += one.field * one.envelope[t]
    image = camera.render(self.person.face, pose, movement.backward(moved))
    if self.away and self.away[0] <= t <= self.away[1]:
      image = np.full_like(image, image[0].mean())
    return self.lighting.expose(image, t, generator)

  def numbered(
    self, generator: np.random.Generator
  ) -> Iterator[tuple[int, UInt8[np.ndarray, 'h w 3']]]:
    """Renders the frames that are not lost, with their numbers from 0 on."""
    for number, image in enumerate(self.frames(generator)):
      if number not in self.lost:
        yield number, image


def play(
  script: Script,
  *,
  seed: int,
  seconds: float | int,
  fps: float | int,
  size: int,
  take: int = 0,
) -> LongTake:
  """Decides everything about a recording except the camera's noise.

  Args:
    script: what happens.
    seed: decides person, times and movements; each kind of thing has random
      numbers of its own, so that one more blink moves no expression.
    seconds: length.
    fps: frames a second.
    size: side of the frames in pixels.
    take: another one shows the same person at other times.
  """
  more = [take] if take else []
  draw = [np.random.default_rng([seed, i, *more * (i > 0)]) for i in range(9)]
  num_frames = round(seconds * fps)
  person = acting.cast(draw[0], size=size, hard=0.3)
  pose = camera.Pose(
    shift=tuple(draw[0].uniform(-0.02, 0.02, 2).tolist()),
    roll=float(draw[0].uniform(-0.05, 0.05)),
    scale=float(draw[0].uniform(0.92, 1.0)),
  )
  points = {name: pose.place(xy) for name, xy in person.face.points.items()}
  stage = Stage(points, size, fps, num_frames)
  events, moves = long_events.draw_expressions(draw[1], script, stage)
  blinks, lids = disturbances.draw_blinks(
    draw[2], script, stage, [e.onset for e in events]
  )
  moves += lids
  moves += disturbances.draw_gaze(draw[3], script, stage)
  moves += disturbances.draw_speech(draw[4], script, stage)
  moves += disturbances.draw_head(draw[5], script, stage)
  poses = [(0, pose)]
  if script.cut:
    shift = (pose.shift[0] + 0.05, pose.shift[1] - 0.04)
    poses.append((num_frames // 2, dataclasses.replace(pose, shift=shift)))
  away = None
  if script.away:
    start = int(draw[6].integers(num_frames // 4, num_frames // 2))
    away = (start, start + round(script.away * fps) - 1)
  # Every second frame at most, and neither the first nor the last.
  some = draw[8].permutation(np.arange(1, num_frames - 1, 2))[: script.lost]
  return LongTake(
    person=person,
    events=tuple(events),
    blinks=tuple(blinks),
    movements=tuple(moves),
    lighting=disturbances.draw_lighting(draw[7], script, num_frames),
    poses=tuple(poses),
    lost=frozenset(some.tolist()),
    away=away,
    size=size,
    num_frames=num_frames,
  )
