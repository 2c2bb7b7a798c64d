"""MMEW, CAS(ME)^3, DFME and 4DME on tiny trees of their shape."""

from __future__ import annotations

import pytest

from mejax.corpora import casme3
from mejax.corpora import dfme
from mejax.corpora import fourdme
from mejax.corpora import mmew
from tests.corpora import trees

MMEW_ROWS = [
  ('S01', 'S01-01-001', 1, 10, 12, '6+12', 'happiness', None),
  ('S03', 'S03-05-002', 1, 3, 12, '4', 'others', 'blinks'),
  ('S03', 'S03-05-003', 1, 40, 80, '4', 'others', None),
]
NUMBERED = [f'{n}.jpg' for n in range(1, 13)]


def _write_mmew(root, pattern):
  trees.write_sheet(root / 'MMEW_Micro_Exp.xlsx', trees.MMEW_HEADER, MMEW_ROWS)
  for subject, name, *_, emotion, _ in MMEW_ROWS:
    folder = pattern.format(subject=subject, emotion=emotion, name=name)
    trees.write_frames(root / folder, NUMBERED)
  trees.write_frames(root / 'Macro_Expression/S01/anger', ['S01-07-001.jpg'])
  trees.write_frames(root / 'Macro_Expression/anger/S01-01-001', NUMBERED)


@pytest.mark.parametrize(
  'pattern',
  [
    'Micro_Expression/{emotion}/{name}',
    '{subject}/{emotion}/{name}',
    'micro_expression/repression/{name}',
  ],
)
def test_mmew_lies_by_emotion_or_by_subject(pattern, tmp_path):
  _write_mmew(tmp_path, pattern)
  first, second, wrong = mmew.CORPUS.read(tmp_path)
  assert first.identity == 'mmew/S01/S01-01-001'
  assert first.frame_numbers == tuple(range(1, 13))
  assert [f.stem for f in first.frames] == [str(n) for n in range(1, 13)]
  assert 'Macro' not in str(first.frames[0])
  assert (first.apex, first.fps) == (10, 90.0)
  assert (second.emotion, second.problem) == ('others', '')
  assert second.remarks == ('the sheet remarks: blinks',)
  assert (wrong.onset, wrong.apex, wrong.offset) == (1, 6, 12)
  assert (wrong.apex_source, wrong.problem) == ('midpoint', '')
  assert wrong.remarks[:2] == (
    'offset 80 repaired to 12, the last frame',
    'apex 40 dropped: there is no such frame',
  )


def test_mmew_may_have_its_labels_as_csv(tmp_path):
  header = ','.join(trees.MMEW_HEADER)
  (tmp_path / 'MMEW.csv').write_text(
    f'{header}\nS01,S01-01-001,1,10,12,6+12,happiness,\n'
  )
  (clip,) = mmew.CORPUS.read(tmp_path, with_frames=False)
  assert (clip.apex, clip.emotion) == (10, 'happiness')


PART_A = [
  ('spNO.10', 'a', 116, 120, 126, '4', 'disgust'),
  ('spNO.10', 'a', 130, 130, 140, '4,7', 'Others'),  # The apex is the onset.
  ('spNO.10', 'J', 7, 9, 12, 'L12', 'happy'),
  # The six impossible rows.
  ('spNO.149', 'd', 112, 83, 358, '4', 'sad'),
  ('spNO.214', 'c', 5, 5, 3460, '4', 'fear'),
  ('spNO.216', 'd', 3647, 2668, 2694, '4', 'anger'),
  ('spNO.216', 'e', 0, 0, 30, '4', 'disgust'),
  ('spNO.40', 'e', 1812, 1824, 0, '4', 'surprise'),
  ('spNO.40', 'e', 2327, 2363, 0, '4', 'others'),
]
# Onset, apex and offset as they should be, and where the apex came from.
MENDED = {
  'a_116': (116, 120, 126, 'annotated'),
  'a_130': (130, 135, 140, 'midpoint'),
  'j_7': (7, 9, 12, 'annotated'),
  'd_112': (112, 123, 358, 'repaired'),
  'c_5': (5, 19, 34, 'midpoint'),
  'd_3647': (2647, 2668, 2694, 'annotated'),
  'e_0': (1, 15, 30, 'midpoint'),
  'e_1812': (1812, 1824, 1845, 'annotated'),
  'e_2327': (2327, 2363, 2403, 'annotated'),
}


