"""Results hold what a run said and no label, and give its table again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import shutil

import numpy as np
import pytest
from scipy import special

from mejax import cli
from mejax import experiment
from mejax.evaluation import baselines
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.experiment import baseline_cache
from mejax.experiment import exporting
from mejax.experiment import results
from mejax.experiment import schema
from mejax.experiment import scoring
from tests.corpora import htnet_tree
from tests.experiment import made_up_runs

pytestmark = pytest.mark.unoptimised


@pytest.fixture
def run(make_record, tmp_path):
  record = make_record(num_seeds=2, corpora=(('casme2', 5, 4.0), ('b', 3, 3.0)))
  return made_up_runs.write_run(tmp_path / 'run', record), record


def test_results_give_the_numbers_of_the_run_exactly(run, tmp_path, capsys):
  workdir, record = run
  folder = exporting.export(workdir, tmp_path / 'results')
  assert sorted(path.name for path in folder.iterdir()) == sorted(results.FILES)
  order = np.random.default_rng(0).permutation(len(record['labels']))
  found = scoring.score(folder, task=made_up_runs.task_of(record, order))
  numbers = summary.metrics_json(
    record, {}, rules=['last'], protocol_sentence='Made-up.'
  )
  for entry in found['together']['last'].values():
    # The run has no baselines.
    assert len(entry.pop('minus_best_baseline')) == 3
  for key in ('selection', 'together', 'class_counts', 'num_seeds', 'protocol'):
    assert found[key] == numbers[key], key
  assert set(found['baselines']) >= {'majority', 'rbf_svm'}
  shown = capsys.readouterr().out
  assert 'seeds together' in shown and 'NOTE: the motion, labels' in shown


def test_other_labels_or_names_of_people_leave_no_trace_in_results(
  run, tmp_path
):
  """What is written depends on what the run said and whom it held out."""
  workdir, record = run
  # Every clip gets another label, and what the oracle would choose changes.
  other = record | {'labels': (record['labels'] + 1) % 3}
  second = made_up_runs.write_run(tmp_path / 'other', other)
  first = exporting.export(workdir, tmp_path / 'a' / 'results')
  second = exporting.export(second, tmp_path / 'b' / 'results')
  for name in results.FILES:
    assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_no_name_of_a_clip_and_no_epoch_chosen_on_people_is_in_results(
  run, tmp_path
):
  workdir, record = run
  folder = exporting.export(workdir, tmp_path / 'results')
  arrays = dict(np.load(folder / 'probabilities.npz'))
  assert set(arrays) == {
    'schema_version', 'class_names', 'clip', 'fold', 'seeds', 'epoch',
    'probabilities',
  }  # fmt: skip
  texts = [path.read_text() for path in folder.glob('*.[jt][sx]*')]
  assert len(texts) == 3
  for word in ('s01_ne_01', 'counts', *record['clip'], *record['groups']):
    assert not any(word in text for text in texts), word
    assert word not in arrays['clip']
  # Sorted by digest: the order in a dataset may be that of the classes.
  assert (np.sort(arrays['clip']) == arrays['clip']).all()
  first = np.unique(arrays['fold'], return_index=True)[1]
  assert (np.diff(first) > 0).all()
  last = special.softmax(selection.select(record, 'last').logits, -1)
  mine = results.digests(record['corpus'], record['subject'], record['clip'])
  place = np.searchsorted(arrays['clip'], mine)
  np.testing.assert_allclose(arrays['probabilities'][:, place], last, atol=1e-3)


@pytest.mark.parametrize(
  ('change', 'words'),
  [
    (lambda task: task_less(task, 2), '2 of its .* clips are not in the data'),
    (lambda task: renamed(task), 'clips of the data are not in it: .*/new'),
    (lambda task: classes(task), 'the classes of .* are negative, positive'),
  ],
)
def test_data_with_other_clips_or_classes_are_refused_by_name(
  run, tmp_path, change, words
):
  workdir, record = run
  folder = exporting.export(workdir, tmp_path / 'results')
  with pytest.raises(ValueError, match=words):
    scoring.score(folder, task=change(made_up_runs.task_of(record)))


def task_less(task, count):
  fields = {
    key: value[count:] if isinstance(value, np.ndarray) else value
    for key, value in vars(task).items()
    if key != 'sha256'
  }
  return experiment.Task(**fields)


def renamed(task):
  clip = task.clip.copy()
  clip[0] = 'new'
  return experiment.Task(**(vars(task) | {'clip': clip}))


def classes(task):
  return experiment.Task(**(vars(task) | {'class_names': ('a', 'b', 'c')}))


@pytest.mark.parametrize('name', ['config.json', 'probabilities.npz'])
def test_a_changed_file_of_results_is_noticed(run, tmp_path, name):
  workdir, record = run
  folder = exporting.export(workdir, tmp_path / 'results')
  path = folder / name
  path.write_bytes(path.read_bytes() + b' ')
  with pytest.raises(ValueError, match=f'{name} is damaged .*digest'):
    scoring.score(folder, task=made_up_runs.task_of(record))
  path.unlink()
  with pytest.raises(FileNotFoundError, match=f'{name} is missing'):
    scoring.score(folder, task=made_up_runs.task_of(record))


def test_results_of_another_schema_or_with_strange_code_are_refused(
  run, tmp_path
):
  workdir, record = run
  folder = exporting.export(workdir, tmp_path / 'results')
  versions = json.loads((folder / 'versions.json').read_text())
  (folder / 'versions.json').write_text(
    json.dumps(versions | {'schema_version': 9})
  )
  with pytest.raises(ValueError, match='schema 9; this mejax reads 1'):
    scoring.score(folder, task=made_up_runs.task_of(record))
  config = json.loads((workdir / 'config.json').read_text())
  config['view']['name'] = 'tests.nowhere:view'
  (workdir / 'config.json').write_text(json.dumps(config))
  folder = exporting.export(workdir, folder)
  with pytest.raises(ValueError, match='names code.*tests.nowhere:view'):
    scoring.score(folder, task=made_up_runs.task_of(record))


@pytest.mark.parametrize(
  ('name', 'change', 'said'),
  [
    ('versions.json', {'sha256': []}, 'versions.json is damaged .sha256 is'),
    ('versions.json', {'data_sha256': 5}, 'damaged .data_sha256 is 5'),
    ('config.json', {'num_folds': 'x'}, "damaged .config.num_folds is 'x'"),
    ('config.json', {'num_folds': -1}, 'damaged .num_folds is -1; expected 0'),
    ('versions.json', {'data_sha256': None}, 'damaged .data_sha256 is None'),
    ('probabilities.npz', {'seeds': np.array(['<b>', 'x'])}, 'seeds is <U3'),
    ('probabilities.npz', {'seeds': np.array([1.5, 2])}, 'seeds is float64'),
    ('probabilities.npz', {'seeds': np.array([3, 3])}, 'its seeds are .3, 3'),
    ('probabilities.npz', {'epoch': np.array(-7)}, 'epoch holds numbers below'),
    ('config.json', {'setting': 'x'}, "damaged .config.setting is 'x'"),
    ('config.json', {'folds_over': 'x'}, "damaged .folds_over is 'x'"),
    ('probabilities.npz', {'fold': np.array(['a'])}, 'fold is <U1.1.'),
    ('probabilities.npz', {'logits': np.array('x')}, 'logits is <U1'),
    ('probabilities.npz', {'seeds': np.zeros(0, int)}, 'which does not fit'),
    ('probabilities.npz', {'class_names': np.array([1, 2])}, 'class_names is'),
    (
      'probabilities.npz',
      {'probabilities': lambda x: x + [-9, 9, 0]},
      'are below 0 or do not',
    ),
    (
      'probabilities.npz',
      {'probabilities': lambda x: x * 0.0 + [1e30, -1e30, 1]},
      'are below 0 or do not',
    ),
    (
      'probabilities.npz',
      {'probabilities': lambda x: x / 2},
      'are below 0 or do not',
    ),
    (
      'probabilities.npz',
      {'probabilities': lambda x: np.where(x == x.max(), np.nan, x)},
      'are below 0 or do not',
    ),
  ],
)
def test_odd_content_of_results_is_named(run, tmp_path, name, change, said):
  workdir, record = run
  folder = exporting.export(workdir, tmp_path / 'results')
  path = folder / name
  if name.endswith('.npz'):
    arrays = dict(np.load(path))
    for key, value in change.items():
      arrays[key] = value(arrays[key]) if callable(value) else value
    np.savez(path, **arrays)
  else:
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
  if name != 'versions.json':
    versions = json.loads((folder / 'versions.json').read_text())
    versions['sha256'][name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / 'versions.json').write_text(json.dumps(versions))
  with pytest.raises(ValueError, match=said):
    scoring.score(folder, task=made_up_runs.task_of(record))


@pytest.mark.parametrize('parts', [3, 1000])
def test_the_sentence_of_results_comes_from_their_folds(run, tmp_path, parts):
  """Whatever their config says."""
  workdir, record = run
  config = made_up_runs.CONFIG | {'num_folds': 0, 'folds_over': 'people'}
  (workdir / 'config.json').write_text(json.dumps(config))
  names = record['fold_names']
  if parts == 3:  # Folds of people that lie together.
    dealt = record | {'fold': record['fold'] % 3, 'fold_names': names[:3]}
    said = 'Made-up, subjects left out in 3 parts.'
  else:  # Two people swap the folds of one clip each.
    held_by = selection.held_out_by(record)
    one, two = np.flatnonzero(held_by == 0)[0], np.flatnonzero(held_by == 1)[0]
    index = record['index'].copy()
    index[record['index'] == one], index[record['index'] == two] = two, one
    dealt = record | {'index': index}
    said = f'Made-up, folds over clips: {selection.BOTH_SIDES}.'
  np.savez(workdir / 'record.npz', **dealt)
  folder = exporting.export(workdir, tmp_path / 'results')
  protocol = 'Made-up, one of 8 subjects left out at a time.'
  task = dataclasses.replace(made_up_runs.task_of(record), protocol=protocol)
  assert scoring.score(folder, task=task)['protocol'] == said


def test_several_results_are_scored_together(run, tmp_path, capsys):
  workdir, record = run
  noise = np.random.default_rng(1).normal(size=record['logits'].shape)
  other = record | {'logits': (record['logits'] + noise).astype(np.float32)}
  folders = [
    exporting.export(path, tmp_path / f'r{i}')
    for i, path in enumerate(
      [workdir, made_up_runs.write_run(tmp_path / 'other', other)]
    )
  ]
  numbers = scoring.score_together(folders, task=made_up_runs.task_of(record))
  shares = [
    special.softmax(selection.select(each, 'last').logits, -1).mean(0)
    for each in (record, other)
  ]
  right = np.mean(shares, 0).argmax(-1) == record['labels']
  assert numbers['together']['full']['accuracy'] == pytest.approx(right.mean())
  assert f'together minus {numbers["best"]}' in capsys.readouterr().out


def test_results_are_scored_together_with_a_baseline_on_their_folds(
  run, tmp_path
):
  workdir, record = run
  task = made_up_runs.task_of(record)
  folder = exporting.export(workdir, tmp_path / 'results')
  numbers = scoring.score_together([folder, 'lda'], task=task)
  kept = baseline_cache.read_or_fit(task, selection.held_out_by(record))
  ours = special.softmax(selection.select(record, 'last').logits, -1).mean(0)
  right = np.argmax(ours + kept['lda_probabilities'], -1) == record['labels']
  assert numbers['together']['full']['accuracy'] == pytest.approx(right.mean())
  alone = scoring.score(folder, task=task)
  best = alone['best_baseline']
  assert numbers['best_baseline']['name'] == baselines.NAMES[best]
  # Seeds are averaged first, so this is the row of seeds together.
  ours = numbers['members'][0]['entries']['full']['minus_best_baseline']
  assert ours == alone['together']['last']['full']['minus_best_baseline']
  with pytest.raises(
    ValueError, match='neither a folder of results nor a base'
  ):
    scoring.score_together([folder, 'forest'], task=task)


def test_the_command_line_goes_from_a_run_to_results_and_back(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  htnet_tree.prepare_tree(tmp_path)
  assert not cli.main(
    [
      'train',
      '--config',
      'linear:smoke',
      '--workdir',
      'runs/linear',
      '--data_dir',
      'data',
      '--config.num_seeds=2',
    ]  # fmt: skip
  )
  shown = capsys.readouterr().out
  assert not cli.main(['report', 'runs/linear', '--export', 'results/linear'])
  capsys.readouterr()
  page = pathlib.Path('runs/linear/report/index.html').read_text()
  assert 'mejax train --config runs/linear/config.json --data_dir data' in page
  text = (tmp_path / 'results/linear/command.txt').read_text()
  prepare, train, score = (line.split()[1:] for line in text.splitlines()[1:])
  assert prepare[:2] == ['prepare', 'htnet_release']
  assert not cli.main(score)
  again = capsys.readouterr().out
  for line in shown.splitlines():
    if line.startswith(('last ', 'seeds together ', 'majority ', 'rbf_svm ')):
      assert line in again.splitlines()
  assert 'NOTE' not in again
  # The config of the results is that of the run, which is finished.
  assert not cli.main(train)
  assert 'nothing is left to train' in capsys.readouterr().out
  config = schema.read_run_config('runs/linear').to_dict()
  assert experiment.load_config('results/linear/config.json').num_seeds == 2
  assert config['num_seeds'] == 2
  shutil.rmtree(tmp_path / 'results')
  assert cli.main(score) == 2
  assert 'is no folder of results' in capsys.readouterr().err
