"""Where models looked, from a run to the picture in its report."""

from __future__ import annotations

import dataclasses

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import experiment
from mejax import models
from mejax.datasets import load
from mejax.experiment import configuration
from mejax.experiment import introspection
from mejax.experiment import resolve
from mejax.experiment import task as task_lib
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import saved as saved_lib
from mejax.models import htnet
from mejax.models.capabilities import Capabilities
from tests import own_parts

pytestmark = pytest.mark.unoptimised

TITLE = 'Where the models looked'


def at_the_last(query, key, value):
  """Every token looks at the last of its block alone."""
  tokens = key.shape[-3]
  weights = jnp.broadcast_to(
    jnp.arange(tokens) == tokens - 1,
    (*query.shape[:-3], query.shape[-2], query.shape[-3], tokens),
  ).astype(value.dtype)
  return jnp.einsum('...hnm,...mhe->...nhe', weights, value), weights


class Looker(nn.Module):
  """Looks at the places of each quarter by what is there; learns how."""

  num_classes: int = 3

  capabilities = Capabilities(shows='hierarchies')

  @nn.compact
  def __call__(self, inputs, *, train: bool):
    places = htnet.split(htnet.patchify(inputs, 2), 2)  # [b, 4, 16, 12]
    scores = nn.Dense(16)(places)[:, :, None]
    out = {'attention': [(jax.nn.softmax(scores),)]}
    return nn.Dense(self.num_classes)(inputs.reshape(len(inputs), -1)), out


@pytest.fixture(scope='module')
def task() -> task_lib.Task:
  source = np.random.default_rng(0)
  labels = np.tile(np.arange(3, dtype=np.int32), 4)
  subject = np.repeat(['s1', 's2', 's3'], [5, 4, 3])
  return task_lib.Task(
    inputs=source.normal(size=(12, 16, 16, 3)).astype(np.float32),
    labels=labels,
    corpus=np.full(12, 'own'),
    subject=subject,
    clip=np.array([f'c{i}' for i in range(12)]),
    class_names=('a', 'b', 'c'),
    protocol='Ours.',
    groups=np.char.add('own/', subject),
    scene={'motion': np.zeros((3, 16, 16), np.float32)},
  )


def train(task, workdir, model, *changes):
  config = configuration.load_config(
    'htnet_regions:smoke', ['num_seeds=2', 'setting.mirror=0.0', *changes]
  )
  return experiment.train(config, workdir=workdir, task=task, model=model)


