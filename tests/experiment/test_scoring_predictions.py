"""Anybody's table of truths and predictions is scored, or refused by cell."""

from __future__ import annotations

import csv
import json

import hypothesis
from hypothesis import strategies as st
import numpy as np
import openpyxl
import pytest
from sklearn import metrics as reference

from mejax import cli
from mejax.evaluation import predictions
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.experiment import predictions_file
from mejax.experiment import scoring_predictions
from tests import records

NAMES = ('negative', 'positive', 'surprise')


@pytest.fixture
def write(tmp_path):
  """Writes a table and returns its path."""

  def write(text, name='theirs.csv'):
    path = tmp_path / name
    path.write_text(text)
    return path

  return write


def test_the_published_predictions_of_ststnet(shared, capsys):
  path = shared / 'ststnet/predictions.csv'
  numbers = scoring_predictions.score_predictions(path)
  full = numbers['entries']['']['full']
  assert (round(full['uf1'], 4), round(full['uar'], 4)) == (0.7353, 0.7186)
  # What was published as UAR.
  assert round(numbers['mistaken']['mean precision'], 4) == 0.7605
  assert {'casme2': 145, 'samm': 133, 'smic': 164}.items() <= {
    part: entry['n'] for part, entry in numbers['entries'][''].items()
  }.items()
  assert full['subjects'] == 68
  text = capsys.readouterr().out
  low, high = full['uar_ci']
  assert f'UAR 0.7186 [{low:.3f}, {high:.3f}]' in text
  assert 'UF1 0.7353 [' in text and '0.7605' in text


@hypothesis.given(
  st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 4)),
    min_size=3,
    max_size=60,
  ),
  st.permutations(['Ground Truth', 'y_pred', 'Sub', 'notes']),
  st.sampled_from([',', ';', '\t']),
  st.booleans(),
)
@hypothesis.settings(max_examples=25)
def test_scores_are_those_of_scikit_learn(
  tmp_path_factory, rows, order, delimiter, by_name
):
  rows += [(k, 0, 0) for k in range(3)]  # Each class has a truth.
  path = tmp_path_factory.mktemp('table') / 'theirs.csv'
  with path.open('w', newline='') as file:
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow(order)
    for truth, prediction, person in rows:
      cells = {
        'Ground Truth': NAMES[truth] if by_name else truth,
        'y_pred': NAMES[prediction].upper() if by_name else f'{prediction}.0',
        'Sub': f'p{person}',
        'notes': 'x',
      }
      writer.writerow([cells[name] for name in order])
  numbers = scoring_predictions.score_predictions(path)
  truth, prediction, person = np.array(rows).T
  full = numbers['entries']['']['full']
  f1 = reference.f1_score(truth, prediction, average=None)
  assert full['uf1'] == pytest.approx(f1.mean())
  recall = reference.recall_score(truth, prediction, average='macro')
  assert full['uar'] == pytest.approx(recall)
  wrong = numbers['mistaken']
  assert wrong['mean precision'] == pytest.approx(
    reference.precision_score(
      truth, prediction, average='macro', zero_division=0
    )
  )
  weighted = reference.f1_score(truth, prediction, average='weighted')
  assert wrong['F1 weighted by the clips of each class'] == pytest.approx(
    weighted
  )
  each = [
    reference.f1_score(
      truth[person == who], prediction[person == who], average='macro'
    )
    for who in np.unique(person)
  ]
  assert wrong['UF1 of each person, averaged'] == pytest.approx(np.mean(each))


def test_predictions_of_a_run_give_its_numbers(tmp_path):
  record = records.make(num_settings=2)
  expected = summary.metrics_json(record, {}, protocol_sentence='')
  predictions.write_csv(tmp_path / 'predictions.csv', record)
  options = {'classes': ','.join(NAMES)}
  numbers = scoring_predictions.score_predictions(
    tmp_path / 'predictions.csv', options
  )
  assert numbers['num_seeds'] == expected['num_seeds']
  for setting in expected['settings']:
    for rule, entries in setting['selection'].items():
      found = numbers['entries'][f'{rule}, setting {setting["setting"]}']
      for part, entry in entries.items():
        assert (
          found[part].items()
          >= {
            key: entry[key] for key in ('uf1', 'uf1_ci', 'uf1_std', 'confusion')
          }.items()
        )
        assert ('warning' in found[part]) == ('warning' in entry)
  assert selection.WARNING in str(numbers)


