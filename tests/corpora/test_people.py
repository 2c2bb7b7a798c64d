"""Who is who: spellings of one person, texts that are nobody's name."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from mejax.corpora import people
from mejax.corpora.clip import Clip
from mejax.corpora.corpus import Corpus
from mejax.corpora.corpus import read_corpora

PREFIXES = ('', 'sub', 'Sub', 'SUBJECT ', 'subject_', 's', 'S-', 'p', 'sp',
            'spNO.', 'spNo ', 'participant')  # fmt: skip


@given(
  st.integers(0, 999),
  st.sampled_from(PREFIXES),
  st.integers(0, 3),
  st.sampled_from(['', ' ', '_', '\u3000', '\u200b', '\xa0']),
)
def test_a_number_is_one_person_with_any_prefix_padding_and_blank(
  number, prefix, zeros, blank
):
  spelt = f'{prefix}{blank}{"0" * zeros}{number}{blank}'
  assert people.plain(spelt) == str(number)
  assert people.number(spelt) == number


@pytest.mark.parametrize(
  'names',
  [
    ('Anna', 'anna', ' ANNA', 'ＡＮＮＡ', 'an_na'),
    ('Zoë', 'zoe\u0308', 'ZOË'),
    ('sub_a', 'Subject A', 'a'),
    ('1-2', '1_2', '01_02', 's1-2', '1\u20132'),
    ('王', ' 王 '),
    ('STRASSE', 'straße'),
    (
      'anna',
      'а\u0578na'.replace('\u0578', 'n'),
      'anna\ufe0f',
      'anna\u034f',
      'anna\u3164',
      'anna\u2800',
      'anna\x7f',
      'anna\x07',
      '\u202eanna',
    ),
    ('s01', 'ѕ01', 's\u0661', 'S१'),
    ('а', 'a', 'Α'),
    ('a-1', 'a\u22121', 'A1'),
    ("O'Neil", 'O\u2019Neil', 'O\u00b4Neil'),
    (
      '1',
      '1.0',
      '1.00',
      '1,0',
      '1e0',
      'sub1.0',
      'subj1',
      'patient 1',
      'VP1',
      'Proband 01',
      'pt01',
      'Subject (1)',
      '(1)',
      '1)',
      '1*',
      '[1]',
      '+1',
      'Pat01',
      'child1',
      'user 1',
      'n°1',
      '№ 1',
      'ID=1',
      'subject#1',
      'No.1',
      'ID1',
      'subject no. 1',
      '#1',
      'Nr 01',
    ),
    ('10000000000000000', '1e+16'),
    ('1000', '1 000', '1e3', '1000.0'),
    ('André', 'Andre', 'ANDRÉ'),
    ('Muller', 'Müller'),
    ('İlker', 'ilker', 'ılker', 'ILKER'),
    ('O1', '01', 'o1'),
    ('l1', 'I1', '11'),
    ('½', '1/2'),
    ('A. Smith', 'A Smith'),
    ('Anna', 'anna.', '"anna"'),
  ],
)
def test_spellings_of_a_person_are_alike(names):
  assert people.alike(names) == [list(names)]


@pytest.mark.parametrize(
  'names',
  [
    ('Shan', 'Han'),
    ('Pan', 'An'),
    ('Sally', 'Ally'),
    ('1', '10', '101', '2'),
    ('sub', 'subject', 's', 'p'),
    ('01a', '01b'),
    ('s1', 't1'),
    ('王', '李'),
    ('0', '1'),
    ('s1e1', 's1e2', '10'),
    ('0e1', '0e2'),
    ('1.5', '1', '15'),
    ('No', 'o', 'Id', 'd'),
    ('Müller', 'Mueller'),
    ('か', 'が'),
    ('Lil', '111'),
  ],
)
def test_people_of_different_names_stay_apart(names):
  assert people.alike(names) == []


@pytest.mark.parametrize(
  'text',
  ['', '  ', 'nan', 'NaN', 'None', 'NULL', 'n/a', 'NA', '#N/A', '#REF!',
   '#DIV/0!', '#NAME?', '-', '/', '?', '\u200b', 'unknown', '...', '\u2800',
   '\u3164', 'unknown\u200b', 'ｕｎｋｎｏｗｎ', '<unknown>', 'n.a.', 'N. A.',
   'NaN.', 'missing', '(missing)', 'TBD', '〃', '"', ',', 'ditto', '\x07',
   '\ufffd'],
)  # fmt: skip
def test_a_text_for_no_value_is_no_person(text):
  assert not people.is_person(text)


@pytest.mark.parametrize(
  'name', ['Na', 'Nancy', '0', 'nano', 'S-1', '王', '#1']
)
def test_names_that_look_like_nothing_are_people(name):
  assert people.is_person(name)


def _clips(*subjects, corpus='x', **more):
  return [
    Clip(corpus, subject, f'c{i}', 'joy', **more)
    for i, subject in enumerate(subjects)
  ]


def test_names_that_may_be_one_person_are_refused_with_the_list():
  clips = people.settled(_clips('01', 'b', 'sub1', '2', '1', 'B', 'c'))
  words = "x: '01', 'sub1', '1'\n  x: 'b', 'B'\nWrite .* people=join.*=apart"
  with pytest.raises(ValueError, match=words):
    list(clips)


def test_an_option_joins_them_under_the_first_spelling_or_keeps_them():
  clips = _clips('01', 'sub1', '2')
  joined = list(people.settled(clips, 'join'))
  assert [clip.subject for clip in joined] == ['01', '01', '2']
  assert joined[1].remarks == ('sub1 and 01 are taken for one person',)
  assert list(people.settled(clips, 'apart')) == clips


def test_equal_names_of_two_corpora_are_two_people():
  clips = _clips('01') + _clips('1', corpus='y')
  assert list(people.settled(clips)) == clips


def test_clips_that_cannot_be_used_or_have_no_label_refuse_nothing():
  clips = [*_clips('1'), *_clips('01', problem='is gone')]
  clips.append(Clip('x', 's1', 'film', 'unknown'))
  assert [clip.subject for clip in people.settled(clips)] == ['1', '01', 's1']


def test_joined_clips_of_one_name_do_not_replace_each_other():
  clips = [Clip('x', '1', 'smile', 'joy'), Clip('x', '01', 'smile', 'joy')]
  first, second = people.settled(clips, 'join')
  assert (first.problem, second.identity) == ('', first.identity)
  assert 'the first counts' in second.problem


@pytest.mark.parametrize(
  ('field', 'value', 'words'),
  [
    ('subject', 'nan', "its subject is 'nan', which names nobody"),
    ('subject', 7, 'its subject is 7; expected a text'),
    ('name', '\udcb8\udcdf', 'its name is not UTF-8: rename it'),
    (
      'name',
      'c\nmejax: fine',
      'its name has a line break or another control character: rename it',
    ),
    (
      'subject',
      'a\u2028b',
      'its subject has a line break or another control character: rename it',
    ),
    ('emotion', None, 'its emotion is None; expected a text'),
    (
      'subject',
      'аnna',
      "its subject 'аnna' has 'а' (CYRILLIC SMALL LETTER A, U+0430) among "
      'Latin letters: write it in one script',
    ),
    (
      'emotion',
      'jοy',
      "its emotion 'jοy' has 'ο' (GREEK SMALL LETTER OMICRON, U+03BF) among "
      'Latin letters: write it in one script',
    ),
    (
      'offset',
      3_000_000_000,
      'its offset is 3000000000; expected a whole number up to 2147483647',
    ),
    ('apex', 2.5, 'its apex is 2.5; expected a whole number up to 2147483647'),
  ],
)
def test_a_clip_of_ones_own_reader_without_a_name_is_left_out(
  field, value, words
):
  given = Clip('x', 'a', 'c', 'joy')
  object.__setattr__(given, field, value)  # Types are checked in tests only.
  (clip,) = people.settled([given])
  assert clip.problem == words
  clip.identity.encode()
  if field == 'name':
    assert clip.name in (r'\xb8\xdf', r'c\nmejax: fine')


def test_a_line_break_in_a_sentence_about_a_clip_begins_no_line():
  said = ('the file "a\nb" is odd',)
  clip = Clip('x', 'a', 'c', 'joy', remarks=said, notes=said)
  (clip,) = people.settled([clip])
  assert clip.remarks == clip.notes == (r'the file "a\nb" is odd',)


def test_every_corpus_takes_the_option(tmp_path):
  corpus = Corpus(name='x', read=lambda root: iter(_clips('1', '01')))
  with pytest.raises(ValueError, match="x: '1', '01'"):
    list(read_corpora([corpus], [tmp_path], {}))
  clips = read_corpora([corpus], [tmp_path], {'people': 'join'})
  assert [clip.subject for clip in clips] == ['1', '1']
  with pytest.raises(ValueError, match="is 'merge'; expected join or apart"):
    read_corpora([corpus], [tmp_path], {'people': 'merge'})


def test_subjects_of_arrays_are_settled_in_the_same_way():
  names = np.array(['01', 'a', '1'])
  words = re.escape("'01', '1' may be one person")
  with pytest.raises(ValueError, match=words):
    people.settled_names(names)
  assert people.settled_names(names, 'join').tolist() == ['01', 'a', '01']
  assert people.settled_names(names, 'apart').tolist() == ['01', 'a', '1']
  nobody = np.array(['a', str(np.nan)])
  with pytest.raises(ValueError, match="'nan', at position 1, names nobody"):
    people.settled_names(nobody, 'apart')
  mixed = np.array(['a', 'Аnna'])
  with pytest.raises(ValueError, match='at position 1, has .А. .CYRILLIC'):
    people.settled_names(mixed, 'apart')


def test_a_name_in_another_script_is_a_name():
  clips = _clips('Анна', 'Ωμέγα', '王', '安娜 2')
  assert list(people.settled(clips)) == clips
