"""From arrays or a dataset to an honest table, and back to the same table."""

from __future__ import annotations

import csv
import functools
import json
import random
import shutil
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from mejax import experiment
from mejax.corpora import synthetic
from mejax.datasets import prepare
from mejax.evaluation import baselines
from mejax.evaluation import selection
from mejax.experiment import cost
from mejax.experiment import resolve
from mejax.experiment import running
from mejax.experiment import workdir as workdir_lib
from mejax.training import checkpoint
from mejax.training import sample
from tests import own_parts
from tests.corpora import htnet_tree
from tests.experiment import killed_experiment
from tests.training import setup_trials


def _arrays():
  inputs, labels, subjects = setup_trials.make_arrays(num_subjects=6, n=60)
  return inputs, labels, subjects


def _run(workdir, **changes):
  options = {
    'model': own_parts.Linear(),
    'class_names': ('a', 'b', 'c'),
    'num_epochs': 4,
    'eval_every': 2,
    'num_seeds': 2,
    'setting__learning_rate': 3e-2,
  }
  return experiment.leave_one_subject_out(
    *_arrays(), workdir=workdir, **(options | changes)
  )


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('run') / 'run'
  metrics = _run(workdir, selection=('last', 'inner', 'oracle'), inner_folds=3)
  return workdir, metrics


def test_the_workdir_holds_all_that_is_promised(finished):
  workdir, _ = finished
  for name in (
    'config.json',
    'run.json',
    'record.npz',
    'baselines.npz',
    'predictions.csv',
    'metrics.json',
    'log.jsonl',
    'tensorboard',
    'checkpoints',
    'cost.json',
    'report/index.html',
    'report/table.tex',
  ):
    assert (workdir / name).exists(), name
  assert not list(workdir.glob('*.partial'))


def test_what_the_training_took_is_kept_and_shown(finished):
  workdir, _ = finished
  took = json.loads((workdir / 'cost.json').read_text())
  inputs = _arrays()[0]
  values = inputs[0].size
  # A linear model of three classes: a weight for each value and class, and a
  # bias; each weight is multiplied and added.
  assert took['parameters'] == 3 * values + 3
  assert took['flops'] == pytest.approx(2 * 3 * values, rel=0.05)
  # 6 folds of 2 seeds, and 3 inner folds of each.
  assert took['trials'] == 6 * 2 * 4
  assert len(took['seconds']) == 1 and took['seconds'][0] > 0
  assert 2**25 < took['peak_bytes'] < 2**40
  page = (workdir / 'report/index.html').read_text()
  assert 'What it took' in page and f'{3 * values + 3:,}' in page


@pytest.mark.parametrize(
  'name, other',
  [('jax_threefry_partitionable', False), ('jax_default_prng_impl', 'rbg')],
)
def test_a_run_is_not_shown_or_resumed_under_options_that_change_its_numbers(
  finished, name, other
):
  workdir, _ = finished
  assert json.loads((workdir / 'run.json').read_text())['numerics'][name]
  before = getattr(jax.config, name)
  jax.config.update(name, other)
  try:
    with pytest.raises(ValueError, match=f'options of JAX.*\n *{name}: there'):
      _run(workdir, selection=('last', 'inner', 'oracle'), inner_folds=3)
  finally:
    jax.config.update(name, before)


def test_metrics_json_follows_its_schema(finished):
  workdir, metrics = finished
  assert json.loads((workdir / 'metrics.json').read_text()) == metrics
  assert set(metrics['selection']) == {'last', 'inner', 'oracle'}
  assert tuple(metrics['baselines']) == baselines.BASELINES
  uf1 = {
    name: entry['full']['uf1'] for name, entry in metrics['baselines'].items()
  }
  assert uf1[metrics['best_baseline']] == max(uf1.values())
  full = metrics['selection']['last']['full']
  assert full['n'] == 60 and metrics['num_seeds'] == 2
  for name in ('uf1', 'uar', 'accuracy'):
    low, high = full[f'{name}_ci']
    assert low <= full[name] <= high
    assert full[f'{name}_std'] >= 0


