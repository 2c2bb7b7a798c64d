"""Selection rules against the released loops and by construction."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from mejax.evaluation import metrics
from mejax.evaluation import selection


def _module(path):
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def _pooled(record, rule):
  """Confusion matrix of the first seed."""
  found = selection.select(record, rule)
  return metrics.confusion(
    record['labels'],
    selection.predictions(found.logits[0]),
    num_classes=len(record['class_names']),
    num_outputs=found.logits.shape[-1],
  )


@pytest.mark.parametrize('tag', ['3class', '5class'])
def test_oracles_equal_the_authors_loop_with_a_guessing_network(
  shared, make_record, tag
):
  folder = shared / 'golden/mmnet'
  golden = json.loads((folder / 'golden_metric.json').read_text())[tag]
  uniform = _module(folder / 'mmnet_formula.py').uniform
  counts = golden['counts']
  num_epochs, guesses = golden['epochs'], golden['n_guess']
  labels, subjects, index = [], [], []
  width = max(map(sum, counts.values()))
  logits = np.zeros((len(counts), num_epochs, width, guesses), np.float32)
  for fold, (subject, per_class) in enumerate(counts.items()):
    size = sum(per_class)
    index.append(
      [*range(len(labels), len(labels) + size), *[-1] * (width - size)]
    )
    labels += np.repeat(np.arange(len(per_class)), per_class).tolist()
    subjects += [subject] * size
    for epoch in range(num_epochs):
      draw = uniform(f'pred/{tag}/{subject}/{epoch + 1}', size)
      guess = np.floor(guesses * draw).astype(int)
      logits[fold, epoch, np.arange(size), guess] = 1
  record = {
    **make_record(num_seeds=1),
    'logits': logits,
    'index': np.asarray(index, np.int32),
    'fold': np.arange(len(counts), dtype=np.int32),
    **{
      name: np.full(len(counts), value, np.int32)
      for name, value in (('inner', -1), ('seed', 0), ('setting', 0))
    },
    'epochs': np.arange(1, num_epochs + 1, dtype=np.int32),
    'train_loss': np.zeros((len(counts), num_epochs), np.float32),
    'labels': np.asarray(labels, np.int32),
    **dict.fromkeys(
      ('groups', 'corpus', 'subject', 'clip'), np.asarray(subjects)
    ),
    'fold_names': np.asarray(list(counts)),
    'class_names': np.asarray(list('abcde')[: len(per_class)]),
  }
  accuracy = metrics.accuracy_of(_pooled(record, 'oracle'))
  assert accuracy * golden['reported_total'] == pytest.approx(
    golden['reported_correct']
  )
  f1 = metrics.uf1_of(_pooled(record, 'oracle_f1'))
  assert round(float(f1), 4) == golden['reported_f1']
  last = _pooled(record, 'last')
  assert metrics.accuracy_of(last) == pytest.approx(golden['last_epoch_acc'])
  assert metrics.uf1_of(last) == pytest.approx(golden['last_epoch_f1'])


def test_last_takes_the_last_evaluation_of_the_outer_trials(make_record):
  record = make_record(num_inner=3)
  found = selection.select(record, 'last')
  assert (found.epochs == record['epochs'][-1]).all()
  for trial in np.flatnonzero(record['inner'] < 0):
    held_out = record['index'][trial] >= 0
    np.testing.assert_array_equal(
      found.logits[record['seed'][trial], record['index'][trial][held_out]],
      record['logits'][trial, -1, held_out],
    )


def test_oracle_takes_the_best_accuracy_and_the_later_of_equals(make_record):
  record = make_record()
  found = selection.select(record, 'oracle')
  for trial in range(len(record['fold'])):
    held_out = record['index'][trial] >= 0
    truth = record['labels'][record['index'][trial][held_out]]
    best, chosen = 0.0, None
    for epoch, logits in zip(
      record['epochs'], record['logits'][trial], strict=True
    ):
      right = (logits[held_out].argmax(-1) == truth).mean()
      if right >= best:
        best, chosen = right, epoch
    seed, fold = record['seed'][trial], record['fold'][trial]
    assert found.epochs[seed, fold] == chosen


def test_inner_takes_the_best_pooled_inner_uf1_and_the_later_of_equals(
  make_record,
):
  record = make_record(num_inner=3, num_seeds=2)
  found = selection.select(record, 'inner')
  for seed, fold in np.ndindex(found.epochs.shape):
    trials = np.flatnonzero(
      (record['seed'] == seed)
      & (record['fold'] == fold)
      & (record['inner'] >= 0)
    )
    held_out = record['index'][trials] >= 0
    truth = record['labels'][record['index'][trials][held_out]]
    scores = [
      metrics.uf1(
        truth, record['logits'][trials, e][held_out].argmax(-1), num_classes=3
      )
      for e in range(len(record['epochs']))
    ]
    best = np.flatnonzero(np.isclose(scores, max(scores)))[-1]
    assert found.epochs[seed, fold] == record['epochs'][best]


def test_inner_does_not_see_the_held_out_labels_of_its_fold(make_record):
  record = make_record(num_inner=3, num_seeds=1)
  before = selection.select(record, 'inner').epochs
  changed = dict(record, labels=record['labels'].copy())
  fold = 4
  held_out = record['groups'] == record['fold_names'][fold]
  changed['labels'][held_out] = (changed['labels'][held_out] + 1) % 3
  after = selection.select(changed, 'inner').epochs
  assert after[0, fold] == before[0, fold]
  assert (
    (selection.select(changed, 'oracle').epochs[0, fold])
    != (selection.select(record, 'oracle').epochs[0, fold])
  )


def test_settings_are_kept_apart(make_record):
  record = make_record(num_settings=2)
  first, second = (
    selection.select(record, 'last', setting=s).logits for s in (0, 1)
  )
  assert not np.allclose(first, second)


def test_the_oracle_is_never_below_the_last_epoch_in_accuracy(make_record):
  record = make_record()
  accuracy = {
    rule: metrics.accuracy_of(_pooled(record, rule))
    for rule in ('last', 'oracle')
  }
  assert accuracy['oracle'] > accuracy['last'] + 0.05


def test_rules_that_see_the_test_subject_say_so(make_record):
  for rule, entry in selection.RULES.items():
    assert entry.honest == (selection.WARNING not in entry.sentence)
    assert entry.honest != rule.startswith('oracle')


def test_nan_logits_never_win():
  logits = np.array([[np.nan, 0.0, 1.0], [np.nan, np.nan, np.nan]])
  assert selection.predictions(logits).tolist() == [2, 0]


def test_what_cannot_be_answered_is_a_clear_error(make_record):
  record = make_record(num_seeds=1)
  with pytest.raises(ValueError, match="'best', expected one of"):
    selection.select(record, 'best')
  with pytest.raises(ValueError, match='setting 3 is not in the record'):
    selection.select(record, 'last', setting=3)
  with pytest.raises(ValueError, match='needs inner trials'):
    selection.select(record, 'inner')
  with pytest.raises(ValueError, match='logits is missing'):
    selection.select({k: record[k] for k in record if k != 'logits'}, 'last')
  old = dict(record, schema_version=np.int32(0))
  with pytest.raises(ValueError, match='record of version 0'):
    selection.select(old, 'last')


def test_examples_held_out_never_or_twice_are_an_error(make_record):
  record = make_record(num_seeds=1)
  never = dict(
    record, index=np.where(record['index'] == 3, -1, record['index'])
  )
  name = 'casme2/s01/clip4'
  with pytest.raises(ValueError, match=f'no trial, the first is {name}'):
    selection.select(never, 'last')
  twice = dict(record, index=record['index'].copy())
  twice['index'][-1, -1] = 3
  with pytest.raises(ValueError, match='several trials'):
    selection.select(twice, 'last')


@pytest.mark.parametrize(
  ('name', 'change'),
  [
    ('train_loss', lambda x: x[:, :1]),
    ('train_loss', lambda x: x.astype(str)),
    ('logits', lambda x: x[..., 0]),
    ('logits', lambda x: x + 1j),
    ('labels', lambda x: x[:5]),
    ('labels', lambda x: x + 5),
    ('labels', lambda x: x[:, None]),
    ('index', lambda x: x + 99),
    ('fold', lambda x: x - 1),
    ('clip', lambda x: np.broadcast_to(np.array(''), 2**31)),
    ('class_names', lambda x: np.zeros((1, 2), 'U1')),
  ],
)
def test_a_record_of_arrays_that_do_not_fit_is_refused(
  make_record, name, change
):
  record = make_record(num_seeds=1)
  selection.check(record)
  record[name] = change(record[name])
  with pytest.raises(ValueError, match=f'({name}|groups) (is|of the record)'):
    selection.check(record)
