"""From a row and a folder to a clip: order, middle frames, missing frames."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import pytest

from mejax.corpora import annotated
from mejax.corpora import frame_numbers
from tests.corpora import trees


def _clip(folder, onset, apex, offset, *, numbers=range(10, 31), **options):
  if numbers is not None:
    trees.write_frames(folder, [f'img{n}.jpg' for n in numbers])
  row = {'name': 'a', 'emotion': 'joy', 'facs': options.pop('facs', '')}
  row |= {'onset': onset, 'apex': apex, 'offset': offset}
  annotation = annotated.Annotation.of_row(
    row, corpus='x', subject='1', fps=200.0
  )
  return annotated.make_clip(annotation, folder, **options)


def test_a_clip_has_the_frames_from_onset_to_offset(tmp_path):
  clip = _clip(tmp_path, '12', '20', '25', facs='4+R7')
  assert clip.frame_numbers == tuple(range(12, 26))
  assert clip.frames[8] == tmp_path / 'img20.jpg'
  assert (clip.onset, clip.apex, clip.offset) == (12, 20, 25)
  assert (clip.apex_source, clip.problem, clip.remarks) == ('annotated', '', ())
  assert [str(unit) for unit in clip.action_units] == ['4', 'R7']
  assert clip.facs == '4+R7'


def test_frame_numbers_are_numbers_and_other_text_is_kept():
  row = {'onset': '0012', 'apex': '/', 'offset': ''}
  numbers, unread = frame_numbers.read_numbers(row)
  assert numbers == {'onset': 12, 'apex': None, 'offset': None}
  assert unread == {'apex': '/'}


@given(st.sets(st.integers(0, 40), min_size=2))
def test_gaps_are_counted_and_the_first_are_named(numbers):
  shown = sorted(numbers)
  draft = frame_numbers.Draft(shown[0], shown[1], shown[-1] + 3, '', [])
  frame_numbers.remark_gaps(draft, shown)
  missing = sorted(set(range(shown[0], shown[-1] + 4)) - numbers)
  (remark,) = draft.remarks
  some = ', '.join(map(str, missing[:5])) + ', ...' * (len(missing) > 5)
  assert remark.startswith(f'{len(missing)} of {shown[-1] + 4 - shown[0]} ')
  assert remark.endswith(f'are missing: {some}')


def test_labels_alone_need_no_folder():
  clip = _clip(None, '12', '12', '25', numbers=None, with_frames=False)
  assert (clip.problem, clip.frames) == ('', ())
  assert (clip.apex, clip.apex_source) == (18, 'midpoint')


@pytest.mark.parametrize(
  ('numbers', 'words'),
  [
    (('12', '20', '12'), 'offset 12 is not after onset 12'),
    (('12', '11', '25'), 'onset 12, apex 11 and offset 25 are not in this'),
    (('12', '26', '25'), 'onset 12, apex 26 and offset 25 are not in this'),
    (('/', '20', '25'), "gives no onset ('/')"),
    (('12', '', ''), ''),
    (('5', '20', '25'), 'onset frame 5 is missing; there are 21 frames from'),
    (('12', '35', '40'), 'apex frame 35 is missing'),
    (('40', '50', '60'), 'onset frame 40 is missing'),
  ],
)
def test_impossible_numbers_are_problems_in_words(numbers, words, tmp_path):
  clip = _clip(tmp_path, *numbers)
  assert words in clip.problem
  assert bool(clip.problem) == bool(words)


def test_without_a_folder_or_frames_there_is_a_problem(tmp_path):
  assert 'is missing' in _clip(None, '1', '2', '3', numbers=None).problem
  (tmp_path / 'a').mkdir()
  clip = _clip(tmp_path / 'a', '1', '2', '3', numbers=None)
  assert clip.problem == 'a holds no frames'
  gone = _clip(tmp_path / 'b', '1', '2', '3', numbers=None)
  assert gone.problem.startswith('b: ')
  trees.write_frames(tmp_path / 'c', ['1.jpg', '01.jpg'])
  twice = _clip(tmp_path / 'c', '1', '2', '3', numbers=None)
  assert 'frame 1 is there twice' in twice.problem


def test_an_apex_that_is_not_given_is_the_middle_frame_and_said(tmp_path):
  clip = _clip(tmp_path, '12', '/', '25')
  assert (clip.apex, clip.apex_source) == (18, 'midpoint')
  assert clip.remarks == ()
  assert clip.notes == (
    "the sheet gives no apex ('/')",
    'apex is not known: the middle frame 18 stands for it',
  )


def test_an_apex_that_is_the_onset_is_the_middle_frame_that_exists(tmp_path):
  numbers = [n for n in range(10, 31) if n not in (17, 18, 19)]
  clip = _clip(tmp_path, '12', '12', '25', numbers=numbers)
  assert (clip.apex, clip.apex_source) == (16, 'midpoint')
  assert 'apex is the onset: the middle frame 16' in clip.remarks[0]
  assert clip.remarks[1].endswith('are missing: 17, 18, 19')


def test_an_apex_may_be_the_offset(tmp_path):
  clip = _clip(tmp_path, '12', '25', '25')
  assert (clip.apex, clip.apex_source, clip.problem) == (25, 'annotated', '')


def test_a_missing_offset_is_the_apex(tmp_path):
  for offset in ('', '0'):
    clip = _clip(tmp_path, '12', '25', offset)
    assert (clip.offset, clip.problem) == (25, '')
    assert clip.notes == ('no offset: the apex 25 stands for it',)


def test_a_missing_frame_is_replaced_by_a_near_one_and_said(tmp_path):
  numbers = [n for n in range(10, 31) if n not in (12, 20)]
  clip = _clip(tmp_path, '12', '20', '25', numbers=numbers)
  assert (clip.onset, clip.apex, clip.problem) == (11, 19, '')
  assert clip.apex_source == 'repaired'
  assert clip.remarks[0] == 'onset frame 12 is missing: 11 is taken'
  assert clip.remarks[1] == 'apex frame 20 is missing: 19 is taken'


def test_a_cut_clip_bounds_an_onset_and_offset_outside_of_it(tmp_path):
  whole = _clip(tmp_path, '112', '118', '131', cut=True)
  assert (whole.onset, whole.apex, whole.offset) == (10, 20, 30)
  assert whole.apex_source == 'midpoint'
  assert whole.remarks[0].startswith('onset 112 and offset 131 repaired to 10')
  end = _clip(tmp_path, '12', '20', '140', cut=True)
  assert (end.onset, end.apex, end.offset) == (12, 20, 30)
  assert end.remarks == ('offset 140 repaired to 30, the last frame',)
  assert end.apex_source == 'annotated'


def test_unread_action_units_are_a_remark_not_a_problem(tmp_path):
  clip = _clip(tmp_path, '12', '20', '25', facs='blink')
  assert (clip.action_units, clip.facs, clip.problem) == ((), 'blink', '')
  assert "action units 'blink'" in clip.remarks[0]


def test_the_second_row_of_a_clip_cannot_be_used(tmp_path):
  clip = _clip(tmp_path, '12', '20', '25')
  first, second = annotated.unique([clip, clip])
  assert first.problem == ''
  assert 'has a row already in the label sheet' in second.problem
