"""Draws what is no expression: lids, eyes, speech, the head, and light."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mejax.corpora.faces import camera
from mejax.corpora.faces import movement
from mejax.corpora.faces.script import Script
from mejax.corpora.faces.script import Stage

# A blink of the annotators, who see the lids move, in seconds.
_BLINK = (0.33, 0.6)
# Pixels by which a lid closes; a field that falls off faster would fold.
_LID = 5.0


def draw_blinks(
  generator: np.random.Generator,
  script: Script,
  stage: Stage,
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


def draw_gaze(
  generator: np.random.Generator, script: Script, stage: Stage
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


def draw_speech(
  generator: np.random.Generator, script: Script, stage: Stage
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


def draw_head(
  generator: np.random.Generator, script: Script, stage: Stage
) -> list[movement.Movement]:
  """Makes the head drift, turn for a moment, and nod."""
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
  for start in stage.moments(generator, script.nods, 1.0):
    size = float(generator.uniform(4, 12)) * unit
    times = int(generator.integers(2, 4))
    rate = float(generator.uniform(1, 2))
    beat = np.sin(np.pi * rate * (time - start)) ** 2
    inside = (time >= start) & (time < start + times / rate)
    field = near * np.array([0.0, 1.0]) * size
    moves.append(
      movement.Movement(
        np.float32(field), np.where(inside, beat, 0).astype(np.float32)
      )
    )
  return [one for one in moves if np.any(one.envelope)]


def draw_lighting(
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