def test_table_is_what_scikit_learn_makes_of_the_predictions(finished):
  workdir, metrics = finished
  with (workdir / 'predictions.csv').open() as file:
    rows = list(csv.DictReader(file))
  for rule, numbers in metrics['selection'].items():
    uf1, uar = [], []
    for seed in ('0', '1'):
      mine = [r for r in rows if r['selection'] == rule and r['seed'] == seed]
      assert len({(r['subject'], r['clip']) for r in mine}) == len(mine) == 60
      truth = [int(row['truth']) for row in mine]
      guess = [int(row['prediction']) for row in mine]
      uf1.append(sklearn_metrics.f1_score(truth, guess, average='macro'))
      uar.append(sklearn_metrics.balanced_accuracy_score(truth, guess))
    assert numbers['full']['uf1'] == pytest.approx(np.mean(uf1))
    assert numbers['full']['uar'] == pytest.approx(np.mean(uar))


def test_inner_trials_are_extra_and_never_see_the_outer_subject(finished):
  record = workdir_lib.load_npz(finished[0] / 'record.npz')
  assert len(record['fold']) == 2 * (6 + 6 * 3)  # seeds x (outer + inner)
  for fold, inner, index in zip(
    record['fold'], record['inner'], record['index'], strict=True
  ):
    own = record['groups'][index[index >= 0]] == record['fold_names'][fold]
    assert own.all() if inner < 0 else not own.any()


def test_a_finished_run_is_shown_again_and_not_trained_again(
  finished, capsys, monkeypatch
):
  workdir, metrics = finished
  monkeypatch.setattr(running.loop, 'run', None)
  again = _run(workdir, selection=('last', 'inner', 'oracle'), inner_folds=3)
  assert again == metrics
  assert 'is finished' in capsys.readouterr().out


def test_the_workdir_of_another_config_is_refused_and_kept(finished):
  workdir, metrics = finished
  with pytest.raises(ValueError, match='learning_rate: there 0.03, asked for'):
    _run(
      workdir,
      selection=('last', 'inner', 'oracle'),
      inner_folds=3,
      setting__learning_rate=1e-3,
    )
  assert json.loads((workdir / 'metrics.json').read_text()) == metrics


def test_a_finished_run_without_checkpoints_keeps_its_config(
  finished, tmp_path
):
  workdir = tmp_path / 'run'
  shutil.copytree(
    finished[0], workdir, ignore=shutil.ignore_patterns('checkpoints')
  )
  options = {'selection': ('last', 'inner', 'oracle'), 'inner_folds': 3}
  with pytest.raises(ValueError, match='belongs to a run with another config'):
    _run(workdir, setting__learning_rate=1e-3, **options)
  assert _run(workdir, **options) == finished[1]


def test_perturbing_a_subject_changes_no_other_rows_of_its_own_fold(
  finished, tmp_path
):
  """Logits of a fold depend on its held-out pixels only through the input."""
  inputs, labels, subjects = _arrays()
  held_out = subjects == 's2'
  other = labels.copy()
  other[held_out] = (labels[held_out] + 1) % 3
  options = {
    'model': own_parts.Linear(),
    'num_epochs': 4,
    'eval_every': 2,
    'num_seeds': 2,
    'setting__learning_rate': 3e-2,
  }
  experiment.leave_one_subject_out(
    inputs, other, subjects, workdir=tmp_path / 'run', **options
  )
  first = workdir_lib.load_npz(finished[0] / 'record.npz')
  second = workdir_lib.load_npz(tmp_path / 'run' / 'record.npz')
  outer = first['inner'] < 0
  same = (first['logits'][outer][:, :, :10] == second['logits'][:, :, :10]).all(
    (1, 2, 3)
  )
  own = first['fold_names'][first['fold'][outer]] == 's2'
  np.testing.assert_array_equal(same, own)