def _summary(clips):
  return {c.name: (c.onset, c.apex, c.offset, c.apex_source) for c in clips}


def _read_all(root, **options):
  return casme3.CORPUS.read(root, apex_at_onset='middle', **options)


def test_casme3_repairs_its_impossible_rows_and_says_so(tmp_path):
  trees.casme3(tmp_path, PART_A)
  clips = list(_read_all(tmp_path, with_frames=False))
  assert _summary(clips) == MENDED
  assert not any(c.problem for c in clips)
  repaired = [c.name for c in clips if 'repaired to' in ' '.join(c.remarks)]
  assert repaired == ['d_112', 'c_5', 'd_3647', 'e_0', 'e_1812', 'e_2327']
  assert clips[0].identity == 'casme3/spNO.10/a_116'


def _write_cut(root, rows):
  """Cut clips; folders differ from the sheet in case; frame 0 is not there."""
  for subject, video, onset, *_ in rows:
    _, _, offset, _ = MENDED[f'{video.lower()}_{onset}']
    start = MENDED[f'{video.lower()}_{onset}'][0]
    name = subject.replace('spNO', 'spNo') + f'_{video.lower()}_{onset}'
    for kind, suffix in (('frame', 'jpg'), ('depth', 'png')):
      trees.write_frames(
        root / 'Part_A_ME_clip' / kind / name,
        [f'{n}.{suffix}' for n in range(start, offset + 1)],
      )


def test_casme3_reads_cut_clips_by_subject_video_and_onset(tmp_path):
  rows = [PART_A[i] for i in (0, 1, 2, 5, 6)]
  trees.casme3(tmp_path, rows)
  _write_cut(tmp_path, rows)
  # A folder may also bear the mended onset.
  home = tmp_path / 'Part_A_ME_clip/frame'
  (home / 'spNo.216_d_3647').rename(home / 'spNo.216_d_2647')
  clips = list(_read_all(tmp_path))
  assert _summary(clips) == {
    name: MENDED[name] for name in ('a_116', 'a_130', 'j_7', 'd_3647', 'e_0')
  }
  assert [c.problem for c in clips] == [''] * 5
  assert all(c.frame_numbers[0] == c.onset for c in clips)
  assert all(f.suffix == '.jpg' for c in clips for f in c.frames)


def test_casme3_reads_whole_videos_that_clips_share(tmp_path):
  trees.casme3(tmp_path, PART_A[:3])
  home = tmp_path / 'part_A/SPno.10'
  trees.write_frames(home / 'a/color', [f'{n}.jpg' for n in range(100, 141)])
  trees.write_frames(home / 'a/depth', [f'{n}.png' for n in range(100, 141)])
  trees.write_frames(home / 'j/color', NUMBERED)
  clips = list(_read_all(tmp_path))
  assert [c.problem for c in clips] == [''] * 3
  assert clips[0].frame_numbers == tuple(range(116, 127))
  assert clips[1].frame_numbers == tuple(range(130, 141))
  _write_cut(tmp_path, PART_A[:3])
  assert 'Part_A_ME_clip' in str(next(casme3.CORPUS.read(tmp_path)).frames[0])
  videos = casme3.CORPUS.read(tmp_path, images='videos')
  assert 'part_A' in str(next(videos).frames[0])


