"""Readouts: what the last linear layer of a model reads of the last map.

An expression is where a face moves. A mean over all places forgets the where,
unless the map has one place only, as in the released HTNet.

readout  places that stay
mean     one, the mean of all
regions  2 x 2, the mean of each quarter: the facial areas of a mosaic
flat     4 x 4, or the whole map if it is smaller
"""

from __future__ import annotations

import flax.linen as nn
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float

from mejax.models import base

SIDES = {'mean': 1, 'regions': 2, 'flat': 4}


def read(model: nn.Module, x: Float[Array, 'b h w d']) -> Float[Array, 'b n']:
  """Averages a map to the places of the model's readout, and flattens these.

  Args:
    model: the bound model, with the field `readout` and the last layer `head`.
    x: its last map.

  Raises:
    ValueError: the readout is unknown, or the parameters were drawn for a map
      of another number of places.
  """
  if not keeps_places(model.readout):
    return x.mean((1, 2))
  for axis in (1, 2):
    x = _average(x, axis, SIDES[model.readout])
  drawn = base.initialised_shape(model, 'head', 'kernel')
  _, h, w, d = x.shape
  if drawn and drawn[0] != h * w * d:
    raise ValueError(
      f'the inputs of {type(model).__name__} end in {h} x {w} places; expected'
      f' {drawn[0] // d} places, as in the images with which its parameters'
      ' were initialised'
    )
  return x.reshape(x.shape[0], -1)


def keeps_places(readout: str) -> bool:
  """Returns whether a readout keeps more than one place.

  Raises:
    ValueError: the readout is unknown.
  """
  if readout not in SIDES:
    raise ValueError(
      f'readout is {readout!r}.' + base.closest(readout, [*SIDES], 'readouts')
    )
  return readout != 'mean'


def _average(x, axis, count):
  """Averages an axis to at most `count` places, the same read backwards.

  If the places do not divide, neighbours share those between them, as in
  PyTorch's `adaptive_avg_pool2d`.
  """
  size = x.shape[axis]
  if size <= count:
    return x
  parts = [
    lax.slice_in_dim(
      x, i * size // count, -(-(i + 1) * size // count), axis=axis
    )
    for i in range(count)
  ]
  return jnp.stack([part.mean(axis) for part in parts], axis)
