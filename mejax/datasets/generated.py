"""Makes examples of generated flow, in the form of a prepared dataset.

Nothing is read from disk: the same options give the same examples, wherever
they are computed in the same way.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
import numpy as np

from mejax.corpora.faces import expressions
from mejax.corpora.faces import fields
from mejax.corpora.faces import individuals
from mejax.corpora.faces import muscles
from mejax.datasets import emotions
from mejax.datasets.protocols import Protocol
from mejax.motion import flow as flow_lib

CORPUS = 'generated'
VERSION = fields.GENERATOR
PROTOCOL = Protocol(
  name='generated',
  sentence='Generated people, three classes; the people of one part held out.',
  classes=emotions.THREE,
  class_of=emotions.three,
)
# Pictures of one call, and those of them that are in memory together. Few are
# wanted as well as many, and the last call draws as many as the others.
_CALL, _TOGETHER = 128, 32
# The flow images of the release were computed larger, with their strain, and
# shrunk then; `mejax prepare` computes flow in the size that it keeps.
FINER = {'released': 2, 'aligned': 1}


def examples(
  *,
  people: int,
  pictures: int,
  seed: int = 0,
  units: str = 'minmax255',
  **options: Any,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """Generates flow pictures.

  Args:
    people: number of made-up people.
    pictures: pictures of each; the classes alternate.
    seed: decides people and pictures.
    units: `pixel`, or `minmax255` for channels that are stretched from 0 to 255
      one by one, as those of the released images.
    **options: see `individuals.Options`.

  Returns:
    Examples as `load.load_examples` returns them, and action_units f32[n, u];
    and metadata of their dataset.
  """
  if units not in ('pixel', 'minmax255'):
    raise ValueError(f'units are {units!r}; expected pixel or minmax255')
  if people < 1 or pictures < 1:
    raise ValueError(
      f'{pictures} pictures of {people} people; expected 1 of each or more'
    )
  options = individuals.Options(**options)
  who = np.repeat(np.arange(people), pictures)
  which = np.tile(np.arange(pictures), people)
  labels = ((who + which) % len(expressions.CLASSES)).astype(np.int32)
  parts = []
  for start in range(0, len(who), _CALL):
    # The last call is filled up, so that there is one program.
    row = np.minimum(np.arange(start, start + _CALL), len(who) - 1)
    found = _draw(seed, who[row], which[row], labels[row], options)
    keep = min(_CALL, len(who) - start)
    parts.append(jax.tree.map(lambda x, keep=keep: np.asarray(x)[:keep], found))
  flow, shown, points = (
    np.concatenate(column) for column in zip(*parts, strict=True)
  )
  if units == 'minmax255':
    flow = stretch(flow)
  found = {
    'flow': flow,
    'landmarks': points,
    'emotion': np.array(expressions.CLASSES)[labels],
    'corpus': np.full(len(who), CORPUS),
    'subject': np.char.add('p', np.char.zfill(who.astype(str), 6)),
    'clip': np.char.add('c', np.char.zfill(which.astype(str), 4)),
    'action_units': shown,
  }
  return found, _describe(options, units)


def _describe(options: individuals.Options, units: str) -> dict[str, Any]:
  """Returns metadata as those of a prepared dataset."""
  return {
    'units': units,
    'strain': 'shreve',
    'flow': {'method': 'generated'},
    'levels': [float(alpha) for alpha in options.levels],
    'size': options.size,
    'landmark_source': 'generated',
    'generator': VERSION,
    'action_units': list(muscles.NAMES),
  }


@functools.partial(jax.jit, static_argnames='options')
def _draw(seed, who, which, labels, options):
  """Draws pictures; each depends on its own person, number and label only."""
  factor = FINER[options.crop]
  fine = dataclasses.replace(options, size=options.size * factor)

  def one(row):
    who, which, label = row
    key = jax.random.fold_in(jax.random.key(seed), who)
    someone = individuals.person(jax.random.fold_in(key, 0), fine)
    made = fields.picture(
      jax.random.fold_in(key, which + 1), someone, label, fine
    )
    whole = with_strain(made.flow)
    # Some programs average when they shrink, others pick.
    picked = jax.random.bernoulli(jax.random.fold_in(key, -which - 1), 0.7)
    image = jnp.where(
      picked, whole[:, ::factor, ::factor], shrink(whole, factor)
    )
    image *= jnp.array([1 / factor, 1 / factor, 1.0])
    points = (made.points + 0.5) / factor - 0.5
    return image, made.units, points

  return jax.lax.map(one, (who, which, labels), batch_size=_TOGETHER)


def with_strain(flow: Float[Array, 'a h w 2']) -> Float[Array, 'a h w 3']:
  """Returns (u, v, strain)."""
  return jnp.concatenate([flow, flow_lib.strain(flow)[..., None]], -1)


def shrink(
  image: Float[Array, 'a h w c'], factor: int
) -> Float[Array, 'a h2 w2 c']:
  """Averages squares of pixels."""
  a, h, w, c = image.shape
  shape = (a, h // factor, factor, w // factor, factor, c)
  return image.reshape(shape).mean((2, 4))


def stretch(
  images: Float[np.ndarray, 'n a h w c'],
) -> Float[np.ndarray, 'n a h w c']:
  """Stretches each channel of each image to whole numbers from 0 to 255."""
  low, high = (f(images, (2, 3), keepdims=True) for f in (np.min, np.max))
  return np.rint((images - low) * 255 / np.maximum(high - low, 1e-12))
