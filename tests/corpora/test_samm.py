"""SAMM on a tiny tree of its shape."""

from __future__ import annotations

import openpyxl
import pytest

from mejax.corpora import samm
from tests.corpora import trees

ROWS = [
  ('006', '006_1_2', 98, 105, 120, '4+7', 'Anger'),
  ('011', '011_6_1', 9995, 10002, 10010, 'L12 or L14', 'Other'),
  ('028', '028_4_1', 1100, 1143, 1134, '(R6 or R12)+R15', 'Contempt'),
  ('032', '032_3_1', 4920, 1930, 4950, 'A/L12', 'Happiness'),
]


@pytest.fixture
def tree(tmp_path):
  trees.samm(tmp_path, ROWS)
  for subject, name, on, _, off, *_ in ROWS:
    # Four digits or five; across 10,000 both.
    pad = 5 if name == '006_1_2' else 4
    trees.write_frames(
      tmp_path / 'SAMM' / subject / name,
      [f'{subject}_{n:0{pad}d}.jpg' for n in range(on, off + 1)],
      grey=True,
    )
  return tmp_path


def test_samm_frames_are_found_with_four_and_with_five_digits(tree):
  first, second, *_ = samm.CORPUS.read(tree)
  assert first.frames[0].name == '006_00098.jpg'
  assert [f.name for f in second.frames[4:6]] == [
    '011_9999.jpg',
    '011_10000.jpg',
  ]
  assert second.frame_numbers == tuple(range(9995, 10011))
  assert first.identity == 'samm/006/006_1_2'
  assert (first.fps, second.emotion) == (200.0, 'Other')
  assert not first.problem and not second.problem


def test_samm_typos_of_the_sheet_are_repaired_and_said(tree):
  *_, late, early = samm.CORPUS.read(tree)
  assert (late.apex, late.apex_source, late.problem) == (1113, 'repaired', '')
  assert 'apex 1143 repaired to 1113' in late.remarks[0]
  assert (early.apex, early.apex_source) == (4930, 'repaired')


def test_samm_subjects_that_became_numbers_get_their_zeros_back(tree):
  sheet = tree / 'SAMM_Micro_FACS_Codes_v2.xlsx'
  book = openpyxl.load_workbook(sheet)
  page = book['MICRO_ONLY']
  assert page.cell(14, 1).value == 'Subject'
  page.cell(15, 1).value = 6
  book.save(sheet)
  first = next(samm.CORPUS.read(tree))
  assert (first.subject, first.problem) == ('006', '')


def test_samm_checks_onset_and_offset_by_the_duration(tree):
  sheet = tree / 'SAMM_Micro_FACS_Codes_v2.xlsx'
  book = openpyxl.load_workbook(sheet)
  book['MICRO_ONLY'].cell(15, 7).value = 99
  book.save(sheet)
  first, second, *_ = samm.CORPUS.read(tree)
  assert first.remarks == (
    'duration is 99, but from onset 98 to offset 120 there are 23 frames',
  )
  assert second.remarks == ()


def test_samm_under_other_names(tmp_path):
  trees.samm(tmp_path, ROWS[:1], name='SAMM_20181215_Micro_FACS_Codes_v2.xlsx')
  trees.write_frames(
    tmp_path / 'SAMM_CROP/006/006_1_2',
    [f'006_{n:05d}.jpg' for n in range(90, 130)],
  )
  (clip,) = samm.CORPUS.read(tmp_path)
  assert clip.problem == ''
  assert 'SAMM_CROP' in str(clip.frames[0])
