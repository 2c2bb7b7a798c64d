"""Seeds and models together, against SciPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from sklearn import metrics as reference

from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.evaluation import table
from mejax.evaluation import together


def _shares(record):
  """The mean probability over seeds at the last epoch."""
  logits = selection.select(record, 'last').logits
  return special.softmax(logits.astype(np.float64), -1).mean(0)


def _uf1(record, prediction):
  return reference.f1_score(record['labels'], prediction, average='macro')


def _shuffled(record, draw=0):
  """The same record with its clips in another order."""
  order = np.random.default_rng(draw).permutation(len(record['labels']))
  place = np.argsort(order)
  index = record['index']
  return {
    **record,
    'index': np.where(index >= 0, place[index], -1).astype(np.int32),
    **{
      key: record[key][order]
      for key in ('labels', 'groups', 'corpus', 'subject', 'clip')
    },
  }


def _other_logits(record, draw):
  noise = np.random.default_rng(draw).normal(size=record['logits'].shape)
  return record | {'logits': record['logits'] + noise.astype(np.float32)}


def _members(*records):
  return [
    together.member_of(name, record, like=records[0])
    for name, record in zip('abc', records, strict=False)
  ]


def test_probabilities_are_those_of_scipy_and_bear_what_is_not_finite():
  logits = np.random.default_rng(0).normal(0, 9, (4, 5, 3)).astype(np.float32)
  np.testing.assert_allclose(
    selection.probabilities(logits),
    special.softmax(logits.astype(np.float64), -1),
    rtol=1e-12,
  )
  odd = np.float32(
    [[np.nan] * 3, [-np.inf] * 3, [np.inf, 0, np.nan], [np.nan, 1, 1]]
  )
  np.testing.assert_allclose(
    selection.probabilities(odd),
    [[1 / 3] * 3, [1 / 3] * 3, [1, 0, 0], [0, 0.5, 0.5]],
  )


def test_seeds_together_are_the_class_of_their_mean_probability(make_record):
  record = make_record(num_seeds=3, num_inner=2)
  numbers = summary.metrics_json(record, {}, protocol_sentence='Made-up.')
  assert list(numbers['together']) == ['last', 'inner']
  parts = numbers['together']['last']
  assert list(parts) == ['full', 'casme2', 'samm', 'smic']
  prediction = _shares(record).argmax(-1)
  assert parts['full']['uf1'] == pytest.approx(_uf1(record, prediction))
  assert parts['full']['uf1_seeds'] == [parts['full']['uf1']]
  low, high = parts['full']['uf1_ci']
  assert low < parts['full']['uf1'] < high
  part = record['corpus'] == 'smic'
  assert parts['smic']['uf1'] == pytest.approx(
    reference.f1_score(
      record['labels'][part], prediction[part], average='macro'
    )
  )
  text = table.format_numbers(numbers)
  for name, rule in (('seeds together', 'last'), ('inner together', 'inner')):
    rows = [line for line in text.splitlines() if line.startswith(name + ' ')]
    assert len(rows) == 4
    assert f' {numbers["together"][rule]["full"]["uf1"]:.3f} [' in rows[0]


def _resampled(record, first, second, draws=3000):
  """Mean and 95 % interval of UF1 of `second` minus `first`, over people.

  People are drawn one by one, and their clips put together again.
  """
  generator = np.random.default_rng(77)
  people = np.unique(record['groups'])
  clips = [np.flatnonzero(record['groups'] == name) for name in people]
  values = []
  for _ in range(draws):
    drawn = generator.integers(len(people), size=len(people))
    rows = np.concatenate([clips[i] for i in drawn])
    truth = record['labels'][rows]
    one, two = (
      np.mean([_f1(truth == k, said[rows] == k) for k in range(3)])
      for said in (first, second)
    )
    values.append(two - one)
  return np.percentile(values, [2.5, 97.5])


def _f1(truth, said):
  return 2 * np.sum(truth & said) / max(np.sum(truth) + np.sum(said), 1)


def _baselines(record):
  """Two, of which the second is right more often; both read no logits."""
  generator = np.random.default_rng(5)
  size = len(record['labels'])
  wrong = (record['labels'] + generator.integers(1, 3, size)) % 3
  found = {
    name: np.where(generator.random(size) < share, record['labels'], wrong)
    for name, share in (('logistic', 0.55), ('lda', 0.68))
  }
  return {name: said.astype(np.int32) for name, said in found.items()}


def _is_difference(found, record, first, second):
  value, low, high = found
  uf1 = _uf1(record, second) - _uf1(record, first)
  assert value == pytest.approx(uf1)
  # Both ends are those of other draws of people.
  np.testing.assert_allclose(
    [low, high], _resampled(record, first, second), atol=0.01
  )
  assert low < value < high


def test_seeds_together_are_compared_with_the_best_baseline(make_record):
  record = make_record(num_seeds=3)
  baselines = _baselines(record)
  numbers = summary.metrics_json(record, baselines, protocol_sentence='All.')
  assert numbers['best_baseline'] == 'lda'
  entry = numbers['together']['last']['full']
  prediction = _shares(record).argmax(-1)
  found = entry['minus_best_baseline']
  _is_difference(found, record, baselines['lda'], prediction)
  # The mean over seeds has another difference.
  assert found != numbers['baselines']['lda']['full']['last_minus']
  shown = table.format_numbers(numbers)
  words = 'Seeds together are {} LDA: {:+.3f} [{:+.3f}, {:+.3f}]'
  low, high = found[1:]
  verdict = 'above' if low > 0 else 'below' if high < 0 else 'not clearly'
  verdict += ' different from' * (verdict == 'not clearly')
  assert words.format(verdict, *found) in shown.splitlines()
  # A database is compared with the same baseline.
  part = record['corpus'] == 'samm'
  samm = numbers['together']['last']['samm']['minus_best_baseline'][0]
  assert samm == pytest.approx(
    reference.f1_score(
      record['labels'][part], prediction[part], average='macro'
    )
    - reference.f1_score(
      record['labels'][part], baselines['lda'][part], average='macro'
    )
  )


def test_models_together_are_compared_with_the_best_baseline(make_record):
  first = make_record(num_seeds=2)
  second = _other_logits(first, draw=1)
  members, baselines = _members(first, second), _baselines(first)
  numbers = together.metrics_json(
    first, members, protocol='Made-up.', baselines=baselines
  )
  best = baselines['lda']
  uf1 = pytest.approx(_uf1(first, best))
  assert numbers['best_baseline'] == {'name': 'LDA', 'uf1': uf1}
  shares = [each.probabilities for each in members]
  found = numbers['together']['full']['minus_best_baseline']
  _is_difference(found, first, best, np.mean(shares, 0).argmax(-1))
  for share, one in zip(shares, numbers['members'], strict=True):
    value = one['entries']['full']['minus_best_baseline'][0]
    assert value == pytest.approx(
      _uf1(first, share.argmax(-1)) - _uf1(first, best)
    )
  head, *rows = table.format_together(numbers).splitlines()[2:]
  assert head.endswith(' minus LDA')
  (row,) = (line for line in rows if line.startswith('together       full'))
  assert row.endswith('{:+.3f} [{:+.3f}, {:+.3f}]'.format(*found))
  assert f'({_uf1(first, best):.3f}), the best baseline, paired' in ' '.join(
    rows
  )


def test_the_best_baseline_is_not_compared_with_itself(make_record):
  first = make_record(num_seeds=1)
  baselines = _baselines(first)
  itself = together.Member('lda', np.eye(3)[baselines['lda']])
  numbers = together.metrics_json(
    first, [*_members(first), itself], protocol='', baselines=baselines
  )
  other, lda = (one['entries']['full'] for one in numbers['members'])
  assert 'minus_best_baseline' in other and 'minus_best_baseline' not in lda
  (row,) = (
    line
    for line in table.format_together(numbers).splitlines()
    if line.startswith('lda            full')
  )
  assert row.split()[-1] == f'{lda["accuracy"]:.3f}'


def test_without_baselines_models_together_are_compared_with_none(make_record):
  first = make_record(num_seeds=1)
  members = _members(first, _other_logits(first, draw=1))
  numbers = together.metrics_json(first, members, protocol='')
  assert numbers['best_baseline'] is None
  assert 'minus_best_baseline' not in numbers['together']['full']
  assert 'baseline' not in table.format_together(numbers)


def test_one_seed_has_no_row_of_seeds_together(make_record):
  numbers = summary.metrics_json(
    make_record(num_seeds=1), {}, protocol_sentence='Made-up.'
  )
  assert numbers['together'] == {}
  assert 'together' not in table.format_numbers(numbers)


def test_models_together_are_the_class_of_their_mean_probability(make_record):
  first = make_record(num_seeds=2)
  second = _shuffled(_other_logits(first, draw=1))
  together.refuse_different({'a': first, 'b': second})
  members = _members(first, second)
  numbers = together.metrics_json(first, members, protocol='Made-up.')
  shares = [_shares(first), members[1].probabilities]
  for share, one in zip(shares, numbers['members'], strict=True):
    uf1 = _uf1(first, share.argmax(-1))
    assert one['entries']['full']['uf1'] == pytest.approx(uf1)
    assert one['seeds'] == 2
  uf1 = _uf1(first, np.mean(shares, 0).argmax(-1))
  assert numbers['together']['full']['uf1'] == pytest.approx(uf1)
  alone = [one['entries']['full']['uf1'] for one in numbers['members']]
  assert numbers['best'] == 'ab'[int(np.argmax(alone))]
  value, low, high = numbers['minus_best']
  assert value == pytest.approx(uf1 - max(alone)) and low <= value <= high
  text = table.format_together(numbers)
  assert f'together minus {numbers["best"]}, the best single one' in text
  assert f'{value:+.3f} [{low:+.3f}, {high:+.3f}]' in text
  assert text.count('\ntogether  ') == 4


def test_the_order_of_clips_does_not_matter(make_record):
  first = make_record(num_seeds=1)
  second = _other_logits(first, draw=1)
  plain = together.metrics_json(first, _members(first, second), protocol='')
  mixed = together.metrics_json(
    first, _members(first, _shuffled(second, draw=2)), protocol=''
  )
  assert plain == mixed


def test_spare_outputs_are_classes_that_others_never_predict(make_record):
  first = make_record(num_seeds=1)
  wide = np.pad(first['logits'], ((0, 0), (0, 0), (0, 0), (0, 2)))
  wide[..., 4] = 9
  members = _members(first, first | {'logits': wide})
  numbers = together.metrics_json(first, members, protocol='')
  assert numbers['members'][1]['entries']['full']['accuracy'] == 0
  assert len(numbers['together']['full']['confusion'][0]) == 5


def _less(record, name):
  keep = np.arange(len(record['labels'])) != 3
  index = record['index']
  place = np.cumsum(keep) - 1
  return {
    **record,
    'index': np.where(index == 3, -1, np.where(index >= 0, place[index], -1)),
    **{
      key: record[key][keep]
      for key in ('labels', 'groups', 'corpus', 'subject', 'clip')
    },
  }


def _changed(key, change):
  return lambda record: record | {key: change(record[key].copy())}


def _relabelled(labels):
  labels[5] = (labels[5] + 1) % 3
  return labels


def _merged(fold):
  return np.where(fold == 1, 0, fold)


@pytest.mark.parametrize(
  ('change', 'words'),
  [
    (lambda record: _less(record, 'b'), '1 clips of a are not in b: casme2/'),
    (
      _changed('clip', lambda x: np.char.add(x, 'x')),
      'clips of a are not in b',
    ),
    (_changed('labels', _relabelled), 'the labels of 1 clips differ; casme2/'),
    (_changed('class_names', lambda x: x[::-1]), 'the classes are'),
    (_changed('groups', lambda x: np.char.add(x, '?')), None),
    (
      _changed('groups', lambda x: np.where(x == x[0], x[-1], x)),
      'the people, over whom',
    ),
    (_changed('fold', _merged), r'the folds differ: 6 in a, 5 in b'),
  ],
)
def test_what_differs_between_two_runs_is_named(make_record, change, words):
  record = make_record(num_seeds=1, corpora=(('casme2', 6, 4.0),))
  both = {'a': record, 'b': change(record)}
  if words is None:  # Other names of the same people.
    together.refuse_different(both)
    return
  with pytest.raises(ValueError, match=f'a and b cannot be .*: .*{words}'):
    together.refuse_different(both)


def test_one_model_alone_is_not_together(make_record):
  record = make_record(num_seeds=1)
  for members in (_members(record), [*_members(record)] * 2):
    with pytest.raises(ValueError, match='two or more different models'):
      together.metrics_json(record, members, protocol='')


def test_folds_that_divide_people_carry_a_warning_everywhere(make_record):
  record = make_record(num_seeds=2)
  assert not selection.divides_people(record)
  # Two people swap the folds of one clip each.
  held_by = selection.held_out_by(record)
  one, two = np.flatnonzero(held_by == 0)[0], np.flatnonzero(held_by == 1)[0]
  index = record['index'].copy()
  index[record['index'] == one], index[record['index'] == two] = two, one
  mixed = record | {'index': index}
  assert selection.divides_people(mixed)
  baselines = {'majority': np.zeros(len(record['labels']), np.int32)}
  numbers = summary.metrics_json(mixed, baselines, protocol_sentence='')
  for kind in ('selection', 'together', 'baselines'):
    for entries in numbers[kind].values():
      for entry in entries.values():
        assert selection.BOTH_SIDES in entry['warning']
  text = table.format_numbers(numbers)
  assert f'* {selection.BOTH_SIDES}' in text
  assert 'last *' in text and 'majority *' in text
