"""SMIC, both releases and three cameras, on tiny trees of their shape."""

from __future__ import annotations

import pytest

from mejax.corpora import smic
from tests.corpora import trees

# Digits of frame numbers differ from person to person.
CLIPS = [
  ('s1', 'negative', 's1_ne_01', 559740),
  ('s3', 'positive', 's3_po_08', 1234567),
  ('s20', 'surprise', 's20_sur_05', 17581039),
]


def _write_original(root, kind, camera, clips=CLIPS, length=11):
  prefix = 'reg_' if kind == 'cropped' else ''
  for subject, emotion, name, first in clips:
    trees.write_frames(
      root / f'SMIC_all_{kind}' / camera / subject / 'micro' / emotion / name,
      [f'{prefix}image{n:06d}.bmp' for n in range(first, first + length)],
    )


def test_the_first_release_needs_no_sheet(tmp_path):
  _write_original(tmp_path, 'raw', 'HS')
  trees.write_frames(
    tmp_path / 'SMIC_all_raw/HS/s1/non_micro/s1_nm_01', ['image000001.bmp']
  )
  clips = list(smic.CORPUS.read(tmp_path))
  assert [c.identity for c in clips] == [
    'smic/s01/s01_ne_01',
    'smic/s03/s03_po_08',
    'smic/s20/s20_sur_05',
  ]
  assert [c.emotion for c in clips] == ['negative', 'positive', 'surprise']
  assert [(c.onset, c.offset) for c in clips] == [
    (first, first + 10) for *_, first in CLIPS
  ]
  assert all(c.apex == c.onset + 5 for c in clips)
  assert {c.apex_source for c in clips} == {'midpoint'}
  assert {(c.fps, c.facs, c.problem) for c in clips} == {(100.0, '', '')}


def test_cameras_are_corpora_of_their_own(tmp_path):
  for camera, number in (('HS', 3), ('VIS', 2), ('NIR', 1)):
    _write_original(tmp_path, 'raw', camera, CLIPS[-number:])
  found = {c: list(smic.CORPUS.read(tmp_path, camera=c)) for c in smic.NAMES}
  assert {c: len(clips) for c, clips in found.items()} == {
    'HS': 3, 'VIS': 2, 'NIR': 1,
  }  # fmt: skip
  assert found['VIS'][0].corpus == 'smic_vis'
  assert found['NIR'][0].fps == 25.0
  with pytest.raises(ValueError, match="'RGB'; SMIC has HS, VIS, NIR"):
    smic.CORPUS.read(tmp_path, camera='RGB')


def test_a_cropped_clip_that_lacks_frames_is_used_with_a_remark(tmp_path):
  _write_original(tmp_path, 'cropped', 'HS')
  folder = tmp_path / 'SMIC_all_cropped/HS/s3/micro/positive/s3_po_08'
  (folder / 'reg_image1234570.bmp').unlink()
  (folder / 'reg_image1234572.bmp').unlink()  # The middle frame.
  clip = list(smic.CORPUS.read(tmp_path))[1]
  assert (clip.apex, clip.problem) == (1234571, '')
  assert '2 of 11 frames' in clip.remarks[0]


def test_an_empty_folder_is_a_problem(tmp_path):
  _write_original(tmp_path, 'raw', 'HS')
  (tmp_path / 'SMIC_all_raw/HS/s2/micro/negative/s2_ne_01').mkdir(parents=True)
  problems = {
    c.name: c.problem for c in smic.CORPUS.read(tmp_path) if c.problem
  }
  assert problems == {'s02_ne_01': 's2_ne_01 holds no frames'}


def test_a_clip_in_the_folder_of_another_emotion_is_told(tmp_path):
  _write_original(tmp_path, 'raw', 'HS', [('s1', 'positive', 's1_ne_01', 100)])
  (clip,) = smic.CORPUS.read(tmp_path)
  assert clip.remarks[0] == (
    'its name says negative, but it lies in the folder positive'
  )


SHEET_ROWS = [
  # Subjects and names are padded in some sheets and not in others.
  ('s1', 's1_ne_01', 110, 120, None, None, None, None, 'negative'),
  ('s02', 's02_po_03', 210, 220, 230, 240, 250, 261, 'positive'),
  # Its second movement has a row of its own.
  ('s3', 's3_sur_01', 310, 320, 330, 340, None, None, 'surprise'),
  ('s3', 's3_sur_02', 330, 340, 0, 0, None, None, 'surprise'),
]


