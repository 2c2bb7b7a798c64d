"""Makes up the people of generated flow, and the crops of their pictures.

Lengths are in distances between the pupils, except in crops.
"""

from __future__ import annotations

import dataclasses
from typing import Any
from typing import NamedTuple

from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import PRNGKeyArray
import numpy as np

from mejax.corpora.faces import muscles
from mejax.corpora.faces import random

PULLS = muscles.pulls()
BLINK = muscles.NAMES.index('45')


# How the skin follows a muscle; see `fields.pull`.
PULLING = ('points', 'lines')


class Crop(NamedTuple):
  """What is cut out of a photo: between two crops, and some way around.

  Each has the middle between the pupils (x, y) and their distance as shares of
  the side, and the height of a face over its usual height at that distance.
  """

  first: tuple[float, float, float, float]
  second: tuple[float, float, float, float]
  spread: tuple[float, float, float, float]


# `released` is as the flow images of the HTNet release: their face points, of
# which no label was read, are near the first (CASME II, SMIC) and the second
# (SAMM), and faces were squeezed to squares. `aligned` is `motion.alignment`.
CROPS = {
  'released': Crop(
    (0.515, 0.28, 0.52, 0.87),
    (0.525, 0.40, 0.44, 0.89),
    (0.013, 0.015, 0.022, 0.04),
  ),
  'aligned': Crop(
    (0.5, 0.26, 0.36, 1.04), (0.5, 0.26, 0.36, 1.04), (0.01, 0.01, 0.012, 0.05)
  ),
}
# Where skin has texture, and a flow method finds motion: brows, eyes, nostrils
# and mouth, from the middle of the face: (x, y), reach across and down.
TEXTURE = (
  ((0.5, -0.33), (0.30, 0.09)),
  ((0.5, 0.02), (0.22, 0.10)),
  ((0.16, 0.60), (0.12, 0.10)),
  ((0.22, 1.06), (0.24, 0.10)),
)


@dataclasses.dataclass(frozen=True)
class Options:
  """How pictures are generated.

  Attributes:
    size: side of a picture in pixels.
    crop: a name of `CROPS`.
    levels: amplification factors.
    disturbance: size of all that is no expression; 1 is as usual.
    variety: how much people and faces differ; 1 is as usual.
    pulling: how the skin follows a muscle, a name of `PULLING`.
  """

  size: int = 28
  crop: str = 'released'
  levels: tuple[float, ...] = (1.0,)
  disturbance: float = 1.0
  variety: float = 1.0
  pulling: str = 'points'

  def __post_init__(self):
    if self.crop not in CROPS:
      raise ValueError(f'crop {self.crop!r}; expected {", ".join(CROPS)}')
    if self.pulling not in PULLING:
      raise ValueError(
        f'pulling is {self.pulling!r}; expected {" or ".join(PULLING)}'
      )
    if not self.levels:
      raise ValueError('levels are empty; expected amplification factors')
    if not 4 <= self.size <= 1024:
      raise ValueError(f'size is {self.size}; expected 4 to 1024 pixels')
    for name in ('disturbance', 'variety'):
      if not 0 <= getattr(self, name) <= 10:
        raise ValueError(f'{name} is {getattr(self, name):g}; expected 0 to 10')


def usual_crop(name: str) -> tuple[float, float, float, float]:
  """Returns what is cut out around the face of a usual person.

  Args:
    name: a name of `CROPS`.

  Returns:
    The middle between the pupils (x, y) and their distance as shares of the
    side, and the height of the face over its usual height at that distance.
  """
  pair = zip(CROPS[name].first, CROPS[name].second, strict=True)
  return tuple((one + other) / 2 for one, other in pair)


class Person(struct.PyTreeNode):
  """Everything that is the same in all pictures of a person.

  Attributes:
    crop: f32[4], middle between the pupils (x, y), their distance, height.
    place, move, reach: f32[p, 2], as `muscles.Pulls`, for this face.
    bend: f32[p, 2, 2], change of `move` over one reach across and down.
    length: f32[p], of the line of each pull, in its reaches.
    belly: f32[p], reach along the line over that beyond its end.
    wide: f32, share of a pull that reaches farther.
    texture: f32[t], strength of the texture at each of `TEXTURE`.
    strength: f32[u], how far each unit moves.
    sides: f32[u, 2], share of it on the left and on the right of the image.
    habit: f32[u], chance that each unit is added to an expression.
    amplitude: f32, size of a full expression.
    outline: f32[4], middle (x, y) and half axes of the face.
  """

  crop: Any
  place: Any
  move: Any
  reach: Any
  bend: Any
  length: Any
  belly: Any
  wide: Any
  texture: Any
  strength: Any
  sides: Any
  habit: Any
  amplitude: Any
  outline: Any


