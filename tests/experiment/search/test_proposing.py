"""The settings of a round: a pure function that reads no other fold."""

from __future__ import annotations

import itertools

import numpy as np
import optuna
import pytest
from scipy.stats import qmc

from mejax import experiment
from mejax.experiment.search import proposing
from mejax.experiment.search import spaces


def get_space(trial):
  trial.suggest_float('setting.learning_rate', 1e-4, 1e-1, log=True)
  trial.suggest_float('setting.mixup', 0.0, 0.5)
  trial.suggest_categorical('batch_size', [8, 16, 24, 32])


@pytest.fixture(scope='module')
def space():
  return spaces.load(get_space, experiment.load_config('cnn'))


def propose(space, **changes):
  options = {
    'sampler': 'qmc',
    'seed': 3,
    'fold': 'a',
    'number': 0,
    'start': 0,
    'size': 8,
  }
  return proposing.propose(space, **(options | changes))


def history(space, score, **changes):
  """Finished trials whose score is a function of their values."""
  return [
    optuna.create_trial(
      value=score(one.values),
      params=dict(one.values),
      distributions=dict(space.groups[one.group].distributions),
    )
    for one in propose(space, sampler='random', size=24, **changes)
  ]


@pytest.mark.parametrize('sampler', ['qmc', 'random'])
def test_without_a_history_all_folds_try_the_same_and_each_seed_others(
  space, sampler
):
  first = propose(space, sampler=sampler)
  assert first == propose(space, sampler=sampler, fold='b')
  assert first != propose(space, sampler=sampler, seed=4)
  later = propose(space, sampler=sampler, number=1, start=8)
  assert all(one not in first for one in later)
  for one in first + later:
    assert 1e-4 <= one.values['setting.learning_rate'] <= 1e-1
    choices = space.groups[one.group].choices
    assert choices == {'batch_size': one.values['batch_size']}


def test_qmc_is_the_sobol_sequence_of_scipy_however_it_is_cut(space):
  whole = propose(space, size=16)
  parts = [
    propose(space, number=i, start=start, size=size)
    for i, (start, size) in enumerate([(0, 5), (5, 8), (13, 3)])
  ]
  assert list(itertools.chain(*parts)) == whole
  points = qmc.Sobol(3, scramble=True, seed=3).random(16)
  lr = [np.log10(x.values['setting.learning_rate']) for x in whole]
  np.testing.assert_allclose(lr, -4 + 3 * points[:, 0], atol=1e-9)
  mixup = [one.values['setting.mixup'] for one in whole]
  np.testing.assert_allclose(mixup, 0.5 * points[:, 1], atol=1e-9)
  # Each choice has its share of a net of 16 points.
  sizes = [one.values['batch_size'] for one in whole]
  assert np.unique(sizes, return_counts=True)[1].tolist() == [4] * 4


def test_tpe_is_a_function_of_seed_fold_round_and_its_own_history(space):
  done = history(space, lambda values: values['setting.mixup'])
  options = {'sampler': 'tpe', 'number': 1, 'start': 24, 'history': done}
  first = propose(space, **options)
  assert first == propose(space, **options)
  assert first != propose(space, **options | {'fold': 'b'})
  assert first != propose(space, **options | {'number': 2})
  assert first != propose(space, **options | {'seed': 4})


def test_tpe_learns_what_is_better(space):
  def mean(score):
    done = history(space, score)
    found = propose(space, sampler='tpe', size=16, number=1, history=done)
    return np.mean([one.values['setting.mixup'] for one in found])

  assert mean(lambda x: x['setting.mixup']) > 0.35
  assert mean(lambda x: -x['setting.mixup']) < 0.15


def test_a_grid_is_every_combination_once():
  def grid(trial):
    trial.suggest_float('setting.mixup', 0.0, 0.4, step=0.2)
    if trial.suggest_categorical('even_batches', [False, True]):
      trial.suggest_categorical('setting.shift', [1.0, 2.0])

  space = spaces.load(grid, experiment.load_config('cnn'))
  found = [
    tuple(one.values.values())
    for number in range(3)
    for one in propose(
      space, sampler='grid', size=4, number=number, start=4 * number
    )
  ]
  mixup = (0.0, 0.2, 0.4)
  assert found == [(x, False) for x in mixup] + [
    (x, True, y) for x, y in itertools.product(mixup, (1.0, 2.0))
  ]
  assert proposing.count_grid(space) == 9


@pytest.mark.parametrize('sampler', proposing.SAMPLERS)
def test_a_space_is_handed_its_tuples_and_optuna_their_texts(sampler):
  seen = set()

  def depths(trial):
    seen.add(trial.suggest_categorical('model.depths', ((1, 1), (2, 2))))
    trial.suggest_categorical('setting.mixup', (0.1, 0.2))

  space = spaces.load(depths, experiment.load_config('htnet_regions:small'))
  done = history(space, lambda values: values['setting.mixup'])
  seen.clear()
  found = propose(space, sampler=sampler, size=4, history=done)
  assert {one.values['model.depths'] for one in found} <= {'(1, 1)', '(2, 2)'}
  assert seen <= {(1, 1), (2, 2)}
  for one in found:
    choice = space.groups[one.group].choices['model.depths']
    assert str(choice) == one.values['model.depths']


def test_a_grid_names_the_number_that_has_no_end(space):
  with pytest.raises(ValueError, match='values of setting.learning_rate: sugg'):
    propose(space, sampler='grid')


def test_a_space_whose_numbers_decide_what_is_suggested_is_told():
  def odd(trial):
    if trial.suggest_float('setting.mixup', 0.0, 0.5) > 0.1:
      trial.suggest_float('setting.shift', 0.0, 2.0)

  space = spaces.load(odd, experiment.load_config('cnn'))
  with pytest.raises(ValueError, match='Only choices that are compiled in'):
    propose(space)