@pytest.fixture(scope='module')
def finished(task, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('looked') / 'run'
  train(task, workdir, Looker())
  return workdir


def arrays(workdir):
  return dict(np.load(workdir / workdir_lib.ATTENTION, allow_pickle=False))


def test_it_is_the_mean_over_clips_of_models_that_did_not_see_them(
  finished, task
):
  """Clip after clip, each by the model of its own person."""
  found, saved = arrays(finished), saved_lib.read_models(finished, Looker())
  assert found['titles'].tolist() == ['within each region']
  assert found['clips'].tolist() == [4, 4, 4]
  assert found['map0'].shape == (3, 4, 4, 4)
  maps = []
  for seed in saved.seeds:
    for group, inputs in zip(task.groups, task.inputs, strict=True):
      variables = saved.load(seed, str(group))
      _, out = Looker().apply(variables, jnp.array(inputs[None]), train=False)
      (weights,) = out['attention'][0]
      # [1, r, h, n, n]: sums over the keys are one, so 16 is all of it.
      maps.append(16 * np.asarray(weights).mean((0, 2, 3)).reshape(4, 4, 4))
  maps = np.array(maps).reshape(2, 12, 4, 4, 4)
  for label in range(3):
    expected = maps[:, task.labels == label].mean((0, 1))
    np.testing.assert_allclose(found['map0'][label], expected, rtol=1e-4)


def test_clips_without_labels_have_maps_of_their_own(finished, task):
  saved = saved_lib.read_models(finished, Looker())
  clips = experiment.Clips(
    **{
      field.name: getattr(task, field.name)
      for field in dataclasses.fields(experiment.Clips)
    }
  )
  (maps,) = introspection.make_maps(saved, clips)
  assert maps.shape == (2, 12, 4, 4, 4)
  own = maps[:, task.labels == 1].mean((0, 1))
  np.testing.assert_allclose(own, arrays(finished)['map0'][1], rtol=1e-5)


def test_attention_that_looks_at_one_place_is_bright_there_alone(
  task, tmp_path
):
  model = models.make('htnet', 'tiny', image_size=16, attention_fn=at_the_last)
  train(task, tmp_path, model, 'num_epochs=1')
  found = arrays(tmp_path)
  expected = np.zeros((3, 4, 4, 4))
  expected[:, :, 3, 3] = 16
  np.testing.assert_allclose(found['map0'], expected, atol=1e-5)
  assert TITLE in (tmp_path / 'report/index.html').read_text()


def test_a_report_of_a_run_from_before_has_no_such_section(finished, tmp_path):
  page = finished / 'report/index.html'
  assert TITLE in page.read_text()
  kept = (finished / workdir_lib.ATTENTION).read_bytes()
  (finished / workdir_lib.ATTENTION).unlink()
  try:
    made = experiment.report([finished], tmp_path)
    assert TITLE not in made.read_text()
  finally:
    (finished / workdir_lib.ATTENTION).write_bytes(kept)


def test_a_run_that_was_killed_before_gets_it_on_the_next_call(finished, task):
  first, record = arrays(finished), (finished / 'record.npz').read_bytes()
  (finished / workdir_lib.ATTENTION).unlink()
  (finished / 'metrics.json').unlink()
  train(task, finished, Looker())
  again = arrays(finished)
  assert again.keys() == first.keys()
  for name in first:
    np.testing.assert_array_equal(again[name], first[name])
  assert (finished / 'record.npz').read_bytes() == record
  # And is not made again where it is there.
  stamp = (finished / workdir_lib.ATTENTION).stat().st_mtime_ns
  train(task, finished, Looker())
  assert (finished / workdir_lib.ATTENTION).stat().st_mtime_ns == stamp


def test_without_the_models_it_says_what_is_missing(task, tmp_path, capsys):
  # The program of the run above, which is compiled already.
  train(task, tmp_path, Looker(), 'keep_models=False')
  words = capsys.readouterr().out
  assert (
    'The attention maps are left out, because they need the trained' in words
  )
  assert not (tmp_path / workdir_lib.ATTENTION).exists()


def test_models_that_show_nothing_are_not_asked(task, tmp_path, capsys):
  model = own_parts.Linear()
  assert introspection.find_maps(model, task) == []
  changes = 'num_epochs=1', 'keep_models=False', 'num_seeds=1'
  train(task, tmp_path / 'kept', model, *changes)
  assert 'attention' not in capsys.readouterr().out
  train(task, tmp_path / 'run', model, 'num_epochs=1', 'num_seeds=1')
  assert not (tmp_path / 'run' / workdir_lib.ATTENTION).exists()
  with pytest.raises(ValueError, match='do not show where they look'):
    saved = saved_lib.read_models(tmp_path / 'run', model)
    introspection.write_attention(tmp_path / 'run', saved, task)


def test_a_training_that_diverged_is_left_out_of_the_mean():
  maps = np.ones((2, 3, 4, 2, 2), np.float32)
  maps[0] = 3
  maps[1, 0, 0, 0, 0] = np.nan
  np.testing.assert_allclose(introspection._mean(maps), (3 * 3 + 2) / 5)
  np.testing.assert_array_equal(introspection._mean(np.nan * maps), 0)


@pytest.mark.parametrize(
  ('changes', 'has'),
  [
    (('view.mode=landmarks',), {'motion', 'corners', 'face'}),
    (('view.mode=full',), {'motion', 'face'}),
  ],
)
def test_a_task_of_a_dataset_knows_what_stands_behind(
  changes, has, monkeypatch
):
  source = np.random.default_rng(0)
  examples = {
    'flow': source.normal(size=(9, 2, 16, 16, 3)).astype(np.float32),
    'onset': np.zeros((9, 16, 16, 3), np.uint8),
    'landmarks': np.full((9, 5, 2), 8, np.float32),
    'emotion': np.array(['negative', 'positive', 'surprise'] * 3),
    'corpus': np.full(9, 'synthetic'),
    'subject': np.array([f's{i}' for i in range(9)]),
    'clip': np.array([f'c{i}' for i in range(9)]),
  }
  metadata = {
    'levels': [1, 2],
    'units': 'pixel',
    'skipped': [],
    'landmark_source': 'rendered',
  }
  monkeypatch.setattr(load, 'load_examples', lambda *_: examples)
  monkeypatch.setattr(load, 'read_metadata', lambda *_: metadata)
  config = configuration.load_config('artnet:smoke', changes)
  task = resolve.load_task(config, '.')
  assert set(task.scene) == has
  # It is not part of the data that a run is tied to.
  plain = resolve.load_task(config, '.', view=lambda x: x['flow'])
  assert plain.scene == {}