def test_own_model_by_name_equals_own_model_by_object(tmp_path):
  by_object = _run(tmp_path / 'object')
  by_name = _run(tmp_path / 'name', model='tests.own_parts:Linear')
  assert by_object['selection'] == by_name['selection']


def test_a_grid_trains_every_setting_and_picks_none(tmp_path):
  config = experiment.load_config('synthetic')
  with config.unlocked():
    config.grid.learning_rate = (3e-2, 0.0)
  metrics = _run(tmp_path / 'run', config=config)
  alone = _run(tmp_path / 'alone')
  assert metrics['selection'] == alone['selection']  # The first of the grid.
  rates = [e['values']['learning_rate'] for e in metrics['settings']]
  assert rates == [3e-2, 0.0]
  both = [entry['selection']['last'] for entry in metrics['settings']]
  assert len(both) == 2 and both[0] != both[1]


def test_dry_run_shows_the_plan_and_makes_nothing(tmp_path, capsys):
  config = experiment.load_config('synthetic:smoke')
  inputs, labels, subjects = _arrays()
  task = experiment.Task(
    inputs=inputs,
    labels=labels,
    corpus=np.full(60, 'own'),
    subject=subjects,
    clip=np.arange(60).astype(str),
    class_names=('a', 'b', 'c'),
    protocol='One.',
    groups=subjects,
    layout=sample.Layout('image', u_channel=2, centred=True),
  )
  result = experiment.train(
    config,
    workdir=tmp_path / 'run',
    task=task,
    model=own_parts.Linear(),
    dry_run=True,
  )
  shown = capsys.readouterr().out
  assert result == {} and not (tmp_path / 'run').exists()
  assert f'Total: {48 * 3 + 3}' in shown  # Parameters of the linear model.
  for part in ('6 trials', 'MiB a trial', 'mode map', 'minutes'):
    assert part in shown


@pytest.mark.parametrize(
  ('spoil', 'message'),
  [
    (lambda x, y, s: (x[:-1], y, s), 'shape .60,.; expected .59,'),
    (
      lambda x, y, s: (x, y.astype(float), s),
      'float64, as 1.0; expected whole',
    ),
    (lambda x, y, s: (x, y - 1, s), 'integers from 0 to 2'),
    (lambda x, y, s: (np.where(x > 2, np.nan, x), y, s), 'not finite'),
    (lambda x, y, s: (x, y, ['one'] * 60), 'at least two groups'),
  ],
)
def test_bad_arrays_get_a_clear_error(tmp_path, spoil, message):
  with pytest.raises(ValueError, match=message):
    experiment.leave_one_subject_out(
      *spoil(*_arrays()),
      workdir=tmp_path / 'run',
      model=own_parts.Linear(),
      class_names=('a', 'b', 'c'),
    )
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'learning_rate': 1.0}, 'setting__learning_rate'),
    ({'model': 'htnett'}, "Unknown model 'htnett'.*htnet"),
    ({'model': 'tests.own_parts:Missing'}, 'cannot be imported'),
    ({'optimizer': 'adamax'}, "Unknown optimizer 'adamax'.*adamw"),
    ({'optimizer': 'adam', 'setting__weight_decay': 0.1}, 'has no effect'),
    ({'setting__mirror': 0.5}, 'negates the horizontal flow'),
    ({'setting__test_mirror': 0.5}, 'negates the horizontal flow'),
    ({'setting__region_dropout': 0.5}, 'takes the motion of regions'),
    ({'setting__level_dropout': 0.5}, 'takes the motion of levels'),
    ({'setting__shift': 2.0}, 'not known what the inputs are'),
    ({'setting__mixup': -0.1}, 'setting.mixup is -0.1; expected 0 to inf'),
    ({'setting__ema': 1.0}, 'setting.ema is 1.0; expected 0 to 0.9999'),
    ({'eval_every': 3}, 'must divide'),
    ({'selection': ('last', 'orcale')}, "selection rule 'orcale'.*oracle"),
    ({'class_names': ('a', 'b')}, 'integers from 0 to 1'),
    ({'model': own_parts.Linear(num_classes=4)}, r'\(1, 4\).*a, b, c'),
    ({'model': 'ststnet'}, r'expected \[b, 28, 28, 3\]'),
    ({'num_seeds': 'two'}, 'Bad value for num_seeds'),
  ],
)
def test_bad_changes_get_a_clear_error(tmp_path, change, message):
  with pytest.raises(ValueError, match=message):
    _run(tmp_path / 'run', **change)


