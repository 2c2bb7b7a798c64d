"""Readouts average a map evenly, and keep where a face moves."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.models import readout
from tests import closeness
from tests.models import smallest

pytestmark = pytest.mark.unoptimised

WITH_READOUT = ('artnet', 'cnn', 'htnet', 'resnet')
# Numbers of the last map of the smallest models, and of its places.
MAPS = {'artnet': (16, 4), 'cnn': (8, 16), 'htnet': (16, 49), 'resnet': (4, 49)}


class Reader(nn.Module):
  readout: str

  def __call__(self, x):
    return readout.read(self, x)


def read(x, kind):
  return Reader(kind).apply({}, x)


def averaged(x, count):
  """The definition of adaptive average pooling, in float64 and loops."""
  x = np.asarray(x, np.float64)
  for axis in (1, 2):
    size = x.shape[axis]
    count_here = min(count, size)
    parts = [
      np.take(
        x,
        range(
          math.floor(i * size / count_here),
          math.ceil((i + 1) * size / count_here),
        ),
        axis,
      ).mean(axis)
      for i in range(count_here)
    ]
    x = np.stack(parts, axis)
  return x.reshape(len(x), -1)


@pytest.mark.parametrize('sides', [(1, 1), (2, 3), (4, 4), (7, 5), (8, 16)])
@pytest.mark.parametrize('kind, count', [('regions', 2), ('flat', 4)])
def test_places_are_means_of_equal_windows(kind, count, sides):
  x = np.random.default_rng(0).normal(size=(2, *sides, 3)).astype(np.float32)
  closeness.assert_close(read(jnp.array(x), kind), averaged(x, count), 1e-6)


@pytest.mark.parametrize('kind', ['regions', 'flat'])
@pytest.mark.parametrize('side', [2, 5, 7, 8])
def test_a_mirrored_map_has_a_mirrored_readout(kind, side):
  x = jax.random.normal(jax.random.key(0), (1, side, side, 2))
  kept = min(side, readout.SIDES[kind])
  plain, mirrored = (
    read(y, kind).reshape(kept, kept, 2) for y in (x, x[:, :, ::-1])
  )
  closeness.assert_close(mirrored, plain[:, ::-1], 1e-6)


def test_the_mean_is_bit_for_bit_that_of_all_places():
  x = jax.random.normal(jax.random.key(0), (3, 7, 7, 5))
  np.testing.assert_array_equal(read(x, 'mean'), x.mean((1, 2)))


@pytest.mark.parametrize('name', WITH_READOUT)
def test_an_unknown_readout_is_an_error_that_lists_the_known(name):
  model = smallest.make(name, readout='flatt')
  with pytest.raises(ValueError, match="readout is 'flatt'. Did you mean 'fla"):
    jax.eval_shape(
      lambda: model.init(jax.random.key(0), smallest.inputs(name), train=False)
    )


@pytest.mark.parametrize('kind, count', readout.SIDES.items())
@pytest.mark.parametrize('name', WITH_READOUT)
def test_the_head_reads_every_place_that_stays(name, kind, count):
  model = smallest.make(name, readout=kind)
  shapes = jax.eval_shape(
    lambda: model.init(jax.random.key(0), smallest.inputs(name), train=False)
  )
  width, places = MAPS[name]
  kept = min(places, count**2)
  assert shapes['params']['head']['kernel'].shape == (kept * width, 3)


@pytest.mark.parametrize('name', ['htnet', 'artnet'])
def test_dropout_acts_on_places_in_training_alone(name):
  still = {'artnet': {'dropout': 0.0, 'level_dropout': 0.0}}.get(name, {})
  x = smallest.inputs(name)
  model = smallest.make(name, readout='flat', **still)
  variables = smallest.variables(model, x)
  with pytest.raises(ValueError, match='readout_dropout=0.5.*train=True or'):
    jax.eval_shape(lambda: model.apply(variables, x))

  @jax.jit
  def logits(seed):
    key = {'dropout': jax.random.key(seed)}
    return [
      model.apply(variables, x, train=train, rngs=key)[0]
      for train in (True, False)
    ]

  (one, evaluated), (other, same) = logits(0), logits(1)
  assert np.any(one != other)
  np.testing.assert_array_equal(evaluated, same)
  # The mean has no places to drop: `train` may be left out, as ever.
  mean = smallest.make(name, **still)
  jax.eval_shape(lambda: mean.init(jax.random.key(0), x))
  assert mean.readout == 'mean'


def test_regions_of_artnet_are_read_apart_with_shares_that_sum_to_one():
  x = smallest.inputs('artnet')
  model = smallest.make('artnet', readout='regions')
  variables = smallest.variables(model, x)
  logits, out = jax.jit(lambda v, x: model.apply(v, x, train=False))(
    variables, x
  )
  weights = np.asarray(out['region_weights'])
  np.testing.assert_allclose(weights.sum(1), 0.25, rtol=1e-5)
  np.testing.assert_allclose(out['level_weights'].sum(1), 1, rtol=1e-5)
  head = variables['params']['head']
  closeness.assert_close(
    logits, out['head'] @ head['kernel'] + head['bias'], 1e-5
  )