def test_casme3_leaves_out_clips_that_begin_with_their_apex(tmp_path):
  trees.casme3(tmp_path, PART_A)
  clips = {c.name: c for c in casme3.CORPUS.read(tmp_path, with_frames=False)}
  left_out = [name for name, clip in clips.items() if clip.problem]
  # One of them only after the table of repairs has mended its onset.
  assert left_out == ['a_130', 'c_5', 'e_0']
  assert all(clips[name].by_choice for name in left_out)
  assert 'a face that relaxes' in clips['a_130'].problem
  kept = {c.name: c for c in _read_all(tmp_path, with_frames=False)}
  assert not any(c.problem or c.by_choice for c in kept.values())
  assert 'a face that relaxes' in kept['a_130'].remarks[0]
  with pytest.raises(ValueError, match="'skip'; expected leave_out or middle"):
    casme3.CORPUS.read(tmp_path, apex_at_onset='skip')


def test_casme3_takes_the_second_edition_of_its_sheet(tmp_path):
  name = 'cas(me)3_part_A_ME_label_JpgIndex_v{}.xlsx'
  trees.casme3(tmp_path, PART_A[:2], name=name.format(1))
  trees.casme3(tmp_path, PART_A, name=name.format(2))
  # All expressions, macro too; it has no emotions.
  header = ('Subject', 'Filename', 'Onset', 'Apex', 'Offset', 'AU', 'type')
  trees.write_sheet(tmp_path / 'CAS(ME)3_part_A_v2.xlsx', header, [])
  assert len(list(casme3.CORPUS.read(tmp_path, with_frames=False))) == 9
  assert (
    len(list(casme3.CORPUS.read(tmp_path, sheet='v1', with_frames=False))) == 2
  )


def test_casme3_c_has_no_apexes_and_commas_of_two_widths(tmp_path):
  trees.casme3(tmp_path, PART_A)
  trees.write_sheet(
    tmp_path / 'CAS(ME)3_part_C_ME.xlsx',
    trees.CASME3_C_HEADER,
    [(1, 1, 3, 9, '4,7', 'negative'), (12, 1, 20, 31, '1，2', 'surprise')],
    title='mockCrimeME',
  )
  trees.write_frames(tmp_path / 'part_C/01/1/color', NUMBERED)
  first, second = casme3.CORPUS.read(tmp_path, part='C')
  assert first.identity == 'casme3_c/01/1_3'
  assert (first.apex, first.apex_source, first.problem) == (6, 'midpoint', '')
  assert [str(u) for u in second.action_units] == ['1', '2']
  assert second.problem == 'the folder of its frames is missing'
  with pytest.raises(ValueError, match="part is 'B'"):
    casme3.CORPUS.read(tmp_path, part='B')


def test_casme3_c_is_one_video_a_person_whose_clips_are_counted(tmp_path):
  trees.write_sheet(
    tmp_path / 'CAS(ME)3_part_C_ME.xlsx',
    trees.CASME3_C_HEADER,
    [(4, 1, 3, 5, '4', 'negative'), (4, 2, 8, 12, '12', 'positive')],
    title='mockCrimeME',
  )
  trees.write_frames(tmp_path / 'part_C/04/a/color', NUMBERED)
  trees.write_frames(tmp_path / 'part_C/04/a/depth', NUMBERED)
  first, second = casme3.CORPUS.read(tmp_path, part='C')
  assert (first.identity, first.problem) == ('casme3_c/04/1_3', '')
  assert (second.identity, second.problem) == ('casme3_c/04/2_8', '')
  assert second.frame_numbers == tuple(range(8, 13))


DFME_TRAIN = [
  ('sub0003', 'sub0003_01', 0, 5, 11, 'Happiness', '12'),
  ('sub0003', 'sub0003_02', 0, 5, 40, 'Anger', '4'),
  ('sub0004', 'sub0005_01', 0, 5, 11, 'fear', '4'),
]
DFME_TEST = [('sub0100', 'sub0100_01', 1, 5, 11, 'Contempt', 'R14')]