def test_own_view_protocol_and_attention_by_name(tmp_path):
  htnet_tree.prepare_tree(tmp_path)
  config = experiment.load_config('htnet_regions:smoke')
  with config.unlocked():
    config.view = {'name': 'tests.own_parts:view', 'scale': 0.01}
    config.protocol = 'tests.own_parts:protocol'
    config.model = {'name': 'tests.own_parts:Linear'}
  config.setting.mirror = 0.0
  metrics = experiment.train(
    config, data_dir=tmp_path / 'data', workdir=tmp_path / 'run'
  )
  assert metrics['protocol'].startswith('My own protocol. Differs from')
  assert 'casme2 negative: 1 clips, expected 88' in metrics['protocol']
  by_object = experiment.train(
    config,
    data_dir=tmp_path / 'data',
    workdir=tmp_path / 'objects',
    protocol=own_parts.protocol,
    view=functools.partial(own_parts.view, scale=0.01),
    model=own_parts.Linear(),
  )
  assert by_object['selection'] == metrics['selection']


def test_another_attention_function_keeps_the_parameter_tree(tmp_path):
  del tmp_path
  shapes = []
  for name in ('softmax', 'linear', 'tests.own_parts:double_softmax'):
    config = experiment.load_config('htnet_regions:smoke')
    config.model.attention_fn = name
    model = resolve.make_model(config, 3)
    variables = jax.eval_shape(
      lambda model=model: model.init(
        jax.random.key(0), jnp.zeros((1, 28, 28, 3)), train=False
      )
    )
    shapes.append(jax.tree.map(lambda x: x.shape, variables))
  assert shapes[0] == shapes[1] == shapes[2]


def test_mirror_is_refused_for_the_transposed_face_of_the_release(tmp_path):
  htnet_tree.prepare_tree(tmp_path)
  config = experiment.load_config('htnet_regions:smoke')
  config.view.mode = 'released'
  with pytest.raises(ValueError, match="view.mode to 'landmarks'"):
    experiment.train(
      config, data_dir=tmp_path / 'data', workdir=tmp_path / 'run'
    )


@pytest.mark.slow
def test_an_experiment_killed_at_random_moments_ends_with_the_same_bits(
  tmp_path,
):
  start = time.monotonic()
  killed_experiment.finish(killed_experiment.start(tmp_path / 'whole'))
  life = time.monotonic() - start
  for _ in range(3):
    killed_experiment.kill(
      tmp_path / 'broken', after=random.uniform(0.3, 1.0) * life
    )
  killed_experiment.finish(killed_experiment.start(tmp_path / 'broken'))
  assert killed_experiment.results(
    tmp_path / 'broken'
  ) == killed_experiment.results(tmp_path / 'whole')


def test_report_of_an_unfinished_run_says_how_to_finish_it(tmp_path):
  with pytest.raises(FileNotFoundError, match='mejax train'):
    experiment.report([tmp_path])


