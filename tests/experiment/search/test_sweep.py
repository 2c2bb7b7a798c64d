"""A nested search: honest, the same whatever happens, and clear when wrong."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import jax
import numpy as np
import optuna
import pytest
from sklearn import metrics as sklearn_metrics

from mejax import experiment
from mejax.evaluation import selection
from mejax.experiment import finished
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.search import units
from mejax.training import checkpoint
from tests import own_parts
from tests.experiment.search import small_search

pytestmark = pytest.mark.unoptimised


@pytest.fixture(scope='module')
def done(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('search') / 'run'
  return workdir, small_search.sweep(workdir)


def test_each_fold_chooses_the_best_by_its_own_people_and_is_scored_by_it(done):
  """Everything is computed again from the units, with scikit-learn."""
  workdir, numbers = done
  task = small_search.make_task()
  inner, outer = {}, {}
  for path in (workdir / 'units').glob('*.npz'):
    arrays = workdir_lib.load_npz(path)
    guess = arrays['logits'].argmax(-1)
    for i, fold in enumerate(arrays['fold'].tolist()):
      index = arrays['index'][i]
      index = index[index >= 0]
      own = task.groups[index] == task.groups[task.groups == f's{fold}'][0]
      if arrays['inner'][i] < 0:
        assert own.all()
        outer.setdefault(path.name.split('_')[0], []).append(
          (index, guess[i, : len(index)])
        )
      else:
        assert not own.any()
        inner.setdefault((fold, int(arrays['setting'][i])), []).append(
          (index, guess[i, : len(index)])
        )
  for fold, chosen in enumerate(numbers['folds']):
    scores = [_macro_f1(task, inner[fold, setting]) for setting in range(3)]
    assert chosen['index'] == int(np.argmax(np.round(scores, 9)))
    assert chosen['inner_uf1'] == pytest.approx(max(scores))
  for row, name in (('searched', 'chosen'), ('as configured', 'config')):
    assert numbers['scores'][row]['full']['uf1'] == pytest.approx(
      _macro_f1(task, outer[name])
    )
  assert numbers['cost']['trainings'] == 5 * 2 * 3
  assert sum(each['folds'] for each in numbers['chosen']) == 5


def _macro_f1(task, parts):
  index, guess = (np.concatenate(each) for each in zip(*parts, strict=True))
  assert len(set(index.tolist())) == len(index)
  return sklearn_metrics.f1_score(task.labels[index], guess, average='macro')


def test_the_best_without_nested_folds_is_the_best_row_and_has_a_warning(done):
  numbers = done[1]
  best = numbers['scores']['un-nested best']['full']
  assert 'test-selected, not an estimate' in best['warning']
  assert 'warning' not in numbers['scores']['searched']['full']
  assert best['uf1'] >= numbers['scores']['searched']['full']['uf1'] - 0.2
  tried = {json.dumps(each['values']) for each in numbers['chosen']}
  assert len(tried) <= 3 and numbers['unnested']['values'].keys() == {
    'setting.learning_rate',
    'setting.label_smoothing',
  }


def test_without_a_search_it_is_what_train_gives(done, tmp_path):
  _, numbers = done
  trained = experiment.train_plan(
    experiment.plan(
      small_search.load_config('selection=last'),
      task=small_search.make_task(),
      model=own_parts.Linear(),
    ),
    workdir=tmp_path / 'run',
  )
  own = numbers['scores']['as configured']['full']
  assert own == trained['selection']['last']['full']


def test_the_folder_is_a_finished_run_of_the_chosen_settings(done):
  workdir, numbers = done
  run = finished.read_run(workdir, name='search')
  assert run.entry()['uf1'] == numbers['scores']['searched']['full']['uf1']
  assert 'Each fold chose among 3 settings (qmc)' in run.numbers['protocol']
  assert selection.rules_of(run.record) == ['last', 'oracle', 'oracle_f1']
  page = (workdir / 'search/index.html').read_text()
  for words in ('test-selected', 'learning_rate', 'What was chosen', 'honest'):
    assert words in page


def test_optuna_reads_the_journal(done):
  workdir, numbers = done
  backend = optuna.storages.journal.JournalFileBackend(
    str(workdir / 'journal.log')
  )
  storage = optuna.storages.JournalStorage(backend)
  for each in numbers['folds']:
    study = optuna.load_study(study_name=each['fold'], storage=storage)
    assert [t.user_attrs['index'] for t in study.trials] == [0, 1, 2]
    assert study.best_value == each['inner_uf1']
    assert study.best_params == each['values']
  lines = (workdir / 'journal.log').read_text().splitlines()
  assert len(lines) == 5 * (2 + 3)  # A line for each trial; two for a study.


@pytest.mark.skipif(
  not shutil.which('optuna-dashboard'), reason='needs optuna-dashboard'
)
def test_the_dashboard_reads_the_journal_as_the_documentation_says(done):
  workdir, numbers = done
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
  process = subprocess.Popen(
    ['optuna-dashboard', str(workdir / 'journal.log'), '--port', str(port)],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )

  def ask(path):
    address = f'http://127.0.0.1:{port}/api/{path}'
    with urllib.request.urlopen(address, timeout=20) as found:
      return json.load(found)

  try:
    moment = time.monotonic() + 60
    while True:
      try:
        listed = ask('studies')['study_summaries']
        break
      except OSError:  # It still starts.
        assert process.poll() is None and time.monotonic() < moment
        time.sleep(0.2)
    numbers_of = {each['study_name']: each['study_id'] for each in listed}
    assert numbers_of.keys() == {each['fold'] for each in numbers['folds']}
    for each in numbers['folds']:
      study = ask(f'studies/{numbers_of[each["fold"]]}')
      assert [trial['state'] for trial in study['trials']] == ['Complete'] * 3
      values = [trial['values'] for trial in study['trials']]
      assert max(values) == [each['inner_uf1']]
  finally:
    process.terminate()
    process.wait()


def test_a_search_that_is_interrupted_goes_on_to_the_same_bits(
  done, tmp_path, monkeypatch
):
  workdir, left = tmp_path / 'run', [0]
  do = units.do

  def interrupted(unit, **options):
    left[0] -= 1
    if left[0] < 0:
      raise KeyboardInterrupt
    do(unit, **options)

  monkeypatch.setattr(units, 'do', interrupted)
  for count in (0, 1, 1):
    left[0] = count
    with pytest.raises(KeyboardInterrupt):
      small_search.sweep(workdir)
  assert not (workdir / 'search.json').exists()
  left[0] = 99
  small_search.sweep(workdir)
  assert small_search.results(workdir) == small_search.results(done[0])


@pytest.mark.slow
def test_a_search_that_is_killed_again_and_again_ends_with_the_same_bits(
  tmp_path,
):
  alone = small_search.start(tmp_path / 'alone')
  _, errors = alone.communicate(timeout=900)
  assert alone.returncode == 0, errors
  source, kills = random.Random(0), 0
  for number in itertools.cycle((signal.SIGKILL, signal.SIGTERM)):
    process = small_search.start(tmp_path / 'killed')
    # Soon after the next unit, which may be in the middle of another.
    before = len(list((tmp_path / 'killed').glob('units/*.npz')))
    while process.poll() is None:
      if len(list((tmp_path / 'killed').glob('units/*.npz'))) > before:
        time.sleep(source.uniform(0.0, 0.5))
        process.send_signal(number)
        kills += 1
        break
      time.sleep(0.02)
    process.communicate(timeout=600)
    if process.returncode == 0:
      break
  assert kills >= 4
  assert small_search.results(tmp_path / 'killed') == small_search.results(
    tmp_path / 'alone'
  )


def test_a_finished_search_is_shown_again(done, capsys):
  workdir, numbers = done
  before = small_search.results(workdir)
  assert small_search.sweep(workdir) == numbers
  assert small_search.results(workdir) == before
  told = capsys.readouterr().out
  assert '3 settings x 5 folds x 2 inner folds in 1 program, the outer' in told
  assert 'un-nested best *' in told


def test_noise_for_a_person_changes_nothing_that_was_chosen_or_trained_for_him(
  tmp_path,
):
  """By the sampler that learns, with halving: all that could leak is on."""
  options = {
    'sampler': 'tpe',
    'num_settings': 24,
    'round_size': 12,
    'halving': 2,
    'config': small_search.load_config('keep_models=True'),
  }
  first = small_search.make_task()
  person = first.groups == 's2'
  noise = np.random.default_rng(1).normal(size=first.inputs.shape)
  inputs = np.where(person[:, None, None, None], 9 * noise, first.inputs)
  second = small_search.make_task(inputs=inputs.astype(np.float32))
  labels = np.where(person, (first.labels + 1) % 3, first.labels)
  second = dataclasses.replace(second, labels=labels.astype(np.int32))
  found = []
  for name, task in (('first', first), ('second', second)):
    numbers = small_search.sweep(tmp_path / name, task=task, **options)
    (folder,) = (tmp_path / name / 'units').glob('chosen_*/checkpoints')
    models = checkpoint.load_tree(folder / 'round_0_model')
    found.append((numbers['folds'], models))
  (folds, models), (others, other_models) = found
  assert folds[2] == others[2]
  for one, other in zip(
    *(jax.tree.leaves(each) for each in (models, other_models)), strict=True
  ):
    np.testing.assert_array_equal(one[2], other[2])
  # He is among the training people of all others.
  assert folds != others
  assert any(
    (one[0] != other[0]).any()
    for one, other in zip(
      *(jax.tree.leaves(each) for each in (models, other_models)), strict=True
    )
  )
  numbers = json.loads((tmp_path / 'first/search.json').read_text())
  # 12 settings of 2 epochs, 6 of 4; all would be 12 of 4.
  assert numbers['cost']['trainings'] == 5 * 2 * 2 * (12 + 6)
  assert numbers['cost']['epochs'] == 5 * 2 * 2 * (12 * 2 + 6 * 4)
  assert numbers['unnested'] is None


def test_what_diverges_counts_as_nothing_and_is_told(tmp_path, capsys):
  def wild(trial):
    trial.suggest_categorical('setting.learning_rate', [1e-2, 1e30])

  numbers = small_search.sweep(
    tmp_path / 'run', space=wild, sampler='grid', num_settings=None
  )
  assert numbers['diverged'] == 5
  assert {
    each['values']['setting.learning_rate'] for each in numbers['folds']
  } == {1e-2}
  assert 'learning_rate 1e+30' in capsys.readouterr().out

  def wilder(trial):
    trial.suggest_categorical('setting.learning_rate', [1e30, 1e31])

  with pytest.raises(ValueError, match='In fold s0 every setting .* diverged'):
    small_search.sweep(
      tmp_path / 'all', space=wilder, sampler='grid', num_settings=None
    )


@pytest.mark.parametrize(
  ('changes', 'words'),
  [
    ({'sampler': 'best'}, "sampler is 'best'; expected one of qmc, random"),
    ({'num_settings': 0}, 'num_settings is 0; expected 1 or more'),
    ({'round_size': 0}, 'round_size is 0; expected 1 or more'),
    ({'sampler': 'tpe'}, '3 settings in rounds of 8 are a single one'),
    ({'halving': 1}, 'halving is 1; expected 2 or more, or 0'),
    ({'config': ['grid.mirror=0,0.5']}, 'Leave the grid empty'),
    ({'config': ['folds_over=clips']}, 'A search needs folds over people'),
    ({'config': ['folds=all']}, "folds is 'all', which a search does not"),
    ({'config': ['inner_folds=1']}, 'inner_folds is 1; expected 2'),
    ({'config': ['inner_folds=9']}, 'Lower inner_folds'),
  ],
)
def test_bad_options_are_told_before_anything_is_written(
  changes, words, tmp_path
):
  if 'config' in changes:
    changes['config'] = small_search.load_config(*changes['config'])
  with pytest.raises(ValueError, match=words):
    small_search.sweep(tmp_path / 'run', **changes)
  assert not list(tmp_path.iterdir())


def test_a_choice_that_does_not_build_is_named_before_anything_is_trained(
  tmp_path,
):
  def odd(trial):
    trial.suggest_categorical('model.heads', [2, 9])

  inputs = np.zeros((40, 64, 64, 3), np.float32)
  with pytest.raises(ValueError, match='model.heads=9, which cannot be tr'):
    small_search.sweep(
      tmp_path / 'run',
      task=small_search.make_task(inputs=inputs),
      space=odd,
      model=None,
    )
  assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_depths_of_htnet_are_searched_and_the_journal_is_read_again(
  tmp_path, monkeypatch
):
  def depths(trial):
    trial.suggest_categorical('model.depths', ((1, 1), (2, 1)))
    trial.suggest_float('setting.learning_rate', 1e-3, 1e-2)

  trained, run = set(), units.loop.run

  def watched(trainer, *arguments, **options):
    trained.add(trainer.model.depths)
    return run(trainer, *arguments, **options)

  monkeypatch.setattr(units.loop, 'run', watched)
  changes = (
    'model.image_size=8', 'model.dim=4', 'model.dropout=0', 'num_epochs=1',
    'inner_folds=2', 'setting.mirror=0', 'num_folds=2',
  )  # fmt: skip
  options = {
    'config': experiment.load_config('htnet_regions:smoke', changes),
    'task': small_search.make_task(inputs=np.ones((40, 8, 8, 3), np.float32)),
    'model': None,
    'space': depths,
    'sampler': 'tpe',
    'num_settings': 4,
    'round_size': 2,
  }
  numbers = small_search.sweep(tmp_path / 'run', **options)
  assert trained == {(1, 1), (2, 1)}
  for each in numbers['folds']:
    assert each['values']['model.depths'] in ('(1, 1)', '(2, 1)')
  backend = optuna.storages.journal.JournalFileBackend(
    str(tmp_path / 'run/journal.log')
  )
  study = optuna.load_study(
    study_name=numbers['folds'][0]['fold'],
    storage=optuna.storages.JournalStorage(backend),
  )
  assert {trial.params['model.depths'] for trial in study.trials} == {
    '(1, 1)', '(2, 1)'
  }  # fmt: skip
  (tmp_path / 'run/search.json').unlink()
  (tmp_path / 'run/metrics.json').unlink()
  assert small_search.sweep(tmp_path / 'run', **options) == numbers


@pytest.mark.parametrize(
  'options', [{}, {'halving': 2, 'num_settings': 4}], ids=['whole', 'halved']
)
def test_the_first_line_counts_the_programs_that_are_trained(
  options, tmp_path, monkeypatch, capsys
):
  def two_groups(trial):
    small_search.space(trial)
    trial.suggest_categorical('batch_size', [8, 16])

  trained, do = set(), units.do

  def watched(unit, **source):
    trained.add(json.dumps(unit['program']))
    do(unit, **source)

  monkeypatch.setattr(units, 'do', watched)
  config = small_search.load_config('num_folds=2')
  small_search.sweep(
    tmp_path / 'run', space=two_groups, config=config, **options
  )
  told = re.search(
    r'in (\d+) programs, the outer folds in up to (\d+) more',
    capsys.readouterr().out,
  )
  inner = sum(json.loads(each)['inner'] for each in trained)
  outer = len(trained) - inner
  assert int(told[1]) == inner
  if options:
    assert outer <= int(told[2])
  else:
    assert int(told[2]) == outer


def test_choices_of_what_was_handed_over_are_refused(tmp_path):
  def of_model(trial):
    trial.suggest_categorical('model.dim', [8, 16])

  def of_view(trial):
    trial.suggest_categorical('view.normalise', ['none', 'std'])

  with pytest.raises(ValueError, match='the model was handed over in Python'):
    small_search.sweep(tmp_path / 'run', space=of_model)
  with pytest.raises(ValueError, match='the inputs were handed over in Python'):
    small_search.sweep(tmp_path / 'run', space=of_view)


def test_a_folder_of_another_search_or_run_is_refused(done, tmp_path):
  workdir, _ = done
  for changes, words in (
    ({'sampler': 'random'}, "search.sampler: there 'qmc', asked for 'random'"),
    (
      {'config': small_search.load_config('inner_folds=3')},
      'inner_folds: there 2, asked',
    ),
    ({'num_settings': 4}, 'search.num_settings: there 3, asked for 4'),
  ):
    with pytest.raises(ValueError, match=words):
      small_search.sweep(workdir, **changes)
  plan = experiment.plan(
    small_search.load_config('selection=last'),
    task=small_search.make_task(),
    model=own_parts.Linear(),
  )
  with pytest.raises(ValueError, match='search: there .*asked for .absent'):
    experiment.train_plan(plan, workdir=workdir)


def test_files_of_another_search_are_refused_and_damaged_ones_made_again(
  done, tmp_path, capsys
):
  workdir = tmp_path / 'copy'
  shutil.copytree(done[0], workdir)
  path = next((workdir / 'units').glob('round0_*.npz'))
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)
  small_search.sweep(workdir)
  told = capsys.readouterr().out
  assert f'{path.name} is damaged' in told and 'the unit done again' in told
  assert small_search.results(workdir) == small_search.results(done[0])
  arrays = workdir_lib.load_npz(path)
  workdir_lib.save_npz(path, arrays | {'belongs_to': np.array('another')})
  with pytest.raises(ValueError, match=f'{path.name} belongs to another'):
    small_search.sweep(workdir)


def test_what_needs_one_config_refuses_a_search_and_its_config_can_be_used(
  done, tmp_path
):
  workdir, _ = done
  with pytest.raises(ValueError, match='is a search.* Train the config'):
    experiment.evaluate(workdir, task=small_search.make_task())
  with pytest.raises(ValueError, match='is of a search.* Export a run'):
    experiment.export(workdir, tmp_path / 'out')
  content = json.loads((workdir / 'config.json').read_text())
  content['model'] = {'name': 'linear'}  # It was handed over.
  path = tmp_path / 'config.json'
  path.write_text(json.dumps(content))
  config = experiment.load_config(str(path))
  assert 'search' not in config
  assert config.inner_folds == 2 and config.selection == ('last',)


def test_a_dry_run_counts_the_trainings_and_writes_nothing(tmp_path, capsys):
  assert small_search.sweep(tmp_path / 'run', dry_run=True) == {}
  told = capsys.readouterr().out
  assert '30 trainings of inner folds and 20 of outer folds' in told
  assert 'about' in told and 'Nothing was trained.' in told
  assert not list(tmp_path.iterdir())
