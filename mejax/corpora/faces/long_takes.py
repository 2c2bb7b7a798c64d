"""Plays long recordings of made-up people: what happens in them, and when.

A recording has events (micro- and macro-expressions, whose onset, apex and
offset are known) and things that are no expression: blinks, gaze, speech, a
head that drifts and turns, light that changes, a cut, a face that is away. Each
of these can be switched off, to see what it costs.

Amplitudes are in pixels of a face of 256 pixels, which is a frame of 256, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import NamedTuple

from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.corpora.faces import acting
from mejax.corpora.faces import camera
from mejax.corpora.faces import movement

# How often the action units of annotated micro-expressions are drawn.
_UNITS = {
  '4': 5, '14': 3, '1': 2, '2': 2, '12': 2, '10': 1, '15': 1, '17': 1,
}  # fmt: skip
# A blink of the annotators, who see the lids move, in seconds.
_BLINK = (0.33, 0.6)
# Pixels by which a lid closes; a field that falls off faster would fold.
_LID = 5.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Script:
  """What may happen in a recording; every number can be 0.

  Attributes:
    micro, macro: number of expressions of each type.
    amplitude: of micro-expressions, drawn between the two.
    macro_amplitude: likewise.
    units: action units to draw from; the usual ones if empty.
    on_top: share of the micro-expressions that lie on a macro-expression.
    blinks: a minute.
    gaze: movements of the eyes a minute.
    speech: share of the time.
    drift: pixels a second.
    turns: of the head, a minute.
    light: change of brightness, as a share: half of it slowly, half at once.
    noise: of the camera, in grey levels.
    cut: whether the camera moves at once in the middle.
    away: seconds without a face, once.
  """

  micro: int = 0
  macro: int = 0
  amplitude: tuple[float, float] = (0.8, 2.0)
  macro_amplitude: tuple[float, float] = (3.0, 8.0)
  units: tuple[str, ...] = ()
  on_top: float | int = 0.0
  blinks: float | int = 0.0
  gaze: float | int = 0.0
  speech: float | int = 0.0
  drift: float | int = 0.0
  turns: float | int = 0.0
  light: float | int = 0.0
  noise: float | int = 1.5
  cut: bool = False
  away: float | int = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
  """An expression with its true frames, counted from 0."""

  type: str
  onset: int
  apex: int
  offset: int
  amplitude: float
  units: tuple[str, ...]


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
    away: first and last frame without a face, or None.
    size, num_frames: of the frames.
  """

  person: acting.Person
  events: tuple[Event, ...]
  blinks: tuple[tuple[int, int], ...]
  movements: tuple[movement.Movement, ...]
  lighting: camera.Lighting
  poses: tuple[tuple[int, camera.Pose], ...]
  away: tuple[int, int] | None
  size: int
  num_frames: int

  def frames(
    self, generator: np.random.Generator
  ) -> Iterator[UInt8[np.ndarray, 'h w 3']]:
    """Renders one frame after the other; `generator` draws the noise."""
    for t in range(self.num_frames):
      pose = [pose for start, pose in self.poses if start <= t][-1]
      moved = np.zeros((self.size, self.size, 2), np.float32)
      for one in self.movements:
        if abs(one.envelope[t]) > 1e-5:
          moved += one.field * one.envelope[t]
      image = camera.render(self.person.face, pose, movement.backward(moved))
      if self.away and self.away[0] <= t <= self.away[1]:
        image = np.full_like(image, image[0].mean())
      yield self.lighting.expose(image, t, generator)


