"""Finished runs, and baselines on their folds, scored together."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from scipy import special

from mejax import cli
from mejax import experiment
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.experiment import ensembles
from mejax.experiment import finished


@pytest.fixture
def write(make_record, tmp_path):
  """Writes the workdir of a made-up run; later draws have other logits."""

  def write(name, draw=0, change=None):
    record = make_record(num_seeds=2, corpora=(('casme2', 6, 4.0),))
    noise = np.random.default_rng(draw).normal(size=record['logits'].shape)
    record['logits'] = (record['logits'] + draw * noise).astype(np.float32)
    if change:
      change(record)
    generator = np.random.default_rng(9)
    share = generator.dirichlet([1, 1, 1], len(record['labels']))
    baselines = {
      'majority': np.zeros(len(record['labels']), np.int32),
      'lda': share.argmax(1).astype(np.int32),
      'lda_probabilities': share,
    }
    folder = tmp_path / 'runs' / name
    folder.mkdir(parents=True)
    np.savez(folder / 'record.npz', **record)
    np.savez(folder / 'baselines.npz', **baselines)
    numbers = summary.metrics_json(
      record, baselines, protocol_sentence='Made-up.'
    )
    (folder / 'metrics.json').write_text(json.dumps(numbers))
    return folder, record, share

  return write


def _share(record):
  logits = selection.select(record, 'last').logits
  return special.softmax(logits.astype(np.float64), -1).mean(0)


def test_runs_and_a_baseline_have_equal_weight(write, capsys):
  first, one, lda = write('one')
  second, two, _ = write('two', draw=1)
  numbers = experiment.together([first, second, 'lda'])
  assert [each['name'] for each in numbers['members']] == ['one', 'two', 'lda']
  assert [each['seeds'] for each in numbers['members']] == [2, 2, 1]
  mean = (_share(one) + _share(two) + lda) / 3
  right = mean.argmax(-1) == one['labels']
  assert numbers['together']['full']['accuracy'] == pytest.approx(right.mean())
  assert 'of several seeds, their mean probability: one (2), two (2)' in (
    capsys.readouterr().out
  )


def test_the_report_shows_them_together_and_keeps_the_numbers(write, capsys):
  first, *_ = write('one')
  write('two', draw=1)
  runs = str(first.parent)
  assert not cli.main(
    ['report', '--together', f'{runs}/one', f'{runs}/two', 'lda']
  )
  shown = capsys.readouterr().out
  report = first.parent / 'report'
  numbers = json.loads((report / 'together.json').read_text())
  difference = '{:+.3f} [{:+.3f}, {:+.3f}]'.format(*numbers['minus_best'])
  page = (report / 'index.html').read_text()
  assert 'The models together' in page and difference in page
  assert difference in shown and str(report / 'index.html') in shown
  # So do both show how far all together, and each alone, are above LDA.
  best = numbers['best_baseline']
  assert best['name'] == 'LDA' and 'minus LDA' in page and 'minus LDA' in shown
  for entries in (numbers['together'], numbers['members'][1]['entries']):
    found = entries['full']['minus_best_baseline']
    words = '{:+.3f} [{:+.3f}, {:+.3f}]'.format(*found)
    assert words in page and words in shown


def test_a_run_that_was_evaluated_before_its_seeds_were_compared_is_read(write):
  folder, *_ = write('one')
  path = folder / 'metrics.json'
  numbers = json.loads(path.read_text())
  entry = numbers['together']['last']['full']
  found = entry.pop('minus_best_baseline')
  path.write_text(json.dumps(numbers))
  (run,) = finished.read_runs([folder])
  again = run.numbers['together']['last']['full']['minus_best_baseline']
  assert again == pytest.approx(found)
  entry['minus_best_baseline'] = [x + 0.1 for x in found]
  path.write_text(json.dumps(numbers))
  with pytest.raises(ValueError, match='minus_best_baseline.0. is'):
    finished.read_runs([folder])


def test_runs_with_other_folds_are_refused(write):
  def merge(record):
    record['fold'] = np.where(record['fold'] == 1, 0, record['fold'])

  first, *_ = write('one')
  second, *_ = write('two', change=merge)
  with pytest.raises(ValueError, match='one and two cannot .* folds differ'):
    experiment.together([first, second])


@pytest.mark.parametrize(
  ('names', 'words'),
  [
    (['knn'], "'knn' is neither the folder of a run nor .* It has: lda"),
    (['majority'], "'majority' is neither"),
    (['rbf_svm'], "'rbf_svm' is neither .* of an older recipe"),
    ([], 'two or more different models'),
  ],
)
def test_an_unknown_baseline_and_a_model_alone_are_refused(write, names, words):
  folder, *_ = write('one')
  with pytest.raises(ValueError, match=words):
    experiment.together([folder, *names])


@pytest.mark.parametrize('how', ['copy', 'link'])
def test_one_run_is_not_counted_as_two_models(write, how):
  folder, *_ = write('one')
  again = folder.with_name('again')
  if how == 'copy':
    shutil.copytree(folder, again)
  else:
    again.symlink_to(folder)
  with pytest.raises(ValueError, match='.*one and .*one.*|one and again say'):
    experiment.together([folder, again])


def test_a_folder_is_not_taken_for_the_baseline_of_its_name(
  write, monkeypatch, capsys
):
  folder, *_ = write('one')
  write('lda', draw=1)
  monkeypatch.chdir(folder.parent)
  together = ['report', '--together', 'one']
  assert cli.main([*together, 'lda']) == 2
  assert 'lda is both a baseline and a folder here' in capsys.readouterr().err
  assert not cli.main([*together, './lda'])
  # The folder has two seeds, the baseline has one.
  assert 'lda (2)' in capsys.readouterr().out
  shutil.rmtree('lda')
  assert cli.main([*together, './lda']) == 2
  assert 'holds no finished run' in capsys.readouterr().err
  assert not cli.main([*together, 'lda'])


def test_baselines_need_a_run_whose_folds_they_are_on(tmp_path):
  with pytest.raises(ValueError, match='lda, knn: no such folder'):
    ensembles.split(['lda', 'knn'])
  with pytest.raises(FileNotFoundError, match='not the workdir of a finished'):
    experiment.together([tmp_path, 'lda'])
