"""A model of several amplifications, from the dataset to what it read."""

from __future__ import annotations

import csv
import dataclasses
import json

from flax import linen as nn
import numpy as np
import pytest

from mejax import experiment
from mejax import models
from mejax.datasets import load
from mejax.experiment import configuration
from mejax.experiment import evaluating
from mejax.experiment import model_checks
from mejax.experiment import resolve
from mejax.experiment import task as task_lib
from mejax.models.capabilities import Capabilities
from mejax.training import sample

pytestmark = pytest.mark.unoptimised

ALPHAS = (1.0, 4.0)
CAUTION = 'Nothing but a stand-in.'


class Reader(nn.Module):
  """What ARTNet shows, of two linear layers: it compiles in no time."""

  num_classes: int = 3
  levels: tuple[float, ...] = ()
  factors: int = 0  # Of each clip, as of an adaptive ARTNet.

  @property
  def capabilities(self) -> Capabilities:
    return Capabilities(levels=self.levels, shows='levels', caution=CAUTION)

  @nn.compact
  def __call__(self, inputs, *, train: bool):
    b, a = inputs.shape[:2]
    x = inputs.reshape(b, a, -1)
    weights = nn.softmax(nn.Dense(4)(x).reshape(b, -1)).reshape(b, a, 4)
    out = {
      'level_weights': weights.sum(-1),
      'region_weights': weights,
      'place_weights': nn.softmax(x[..., :16].reshape(b, a, 4, 4)),
      'encoder_attention': (),
    }
    if self.factors:
      out['factor'] = 1 + nn.sigmoid(nn.Dense(self.factors)(x[:, 0]))
    read = (weights.sum(-1, keepdims=True) * x).sum(1)
    return nn.Dense(self.num_classes)(read), out


@pytest.fixture(scope='module')
def task() -> task_lib.Task:
  source = np.random.default_rng(0)
  labels = np.tile(np.arange(3, dtype=np.int32), 4)
  flow = source.normal(size=(12, 1, 16, 16, 3)).astype(np.float32)
  flow[..., 0] += labels[:, None, None, None]
  subject = np.repeat(['s1', 's2', 's3'], 4)
  return task_lib.Task(
    inputs=np.concatenate([flow, 4 * flow], 1),
    labels=labels,
    corpus=np.full(12, 'own'),
    subject=subject,
    clip=np.array([f'c{i}' for i in range(12)]),
    class_names=('a', 'b', 'c'),
    protocol='Ours.',
    groups=np.char.add('own/', subject),
    levels=ALPHAS,
    layout=sample.Layout('mosaic', levels=2, u_channel=0, centred=True),
  )


@pytest.fixture(scope='module')
def finished(task, tmp_path_factory):
  config = configuration.load_config('artnet:smoke', ['num_seeds=2'])
  workdir = tmp_path_factory.mktemp('levels') / 'run'
  return workdir, experiment.train(
    config, workdir=workdir, task=task, model=Reader()
  )


@pytest.mark.slow
def test_artnet_itself_says_what_it_reads(task, tmp_path):
  config = configuration.load_config('artnet:smoke')
  metrics = experiment.train(config, workdir=tmp_path, task=task)
  assert 'reconstruction from the abstract' in metrics['protocol']
  numbers = json.loads((tmp_path / 'levels.json').read_text())
  assert numbers['levels'] == list(ALPHAS)
  full = metrics['selection']['last']['full']
  assert numbers['scores'][0]['uf1_seeds'] == pytest.approx(full['uf1_seeds'])
  page = (tmp_path / 'report/index.html').read_text()
  assert 'as it is, alone' in page


def test_scores_and_weights_stand_beside_the_result(finished):
  workdir, metrics = finished
  numbers = json.loads((workdir / 'levels.json').read_text())
  assert numbers['levels'] == list(ALPHAS)
  whole, plain, amplified = numbers['scores']
  assert [whole['levels'], plain['levels'], amplified['levels']] == [
    [1, 4],
    [1],
    [4],
  ]
  # All levels together are the very result of the run.
  full = metrics['selection']['last']['full']
  assert whole['uf1_seeds'] == pytest.approx(full['uf1_seeds'])
  assert [row['subject'] for row in numbers['subjects']] == [
    'own/s1',
    'own/s2',
    'own/s3',
  ]
  page = (workdir / 'report/index.html').read_text()
  assert 'as it is, alone' in page


def test_weights_of_every_clip_and_seed_are_shares(finished, task):
  workdir, _ = finished
  with (workdir / 'levels.csv').open() as file:
    rows = list(csv.DictReader(file))
  assert [(row['seed'], row['clip']) for row in rows] == [
    (seed, clip) for seed in ('0', '1') for clip in task.clip
  ]
  shares = np.array(
    [[float(row['alpha_1']), float(row['alpha_4'])] for row in rows]
  )
  np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)
  assert np.ptp(shares[:, 0]) > 0


