"""Generates the flow of expressions directly, without rendering a face.

A made-up person (`individuals.py`) contracts the muscles of an expression: each
action unit pulls the skin around some points (`muscles.py`). Blinks, gaze,
speech, a moving head and the errors of a flow method are added. All is a pure
function of random keys and `Options`, written for one picture; `jax.vmap` and
`jax.jit` make many.

Lengths are in distances between the pupils, except in the result.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import PRNGKeyArray
import numpy as np

from mejax.corpora.faces import expressions
from mejax.corpora.faces import flow_errors
from mejax.corpora.faces import individuals
from mejax.corpora.faces import muscles
from mejax.corpora.faces import random
from mejax.corpora.faces.individuals import Options
from mejax.corpora.faces.individuals import Person

# Raised whenever the same key and options give another picture.
GENERATOR = 2
# A unit counts as shown from this share of the strongest one.
SHOWN = 0.3

_TABLE = expressions.table()
_SPEAKING = np.isin(muscles.NAMES, ['10', '17', '23', '25', '26'])


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
  return Picture(
    flow, units.at[individuals.BLINK].set(blinks), points(who, options)
  )


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
    options: size and crop; `pulling` says how the skin follows. With `points`
      it moves about one way around a place, as a Gaussian with axes across and
      down. With `lines` it moves towards the fixed end of the muscle, along
      whose line it follows farther than across.
  """
  amount = activation[individuals.PULLS.unit, (individuals.PULLS.side + 1) // 2]
  if options.pulling == 'lines':
    return jnp.einsum('p,phwc->hwc', amount, _along_lines(who, options))
  return _around_points(who, amount, options)


def _around_points(
  who: Person, amount: Float[Array, ' p'], options: Options
) -> Float[Array, 'h w 2']:
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


def _along_lines(who: Person, options: Options) -> Float[Array, 'p h w 2']:
  """Returns the movement of the skin by each pull, fully contracted.

  The linear muscle of K. Waters, "A muscle model for animating
  three-dimensional facial expression" (SIGGRAPH 1987), with Gaussians in the
  place of its sectors: one end is fixed to bone, and skin moves towards it,
  most where the muscle ends in the skin, less beyond that end, beside the line
  and towards the bone.
  """
  x, y = grid(who, options)
  far = jnp.linalg.norm(who.move, axis=1)
  way = who.move / far[:, None]
  # Reaches are given across and down the face; these are along and beside.
  along, beside = (
    jnp.linalg.norm(who.reach * turned, axis=1)
    for turned in (way, way[:, ::-1])
  )
  length = who.length * along
  bone = who.place + length[:, None] * way
  right = bone[:, 0, None, None] - x
  below = bone[:, 1, None, None] - y[:, None]
  way_x, way_y, far, along, beside, length, belly = (
    column[:, None, None]
    for column in (*way.T, far, along, beside, length, who.belly)
  )
  distance = jnp.sqrt(right**2 + below**2 + 1e-6)
  ahead = right * way_x + below * way_y
  # Distance past the end of the muscle, and beside its line, by the sine of the
  # angle at the bone.
  past = (distance - length) / along
  past = jnp.where(past < 0, past / belly, past)
  sine = (right * way_y - below * way_x) / distance
  squared = past**2 + (length * sine / beside) ** 2
  # A small share reaches 5 ** 0.5 times as far: its fifth power is the rest.
  tail = jnp.exp(-0.1 * squared)
  moved = (1 - who.wide) * tail**5 + who.wide * tail
  # At the bone and behind it nothing is pulled.
  moved *= far / distance * jnp.clip(ahead / (0.2 * length), 0, 1)
  return jnp.stack([moved * right, moved * below], -1)


def texture(who: Person, options: Options) -> Float[Array, 'h w']:
  """Returns where the skin has texture; 1 is strong."""
  x, y = grid(who, options)
  total = 0.0
  for strength, (place, reach) in zip(
    who.texture, individuals.TEXTURE, strict=True
  ):
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
  both = mouth + blink * (np.arange(count) == individuals.BLINK)
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
  corner = np.flatnonzero(individuals.PULLS.unit == muscles.NAMES.index('12'))[
    :2
  ]
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
