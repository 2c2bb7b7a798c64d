"""What became of the clips is counted, named and refused where it must be."""

from __future__ import annotations

import pathlib

import pytest

from mejax.corpora import action_units
from mejax.corpora.clip import Clip
from mejax.datasets import clip_counts


def _clip(corpus, subject, name, emotion, **about):
  return Clip(
    corpus=corpus, subject=subject, name=name, emotion=emotion, **about
  )


SAID = 'no face in 1 of 3 frames'
UNITS = action_units.parse('L12C+4(k)+(6 or 7)+25')
CLIPS = [
  _clip('casme2', 'sub01', 'EP02', 'happiness', remarks=(SAID,)),
  _clip('casme2', 'sub01', 'EP03', 'disgust', fps=200.0, action_units=UNITS),
  _clip('samm', '006', '006_1', 'happiness', notes=('apex 9 was spotted',)),
  _clip('samm', '007', '007_1', 'anger', problem='the apex is missing'),
]
WHOLE = CLIPS[:3]


def test_metadata_counts_what_is_taken_and_names_what_is_not():
  assert clip_counts.describe_clips(CLIPS) == {
    'clips': ['casme2/sub01/EP02', 'casme2/sub01/EP03', 'samm/006/006_1'],
    'fps': {'casme2/sub01/EP03': 200.0},
    'counts': {
      'casme2': {'happiness': 1, 'disgust': 1},
      'samm': {'happiness': 1},
    },
    # The others have no list. 4 does not move; 6 or 7 is left open.
    'units_shown': {'casme2/sub01/EP03': [12, 25]},
    'skipped': [
      {
        'identity': 'samm/007/007_1',
        'reason': 'the apex is missing',
        'emotion': 'anger',
      }
    ],
    'warnings': {'casme2/sub01/EP02': ['no face in 1 of 3 frames']},
    'notes': {'samm/006/006_1': ['apex 9 was spotted']},
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
    'with a warning: 1; `mejax inspect` shows them',
    '  1 clip: no face in 1 of 3 frames',
    'skipped: 1',
    '  samm/007/007_1: the apex is missing',
  ]


def test_warnings_are_counted_by_kind_and_the_commonest_come_first():
  clips = [
    _clip('video', 'me', f'a{i}', 'joy', remarks=words)
    for i, words in enumerate(
      [
        ('"a.avi" has lost 2 of 60 frames',),
        ('the head moves by 9.1 pixels',),
        ('the head moves by 12 pixels', 'the head moves by 8.5 pixels'),
        (),
      ]
    )
  ]
  lines = clip_counts.format_counts('v', pathlib.Path('data'), clips)
  assert lines.splitlines()[3:6] == [
    'with a warning: 3; `mejax inspect` shows them',
    '  2 clips: the head moves by 9.1 pixels (video/me/a1)',
    '  1 clip: "a.avi" has lost 2 of 60 frames',
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
