"""metrics.json, predictions.csv and the printed table."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from sklearn import metrics as reference

from mejax.evaluation import predictions
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.evaluation import table


def _numbers(record, **options):
  baselines = {'majority': np.zeros(len(record['labels']), np.int32)}
  return summary.metrics_json(
    record, baselines, protocol_sentence='Made-up clips.', **options
  )


def test_metrics_json_has_the_promised_form(make_record):
  record = make_record(num_inner=2, num_seeds=2)
  numbers = json.loads(json.dumps(_numbers(record), allow_nan=False))
  assert list(numbers['selection']) == ['last', 'inner', 'oracle', 'oracle_f1']
  assert numbers['num_seeds'] == 2 and numbers['protocol'] == 'Made-up clips.'
  assert numbers['schema_version'] == summary.SCHEMA_VERSION
  every = {**numbers['selection'], **numbers['baselines']}
  for name, parts in every.items():
    assert list(parts) == ['full', 'casme2', 'samm', 'smic']
    for entry in parts.values():
      low, high = entry['uf1_ci']
      assert 0 <= low <= high <= 1
      assert np.sum(entry['confusion']) == entry['n'] * len(entry['uf1_seeds'])
      warned = entry.get('warning') == selection.WARNING
      assert warned == name.startswith('oracle')
  counts = numbers['class_counts']
  assert counts['full'] == np.bincount(record['labels']).tolist()
  assert numbers['selection']['last']['samm']['n'] == sum(counts['samm'])


def test_uf1_is_the_mean_over_seeds_of_the_pooled_uf1(make_record):
  record = make_record(num_seeds=3)
  entry = _numbers(record)['selection']['last']
  logits = selection.select(record, 'last').logits
  part = record['corpus'] == 'samm'
  for name, mask in (('full', part | True), ('samm', part)):
    seeds = [
      reference.f1_score(
        record['labels'][mask], row[mask].argmax(-1), average='macro'
      )
      for row in logits
    ]
    assert entry[name]['uf1_seeds'] == pytest.approx(seeds)
    assert entry[name]['uf1'] == pytest.approx(np.mean(seeds))
    assert entry[name]['uf1_std'] == pytest.approx(np.std(seeds, ddof=1))


def test_last_is_compared_with_a_baseline_on_the_same_subjects(make_record):
  record = make_record(num_seeds=2)
  logits = selection.select(record, 'last').logits
  baselines = {'itself': logits[0].argmax(-1), 'right': record['labels']}
  numbers = summary.metrics_json(
    make_record(num_seeds=1), baselines, protocol_sentence='Made-up clips.'
  )
  itself, right = (numbers['baselines'][name]['full'] for name in baselines)
  assert itself['last_minus'] == [0, 0, 0]
  value, low, high = right['last_minus']
  last = reference.f1_score(
    record['labels'], logits[0].argmax(-1), average='macro'
  )
  assert value == pytest.approx(last - 1)
  assert low <= value <= high < 0
  row = f'{value:+.3f} [{low:+.3f}, {high:+.3f}]'
  shown = table.format_numbers(numbers)
  assert row in shown
  assert numbers['best_baseline'] == 'right'
  words = f'The last epoch is below the best baseline, right (1.000): {row}'
  assert words in shown and 'favours the baselines' in shown


def test_without_baselines_nothing_is_compared(make_record):
  numbers = summary.metrics_json(
    make_record(num_seeds=1), {}, protocol_sentence='Made-up clips.'
  )
  assert numbers['best_baseline'] is None and numbers['baselines'] == {}
  assert 'baseline' not in table.format_numbers(numbers)


def test_probabilities_and_recipe_are_no_baselines_of_their_own(make_record):
  record = make_record(num_seeds=1)
  size = len(record['labels'])
  found = {
    'lda': np.zeros(size, np.int32),
    'lda_probabilities': np.full((size, 3), 1 / 3),
    'recipe': np.array(1),
    'remarks': np.array(['One.']),
  }
  numbers = summary.metrics_json(record, found, protocol_sentence='Made-up.')
  assert list(numbers['baselines']) == ['lda']
  assert numbers['baseline_remarks'] == ['One.']


def test_one_corpus_has_no_parts_and_one_seed_no_spread(make_record):
  record = make_record(corpora=(('samm', 6, 4.0),), num_seeds=1)
  entries = _numbers(record)['selection']['last']
  assert list(entries) == ['full'] and entries['full']['uf1_std'] == 0


@pytest.mark.parametrize(
  ('loss', 'said'),
  [
    ([1.1, 1.05, 1.02], ['from 1.100 to 1.020']),
    ([1.1, 1.0, 0.6], []),
    ([1.1, np.nan, np.nan], []),
    ([1.1], []),
  ],
)
def test_a_training_loss_that_hardly_fell_is_remarked(make_record, loss, said):
  record = make_record(num_seeds=1)
  numbers = summary.metrics_json(record, {}, protocol_sentence='')
  trials = len(record['seed'])
  record['train_loss'] = np.tile(np.float32(loss), (trials, 1))
  found = summary.describe_training(record, numbers)
  assert len(found) == len(said)
  assert all(words in line for words, line in zip(said, found, strict=True))


@pytest.mark.parametrize('is_right', [True, False])
def test_models_far_below_a_simple_classifier_are_remarked(
  make_record, is_right
):
  record = make_record(num_seeds=1, skill=0.0)
  said = {'lda': record['labels'] * is_right}
  numbers = summary.metrics_json(record, said, protocol_sentence='')
  found = ' '.join(summary.describe_training(record, numbers))
  high = numbers['baselines']['lda']['full']['last_minus'][2]
  assert is_right == (high < -0.1) == ('far below LDA' in found)


def test_an_oracle_never_stands_without_an_honest_number(make_record):
  numbers = _numbers(make_record(num_seeds=1), rules=('oracle',))
  assert list(numbers['selection']) == ['last', 'oracle']


def test_no_setting_is_chosen_by_its_score(make_record):
  record = make_record(num_settings=2, num_seeds=2)
  numbers = _numbers(record)
  settings = numbers['settings']
  assert [one['setting'] for one in settings] == [0, 1]
  assert settings[0]['selection'] == numbers['selection']
  uf1 = [one['selection']['last']['full']['uf1'] for one in settings]
  assert uf1[1] > uf1[0]


def test_predictions_csv_tells_every_prediction(make_record, tmp_path):
  record = make_record(num_seeds=2)
  path = tmp_path / 'predictions.csv'
  predictions.write_csv(path, record, rules=['last', 'oracle'])
  with open(path, newline='') as file:
    rows = list(csv.DictReader(file))
  names = 'seed corpus subject clip truth prediction p0 p1 p2 selection'
  assert list(rows[0]) == names.split()
  assert len(rows) == 2 * 2 * len(record['labels'])
  for row in rows:
    shares = [float(row[f'p{k}']) for k in range(3)]
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert int(row['prediction']) == np.argmax(shares)
  second = [r for r in rows if r['seed'] == '1' and r['selection'] == 'last']
  uf1 = reference.f1_score(
    [r['truth'] for r in second],
    [r['prediction'] for r in second],
    average='macro',
  )
  expected = _numbers(record)['selection']['last']['full']['uf1_seeds'][1]
  assert uf1 == pytest.approx(expected)


def test_predictions_of_several_settings_name_the_setting(
  make_record, tmp_path
):
  record = make_record(num_settings=2, num_seeds=1)
  predictions.write_csv(tmp_path / 'p.csv', record, rules=['last'])
  with open(tmp_path / 'p.csv', newline='') as file:
    settings = [row['setting'] for row in csv.DictReader(file)]
  assert settings == ['0'] * (len(settings) // 2) + ['1'] * (len(settings) // 2)


def test_the_table_holds_the_numbers_and_labels_the_oracle(make_record):
  numbers = _numbers(make_record(num_seeds=2))
  text = table.format_numbers(numbers)
  for name, parts in numbers['selection'].items():
    mark = ' *' if name.startswith('oracle') else ''
    rows = [line for line in text.splitlines() if line.startswith(name + ' ')]
    assert len(rows) == len(parts)
    for row, (part, entry) in zip(rows, parts.items(), strict=True):
      assert row.startswith(f'{name}{mark} ') and f' {part} ' in row
      assert f'{entry["uf1"]:.3f} +- {entry["uf1_std"]:.3f}' in row
      assert '[{:.3f}, {:.3f}]'.format(*entry['uf1_ci']) in row
  assert f'* {selection.WARNING}' in text
  assert 'majority' in text and 'Fewer than 5 seeds' in text


def test_an_interval_without_any_error_is_explained_in_the_terminal(
  make_record,
):
  record = make_record(num_seeds=1)
  said = 'nothing was wrong, so resampling people shows no uncertainty'
  assert said not in table.format_numbers(_numbers(record))
  never_wrong = {'perfect': record['labels']}
  flawless = summary.metrics_json(record, never_wrong, protocol_sentence='X.')
  assert f'[1.000, 1.000]: {said}' in table.format_numbers(flawless)


def test_too_few_people_are_warned_of_as_too_few_seeds_are(make_record):
  text = table.format_numbers(_numbers(make_record()))
  # There are 25, of whom casme2 has 9, samm 10 and smic 6.
  assert 'Only 25' not in text and 'samm: Only' not in text
  assert 'casme2: Only 9 people' in text and 'smic: Only 6 people' in text
  small = (('casme2', 4, 6.0), ('samm', 4, 5.0))
  text = table.format_numbers(_numbers(make_record(corpora=small)))
  assert 'Only 8 people' in text and ': Only' not in text


def test_diverged_trainings_are_counted_and_said(make_record):
  record = make_record(num_seeds=1)
  record['logits'][3] = np.nan
  numbers = _numbers(record)
  assert numbers['trials_not_finite'] == 1
  json.dumps(numbers, allow_nan=False)
  fold = str(record['fold_names'][record['fold'][3]])
  assert numbers['diverged'] == [
    {'fold': fold, 'inner': -1, 'seed': 0, 'setting': 0, 'epoch': 5}
  ]
  text = table.format_numbers(numbers)
  assert '1 training diverged' in text and 'counts as negative' in text
  assert f'fold {fold}, seed 0, setting 0: by epoch 5' in text


def test_every_setting_has_a_row_and_none_is_chosen(make_record):
  values = [{'learning_rate': rate, 'dropout': 0.5} for rate in (1e-3, 3e-4)]
  numbers = _numbers(make_record(num_settings=2, num_seeds=2), settings=values)
  assert [one['values'] for one in numbers['settings']] == values
  assert summary.differing_values(numbers['settings']) == ['learning_rate']
  text = table.format_numbers(numbers)
  assert 'picking the best of these rows would be test selection' in text
  rows = [line for line in text.splitlines() if line.startswith('setting ')]
  assert len(rows) == 2
  for row, one in zip(rows, numbers['settings'], strict=True):
    entry = one['selection']['last']['full']
    assert row.startswith(f'setting {one["setting"]}')
    assert f' {entry["uf1"]:.3f} +- {entry["uf1_std"]:.3f} ' in row
    assert row.endswith(f'learning_rate {one["values"]["learning_rate"]:g}')
