"""Casts made-up people and decides what they do in each clip."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from jaxtyping import Float
import numpy as np

from mejax.corpora.faces import camera
from mejax.corpora.faces import drawing
from mejax.corpora.faces import motion


@dataclasses.dataclass(frozen=True)
class Person:
  """What stays the same in all clips of a subject.

  Attributes:
    face: the neutral face.
    strength: share of the full movement that the person shows.
    asymmetry: -1 to 1, positive where the right side of the image moves more.
    habits: 0 to 1 for each action unit, how far the person has ways of their
      own: uses it where others do not, and less where others do.
  """

  face: drawing.Face
  strength: float
  asymmetry: float
  habits: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Take:
  """One clip before it is rendered.

  Attributes:
    activations: strength of each action unit of the expression, left and right
      in the image; the strongest is 1.
    amplitude: largest displacement of the expression, in pixels of a 128-pixel
      frame.
    intensity: strength of the expression in each frame.
    apex: position of the apex among the frames.
    expression: movements of the face, distractors among them.
    drift: movements of the whole head.
    pose: of the head at the onset.
    lighting: lamp and camera.
  """

  activations: Mapping[str, tuple[float, float]]
  amplitude: float
  intensity: Float[np.ndarray, ' t']
  apex: int
  expression: list[motion.Movement]
  drift: list[motion.Movement]
  pose: camera.Pose
  lighting: camera.Lighting


def cast(generator: np.random.Generator, *, size: int, hard: float) -> Person:
  """Makes up a person for frames of `size` pixels; `hard` is 0 to 1."""
  units = sorted(
    {
      unit
      for pair in motion.EMOTIONS.values()
      for some in pair
      for unit in some
    }
  )
  return Person(
    face=drawing.make_face(generator, size=size),
    strength=float(generator.uniform(1 - 0.4 * hard, 1)),
    asymmetry=float(generator.uniform(-1, 1) * (0.2 + 0.5 * hard)),
    habits={unit: float(generator.uniform()) for unit in units},
  )


def perform(
  generator: np.random.Generator,
  person: Person,
  emotion: str,
  *,
  size: int,
  hard: float,
) -> Take:
  """Decides a clip of `person` but for the camera's noise; `hard` is 0 to 1."""
  num_frames = int(generator.integers(24, 33))
  apex = round(num_frames * generator.uniform(0.35, 0.6))
  shift = generator.uniform(-0.012, 0.012, 2)
  pose = camera.Pose(
    shift=(float(shift[0]), float(shift[1])),
    roll=float(generator.uniform(-0.04, 0.04)),
    scale=float(generator.uniform(0.97, 1.03)),
  )
  points = {name: pose.place(xy) for name, xy in person.face.points.items()}
  activations = _activate(generator, person, emotion, hard)
  field = motion.field(activations, points, size=size)
  # Distractors and foreign muscles come on top of what `strength` leaves.
  full = generator.uniform(1.2 - 0.8 * hard, 2.0 - 0.9 * hard)
  amplitude = float(np.clip(full * person.strength, 0.3, 2.0))
  field *= np.float32(
    amplitude * size / 128 / np.linalg.norm(field, axis=-1).max()
  )
  intensity = motion.rise_and_fall(num_frames, apex)
  distractors = _distract(generator, points, num_frames, size, hard)
  return Take(
    activations=activations,
    amplitude=amplitude,
    intensity=intensity,
    apex=apex,
    expression=[motion.Movement(field, intensity), *distractors],
    drift=motion.drift(
      generator, num_frames=num_frames, size=size, amount=0.1 + 0.5 * hard
    ),
    pose=pose,
    lighting=camera.make_lighting(generator, num_frames=num_frames, hard=hard),
  )


def facs(activations: Mapping[str, tuple[float, float]]) -> str:
  """Action units as a coder would write them, e.g. `1+2+L26`.

  As in FACS, L is the person's left: the right side of the image.
  """
  words = []
  for unit, (left, right) in sorted(
    activations.items(), key=lambda item: int(item[0])
  ):
    if max(left, right) > 0.3:
      side = 'R' if right < 0.5 * left else 'L' if left < 0.5 * right else ''
      words.append(side + unit)
  return '+'.join(words)


def _activate(
  generator: np.random.Generator, person: Person, emotion: str, hard: float
) -> dict[str, tuple[float, float]]:
  """Which muscles pull, left and right in the image; the strongest is 1."""
  core, optional = motion.EMOTIONS[emotion]
  strength = {}
  for unit, habit in person.habits.items():
    if unit in core:
      weakest = 1 - 0.7 * hard
      own = 1 - 0.8 * hard * habit
      strength[unit] = own * generator.uniform(weakest, 1)
    elif unit in optional:
      strength[unit] = habit * generator.uniform(0.3, 1)
    elif generator.uniform() < 0.35 * hard:
      strength[unit] = generator.uniform(0, 1.4 * hard)
  sides = {}
  for unit, value in strength.items():
    spread = 0.1 + 0.4 * hard
    lean = person.asymmetry + spread * generator.normal()
    lean = min(max(lean, -0.9), 0.9)
    sides[unit] = (value * min(1, 1 - lean), value * min(1, 1 + lean))
  most = max(max(pair) for pair in sides.values())
  return {
    unit: (float(left / most), float(right / most))
    for unit, (left, right) in sides.items()
  }


def _distract(
  generator: np.random.Generator,
  points: Mapping[str, Float[np.ndarray, '2 2']],
  num_frames: int,
  size: int,
  hard: float,
) -> list[motion.Movement]:
  """Movements that say nothing about the emotion: blink, gaze, lip twitch."""
  movements = []
  for unit in ('45', 'gaze', 'twitch'):
    amount = float(generator.normal() * 1.3 * hard)
    happens = hard > 0 and generator.uniform() < 0.2 + 0.5 * hard
    start = float(generator.uniform(0, 0.6) * num_frames)
    length = float(generator.uniform(0.4, 0.9) * num_frames)
    sides = {
      '45': (abs(amount), abs(amount)),
      'gaze': (-amount, amount),
      'twitch': ((amount, 0.0), (0.0, amount))[generator.integers(2)],
    }[unit]
    if happens:
      movements.append(
        motion.Movement(
          motion.field({unit: sides}, points, size=size),
          motion.bump(num_frames, start=start, length=length),
        )
      )
  return movements