def test_of_a_run_the_names_of_the_classes_are_known(tmp_path, capsys):
  record = records.make(num_seeds=1)
  path = tmp_path / 'predictions.csv'
  predictions.write_csv(path, record)
  names = scoring_predictions.score_predictions(path)['class_names']
  assert names == ['0', '1', '2']  # It lies alone.
  (tmp_path / 'metrics.json').write_text(json.dumps({'class_names': NAMES}))
  found = scoring_predictions.score_predictions(path)
  assert found['class_names'] == list(NAMES)
  assert 'from metrics.json' in capsys.readouterr().out
  other = tmp_path / 'theirs.csv'
  other.write_bytes(path.read_bytes())
  assert scoring_predictions.score_predictions(other)['class_names'] == names


@pytest.mark.parametrize('truth', ['gt_label', 'gt class', 'true_label'])
def test_labels_of_the_ground_truth_are_found(write, truth):
  found = predictions_file.read(write(f'{truth},pred_label\n0,0\n1,0\n'))
  assert found.columns == {'truth': truth, 'prediction': 'pred_label'}


def test_without_subjects_there_is_no_interval_and_a_note(write, capsys):
  path = write('truth,prediction\n0,0\n1,0\n1,1\n')
  numbers = scoring_predictions.score_predictions(path)
  assert numbers['entries']['']['full']['uf1_ci'] is None
  text = capsys.readouterr().out
  assert (
    'no column of subjects' in text and '[' not in text.partition('NOTE')[0]
  )


def test_names_that_may_be_one_person_are_told(write, capsys):
  scoring_predictions.score_predictions(
    write('truth,prediction,subject\n0,0,01\n1,0,1\n1,1,2\n')
  )
  assert 'may be one person, and count as several: 01, 1' in (
    capsys.readouterr().out
  )


def test_corpora_that_may_be_one_are_told(write):
  rows = '0,0,casme2,26\n1,0,CASME II,sub26\n1,1,samm,26\n1,1,samm_long,026\n'
  found = predictions_file.read(
    write(f'truth,prediction,corpus,subject\n{rows}')
  )
  assert [remark.partition(': ')[2] for remark in found.remarks] == [
    'casme2/26, CASME II/sub26.',
    'samm/26, samm_long/026.',
  ]


def test_a_class_without_any_clip_counts_where_it_is_predicted(write):
  path = write('truth,prediction\n0,0\n0,2\n1,1\n')
  numbers = scoring_predictions.score_predictions(
    path, {'classes': ','.join(NAMES)}
  )
  expected = reference.f1_score([0, 0, 1], [0, 2, 1], average='macro')
  assert numbers['entries']['']['full']['uf1'] == pytest.approx(expected)


def test_of_predict_rows_without_an_answer_are_counted_and_not_scored(
  write, capsys
):
  rows = 'file,subject,truth,most_like\na,1,0,0\nb,1,1,0\nc,2,1,1\n'
  path = write(f'{rows}d,2,1,\ne,3,,\n')
  numbers = scoring_predictions.score_predictions(path)
  expected = reference.f1_score([0, 1, 1], [0, 0, 1], average='macro')
  assert numbers['entries']['']['full']['uf1'] == pytest.approx(expected)
  assert '2 of 5 rows have no answer, and no score.' in capsys.readouterr().out
  none = write('truth,most_like\n0,\n', 'none.csv')
  with pytest.raises(ValueError, match='none of its rows has an answer'):
    scoring_predictions.score_predictions(none)
  # In the table of another program an empty cell is a fault.
  other = write('truth,prediction\n0,0\n1,\n', 'other.csv')
  with pytest.raises(ValueError, match='a prediction is'):
    scoring_predictions.score_predictions(other)


def test_a_workbook_is_read_like_its_text(tmp_path):
  book = openpyxl.Workbook()
  for row in (['truth', 'prediction'], [0, 0], [1, 0], [1, 1]):
    book.active.append(row)
  book.save(tmp_path / 'theirs.xlsx')
  found = predictions_file.read(tmp_path / 'theirs.xlsx')
  assert found.truth.tolist() == [0, 1, 1]
  assert found.predicted[''].tolist() == [[0, 0, 1]]


