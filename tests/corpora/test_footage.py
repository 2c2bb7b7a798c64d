"""A recording has one person, and a movement has one label."""

from __future__ import annotations

import os
import shutil

import pytest

from mejax.corpora import annotated
from mejax.corpora import footage
from mejax.corpora import mmew
from mejax.corpora import people
from mejax.corpora import samm
from mejax.corpora.clip import Clip
from mejax.corpora.corpus import Corpus
from mejax.corpora.corpus import read_corpora
from tests.corpora import trees


@pytest.fixture
def clip(tmp_path):
  """Makes clips whose frames lie in a folder, or that have one file."""

  def make(place, subject, name='c', emotion='joy', **more):
    file = tmp_path / place
    if more.get('video'):
      return Clip('x', subject, name, emotion, **more | {'video': file})
    frames = (file / 'f1.png', file / 'f2.png')
    return Clip(
      'x', subject, name, emotion,
      **{'frames': frames, 'onset': 1, 'offset': 2} | more,
    )  # fmt: skip

  return make


def _problems(clips):
  return [clip.problem for clip in people.settled(clips)]


def test_a_folder_of_two_people_is_nobodys(clip):
  clips = [clip('a', 'anna'), clip('b', 'ben'), clip('a', 'cleo')]
  assert _problems(clips) == [
    'its recording is also that of x/cleo/c',
    '',
    'its recording is also that of x/anna/c',
  ]


def test_a_folder_has_one_person_by_whatever_path(clip, tmp_path):
  (tmp_path / 'a').mkdir()
  os.symlink(tmp_path / 'a', tmp_path / 'link')
  clips = [
    clip('a', '1', frames=(tmp_path / path / 'f1.png',))
    for path in ('a', 'link', 'b/../a')
  ]
  for i, one in enumerate(clips):
    object.__setattr__(one, 'subject', f'p{i}a')
  assert all('its recording is also' in text for text in _problems(clips))


@pytest.mark.parametrize('kind', ['video', 'flow_file'])
def test_a_file_of_two_people_is_nobodys(clip, tmp_path, kind):
  more = {'frames': (), kind: tmp_path / 'f.avi'}
  clips = [clip('f.avi', name, onset=n, **more) for n, name in enumerate('ab')]
  assert all('its recording is also' in text for text in _problems(clips))


def test_a_person_under_two_names_that_are_joined_is_one(clip):
  clips = [clip('a', '1', 'x'), clip('a', '01', 'y', onset=0)]
  joined = people.settled(clips, 'join')
  assert [clip.problem for clip in joined] == ['', '']
  apart = people.settled(clips, 'apart')
  assert all('its recording is also' in clip.problem for clip in apart)


def test_one_folder_may_hold_the_files_of_several_people(clip, tmp_path):
  clips = [
    clip('a', name, frames=(tmp_path / f'{name}_1.png',)) for name in 'bc'
  ]
  assert _problems(clips) == ['', '']


def test_what_is_not_trained_on_contradicts_nothing(clip):
  clips = [
    clip('a', 'anna'),
    clip('a', 'ben', problem='is gone'),
    clip('a', 'cleo', emotion='unknown'),
  ]
  assert _problems(clips) == ['', 'is gone', '']


def test_a_movement_with_two_labels_has_none_and_one_twice_counts_once(clip):
  clips = [
    clip('a', 'anna', 'a_2'),
    clip('a', 'anna', 'a_02', 'fear'),
    clip('b', 'anna', 'b_2'),
    clip('b', 'anna', 'b_02', 'Joy '),
    clip('b', 'anna', 'b_03', offset=3),
    clip('b', 'anna', 'b_4', 'fear', onset=2),
  ]
  words = 'its movement has another label: x/anna/'
  assert _problems(clips) == [
    f'{words}a_02 (fear); delete the wrong row',
    f'{words}a_2 (joy); delete the wrong row',
    '',
    'is the movement of x/anna/b_2: the first counts',
    'is the movement of x/anna/b_2: the first counts',
    '',
  ]


def test_a_clip_whose_rows_have_two_labels_has_none(clip):
  rows = [
    clip('a', 'anna'),
    clip('a', 'anna', emotion='fear', onset=2),
    clip('b', 'ben', emotion='Joy '),
    clip('b', 'ben'),
  ]
  words = 'its rows in the label sheet have several labels: joy, fear; delete'
  problems = _problems(annotated.unique(rows))
  assert [text[: len(words)] for text in problems[:2]] == [words, words]
  assert problems[2:] == ['', footage.REPEATED]


