"""Makes up people and decides how they act in each clip.

`hard` is the difficulty on an inner scale of 0 to 1, see `synthetic`.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from jaxtyping import Float
import numpy as np

from mejax.corpora.faces import camera
from mejax.corpora.faces import drawing
from mejax.corpora.faces import movement


@dataclasses.dataclass(frozen=True)
class Person:
  """A subject: everything that is the same in all of its clips.

  Attributes:
    face: the neutral face.
    strength: share of the full movement that the person shows.
    asymmetry: -1 to 1; positive if the right side of the image moves more.
    habits: 0 to 1 for each action unit. A person with a strong habit adds the
      unit to emotions that others show without it, and shows less of it in
      emotions that need it.
    expressiveness: factor of every expression, and of nothing else that moves;
      None if people do not differ in it.
  """

  face: drawing.NeutralFace
  strength: float
  asymmetry: float
  habits: Mapping[str, float]
  expressiveness: float | None = None


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
    expression: movements of the face, the expression first, then distractors.
    drift: movements of the whole head.
    pose: pose of the head at the onset.
    lighting: lamp and camera.
  """

  activations: Mapping[str, tuple[float, float]]
  amplitude: float
  intensity: Float[np.ndarray, ' t']
  apex: int
  expression: list[movement.Movement]
  drift: list[movement.Movement]
  pose: camera.Pose
  lighting: camera.Lighting


def cast(
  generator: np.random.Generator,
  *,
  size: int,
  hard: float,
  age: float | None = None,
) -> Person:
  """Makes up a person for frames of `size` pixels a side.

  Args:
    generator: random numbers of this person.
    size: side of the frames in pixels.
    hard: difficulty.
    age: see `drawing.make_face`.
  """
  units = sorted(
    {
      unit
      for pair in movement.EMOTIONS.values()
      for some in pair
      for unit in some
    }
  )
  return Person(
    face=drawing.make_face(generator, size=size, age=age),
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
  """Decides everything about a clip of `person` except the camera's noise.

  Args:
    generator: random numbers of this clip.
    person: who acts.
    emotion: a key of `movement.EMOTIONS`.
    size: side of the frames in pixels.
    hard: difficulty.
  """
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
  field = movement.field(activations, points, size=size)
  # An expression gets weaker with the difficulty, while distractors and the
  # muscles of other emotions get stronger.
  full = generator.uniform(1.2 - 0.8 * hard, 2.0 - 0.9 * hard)
  amplitude = float(np.clip(full * person.strength, 0.3, 2.0))
  if person.expressiveness is not None:
    amplitude *= person.expressiveness
  field *= np.float32(
    amplitude * size / 128 / np.linalg.norm(field, axis=-1).max()
  )
  intensity = movement.rise_and_fall(num_frames, apex)
  distractors = _distract(generator, points, num_frames, size, hard)
  return Take(
    activations=activations,
    amplitude=amplitude,
    intensity=intensity,
    apex=apex,
    expression=[movement.Movement(field, intensity), *distractors],
    drift=movement.drift(
      generator, num_frames=num_frames, size=size, amount=0.1 + 0.5 * hard
    ),
    pose=pose,
    lighting=camera.make_lighting(generator, num_frames=num_frames, hard=hard),
  )


def facs(activations: Mapping[str, tuple[float, float]]) -> str:
  """Returns action units as a coder would write them, e.g. `1+2+L26`.

  As in FACS, L is the person's left, which is the right side of the image.
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
  """Draws the strength of action units, left and right in the image.

  The strongest is 1.
  """
  core, optional = movement.EMOTIONS[emotion]
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
) -> list[movement.Movement]:
  """Makes movements that are unrelated to the emotion: blink, gaze, twitch."""
  movements = []
  for unit in ('45', 'gaze', 'twitch'):
    # All numbers are drawn, whether the movement happens or not, so that one
    # distractor does not change the random numbers of the next.
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
        movement.Movement(
          movement.field({unit: sides}, points, size=size),
          movement.bump(num_frames, start=start, length=length),
        )
      )
  return movements
