"""Classes, groups and counts of the protocols."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest

from mejax.corpora import people
from mejax.datasets import labelling
from mejax.datasets import protocols

MEGC2019 = protocols.PROTOCOLS['megc2019']


def _examples(rows):
  """(corpus, subject, emotion, number of clips) to examples."""
  rows = [row[:3] for row in rows for _ in range(row[3])]
  corpus, subject, emotion = np.array(rows).T
  clip = np.array([f'clip{i}' for i in range(len(rows))])
  return {
    'corpus': corpus,
    'subject': subject,
    'clip': clip,
    'emotion': emotion,
  }


def _apply(*rows):
  return labelling.apply(MEGC2019, _examples(rows))


# The sheets' own words and counts: 20140508 of CASME II, v2 of SAMM.
NATIVE = (
  ('smic', 's1', 'negative', 70),
  ('smic', 's2', 'positive', 51),
  ('smic', 's3', 'surprise', 43),
  ('casme2', '01', 'disgust', 61),
  ('casme2', '02', 'repression', 27),
  ('casme2', '03', 'happiness', 32),
  ('casme2', '04', 'surprise', 25),
  ('samm', '006', 'Anger', 57),
  ('samm', '007', 'Contempt', 12),
  ('samm', '009', 'Disgust', 9),
  ('samm', '010', 'Fear', 8),
  ('samm', '011', 'Sadness', 6),
  ('samm', '012', 'Happiness', 26),
  ('samm', '013', 'Surprise', 15),
)


def test_native_emotions_give_the_442_clips_of_megc2019():
  selection = _apply(*NATIVE)
  assert np.bincount(selection.labels).tolist() == [250, 109, 83]
  assert selection.notes == [
    'megc2019: 442 clips = 164 smic + 145 casme2 + 133 samm; 14 subjects; '
    '250 negative, 109 positive, 83 surprise'
  ]


def test_what_does_not_count_is_left_out_and_said():
  extra = (
    ('casme2', '05', 'others', 99),
    ('casme2', '06', 'sadness', 7),
    ('casme2', '07', 'fear', 2),
    ('samm', '014', 'Other', 26),
    ('mmew', 'S01', 'surprise', 3),
  )
  selection = _apply(*extra, *NATIVE)
  assert len(selection.labels) == 442
  assert selection.indices.tolist() == list(range(137, 137 + 442))
  assert selection.notes[1:] == [
    'not counted: 99 casme2 others, 7 casme2 sadness, 2 casme2 fear, '
    '26 samm Other, 3 mmew surprise'
  ]


def test_an_absent_database_and_short_or_long_classes_are_named():
  rows = [row for row in NATIVE if row[0] != 'smic']
  rows[0] = ('casme2', '01', 'disgust', 60)
  rows.append(('samm', '020', 'Surprise', 2))
  assert _apply(*rows).notes[1:] == [
    'smic is absent: 164 clips short',
    'casme2 negative: 87 clips, expected 88',
    'samm surprise: 17 clips, expected 15',
  ]


def test_equal_subject_names_of_two_databases_are_two_people():
  selection = _apply(('smic', '01', 'surprise', 2), ('samm', '01', 'Anger', 1))
  assert selection.groups.tolist() == ['smic/01', 'smic/01', 'samm/01']


def test_names_of_one_database_that_may_be_one_person_are_noted():
  selection = _apply(
    ('smic', 's1', 'surprise', 2),
    ('smic', 'S01', 'positive', 1),
    ('samm', '1', 'Anger', 1),
  )
  assert selection.notes[-1] == (
    "smic: 's1', 'S01' may be one person, who is then in training and test; "
    'see the option people of mejax prepare'
  )
  by_database = protocols.PROTOCOLS['cross-corpus']
  examples = _examples([('smic', 's1', 'surprise', 2), ('smic', 's01', 'x', 1)])
  assert 'person' not in ' '.join(labelling.apply(by_database, examples).notes)


def test_parts_are_masks_of_the_databases_if_there_are_several():
  selection = _apply(('smic', 's1', 'surprise', 2), ('samm', '6', 'Anger', 1))
  assert {k: v.tolist() for k, v in selection.parts.items()} == {
    'smic': [True, True, False],
    'samm': [False, False, True],
  }
  assert _apply(('smic', 's1', 'surprise', 2)).parts == {}


def test_no_example_that_counts_is_an_error_with_what_there_is():
  with pytest.raises(ValueError, match='there are mmew fear, mmew joy'):
    _apply(('mmew', 'S01', 'joy', 2), ('mmew', 'S01', 'fear', 2))


def test_the_synthetic_corpus_has_a_protocol():
  selection = labelling.apply(
    protocols.PROTOCOLS['synthetic'],
    _examples(
      [
        ('synthetic', 's1', 'surprise', 1),
        ('synthetic', 's2', 'negative', 2),
      ]
    ),
  )
  assert selection.labels.tolist() == [2, 0, 0]
  assert selection.parts == {}


def test_a_protocol_of_ones_own_may_expect_nothing():
  own = protocols.Protocol(
    name='two',
    sentence='Happy or not.',
    classes=('not', 'happy'),
    class_of=lambda corpus, emotion: 'happy' if emotion == 'joy' else 'not',
  )
  examples = _examples([('x', '1', 'joy', 1), ('x', '2', 'fear', 1)])
  assert labelling.apply(own, examples).labels.tolist() == [1, 0]
  strange = dataclasses.replace(own, classes=('not', 'glad'))
  with pytest.raises(
    ValueError, match="gives 'happy' for x joy; its classes are"
  ):
    labelling.apply(strange, examples)


def test_every_word_is_a_class_in_the_own_protocol():
  examples = _examples(
    [
      ('video', 'a', 'surprise', 1),
      ('video', 'b', 'Joy', 2),
      ('video', 'c', 'joy', 1),
      ('video', 'd', 'unknown', 3),
    ]
  )
  selection = labelling.apply(protocols.PROTOCOLS['own'], examples)
  assert selection.classes == ('joy', 'surprise')
  assert selection.labels.tolist() == [1, 0, 0, 0]
  assert selection.notes == [
    'own: 4 clips = 4 video; 3 subjects; 3 joy, 1 surprise',
    'not counted: 3 video unknown',
  ]


def test_a_word_is_one_class_however_its_letters_are_composed():
  words = [
    'Überraschung',
    'u\u0308berraschung',
    'ＪＯＹ',
    'jo\u200by',
    'so  so',
  ]
  rows = [('video', f'n{i}', word, 1) for i, word in enumerate(words)]
  own = labelling.apply(protocols.PROTOCOLS['own'], _examples(rows))
  assert own.classes == ('joy', 'so so', 'überraschung')


def test_the_own_protocol_needs_two_classes():
  own = protocols.PROTOCOLS['own']
  with pytest.raises(ValueError, match="are of class 'joy'; expected two"):
    labelling.apply(own, _examples([('video', 'b', 'joy', 2)]))
  with pytest.raises(ValueError, match='there are video unknown'):
    labelling.apply(own, _examples([('video', 'b', 'unknown', 2)]))


def test_the_names_of_the_real_release_stay_and_are_all_different_people(
  shared, released
):
  with (shared / 'htnet442/combined_3_class2_for_optical_flow.csv').open() as f:
    rows = list(csv.DictReader(f))
  assert released['subject'].tolist() == [row['sub'] for row in rows]
  for corpus in ('casme2', 'smic', 'samm'):
    own = released['subject'][released['corpus'] == corpus].tolist()
    assert people.alike(own) == []


def test_the_real_release_is_the_whole_protocol(released):
  selection = labelling.apply(MEGC2019, released)
  assert selection.notes == [
    'megc2019: 442 clips = 145 casme2 + 164 smic + 133 samm; 68 subjects; '
    '250 negative, 109 positive, 83 surprise'
  ]
  assert {k: int(v.sum()) for k, v in selection.parts.items()} == {
    'casme2': 145,
    'smic': 164,
    'samm': 133,
  }


@pytest.mark.parametrize('left_out', ['subject', 'corpus'])
def test_a_protocol_says_what_is_left_out_together(left_out):
  protocol = dataclasses.replace(MEGC2019, expected={}, left_out=left_out)
  selection = labelling.apply(
    protocol,
    _examples([('smic', 's01', 'surprise', 2), ('samm', '006', 'Anger', 1)]),
  )
  names = {
    'subject': ['smic/s01', 'smic/s01', 'samm/006'],
    'corpus': ['smic', 'smic', 'samm'],
  }
  assert selection.groups.tolist() == names[left_out]
  what = {'subject': '2 subjects', 'corpus': '2 databases'}
  assert f'; {what[left_out]}; ' in selection.notes[0]


def test_single_clips_are_excluded_by_name_and_said():
  examples = _examples(NATIVE)
  before = labelling.apply(MEGC2019, examples)
  extra = {'corpus': 'casme2', 'subject': 'sub24', 'emotion': 'surprise'}
  for key, value in (extra | {'clip': 'EP07_01'}).items():
    examples[key] = np.append(examples[key], value)
  after = labelling.apply(MEGC2019, examples)
  assert after.indices.tolist() == before.indices.tolist()
  assert after.notes == before.notes + [
    'excluded: casme2/sub24/EP07_01 (surprise in the sheet of 2019 only)'
  ]


def test_clips_that_could_not_be_prepared_are_named_where_some_are_short():
  skipped = [
    {'identity': 'casme2/sub16/EP01_08', 'reason': 'no frames'},
    {'identity': 'casme2/sub1/a', 'reason': 'no class', 'emotion': 'others'},
    {'identity': 'mmew/S01/S01-01-001', 'reason': 'of no concern'},
    {'identity': 'casme2/sub04/EP12_01f', 'reason': 'is excluded anyway'},
  ]
  short = [('casme2', '01', 'disgust', 60), *NATIVE[:3], *NATIVE[4:]]
  notes = labelling.apply(MEGC2019, _examples(short), skipped=skipped).notes
  assert notes[1:] == [
    'casme2 negative: 87 clips, expected 88',
    'missing (no frames): casme2/sub16/EP01_08',
  ]
  whole = labelling.apply(MEGC2019, _examples(NATIVE), skipped=skipped)
  assert len(whole.notes) == 1


def test_counts_may_differ_with_the_edition_of_a_sheet():
  protocol = protocols.PROTOCOLS['casme2-5']
  rows = [
    ('casme2', '01', word, number)
    for word, number in protocol.expected['casme2'].items()
    if word != 'surprise'
  ]
  for number, problem in (
    (25, []),
    (28, []),
    (27, ['casme2 surprise: 27 clips, expected 25 or 28']),
  ):
    examples = _examples([*rows, ('casme2', '02', 'surprise', number)])
    assert labelling.apply(protocol, examples).notes[1:] == problem