def test_two_faces_of_a_recording_have_two_people(clip):
  clips = [
    clip('a', 'anna', which_face='left'),
    clip('a', 'ben', which_face='right'),
    clip('b', 'anna', 'b', which_face='left'),
    clip('b', 'ben', 'b'),
    clip('c', 'anna', 'c2', which_face=(10.0, 20.0)),
    clip('c', 'ben', 'c2', which_face=(10.0, 20.0)),
    clip('d', 'anna', 'd', which_face='left'),
    clip('d', 'ben', 'd', which_face='largest'),
  ]
  problems = _problems(clips)
  assert problems[:2] == ['', '']
  assert all('its recording is also that' in text for text in problems[2:])


def test_a_video_of_two_faces_is_no_copy_of_itself(clip, tmp_path):
  (tmp_path / 'a').write_bytes(b'same')
  left, right = (
    clip('a', name, video=True, which_face=name) for name in ('left', 'right')
  )
  assert [c.remarks for c in footage.remark_copies([left, right])] == [(), ()]


def test_a_recording_of_two_corpora_has_two_people(clip, tmp_path):
  corpora = [
    Corpus(name=name, read=lambda root, name=name: iter([clip('a', name)]))
    for name in 'yz'
  ]
  clips = read_corpora(corpora, [tmp_path, tmp_path], {})
  assert all('its recording is also' in clip.problem for clip in clips)


def test_a_subject_that_contradicts_its_clips_name_is_refused_by_row(tmp_path):
  rows = [
    ('6', '006_1_2', '', 1, 3, 5, 5, '', '4', 'Anger', '', ''),
    ('7', '006_1_2', '', 1, 3, 5, 5, '', '4', 'Anger', '', ''),
    ('sub 17', 'S03-01-002', '', 1, 3, 5, 5, '', '4', 'Anger', '', ''),
  ]
  trees.write_sheet(tmp_path / 'micro_facs.xlsx', trees.SAMM_HEADER, rows[:2])
  right, wrong = samm.CORPUS.read(tmp_path, with_frames=False)
  assert right.problem == ''
  assert wrong.problem == (
    "its subject is '7' in cell A3, but its name '006_1_2' is of subject 6"
  )
  rows = [('sub 17', 'S03-01-002', 1, 3, 5, '4', 'happiness', '')]
  trees.write_sheet(tmp_path / 'MMEW.xlsx', trees.MMEW_HEADER, rows)
  (clip,) = mmew.CORPUS.read(tmp_path, with_frames=False)
  assert "'sub 17' in cell A2, but its name 'S03-01-002'" in clip.problem


def test_copies_of_two_people_are_remarked_with_both_names(clip, tmp_path):
  trees.write_frames(tmp_path / 'a', ['f1.png', 'f2.png'])
  for place in ('b', 'c', 'd'):
    shutil.copytree(tmp_path / 'a', tmp_path / place)
  (tmp_path / 'c/f2.png').write_bytes((tmp_path / 'c/f2.png').read_bytes()[:-1])
  clips = [clip(*names) for names in ('aA', 'bB', 'cC', 'dA')]
  first, second, third, again = footage.remark_copies(clips)
  assert first.remarks == (
    'its files are, byte for byte, those of x/B/c: is this one person?',
  )
  assert 'those of x/A/c, x/A/c: is' in second.remarks[0]
  assert (third.remarks, len(again.remarks)) == ((), 1)


def test_copies_of_videos_are_remarked_and_what_cannot_be_read_is_not(
  clip, tmp_path
):
  for name in ('a', 'b'):
    (tmp_path / name).write_bytes(b'same')
  clips = [clip(name, name, video=True) for name in ('a', 'b', 'gone')]
  told = [len(one.remarks) for one in footage.remark_copies(clips)]
  assert told == [1, 1, 0]


def test_a_frame_of_two_people_is_remarked_with_both_names(clip):
  clips = [clip(name, name) for name in 'ABC'] + [clip('D', 'A', 'other')]
  pixels = {0: ('p', 'q'), 1: ('q', 'r'), 2: ('s',), 3: ('p',)}
  first, second, third, own = footage.remark_same_frames(clips, pixels)
  assert first.remarks == (
    'a frame of it is, pixel by pixel, in x/B/c: is this one person?',
  )
  assert 'pixel by pixel, in x/A/c: is' in second.remarks[0]
  # Two clips of one person may show the same frame.
  assert (third.remarks, own.remarks) == ((), ())


def test_a_copy_of_files_and_two_faces_in_one_picture_have_no_remark_more(
  clip, tmp_path
):
  trees.write_frames(tmp_path / 'a', ['f1.png', 'f2.png'])
  shutil.copytree(tmp_path / 'a', tmp_path / 'b')
  copies = footage.remark_copies([clip('a', 'A'), clip('b', 'B')])
  faces = [clip('c', name, which_face=name) for name in ('left', 'right')]
  for clips in (copies, faces):
    assert footage.remark_same_frames(clips, {0: 'p', 1: 'p'}) == clips
