"""The action units of a generated flow: what each pulls, where and how far.

Places are on a mean adult face, in distances between the pupils, from the point
between them: x outward from the middle, y down. Its proportions follow L. G.
Farkas, "Anthropometry of the Head and Face" (1994): with 63 mm between the
pupils, the inner and outer corners of the eyes are 33 and 88 mm apart, those of
the mouth 52 mm, and the mouth lies 66 mm below the eyes. What a unit moves, and
in which direction, follows P. Ekman, W. V. Friesen and J. C. Hager, "Facial
Action Coding System" (2002). How far a pull reaches is our estimate, and every
generated person has an own one.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from jaxtyping import Int
import numpy as np


class Pull(NamedTuple):
  """A part of the skin that a unit moves, on both sides of the face.

  Attributes:
    place: (outward, down), its middle; on the midline both sides share it.
    move: (outward, down), its movement if the unit is fully contracted.
    reach: standard deviations of the movement, across and down.
  """

  place: tuple[float, float]
  move: tuple[float, float]
  reach: tuple[float, float]


ACTION_UNITS: dict[str, tuple[Pull, ...]] = {
  # Inner and outer brow raiser; the forehead above is pushed together.
  '1': (
    Pull((0.24, -0.36), (0.05, -1.0), (0.22, 0.17)),
    Pull((0.20, -0.62), (0.00, -0.5), (0.28, 0.20)),
  ),
  '2': (
    Pull((0.72, -0.38), (0.00, -1.0), (0.24, 0.17)),
    Pull((0.68, -0.62), (0.00, -0.4), (0.28, 0.20)),
  ),
  # Brow lowerer: down, and towards each other.
  '4': (
    Pull((0.24, -0.33), (-0.50, 0.9), (0.24, 0.17)),
    Pull((0.62, -0.38), (-0.20, 0.5), (0.24, 0.15)),
    Pull((0.15, -0.58), (-0.10, 0.4), (0.28, 0.20)),
  ),
  # Upper lid raiser.
  '5': (Pull((0.50, -0.09), (0.00, -1.0), (0.19, 0.07)),),
  # Cheek raiser: the muscle around the eye gathers skin from all sides.
  '6': (
    Pull((0.58, 0.42), (-0.05, -0.9), (0.28, 0.20)),
    Pull((0.50, 0.16), (0.00, -0.5), (0.22, 0.09)),
    Pull((0.88, 0.05), (-0.50, 0.1), (0.15, 0.20)),
  ),
  # Lid tightener.
  '7': (
    Pull((0.46, 0.12), (-0.15, -0.8), (0.20, 0.08)),
    Pull((0.50, -0.09), (-0.05, 0.5), (0.19, 0.07)),
  ),
  # Nose wrinkler: nose and upper lip go up, the inner brows down.
  '9': (
    Pull((0.17, 0.45), (0.05, -1.0), (0.17, 0.22)),
    Pull((0.28, 0.85), (0.05, -0.6), (0.20, 0.16)),
    Pull((0.20, -0.28), (-0.25, 0.6), (0.20, 0.15)),
  ),
  # Upper lip raiser.
  '10': (
    Pull((0.22, 0.94), (0.05, -1.0), (0.19, 0.15)),
    Pull((0.38, 0.70), (0.15, -0.6), (0.19, 0.20)),
  ),
  # Lip corner puller: out and up, with the cheek.
  '12': (
    Pull((0.42, 1.04), (0.75, -0.75), (0.22, 0.19)),
    Pull((0.60, 0.72), (0.20, -0.55), (0.25, 0.22)),
    Pull((0.20, 1.08), (0.35, -0.10), (0.20, 0.15)),
  ),
  # Dimpler: the corner is drawn in against the teeth, the cheek towards it.
  '14': (
    Pull((0.42, 1.05), (0.70, 0.05), (0.16, 0.15)),
    Pull((0.70, 1.05), (-0.45, 0.0), (0.17, 0.20)),
  ),
  # Lip corner depressor.
  '15': (
    Pull((0.43, 1.10), (0.15, 1.0), (0.19, 0.17)),
    Pull((0.40, 1.40), (0.10, 0.5), (0.20, 0.18)),
  ),
  # Chin raiser: the lower lip goes up, and often arches the upper one.
  '17': (
    Pull((0.00, 1.50), (0.00, -1.0), (0.28, 0.18)),
    Pull((0.00, 1.20), (0.00, -0.7), (0.24, 0.11)),
    Pull((0.30, 1.15), (0.00, 0.2), (0.17, 0.14)),
  ),
  # Lip stretcher.
  '20': (
    Pull((0.44, 1.10), (1.00, 0.15), (0.20, 0.17)),
    Pull((0.60, 1.30), (0.60, 0.20), (0.25, 0.22)),
  ),
  # Lip tightener and lip pressor: narrower lips, corners inward.
  '23': (
    Pull((0.36, 1.05), (-0.60, 0.0), (0.16, 0.12)),
    Pull((0.00, 0.97), (0.00, 0.5), (0.24, 0.08)),
    Pull((0.00, 1.16), (0.00, -0.5), (0.24, 0.08)),
  ),
  '24': (
    Pull((0.00, 0.98), (0.00, 0.7), (0.26, 0.08)),
    Pull((0.00, 1.16), (0.00, -0.8), (0.26, 0.09)),
    Pull((0.00, 1.42), (0.00, -0.4), (0.26, 0.15)),
  ),
  # Lips part, jaw drop.
  '25': (
    Pull((0.00, 1.19), (0.00, 0.9), (0.26, 0.10)),
    Pull((0.00, 0.97), (0.00, -0.3), (0.24, 0.08)),
  ),
  '26': (
    Pull((0.00, 1.22), (0.00, 0.8), (0.30, 0.13)),
    Pull((0.00, 1.62), (0.00, 1.0), (0.42, 0.28)),
  ),
  # A blink, which is no part of an expression.
  '45': (
    Pull((0.50, -0.06), (0.00, 1.0), (0.20, 0.08)),
    Pull((0.50, 0.12), (-0.05, -0.2), (0.18, 0.07)),
  ),
}

NAMES = tuple(ACTION_UNITS)


class Pulls(NamedTuple):
  """Every pull of every unit, once for each side.

  Attributes:
    unit: number of its unit in `NAMES`.
    side: -1 for the left side of the image, 1 for the right one.
    pair: number of the pull, which both sides share.
    place, move, reach: as in `Pull`, with x to the right of the image.
  """

  unit: Int[np.ndarray, ' p']
  side: Int[np.ndarray, ' p']
  pair: Int[np.ndarray, ' p']
  place: Float[np.ndarray, 'p 2']
  move: Float[np.ndarray, 'p 2']
  reach: Float[np.ndarray, 'p 2']


def pulls() -> Pulls:
  """Returns the pulls of `ACTION_UNITS` as arrays."""
  flat = [
    (NAMES.index(name), pull)
    for name, parts in ACTION_UNITS.items()
    for pull in parts
  ]
  rows = []
  for pair, (unit, pull) in enumerate(flat):
    # A pull on the midline is there twice, at the same place: half each.
    share = 0.5 if pull.place[0] == 0 else 1.0
    for side in (-1, 1):
      place = (side * pull.place[0], pull.place[1])
      move = (side * share * pull.move[0], share * pull.move[1])
      rows.append((unit, side, pair, place, move, pull.reach))
  unit, side, pair, place, move, reach = zip(*rows, strict=True)
  return Pulls(
    *(np.array(column, np.int32) for column in (unit, side, pair)),
    *(np.array(column, np.float32) for column in (place, move, reach)),
  )
