"""Makes up signals of recordings in which expressions are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mejax.motion.spotting import places
from mejax.motion.spotting.tracks import Tracks

NOISE = 5e-4


def tracks(
  seed: int,
  events: Sequence[tuple[int, int]] = (),
  *,
  length: int = 600,
  fps: float = 30.0,
  every: int = 1,
  size: float = 0.03,
) -> Tracks:
  """Returns noise in which a brow and a mouth corner move in some frames.

  Args:
    seed: draws the noise.
    events: first and last frame of each movement.
    length: number of analysed frames.
    fps: analysed frames a second.
    every: numbers from one analysed frame to the next.
    size: of a movement, in distances between the eyes.
  """
  generator = np.random.default_rng(seed)
  names = list(places.REGIONS)
  motion = generator.normal(0, NOISE, (length, len(names), 2))
  for first, last in events:
    t = np.arange(first, last + 1)
    height = np.sin(np.pi * (t - first + 1) / (last - first + 2)) ** 2
    for name in ('left brow', 'left inner brow'):
      motion[t, names.index(name), 1] -= size * height
    motion[t, names.index('right mouth corner'), 0] += size * height
  return Tracks(
    numbers=np.arange(length, dtype=float) * every,
    fps=fps,
    motion=motion,
    lids=generator.normal(0, NOISE, (length, 2)),
    head=abs(generator.normal(0, 1e-3, length)),
    light=np.ones(length),
    shot=np.zeros(length, int),
    eyes=60.0,
  )
