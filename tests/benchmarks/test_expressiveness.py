"""The table on expressiveness tells what it says that it tells."""

from __future__ import annotations

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import models
from mejax.experiment.packs import saved as saved_lib
from mejax.experiment.task import Task
from mejax.training import sample
from tests import closeness
from tests.benchmarks import expressiveness
from tests.models import smallest

pytestmark = pytest.mark.unoptimised

PEOPLE, CLIPS = 6, 3


@pytest.fixture(scope='module')
def truth() -> expressiveness.Truth:
  factor = np.geomspace(*expressiveness.EXPRESSIVENESS, PEOPLE)
  factor = np.repeat(factor, CLIPS)
  return expressiveness.Truth(factor, factor)


@pytest.fixture(scope='module')
def task(truth) -> Task:
  """One movement for each class, in proportion to expressiveness and alpha."""
  source = np.random.default_rng(0)
  labels = np.tile(np.arange(3, dtype=np.int32), PEOPLE)
  patterns = source.normal(size=(3, 32, 32, 3))
  inputs = np.einsum(
    'n,a,nhwc->nahwc',
    truth.expressiveness,
    expressiveness.LEVELS,
    patterns[labels],
  )
  subject = np.repeat([f's{i}' for i in range(PEOPLE)], CLIPS)
  return Task(
    inputs=inputs.astype(np.float32),
    labels=labels,
    corpus=np.full(len(labels), 'own'),
    subject=subject,
    clip=np.array([f'c{i}' for i in range(len(labels))]),
    class_names=('a', 'b', 'c'),
    protocol='Ours.',
    groups=np.char.add('own/', subject),
    levels=expressiveness.LEVELS,
    layout=sample.Layout('mosaic', levels=4, u_channel=0, centred=True),
  )


def test_each_case_reads_the_image_that_its_name_says(task, truth):
  def image(name):
    config, own = expressiveness.make_case(name, task, truth, None)
    assert (own.levels, own.layout.levels) == ((1.0,), 1)
    assert config.model.adaptive == ''
    return own.inputs[:, 0]

  flow = task.inputs
  np.testing.assert_array_equal(image('level 4'), flow[:, 2])
  np.testing.assert_array_equal(image('level 1 times 8'), 8 * flow[:, 0])
  closeness.assert_close(image('uniform'), flow.mean(1), 1e-6)
  # The oracle makes all people alike, but for the error of interpolation.
  alike = image('oracle').std((1, 2, 3)).reshape(PEOPLE, CLIPS)
  assert (np.ptp(alike, 0) / alike[-1] < 0.07).all()
  assert np.ptp(flow[:, 0].std((1, 2, 3)).reshape(PEOPLE, CLIPS), 0).min() > 1


def test_all_levels_and_adaptive_read_the_whole_stack(task, truth):
  for name, kind in (
    ('adaptive', 'clip'),
    ('adaptive region', 'region'),
    ('all levels', ''),
  ):
    config, own = expressiveness.make_case(name, task, truth, None)
    np.testing.assert_array_equal(own.inputs, task.inputs)
    assert own.levels == task.levels
    assert config.model.adaptive == kind
  _, own = expressiveness.make_case('adaptive times 8', task, truth, None)
  np.testing.assert_array_equal(own.inputs, 8 * task.inputs)


def test_rank_correlation_is_over_people_or_clips():
  people = np.repeat(list('hgfeabcd'), 2)
  true = np.repeat(np.arange(8.0), 2)
  ours = true**3 + np.tile([-1.5, 1.5], 8)
  found = expressiveness.rank_correlation(ours, true, people, each='person')
  assert found == pytest.approx((1, 1, 1))
  value, low, high = expressiveness.rank_correlation(
    -ours, true, people, each='clip'
  )
  assert -1 < value < -0.9
  assert -1 <= low < high < -0.8


def test_permuted_factors_are_those_of_other_clips(task, truth, monkeypatch):
  model = models.make(
    'artnet', 'tiny', levels=expressiveness.LEVELS, adaptive='clip'
  )
  variables = smallest.variables(model, jnp.asarray(task.inputs))

  def load(seed, name):
    return jax.tree.map(lambda leaf: leaf * (1 + seed / 4), variables)

  saved = saved_lib.Saved(
    model=model,
    load=load,
    seeds=(0, 1),
    names=tuple(np.unique(task.groups).tolist()),
    config=expressiveness.load_config(),
    classes=task.class_names,
  )
  monkeypatch.setattr(saved_lib, 'read_models', lambda folder: saved)
  folder = pathlib.Path('anywhere')
  factors = expressiveness.factors_of(folder, task)
  assert factors.shape == (2, PEOPLE * CLIPS, 1)
  found = expressiveness.permuted_logits(folder, task, factors)
  assert found.shape == (2 * expressiveness.PERMUTATIONS, PEOPLE * CLIPS, 3)
  assert np.abs(found[2:4] - found[:2]).max() > 0
  # Read at the factor of a level, the models say what they say of it alone;
  # among equal factors a permutation changes nothing.
  four = np.full_like(factors, 4.0)
  found = expressiveness.permuted_logits(folder, task, four)
  closeness.assert_close(found[2:4], found[:2], 1e-6)
  alone = model.clone(levels=(4.0,))
  alone = jax.jit(functools.partial(alone.apply, train=False))
  expected, _ = alone(variables, task.inputs[:, 2:3])
  closeness.assert_close(found[0], expected, 1e-5)
  lines = expressiveness.scores(
    {'adaptive': found[:2], 'adaptive permuted': found}, task, truth
  )
  assert '+0.000 (+0.000 to +0.000)' in lines[0]
  lines = expressiveness.correlations({'adaptive': factors}, task, truth)
  # Motion itself is in proportion to the truth here.
  assert lines[-1].split('|')[2].strip() == '1.00 (1.00 to 1.00)'