@pytest.fixture
def dfme_tree(tmp_path):
  for name, rows in (('training', DFME_TRAIN), ('test_A', DFME_TEST)):
    trees.write_sheet(
      tmp_path / f'annotation/{name}_full_with_AU.xlsx', trees.DFME_HEADER, rows
    )
  for folder in (
    'train_data/sub0003_01', 'train_data/sub0003_02', 'train_data/sub0005_01',
    'test_data_A/sub0100_01', 'test_data_A/sub0101_07',
  ):  # fmt: skip
    names = [f'{n:05d}.png' for n in range(12)]
    trees.write_frames(tmp_path / folder, names)
  return tmp_path


def test_dfme_joins_the_sheets_of_training_and_test(dfme_tree):
  clips = {clip.name: clip for clip in dfme.CORPUS.read(dfme_tree)}
  first = clips['sub0003_01']
  assert first.identity == 'dfme/sub0003/sub0003_01'
  assert (first.onset, first.apex, first.offset) == (0, 5, 11)
  # The sheet does not say which of three rates a clip has.
  assert (first.problem, first.fps) == ('', None)
  assert clips['sub0100_01'].problem == ''
  assert [str(u) for u in clips['sub0100_01'].action_units] == ['R14']
  assert 'offset 40 repaired to 11' in clips['sub0003_02'].remarks[0]


def test_dfme_clip_of_two_people_and_folder_without_a_row_are_told(dfme_tree):
  found = list(dfme.CORPUS.read(dfme_tree))
  told = {clip.name: clip.problem for clip in found if clip.problem}
  assert 'is of subject 5' in told['sub0005_01']
  (name,) = set(told) - {'sub0005_01'}
  assert name.endswith('sub0101_07') and 'has no row' in told[name]


def test_dfme_reads_one_sheet_if_asked(dfme_tree):
  clips = dfme.CORPUS.read(dfme_tree, sheet='test_A', with_frames=False)
  assert [clip.name for clip in clips] == ['sub0100_01']


def _fourdme_row(name, words, facs, *columns):
  one_hot = [int(word in columns) for word in ('P', 'N', 'S', 'R', 'O')]
  return ('sub1', name, words, 5, 8, 12, facs, 0, 0, *one_hot, 0)


FOURDME_ROWS = [
  _fourdme_row('f1', 'Surprise+Positive', 'AU1+AU12(k)', 'S', 'P'),
  # These two have each other's labels.
  _fourdme_row('f2', 'Negative', 'AU12', 'P'),
  _fourdme_row('f3', 'Positive', 'AU4', 'N'),
  # This one disagrees with itself.
  _fourdme_row('f4', 'Others', 'AU7', 'R'),
]


def test_4dme_has_several_emotions_and_still_units(tmp_path):
  trees.write_sheet(
    tmp_path / '4DME_Labelling_Micro_release v1.xlsx',
    trees.FOURDME_HEADER,
    FOURDME_ROWS,
  )
  for name, below in (('f1', 'frames'), ('f2', ''), ('f3', ''), ('f4', '')):
    trees.write_frames(tmp_path / 'gray_micro/sub1' / name / below, NUMBERED)
  both, second, third, odd = fourdme.CORPUS.read(tmp_path)
  assert [c.problem for c in (both, second, third, odd)] == [''] * 4
  assert (both.emotion, both.fps) == ('Surprise+Positive', 60.0)
  assert [(u.number, u.static) for u in both.action_units] == [
    (1, False),
    (12, True),
  ]
  assert (second.facs, third.facs) == ('AU4', 'AU12')
  assert 'repaired, from the row of f3' in second.remarks[0]
  assert 'repaired, from the row of f2' in third.remarks[0]
  assert odd.remarks == (
    'the emotion is Others, but the columns say repression',
  )
  assert odd.facs == 'AU7'