def person(key: PRNGKeyArray, options: Options) -> Person:
  """Draws a person."""
  spread = options.variety
  count, pairs = len(muscles.NAMES), int(PULLS.pair.max()) + 1
  first, second = jax.random.split(key)
  normal = random.Numbers(jax.random.normal(first, (1024,)))
  crop = cut(jax.random.fold_in(key, 2), options)
  # Heights of brows, eyes, nose, mouth and chin differ, and so do widths.
  heights = jnp.array([-0.6, -0.36, 0.0, 0.7, 1.06, 1.6])
  moved = heights + spread * normal(6) * jnp.array(
    [0.06, 0.05, 0.015, 0.05, 0.07, 0.10]
  )
  widths = jnp.exp(spread * normal(6) * 0.08)
  place = jnp.array(PULLS.place)
  place = jnp.stack(
    [
      place[:, 0] * jnp.interp(place[:, 1], heights, widths),
      jnp.interp(place[:, 1], heights, moved),
    ],
    axis=1,
  )
  # Every pull lies, points and reaches differently, nearly alike on both sides.
  mirror = jnp.stack([PULLS.side, jnp.ones_like(PULLS.side)], 1)
  place += 0.05 * spread * normal(pairs, 2)[PULLS.pair] * mirror
  place += 0.02 * spread * normal(*place.shape)
  turn = spread * (
    0.25 * normal(pairs)[PULLS.pair] * PULLS.side + 0.10 * normal(len(place))
  )
  move = _rotate(jnp.array(PULLS.move), turn)
  move *= jnp.exp(0.3 * spread * normal(pairs))[PULLS.pair, None]
  reach = PULLS.reach * jnp.exp(
    spread * (0.25 * normal(1, 1) + 0.2 * normal(pairs, 2)[PULLS.pair])
  )
  # Under a mirror, what mixes across with down changes its sign.
  odd = np.where(np.eye(2), 1.0, PULLS.side[:, None, None])
  bend = 0.35 * spread * normal(pairs, 2, 2)[PULLS.pair] * odd
  bend *= jnp.linalg.norm(move, axis=1)[:, None, None]
  # Drawn apart, so that nothing else of a person depends on them.
  lines = jax.random.normal(jax.random.fold_in(key, 3), (2, pairs))
  lean = spread * (0.15 * normal(1) + 0.15 * normal(count))
  sides = jnp.stack([jnp.minimum(1 - lean, 1), jnp.minimum(1 + lean, 1)], 1)
  return Person(
    crop=crop,
    place=place,
    move=move,
    reach=reach,
    bend=bend,
    length=2.6 * jnp.exp(0.25 * spread * lines[0])[PULLS.pair],
    belly=1.3 * jnp.exp(0.2 * spread * lines[1])[PULLS.pair],
    wide=0.4 * jax.nn.sigmoid(1.5 * spread * normal()),
    texture=jnp.exp(0.5 * spread * normal(len(TEXTURE))),
    strength=jnp.exp(0.35 * spread * normal(count)),
    sides=jnp.clip(sides, 0.1, 1),
    habit=0.3
    * jax.random.uniform(second, (count,)) ** 3
    * (np.arange(count) != BLINK),
    amplitude=0.016 * jnp.exp(0.5 * spread * normal()),
    outline=jnp.array([0.0, 0.5, 1.08, 1.6])
    + spread * normal(4) * jnp.array([0.03, 0.05, 0.10, 0.12]),
  )


def cut(key: PRNGKeyArray, options: Options) -> Float[Array, '4']:
  """Draws where a face lies in a picture; see `usual_crop`."""
  first, second = jax.random.split(key)
  crop = CROPS[options.crop]
  reach = 0.6 * min(options.variety, 1)
  way = 0.5 + jax.random.uniform(first, minval=-reach, maxval=reach)
  middle = jnp.array(crop.first) * (1 - way) + jnp.array(crop.second) * way
  normal = jax.random.normal(second, (4,))
  return middle + options.variety * jnp.array(crop.spread) * normal


def _rotate(vectors, angle):
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  x, y = vectors[:, 0], vectors[:, 1]
  return jnp.stack([cos * x - sin * y, sin * x + cos * y], 1)
