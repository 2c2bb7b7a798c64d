"""What became of the clips is counted, named and refused where it must be."""

from __future__ import annotations

import pathlib

import pytest

from mejax.corpora.clip import Clip
from mejax.datasets import clip_counts


def _clip(corpus, subject, name, emotion, **about):
  return Clip(
    corpus=corpus, subject=subject, name=name, emotion=emotion, **about
  )


CLIPS = [
  _clip('casme2', 'sub01', 'EP02', 'happiness', remarks=('one remark',)),
  _clip('casme2', 'sub01', 'EP03', 'disgust'),
  _clip('samm', '006', '006_1', 'happiness'),
  _clip('samm', '007', '007_1', 'anger', problem='the apex is missing'),
]
WHOLE = CLIPS[:3]


def test_metadata_counts_what_is_taken_and_names_what_is_not():
  assert clip_counts.describe_clips(CLIPS) == {
    'clips': ['casme2/sub01/EP02', 'casme2/sub01/EP03', 'samm/006/006_1'],
    'counts': {
      'casme2': {'happiness': 1, 'disgust': 1},
      'samm': {'happiness': 1},
    },
    'skipped': [
      {
        'identity': 'samm/007/007_1',
        'reason': 'the apex is missing',
        'emotion': 'anger',
      }
    ],
    'remarks': {'casme2/sub01/EP02': ['one remark']},
  }


def test_the_table_has_a_row_a_database_and_the_reasons():
  lines = clip_counts.format_counts(
    'both', pathlib.Path('data'), CLIPS
  ).splitlines()
  assert lines[0] == 'both: 3 clips in data'
  assert lines[1].split() == ['subjects', 'clips', 'happiness', 'disgust']
  assert lines[2].split() == ['casme2', '1', '2', '1', '1']
  assert lines[3].split() == ['samm', '1', '1', '1', '0']
  assert lines[4:] == [
    'with a remark: 1; the metadata has them',
    'skipped: 1',
    '  samm/007/007_1: the apex is missing',
  ]


def test_a_missing_clip_is_refused_unless_it_may_be():
  clip_counts.refuse_unusable(CLIPS)
  clip_counts.refuse_unusable(WHOLE, allow_missing=False)
  with pytest.raises(ValueError, match='1 of 4 clips .*\n.*007_1: the apex'):
    clip_counts.refuse_unusable(CLIPS, allow_missing=False)


@pytest.mark.parametrize('clips', [CLIPS[3:], []])
def test_nothing_to_use_is_always_refused(clips):
  with pytest.raises(ValueError, match=f'none of {len(clips)} clips'):
    clip_counts.refuse_unusable(clips)