def test_the_demo_gives_each_core_a_device_before_jax_starts(
  tmp_path, monkeypatch
):
  calls = []
  monkeypatch.setattr(
    running.devices_lib, 'use_every_core', lambda: calls.append('cores')
  )
  monkeypatch.setattr(synthetic, 'write', lambda root, **size: root)
  monkeypatch.setattr(
    prepare, 'prepare', lambda *args, **options: calls.append('prepare')
  )
  monkeypatch.setattr(
    running, 'train', lambda *args, **options: calls.append('train')
  )
  experiment.demo(tmp_path, small=True)
  assert calls == ['cores', 'prepare', 'train']


def test_subjects_of_arrays_that_may_be_one_person_are_refused(tmp_path):
  inputs, labels, subjects = _arrays()
  subjects = np.where(subjects == 's2', 'Sub_01', subjects)
  with pytest.raises(ValueError, match="'s1', 'Sub_01' may be one person"):
    experiment.leave_one_subject_out(
      inputs, labels, subjects, workdir=tmp_path / 'run'
    )
  with pytest.raises(ValueError, match="'nan', at position 0, names nobody"):
    experiment.leave_one_subject_out(
      inputs, labels, np.full(len(labels), np.nan), workdir=tmp_path / 'run'
    )
  assert not (tmp_path / 'run').exists()


def test_inputs_that_are_all_the_same_give_a_result_and_a_remark(
  tmp_path, capsys
):
  subjects = np.repeat(list('abcd'), 3)
  metrics = experiment.leave_one_subject_out(
    np.zeros((12, 4, 4, 3), np.float32),
    np.arange(12) % 3,
    subjects,
    workdir=tmp_path / 'run',
    model=own_parts.Linear(),
    num_seeds=1,
    num_epochs=2,
  )
  assert tuple(metrics['baselines']) == baselines.BASELINES
  assert len(metrics['baseline_remarks']) == 3
  assert 'inputs are all the same' in capsys.readouterr().out
  # The remark is kept with the run.
  experiment.report([tmp_path / 'run'])
  assert 'all the same' in (tmp_path / 'run/report/index.html').read_text()


@pytest.fixture(scope='module')
def other(tmp_path_factory):
  """A run of another config on the same data."""
  workdir = tmp_path_factory.mktemp('other') / 'run'
  _run(workdir, num_seeds=1, setting__learning_rate=1e-3)
  return workdir


@pytest.fixture
def small(tmp_path):
  workdir = tmp_path / 'small'
  _run(workdir, num_seeds=1)
  return workdir


def test_the_files_of_another_run_are_refused(other, small):
  # Each belongs to its own config, whether the others were exchanged or not.
  for name in (
    'record.npz',
    'baselines.npz',
    'metrics.json',
    'predictions.csv',
  ):
    shutil.copy(other / name, small / name)
  with pytest.raises(ValueError, match='record.npz belongs to another config'):
    _run(small, num_seeds=1)
  with pytest.raises(ValueError, match='record.npz belongs to another config'):
    experiment.report([small])
  with pytest.raises(ValueError, match='cost.json belongs to another config'):
    shutil.copy(other / 'cost.json', small / 'cost.json')
    cost.read(small)
  (small / 'cost.json').unlink()
  (small / 'record.npz').unlink()
  with pytest.raises(ValueError, match='baselines.npz belongs to another'):
    _run(small, num_seeds=1)
  shutil.rmtree(small / 'checkpoints')
  shutil.copytree(other / 'checkpoints', small / 'checkpoints')
  (small / 'record.npz').unlink()
  with pytest.raises(ValueError, match='round_0.npz belongs to another config'):
    _run(small, num_seeds=1)
  with pytest.raises(ValueError, match='round_0_model belongs to another'):
    own = workdir_lib.owner(small)
    checkpoint.Round(small, 0, own).model()


def test_a_config_that_was_changed_by_hand_is_not_shown(small):
  config = json.loads((small / 'config.json').read_text())
  workdir_lib.write_json(small / 'config.json', config)
  experiment.report([small])
  config['setting']['learning_rate'] = 0.5
  workdir_lib.write_json(small / 'config.json', config)
  with pytest.raises(ValueError, match='belongs to another config or other'):
    experiment.report([small])