@pytest.fixture
def extended(tmp_path):
  path = tmp_path / 'SMIC-HS-E_annotation_2019.xlsx'
  visible = [('s11', 's11_ne_01', 5, 15, *[None] * 4, 'negative')]
  trees.smic(path, visible, title='VIS')
  trees.smic(path, SHEET_ROWS, title='HS')
  home = tmp_path / 'SMIC-E_raw image'
  for subject, name, first in (
    ('s1', 's1_ne_01', 100),
    ('s2', 's2_po_03', 200),
    ('s3', 's3_sur_01', 300),
    ('s3', 's3_sur_02', 320),
  ):
    trees.write_frames(
      home / 'HS_long/SMIC-HS-E' / subject / name,
      [f'image{n:06d}.jpg' for n in range(first, first + 70)],
    )
  trees.write_frames(
    home / 'VIS_long/SMIC-VIS-E/s11/s11_ne_01',
    [f'image{n:06d}.jpg' for n in range(20)],
  )
  return tmp_path


def test_the_extended_release_has_several_movements_in_a_row(extended):
  clips = list(smic.CORPUS.read(extended))
  assert [(c.name, c.onset, c.apex, c.offset) for c in clips] == [
    ('s01_ne_01', 110, 115, 120),
    ('s02_po_03', 210, 215, 220),
    ('s02_po_03_2', 230, 235, 240),
    ('s02_po_03_3', 250, 255, 261),
    ('s03_sur_01', 310, 315, 320),
    ('s03_sur_02', 330, 335, 340),
  ]
  assert not any(c.problem for c in clips)
  assert clips[1].frames[0].parent.name == 's2_po_03'
  assert clips[2].notes[0] == 'movement 2 of the row of s02_po_03'


def test_the_extended_release_has_a_sheet_for_each_camera(extended):
  (clip,) = smic.CORPUS.read(extended, camera='VIS')
  assert clip.identity == 'smic_vis/s11/s11_ne_01'
  assert (clip.onset, clip.problem) == (5, '')
  with pytest.raises(FileNotFoundError, match='frames of SMIC-NIR'):
    smic.CORPUS.read(extended, camera='NIR')


def test_an_infrared_sheet_is_told_by_its_files_name(extended):
  rows = [('s12', 's12_po_01', 1, 9, *[None] * 4, 'positive')]
  trees.smic(extended / 'SMIC-NIR-E_annotation.xlsx', rows, title='Sheet1')
  clips = smic.CORPUS.read(extended, camera='NIR', with_frames=False)
  assert [c.name for c in clips] == ['s12_po_01']
  assert len(list(smic.CORPUS.read(extended, with_frames=False))) == 6


def test_the_extended_release_is_of_no_use_without_its_sheet(extended):
  (extended / 'SMIC-HS-E_annotation_2019.xlsx').unlink()
  with pytest.raises(FileNotFoundError, match='label sheet of SMIC-HS'):
    smic.CORPUS.read(extended)


@pytest.mark.parametrize(
  ('second', 'words'),
  [
    (('2O', 29), "the sheet gives no onset ('2O' in cell F2)"),
    ((None, 29), "the sheet gives no onset ('')"),
    ((20, '2g'), "offset is '2g' in cell G2; expected the number of a frame"),
  ],
)
def test_a_second_movement_that_is_misread_is_not_lost(tmp_path, second, words):
  rows = [('s1', 's1_ne_01', 1, 9, *second, None, None, 'negative')]
  trees.smic(tmp_path / 'SMIC-HS-E_annotation.xlsx', rows)
  first, other = smic.CORPUS.read(tmp_path, with_frames=False)
  assert (first.problem, first.name) == ('', 's01_ne_01')
  assert (other.problem, other.name) == (words, 's01_ne_01_2')


def test_names_that_nobody_can_read_are_problems(tmp_path):
  rows = [('s1', 'clip 1', 1, 9, *[None] * 4, 'negative')]
  trees.smic(tmp_path / 'SMIC-HS-E_annotation.xlsx', rows)
  (clip,) = smic.CORPUS.read(tmp_path, with_frames=False)
  assert clip.problem == 'its name is not like s1_ne_01'