def test_options_name_columns_that_have_other_names(write):
  path = write('klasse;geraten;label\n1;1;x\n0;1;y\n')
  found = predictions_file.read(
    path, {'truth': 'Klasse', 'prediction': 'geraten'}
  )
  assert found.columns == {'truth': 'klasse', 'prediction': 'geraten'}
  assert found.truth.tolist() == [1, 0]


@pytest.mark.parametrize(
  ('text', 'options', 'words'),
  [
    ('a,b\n0,1\n', {}, "usual name of a truth .* they are 'a', 'b'"),
    ('truth,b\n0,1\n', {}, '--option prediction=COLUMN'),
    ('truth,label,pred\n0,0,1\n', {}, "may be the truth: 'truth', 'label'"),
    ('truth,pred\n0,0\n', {'truth': 'gt'}, "no column 'gt'"),
    ('truth,pred\n0,0\n', {'prediction': 'truth'}, 'two meanings'),
    ('truth,pred\n0,0\n', {'tru': 'gt'}, "option 'tru' is unknown"),
    ('truth,pred\n0,0\n,1\n', {}, "truth is '' in cell A3; fill in the cell"),
    ('truth,pred\n0,0\n1,nan\n', {}, "prediction is 'nan' in cell B3"),
    ('truth,pred\n0,0\n1,2\n', {}, "prediction is '2' in cell B3.*0, 1"),
    ('truth,pred\n3,0\n', {'classes': 'x,y'}, "truth is '3' in cell A2"),
    ('truth,pred\n0,0\n', {'classes': 'x,X'}, 'names a class twice'),
    ('truth,pred\n', {}, 'no row below its header'),
    ('truth,pred,clip\n0,0,a\n0,0,a\n', {}, 'clip a has several rows'),
    (
      'truth,pred,clip,seed\n0,0,a,1\n0,0,b,2\n',
      {},
      'of seed 2 are not of the same clips',
    ),
    ('truth,pred,seed\n0,0,1\n1,0,1\n0,0,2\n', {}, 'not of the same clips'),
    (
      'truth,pred,clip,seed\n0,0,a,1\n1,0,b,1\n0,0,b,2\n0,1,a,2\n',
      {},
      'truth of b is another in the rows of seed 2',
    ),
  ],
)
def test_what_is_not_understood_is_named(write, text, options, words):
  with pytest.raises(ValueError, match=words):
    predictions_file.read(write(text), options)


def test_seeds_may_stand_in_any_order(write):
  path = write('truth,pred,clip,seed\n0,0,a,1\n1,0,b,1\n1,1,b,2\n0,1,a,2\n')
  found = predictions_file.read(path)
  assert found.truth.tolist() == [0, 1]
  assert found.predicted[''].tolist() == [[0, 0], [1, 1]]


def test_the_verb_scores_files_and_writes_one_table(write, tmp_path, capsys):
  first = write('truth,prediction\n0,0\n1,0\n', 'one.csv')
  second = write('truth,prediction\n0,0\n1,1\n', 'two.csv')
  table = tmp_path / 'both.md'
  arguments = [str(first), str(second), '--table', str(table)]
  assert cli.main(['score', *arguments]) == 0
  assert f'Written: {table}' in capsys.readouterr().out
  assert [name in table.read_text() for name in ('one.csv', 'two.csv')] == (
    [True, True]
  )


@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    (['nothing.csv'], 'nothing.csv'),
    (['nothing'], 'nothing is no folder of results'),
    (['notes.txt'], 'which ends in .xlsx'),
    (['one.csv', '--table', 'table.doc'], 'expected one of .md'),
    (['one.csv', '--together'], '--together takes folders'),
    (['.', '--option', 'truth=x'], 'how to read a table'),
  ],
)
def test_the_verb_says_what_does_not_fit(
  write, tmp_path, monkeypatch, capsys, arguments, words
):
  monkeypatch.chdir(tmp_path)
  write('truth,prediction\n0,0\n1,0\n', 'one.csv')
  write('truth prediction', 'notes.txt')
  assert cli.main(['score', *arguments]) == 2
  assert words in capsys.readouterr().err