def test_words_and_settings_are_those_of_the_record(small):
  numbers = json.loads((small / 'metrics.json').read_text())
  numbers['protocol'] = 'Invented.'
  workdir_lib.write_json(small / 'metrics.json', numbers)
  with pytest.raises(ValueError, match="protocol is 'Invented.', not"):
    experiment.report([small])


def test_a_run_of_an_older_mejax_is_read_with_a_word(small, capsys):
  (small / 'cost.json').unlink()  # It wrote none.
  for name in ('record.npz', 'baselines.npz'):
    arrays = workdir_lib.load_npz(small / name)
    for key in ('belongs_to', 'told'):
      arrays.pop(key, None)
    workdir_lib.save_npz(small / name, arrays)
  numbers = json.loads((small / 'metrics.json').read_text())
  del numbers['belongs_to']
  workdir_lib.write_json(small / 'metrics.json', numbers)
  run = json.loads((small / 'run.json').read_text())
  del run['data']
  workdir_lib.write_json(small / 'run.json', run)
  capsys.readouterr()
  assert _run(small, num_seeds=1) == numbers
  assert 'was written by an older mejax' in capsys.readouterr().out


def test_metrics_that_differ_from_the_record_are_refused(finished, tmp_path):
  workdir = tmp_path / 'run'
  shutil.copytree(finished[0], workdir)
  experiment.report([workdir])
  numbers = json.loads((workdir / 'metrics.json').read_text())
  numbers['selection']['last']['full']['uf1'] += 0.01
  workdir_lib.write_json(workdir / 'metrics.json', numbers)
  with pytest.raises(ValueError, match='selection.last.full.uf1 is'):
    experiment.report([workdir])


@pytest.mark.parametrize(
  'name', ['config.json', 'run.json', 'record.npz', 'metrics.json', 'cost.json']
)
def test_a_damaged_file_of_a_run_is_named(finished, tmp_path, name):
  workdir = tmp_path / 'run'
  shutil.copytree(finished[0], workdir)
  path = workdir / name
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
  with pytest.raises(ValueError, match=f'{name} is damaged'):
    if name == 'run.json':
      _run(workdir, selection=('last', 'inner', 'oracle'), inner_folds=3)
    experiment.report([workdir])


def test_a_bad_setting_that_fills_a_round_does_not_end_the_others(tmp_path):
  config = experiment.load_config('synthetic')
  with config.unlocked():
    config.grid.learning_rate = (3e-2, 1e30)
  metrics = _run(tmp_path / 'run', config=config, num_seeds=36)
  assert {one['setting'] for one in metrics['diverged']} == {1}
  assert len(metrics['diverged']) == 36 * 6


def test_folds_over_clips_are_trained_with_a_warning_on_every_number(
  tmp_path, capsys
):
  metrics = _run(tmp_path / 'run', folds_over='clips', num_folds=5)
  rows = [metrics['selection'], metrics['together'], metrics['baselines']]
  for entries in (one for row in rows for one in row.values()):
    assert all(
      selection.BOTH_SIDES in entry['warning'] for entry in entries.values()
    )
  assert metrics['protocol'] == (
    f'60 own examples of 6 subjects, folds over clips: {selection.BOTH_SIDES}.'
  )
  assert f'* {selection.BOTH_SIDES}' in capsys.readouterr().out
  record = workdir_lib.load_npz(tmp_path / 'run' / 'record.npz')
  assert len(record['fold_names']) == 5
  assert selection.divides_people(record)
  # Intervals are over people all the same.
  assert metrics['selection']['last']['full']['subjects'] == 6
  # No model may be asked about a person whose other clips it has seen.
  with pytest.raises(ValueError, match='are over clips'):
    experiment.evaluate(
      tmp_path / 'run', data_dir=tmp_path, model=own_parts.Linear()
    )