@pytest.mark.parametrize('in_pixels', [False, True])
def test_factors_of_every_clip_stand_beside_its_motion(
  task, tmp_path, in_pixels
):
  flow = np.zeros((12, 8, 8, 3), np.float32)
  flow[..., 0], flow[..., 1] = 3, 4
  flow *= np.arange(12)[:, None, None, None]
  if in_pixels:
    task = dataclasses.replace(
      task, baseline_inputs=flow, dataset={'units': 'pixel'}
    )
  model = Reader(factors=4)
  config = configuration.load_config('artnet:smoke', ['num_seeds=2'])
  experiment.train(config, workdir=tmp_path, task=task, model=model)
  numbers = json.loads((tmp_path / 'levels.json').read_text())
  with (tmp_path / 'levels.csv').open() as file:
    rows = list(csv.DictReader(file))
  parts = ('upper_left', 'upper_right', 'lower_left', 'lower_right')
  factors = np.array(
    [[float(row[f'factor_{part}']) for part in parts] for row in rows]
  ).reshape(2, 12, 4)
  means = np.exp(np.log(factors).mean((0, 2)))
  found = {row['clip']: row for row in numbers['clips']}
  assert list(found) == [f'own/{s}/{c}' for s, c in zip(
    task.subject, task.clip, strict=True)]  # fmt: skip
  np.testing.assert_allclose(
    [row['factor'] for row in found.values()], means, rtol=1e-5
  )
  expected = 5.0 * np.arange(12)
  if not in_pixels:
    plain = task.inputs[:, 0].reshape(12, -1).astype(float)
    expected = np.sqrt((plain**2).mean(1))
  assert numbers['unit'] == ('px' if in_pixels else 'units of the input')
  for found in (
    [row['motion'] for row in numbers['clips']],
    [float(row['motion']) for row in rows[12:]],
  ):
    np.testing.assert_allclose(found, expected, atol=1e-5)
  page = (tmp_path / 'report/index.html').read_text()
  assert 'At which factor each clip was read' in page
  # A dot for each clip, on wide and on narrow screens.
  assert page.count(': read at ') == 2 * 12


def test_a_finished_run_is_evaluated_again_to_the_same_numbers(
  finished, task, tmp_path
):
  workdir, metrics = finished
  again = evaluating.evaluate(
    workdir, task=task, model=Reader(), out=tmp_path / 'again'
  )
  full = metrics['selection']['last']['full']
  found = again['selection']['last']['full']
  assert found['uf1_seeds'] == pytest.approx(full['uf1_seeds'])


def test_without_the_models_it_says_what_is_missing(task, tmp_path, capsys):
  # The program of the run above, which is compiled already.
  overrides = ['num_seeds=2', 'keep_models=False']
  config = configuration.load_config('artnet:smoke', overrides)
  experiment.train(config, workdir=tmp_path, task=task, model=Reader())
  assert 'levels is left out, because it needs' in capsys.readouterr().out
  assert not (tmp_path / 'levels.json').exists()


def test_tables_show_the_caution_of_the_model(finished):
  _, metrics = finished
  assert CAUTION in metrics['protocol']


def test_view_and_model_are_told_the_amplifications_of_the_data(monkeypatch):
  flow = np.zeros((6, 3, 16, 16, 3), np.float32)
  flow += np.array([1, 2, 8], np.float32)[:, None, None, None]
  examples = {
    'flow': flow,
    'landmarks': np.full((6, 5, 2), 8, np.float32),
    'emotion': np.array(['negative', 'positive', 'surprise'] * 2),
    'corpus': np.full(6, 'synthetic'),
    'subject': np.repeat(['s1', 's2'], 3),
    'clip': np.array([f'c{i}' for i in range(6)]),
  }
  metadata = {
    'levels': [1, 2, 8],
    'units': 'pixel',
    'skipped': [],
    'landmark_source': 'rendered',
  }
  monkeypatch.setattr(load, 'load_examples', lambda *_: examples)
  monkeypatch.setattr(load, 'read_metadata', lambda *_: metadata)
  overrides = ['view.normalise=none', 'view.mode=full']
  config = configuration.load_config('artnet:smoke', overrides)
  task = resolve.load_task(config, '.')
  assert task.levels == (1, 2, 8)
  assert task.inputs.shape == (6, 3, 16, 16, 3)
  alone = configuration.load_config('artnet:alpha1', overrides)
  task = resolve.load_task(alone, '.')
  assert task.levels == (1,)
  np.testing.assert_array_equal(task.inputs, 1)
  config.view.levels = (8.0, 1.0)
  task = resolve.load_task(config, '.')
  assert task.levels == (8, 1)
  np.testing.assert_array_equal(task.inputs[:, 0], 8)
  model = model_checks.fill_levels(models.make('artnet', 'tiny'), task.levels)
  assert model.levels == (8, 1)
  own = models.make('artnet', 'tiny', levels=(3, 5))
  assert model_checks.fill_levels(own, task.levels) is own