def play(
  script: Script,
  *,
  seed: int,
  seconds: float | int,
  fps: float | int,
  size: int,
) -> LongTake:
  """Decides everything about a recording except the camera's noise.

  Args:
    script: what happens.
    seed: decides person, times and movements; each kind of thing has random
      numbers of its own, so that one more blink moves no expression.
    seconds: length.
    fps: frames a second.
    size: side of the frames in pixels.
  """
  draw = [np.random.default_rng([seed, i]) for i in range(8)]
  num_frames = round(seconds * fps)
  person = acting.cast(draw[0], size=size, hard=0.3)
  pose = camera.Pose(
    shift=tuple(draw[0].uniform(-0.02, 0.02, 2).tolist()),
    roll=float(draw[0].uniform(-0.05, 0.05)),
    scale=float(draw[0].uniform(0.92, 1.0)),
  )
  points = {name: pose.place(xy) for name, xy in person.face.points.items()}
  stage = _Stage(points, size, fps, num_frames)
  events, moves = _expressions(draw[1], script, stage)
  blinks, lids = _blinks(draw[2], script, stage, [e.onset for e in events])
  moves += lids
  moves += _gaze(draw[3], script, stage)
  moves += _speech(draw[4], script, stage)
  moves += _head(draw[5], script, stage)
  poses = [(0, pose)]
  if script.cut:
    shift = (pose.shift[0] + 0.05, pose.shift[1] - 0.04)
    poses.append((num_frames // 2, dataclasses.replace(pose, shift=shift)))
  away = None
  if script.away:
    start = int(draw[6].integers(num_frames // 4, num_frames // 2))
    away = (start, start + round(script.away * fps) - 1)
  return LongTake(
    person=person,
    events=tuple(events),
    blinks=tuple(blinks),
    movements=tuple(moves),
    lighting=_lighting(draw[7], script, num_frames),
    poses=tuple(poses),
    away=away,
    size=size,
    num_frames=num_frames,
  )


@dataclasses.dataclass(frozen=True)
class _Stage:
  """Where and when movements take place."""

  points: Mapping[str, Float[np.ndarray, '2 2']]
  size: int
  fps: float | int
  num_frames: int

  @property
  def seconds(self) -> float:
    return self.num_frames / self.fps

  def field(
    self, activations: Mapping[str, tuple[float, float]], amplitude: float
  ) -> Float[np.ndarray, 'h w 2']:
    """Returns a field whose largest displacement is the amplitude."""
    field = movement.field(activations, self.points, size=self.size)
    largest = np.linalg.norm(field, axis=-1).max()
    return field * np.float32(amplitude * self.size / 256 / largest)

  def bump(self, start: float, length: float) -> Float[np.ndarray, ' t']:
    """Returns the strength of a twitch at a time, both in seconds."""
    return movement.bump(
      self.num_frames, start=start * self.fps, length=length * self.fps
    )

  def moments(
    self,
    generator: np.random.Generator,
    a_minute: float | int,
    margin: float,
  ) -> list[float]:
    """Draws times in seconds, on average so many a minute."""
    number = round(a_minute * self.seconds / 60)
    end = max(self.seconds - 2 * margin, margin)
    times = generator.uniform(margin, end, number)
    return sorted(times.tolist())


class _Wanted(NamedTuple):
  """An expression that has no time yet; lengths are in seconds."""

  type: str
  length: float
  rise: float
  amplitude: float
  on_top: bool


def _draw(generator: np.random.Generator, script: Script, kind: str) -> _Wanted:
  """Draws the length, the rise and the amplitude of an expression."""
  if kind == 'macro':
    length = float(np.clip(np.exp(generator.normal(0.2, 0.5)), 0.6, 4.0))
    rise = float(generator.uniform(0.3, 0.45)) * length
    span, on_top = script.macro_amplitude, 0.0
  else:
    length = float(generator.uniform(0.3, 0.5))
    rise = min(float(generator.uniform(0.13, 0.22)), 0.6 * length)
    span, on_top = script.amplitude, script.on_top
  is_on_top = bool(generator.uniform() < on_top)
  amplitude = float(generator.uniform(*span))
  return _Wanted(kind, length, rise, amplitude, is_on_top)


def _expressions(
  generator: np.random.Generator, script: Script, stage: _Stage
) -> tuple[list[Event], list[movement.Movement]]:
  """Draws the expressions, which lie apart but for those on top of another."""
  kinds = ['macro'] * script.macro + ['micro'] * script.micro
  wanted = [_draw(generator, script, kind) for kind in kinds]
  alone = [one for one in wanted if not (one.on_top and script.macro)]
  order = generator.permutation(len(alone))
  # Slots of equal length keep the expressions apart.
  slot = (stage.seconds - 2.0) / max(len(alone), 1)
  placed, hosts = [], []
  for place, i in enumerate(order):
    one = alone[i]
    free = max(slot - one.length - 1.0, 0.0)
    start = 1.5 + place * slot + float(generator.uniform(0, 1)) * free
    placed.append((one, start))
    hosts += [(start, one.length)] if one.type == 'macro' else []
  for one in wanted:
    if one.on_top and hosts:
      start, length = hosts[int(generator.integers(len(hosts)))]
      placed.append((one, start + float(generator.uniform(0.3, 0.6)) * length))
  events = [
    _event(one, start, _units(generator, script), stage)
    for one, start in placed
  ]
  moves = [_act(generator, event, stage) for event in events]
  return sorted(events, key=lambda event: event.onset), moves


def _units(generator: np.random.Generator, script: Script) -> tuple[str, ...]:
  """Draws one or two action units."""
  names = script.units or tuple(_UNITS)
  shares = np.array([_UNITS[name] for name in names], float)
  number = min(int(generator.integers(1, 3)), len(names))
  units = generator.choice(
    names, number, replace=False, p=shares / shares.sum()
  )
  return tuple(sorted(map(str, units), key=int))


def _event(
  one: _Wanted, start: float, units: tuple[str, ...], stage: _Stage
) -> Event:
  onset, last = round(start * stage.fps), stage.num_frames - 1
  rise = max(round(one.rise * stage.fps), 1)
  length = max(round(one.length * stage.fps), 3)
  return Event(
    type=one.type,
    onset=min(onset, last),
    apex=min(onset + rise, last),
    offset=min(onset + length - 1, last),
    amplitude=one.amplitude,
    units=units,
  )


def _act(
  generator: np.random.Generator, event: Event, stage: _Stage
) -> movement.Movement:
  one_sided = generator.uniform() < 0.25
  sides = (1.0, 0.25) if generator.uniform() < 0.5 else (0.25, 1.0)
  strengths = sides if one_sided else (1.0, 0.9)
  field = stage.field(dict.fromkeys(event.units, strengths), event.amplitude)
  envelope = np.zeros(stage.num_frames, np.float32)
  own = slice(event.onset, event.offset + 1)
  envelope[own] = _rise_and_fall(
    event.offset - event.onset + 1, event.apex - event.onset
  )
  return movement.Movement(field, envelope)


def _rise_and_fall(num_frames: int, apex: int) -> Float[np.ndarray, ' t']:
  """Returns the strength of an expression, above 0 from onset to offset."""
  # The frames before the onset and behind the offset are at rest.
  time = np.arange(1, num_frames + 1)
  rise = np.sin(np.pi / 2 * np.minimum(time / (apex + 1), 1)) ** 2
  fall = np.clip((time - apex - 1) / max(num_frames - apex, 1), 0, 1)
  return (rise * np.cos(np.pi / 2 * fall) ** 2).astype(np.float32)


def _blinks(
  generator: np.random.Generator,
  script: Script,
  stage: _Stage,
  onsets: Sequence[int],
) -> tuple[list[tuple[int, int]], list[movement.Movement]]:
  """Draws blinks, if any; a fifth of the expressions begin with one."""
  times = stage.moments(generator, script.blinks, 0.8)
  with_blink = generator.uniform(size=len(onsets)) < 0.2
  if script.blinks:
    times += [
      onset / stage.fps
      for onset, has in zip(onsets, with_blink, strict=True)
      if has
    ]
  found, moves = [], []
  for start in sorted(times):
    length = float(generator.uniform(*_BLINK))
    depth = float(generator.uniform(0.35, 1.0)) * _LID
    found.append(
      (
        round(start * stage.fps),
        min(round((start + length) * stage.fps), stage.num_frames - 1),
      )
    )
    moves.append(
      movement.Movement(
        stage.field({'45': (1.0, 1.0)}, depth), stage.bump(start, length)
      )
    )
  return found, moves


def _gaze(
  generator: np.random.Generator, script: Script, stage: _Stage
) -> list[movement.Movement]:
  moves = []
  for start in stage.moments(generator, script.gaze, 0.5):
    side = float(generator.choice([-1, 1]))
    length = float(generator.uniform(0.4, 1.2))
    moves.append(
      movement.Movement(
        stage.field({'gaze': (-side, side), '45': (0.3, 0.3)}, 2.0),
        stage.bump(start, length),
      )
    )
  return moves


def _speech(
  generator: np.random.Generator, script: Script, stage: _Stage
) -> list[movement.Movement]:
  """Opens the mouth three to six times a second, in bursts."""
  if not script.speech:
    return []
  envelope = np.zeros(stage.num_frames)
  left = script.speech * stage.seconds
  while left > 0:
    length = min(float(generator.uniform(1, 5)), max(left, 1.0))
    start = float(generator.uniform(0, max(stage.seconds - length, 0.1)))
    time = np.arange(stage.num_frames) / stage.fps - start
    inside = (time >= 0) & (time < length)
    rate = float(generator.uniform(3, 6))
    beat = np.sin(np.pi * rate * time) ** 2 * np.sin(np.pi * time / length)
    envelope = np.maximum(envelope, np.where(inside, beat, 0))
    left -= length
  field = stage.field({'26': (1.0, 1.0)}, 6.0)
  return [movement.Movement(field, envelope.astype(np.float32))]


def _head(
  generator: np.random.Generator, script: Script, stage: _Stage
) -> list[movement.Movement]:
  """Makes the head drift, and turn for a moment."""
  unit = stage.size / 256
  centred = ((movement.grid(stage.size) - 0.5) * 2).astype(np.float32)
  still = np.zeros_like(centred)
  rolled = np.stack([-centred[..., 1], centred[..., 0]], -1)
  # What is nearer to the camera, the middle, moves more in a turn.
  near = 0.6 + 0.4 * np.exp(-(centred**2).sum(-1, keepdims=True) / 0.3)
  time = np.arange(stage.num_frames) / stage.fps
  moves = []
  for basis, share in (
    (still + [1, 0], 1.0),
    (still + [0, 1], 1.0),
    (rolled, 0.5),
  ):
    waves = sum(
      np.sin(2 * np.pi * rate * time + generator.uniform(0, 6.3)) / (6.3 * rate)
      for rate in (0.05, 0.11, 0.25)
    )
    path = script.drift * share * unit * waves
    moves.append(
      movement.Movement(np.float32(basis), np.float32(path - path[0]))
    )
  for start in stage.moments(generator, script.turns, 1.0):
    size = float(generator.uniform(6, 20)) * unit
    across = float(generator.choice([-1, 1]))
    down = float(generator.uniform(-0.6, 0.6))
    length = float(generator.uniform(0.8, 2.5))
    field = near * np.array([across, down]) * size
    moves.append(
      movement.Movement(np.float32(field), stage.bump(start, length))
    )
  return [one for one in moves if np.any(one.envelope)]


def _lighting(
  generator: np.random.Generator, script: Script, num_frames: int
) -> camera.Lighting:
  time = np.arange(num_frames) / max(num_frames - 1, 1)
  step = time > generator.uniform(0.3, 0.7)
  wave = np.sin(2 * np.pi * (time + generator.uniform()))
  gain = 1 + script.light / 2 * (wave + step)
  return camera.Lighting(
    gradient=tuple(generator.uniform(-0.15, 0.15, 2).tolist()),
    gain=gain.astype(np.float32),
    colour=generator.uniform(0.96, 1.04, 3).astype(np.float32),
    noise=script.noise / 255,
  )
