"""A model of generated faces: trained, resumed, and applied to others."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mejax import experiment
from mejax.datasets import generated
from mejax.experiment import configuration
from mejax.experiment import evaluating
from mejax.experiment import pretraining
from mejax.experiment.packs import packing
from mejax.training import checkpoint
from tests.corpora import htnet_tree

pytestmark = pytest.mark.unoptimised


def config(**changes):
  found = configuration.load_config('generated:smoke')
  with found.unlocked():
    found.num_epochs = 3
    found.checkpoint_every_s = 0.0
    found.generated.update(people=20, pictures=3)
  configuration.change(
    found, {key.replace('__', '.'): value for key, value in changes.items()}
  )
  return found


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('run') / 'run'
  return workdir, experiment.pretrain(config(), workdir=workdir)


def test_a_run_has_what_a_run_has_and_holds_people_out(run):
  workdir, metrics = run
  for name in (
    'config.json', 'run.json', 'record.npz', 'predictions.csv', 'metrics.json',
    'log.jsonl', 'units.json', 'report/index.html',
  ):  # fmt: skip
    assert (workdir / name).exists(), name
  # One part of ten: two of twenty people.
  assert metrics['selection']['last']['full']['n'] == 6
  with np.load(workdir / 'record.npz') as record:
    held = set(record['subject'].tolist())
    assert record['logits'].shape == (1, 3, 6, 3)
  plan = pretraining.make_plan(config())
  trained = plan.task.subject[np.asarray(plan.trials.train)[0] > 0]
  assert len(held) == 2 and not held & set(trained.tolist())
  assert len(set(trained.tolist())) == 18
  about = json.loads((workdir / 'run.json').read_text())
  assert about['dataset']['generator'] == generated.VERSION
  units = json.loads((workdir / 'units.json').read_text())
  assert set(units['units']) == set(about['dataset']['action_units'])


def test_an_interrupted_run_ends_with_the_same_bits(run, tmp_path, monkeypatch):
  def fail(*args):
    raise RuntimeError('interrupted')

  with monkeypatch.context() as patch:
    patch.setattr(checkpoint.Round, 'finish', fail)
    with pytest.raises(RuntimeError, match='interrupted'):
      experiment.pretrain(config(), workdir=tmp_path / 'run')
  assert not (tmp_path / 'run/record.npz').exists()
  experiment.pretrain(config(), workdir=tmp_path / 'run')
  with (
    np.load(run[0] / 'record.npz') as whole,
    np.load(tmp_path / 'run/record.npz') as resumed,
  ):
    for name in whole.files:
      np.testing.assert_array_equal(whole[name], resumed[name], err_msg=name)


def test_another_version_of_the_generator_is_refused(run, monkeypatch):
  ours = generated.VERSION
  monkeypatch.setattr(generated, 'VERSION', ours + 1)
  with pytest.raises(
    ValueError, match=f'version {ours} of the generator; this'
  ):
    experiment.pretrain(config(), workdir=run[0])


def test_other_pictures_are_refused_in_the_same_workdir(run):
  with pytest.raises(ValueError, match='generated.seed'):
    experiment.pretrain(config(generated__seed=1), workdir=run[0])


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'num_folds': 0}, 'num_folds is 0'),
    ({'folds_over': 'clips'}, 'over clips'),
    ({'selection': ('last', 'oracle')}, 'expected only last'),
    ({'model__num_units': 3}, 'trains 18 action units'),
  ],
)
def test_configs_that_hold_nobody_out_are_refused(changes, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    experiment.pretrain(config(**changes), workdir=tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_real_clips_have_no_action_units_to_train(tmp_path):
  data_dir = htnet_tree.prepare_tree(tmp_path)
  with pytest.raises(ValueError, match='only generated data have'):
    experiment.plan(config(num_folds=0), data_dir=data_dir)


def test_it_is_applied_to_a_dataset_that_it_has_not_seen(run, tmp_path, capsys):
  data_dir = htnet_tree.prepare_tree(tmp_path)
  metrics = {
    prior: evaluating.evaluate(
      run[0], data_dir=data_dir, out=tmp_path / prior, prior=prior
    )
    for prior in ('trained', 'em')
  }
  assert 'trained on generated faces alone' in metrics['em']['protocol']
  assert 'estimated without labels' in metrics['em']['protocol']
  for numbers in metrics.values():
    full = numbers['selection']['last']['full']
    assert full['n'] == len(htnet_tree.ROWS) and 'warning' not in full
    assert 'lda' in numbers['baselines']
  assert 'NOTE' not in capsys.readouterr().out
  units = json.loads((tmp_path / 'em/units.json').read_text())
  assert set(units['full']['12']) == {'negative', 'positive', 'surprise'}
  one, other = (
    np.load(tmp_path / prior / 'record.npz')['logits']
    for prior in ('trained', 'em')
  )
  assert (one != other).any()


def test_a_prior_is_refused_for_models_that_saw_people(tmp_path):
  data_dir = htnet_tree.prepare_tree(tmp_path)
  real = configuration.load_config('linear:smoke')
  experiment.train(real, data_dir=data_dir, workdir=tmp_path / 'real')
  with pytest.raises(ValueError, match='for models of generated faces'):
    evaluating.evaluate(tmp_path / 'real', data_dir=data_dir, prior='em')


def test_it_is_packed_and_then_says_the_same_of_clips(run, tmp_path):
  data_dir = htnet_tree.prepare_tree(tmp_path)
  recipe = packing.recipe_of('htnet_release', data_dir)
  experiment.pack(run[0], out=tmp_path / 'model', recipe=recipe)
  said = {}
  for source in (run[0], tmp_path / 'model'):
    out = tmp_path / f'of {source.name}'
    metrics = evaluating.evaluate(
      source, data_dir=data_dir, out=out, prior='em'
    )
    assert 'trained on generated faces alone' in metrics['protocol']
    said[source.name] = np.load(out / 'record.npz')['logits'].argmax(-1)
  np.testing.assert_array_equal(said['run'], said['model'])
