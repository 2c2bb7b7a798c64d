"""Generates the flow of expressions directly, without rendering a face.

A made-up person contracts the muscles of an expression: each action unit pulls
the skin around some points (`muscles.py`). Blinks, gaze, speech, a moving head
and the errors of a flow method are added. All is a pure function of random keys
and `Options`, written for one picture; `jax.vmap` and `jax.jit` make many.

Lengths are in distances between the pupils, except in the result.
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
from jaxtyping import Int
from jaxtyping import PRNGKeyArray
import numpy as np

from mejax.corpora.faces import expressions
from mejax.corpora.faces import flow_errors
from mejax.corpora.faces import muscles
from mejax.corpora.faces import random

# Raised whenever the same key and options give another picture.
GENERATOR = 2
# A unit counts as shown from this share of the strongest one.
SHOWN = 0.3


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
_TEXTURE = (
  ((0.5, -0.33), (0.30, 0.09)),
  ((0.5, 0.02), (0.22, 0.10)),
  ((0.16, 0.60), (0.12, 0.10)),
  ((0.22, 1.06), (0.24, 0.10)),
)

_PULLS, _TABLE = muscles.pulls(), expressions.table()
_BLINK = muscles.NAMES.index('45')
_SPEAKING = np.isin(muscles.NAMES, ['10', '17', '23', '25', '26'])


@dataclasses.dataclass(frozen=True)
class Options:
  """How pictures are generated.

  Attributes:
    size: side of a picture in pixels.
    crop: a name of `CROPS`.
    levels: amplification factors.
    disturbance: size of all that is no expression; 1 is as usual.
    variety: how much people and faces differ; 1 is as usual.
  """

  size: int = 28
  crop: str = 'released'
  levels: tuple[float, ...] = (1.0,)
  disturbance: float = 1.0
  variety: float = 1.0

  def __post_init__(self):
    if self.crop not in CROPS:
      raise ValueError(f'crop {self.crop!r}; expected {", ".join(CROPS)}')
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
    wide: f32, share of a pull that reaches farther.
    texture: f32[t], strength of the texture at each of `_TEXTURE`.
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
  wide: Any
  texture: Any
  strength: Any
  sides: Any
  habit: Any
  amplitude: Any
  outline: Any


class Picture(NamedTuple):
  """The flow of an expression.

  Attributes:
    flow: pixels, u to the right and v down, at each amplification level.
    units: which of `muscles.NAMES` the expression shows; a blink beside it
      counts too.
    points: (x, y) of eyes, nose and corners of the mouth, from the centre of
      the first pixel.
  """

  flow: Float[Array, 'a h w 2']
  units: Float[Array, ' u']
  points: Float[Array, '5 2']


def person(key: PRNGKeyArray, options: Options) -> Person:
  """Draws a person."""
  spread = options.variety
  count, pairs = len(muscles.NAMES), int(_PULLS.pair.max()) + 1
  first, second = jax.random.split(key)
  normal = random.Numbers(jax.random.normal(first, (1024,)))
  crop = _cut(jax.random.fold_in(key, 2), options)
  # Heights of brows, eyes, nose, mouth and chin differ, and so do widths.
  heights = jnp.array([-0.6, -0.36, 0.0, 0.7, 1.06, 1.6])
  moved = heights + spread * normal(6) * jnp.array(
    [0.06, 0.05, 0.015, 0.05, 0.07, 0.10]
  )
  widths = jnp.exp(spread * normal(6) * 0.08)
  place = jnp.array(_PULLS.place)
  place = jnp.stack(
    [
      place[:, 0] * jnp.interp(place[:, 1], heights, widths),
      jnp.interp(place[:, 1], heights, moved),
    ],
    axis=1,
  )
  # Every pull lies, points and reaches differently, nearly alike on both sides.
  mirror = jnp.stack([_PULLS.side, jnp.ones_like(_PULLS.side)], 1)
  place += 0.05 * spread * normal(pairs, 2)[_PULLS.pair] * mirror
  place += 0.02 * spread * normal(*place.shape)
  turn = spread * (
    0.25 * normal(pairs)[_PULLS.pair] * _PULLS.side + 0.10 * normal(len(place))
  )
  move = _rotate(jnp.array(_PULLS.move), turn)
  move *= jnp.exp(0.3 * spread * normal(pairs))[_PULLS.pair, None]
  reach = _PULLS.reach * jnp.exp(
    spread * (0.25 * normal(1, 1) + 0.2 * normal(pairs, 2)[_PULLS.pair])
  )
  # Under a mirror, what mixes across with down changes its sign.
  odd = np.where(np.eye(2), 1.0, _PULLS.side[:, None, None])
  bend = 0.35 * spread * normal(pairs, 2, 2)[_PULLS.pair] * odd
  bend *= jnp.linalg.norm(move, axis=1)[:, None, None]
  lean = spread * (0.15 * normal(1) + 0.15 * normal(count))
  sides = jnp.stack([jnp.minimum(1 - lean, 1), jnp.minimum(1 + lean, 1)], 1)
  return Person(
    crop=crop,
    place=place,
    move=move,
    reach=reach,
    bend=bend,
    wide=0.4 * jax.nn.sigmoid(1.5 * spread * normal()),
    texture=jnp.exp(0.5 * spread * normal(len(_TEXTURE))),
    strength=jnp.exp(0.35 * spread * normal(count)),
    sides=jnp.clip(sides, 0.1, 1),
    habit=0.3
    * jax.random.uniform(second, (count,)) ** 3
    * (np.arange(count) != _BLINK),
    amplitude=0.016 * jnp.exp(0.5 * spread * normal()),
    outline=jnp.array([0.0, 0.5, 1.08, 1.6])
    + spread * normal(4) * jnp.array([0.03, 0.05, 0.10, 0.12]),
  )


def _cut(key: PRNGKeyArray, options: Options) -> Float[Array, '4']:
  """Draws where a face lies in a picture."""
  first, second = jax.random.split(key)
  crop = CROPS[options.crop]
  reach = 0.6 * min(options.variety, 1)
  way = 0.5 + jax.random.uniform(first, minval=-reach, maxval=reach)
  middle = jnp.array(crop.first) * (1 - way) + jnp.array(crop.second) * way
  normal = jax.random.normal(second, (4,))
  return middle + options.variety * jnp.array(crop.spread) * normal


def picture(
  key: PRNGKeyArray, who: Person, label: Int[Array, ''], options: Options
) -> Picture:
  """Draws an expression of a person.

  Args:
    key: draws the expression and all that disturbs it.
    who: the person.
    label: number of its class in `expressions.CLASSES`.
    options: how pictures are generated.
  """
  acting, beside, head_key, error_key = jax.random.split(key, 4)
  activation, units = act(acting, who, label)
  own = pull(who, activation, options)
  strongest = jnp.linalg.norm(own, axis=-1).max()
  # Sizes of what disturbs are shares of the expression, which is 1 here.
  own /= jnp.maximum(strongest, 1e-6)
  others, blinks = disturb(beside, who, options)
  moving = own + others + head(head_key, who, options)
  moving *= inside(who, options)[..., None]
  pixels = who.amplitude * who.crop[2] * options.size
  flow = flow_errors.add(
    error_key,
    moving,
    texture(who, options),
    pixels,
    options.levels,
    amount=options.disturbance,
  )
  return Picture(flow, units.at[_BLINK].set(blinks), points(who, options))


def act(
  key: PRNGKeyArray, who: Person, label: Int[Array, '']
) -> tuple[Float[Array, 'u 2'], Float[Array, ' u']]:
  """Draws the contraction of each unit, left and right, and which are shown."""
  count = len(muscles.NAMES)
  uniform = random.Numbers(jax.random.uniform(key, (64,)))
  # The first combination whose cumulative weight exceeds a draw.
  ends = jnp.cumsum(jnp.array(_TABLE.weights)[label])
  chosen = jnp.argmax(ends > uniform() * ends[-1] * (1 - 1e-6))
  core = jnp.array(_TABLE.units)[chosen]
  strength = core * (0.4 + 0.6 * uniform(count))
  added = uniform(count) < who.habit
  strength = jnp.maximum(strength, 0.5 * added * uniform(count))
  strength *= who.strength
  rate = jnp.where(jnp.array(_TABLE.one_sided)[chosen] > 0, 0.6, 0.1)
  weak = jnp.where(uniform() < rate, 0.5 * uniform(), 1.0)
  side = uniform() < 0.5
  sides = who.sides * jnp.where(jnp.stack([side, ~side]), weak, 1.0)
  activation = strength[:, None] * sides
  largest = activation.max(1)
  return activation, (largest >= SHOWN * largest.max()).astype(jnp.float32)


def pull(
  who: Person, activation: Float[Array, 'u 2'], options: Options
) -> Float[Array, 'h w 2']:
  """Sums the pulls of contracted units.

  Args:
    who: whose face moves.
    activation: contraction of each unit, on the left and right of the image.
    options: size and crop.
  """
  amount = activation[_PULLS.unit, (_PULLS.side + 1) // 2]
  x, y = grid(who, options)
  # A Gaussian is a product of one across and one down. Skin also follows from
  # farther away, by a share that is the same for all.
  total = 0.0
  for wider, share in ((1.0, 1 - who.wide), (2.2, who.wide)):
    right = (x - who.place[:, :1]) / (wider * who.reach[:, :1])
    across = jnp.exp(-0.5 * right**2)
    below = (y - who.place[:, 1:]) / (wider * who.reach[:, 1:])
    down = jnp.exp(-0.5 * below**2)
    vector = share * amount[:, None] * who.move
    total += jnp.einsum('ph,pw,pc->hwc', down, across, vector)
    # Skin is bent, too: it does not move the same way all around a point.
    bend = share * amount[:, None, None] * who.bend
    total += jnp.einsum('ph,pw,pc->hwc', down, right * across, bend[..., 0])
    total += jnp.einsum('ph,pw,pc->hwc', below * down, across, bend[..., 1])
  return total


def texture(who: Person, options: Options) -> Float[Array, 'h w']:
  """Returns where the skin has texture; 1 is strong."""
  x, y = grid(who, options)
  total = 0.0
  for strength, (place, reach) in zip(who.texture, _TEXTURE, strict=True):
    across = jnp.exp(-0.5 * ((jnp.abs(x) - place[0]) / reach[0]) ** 2)
    down = jnp.exp(-0.5 * ((y - place[1]) / reach[1]) ** 2)
    total += strength * down[:, None] * across
  return total


def disturb(
  key: PRNGKeyArray, who: Person, options: Options
) -> tuple[Float[Array, 'h w 2'], Float[Array, '']]:
  """Draws a blink, a glance and speech; most pictures have none of them.

  Returns:
    Their movement, and whether the eyes close.
  """
  count = len(muscles.NAMES)
  first, second = jax.random.split(key)
  uniform = random.Numbers(jax.random.uniform(first, (16,)))
  blink = options.disturbance * uniform.sometimes(0.2, 0.1, 1.2)
  # An opening eye moves the other way.
  blink *= jnp.where(uniform() < 0.3, -1.0, 1.0)
  mouth = jax.random.normal(second, (count,)) * _SPEAKING
  mouth *= options.disturbance * uniform.sometimes(0.12, 0.1, 0.7)
  both = mouth + blink * (np.arange(count) == _BLINK)
  others = pull(who, both[:, None] * jnp.ones(2), options)
  look = options.disturbance * uniform.sometimes(0.2, 0.1, 0.8)
  angle = 2 * jnp.pi * uniform()
  toward = jnp.stack([jnp.cos(angle), 0.5 * jnp.sin(angle)])
  x, y = grid(who, options)
  eyes = jnp.exp(-0.5 * ((jnp.abs(x) - 0.5) / 0.17) ** 2)
  eyes = jnp.exp(-0.5 * (y / 0.09) ** 2)[:, None] * eyes
  moving = others + look * eyes[..., None] * toward
  return moving, (blink >= SHOWN).astype(jnp.float32)


def head(
  key: PRNGKeyArray, who: Person, options: Options
) -> Float[Array, 'h w 2']:
  """Draws what is left of the movement of the head: a similarity and a turn."""
  first, second = jax.random.split(key)
  uniform = random.Numbers(jax.random.uniform(first, (1,)))
  size = uniform.log(0.02, 0.6) * options.disturbance
  across, down, roll, scale, turn, nod = jax.random.normal(second, (6,))
  x, y = grid(who, options)
  x, y = x[None, :], y[:, None] - 0.5
  # A turn moves what lies nearer to the camera more: the nose most.
  near = jnp.exp(-0.5 * ((x / 0.7) ** 2 + (y / 0.9) ** 2))
  roll, turn = 0.5 * roll, 0.5 * turn
  u = across + 0.5 * (scale * x - roll * y) + turn * near
  v = down + 0.5 * (scale * y + roll * x) + nod * near
  return size * jnp.stack([u, v], -1)


def inside(who: Person, options: Options) -> Float[Array, 'h w']:
  """Returns 1 on the face and, softly, 0 outside."""
  x, y = grid(who, options)
  middle_x, middle_y, wide, high = who.outline
  x, y = (x[None, :] - middle_x) / wide, (y[:, None] - middle_y) / high
  return jax.nn.sigmoid((1 - jnp.sqrt(x**2 + y**2)) / 0.08)


def grid(
  who: Person, options: Options
) -> tuple[Float[Array, ' w'], Float[Array, ' h']]:
  """Returns x and y of the centres of the pixels, on the face."""
  centres = (jnp.arange(options.size) + 0.5) / options.size
  distance, height = who.crop[2], who.crop[3]
  return (centres - who.crop[0]) / distance, (centres - who.crop[1]) / (
    distance * height
  )


def points(who: Person, options: Options) -> Float[Array, '5 2']:
  """Returns eyes, nose and corners of the mouth in pixels of the picture."""
  corner = np.flatnonzero(_PULLS.unit == muscles.NAMES.index('12'))[:2]
  places = jnp.stack(
    [
      jnp.array([-0.5, 0.0]),
      jnp.array([0.5, 0.0]),
      jnp.array([0.0, 0.6]),
      *who.place[corner],
    ]
  )
  scale = who.crop[2] * jnp.stack([jnp.ones(()), who.crop[3]])
  return (who.crop[:2] + scale * places) * options.size - 0.5


def _rotate(vectors, angle):
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  x, y = vectors[:, 0], vectors[:, 1]
  return jnp.stack([cos * x - sin * y, sin * x + cos * y], 1)
