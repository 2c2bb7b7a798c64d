"""CASME and CASME II on tiny trees of their shape."""

from __future__ import annotations

import pytest

from mejax.corpora import casme
from mejax.corpora import casme2
from tests.corpora import trees

CASME_ROWS = [
  (1, 'EP01_12', 5, 8, None, 12, '4+7', 'tense'),
  (12, 'EP03_2', 3, None, 6, 9, 'R6', 'happiness'),
  (13, 'EP04_4', 140, 150, None, 160, 4, 'disgust'),
  (14, 'EP05_1', 2, 5, None, 90, '', 'surprise'),
]


@pytest.fixture
def casme_tree(tmp_path):
  """Two cameras: the second pads its numbers; two rows lie outside."""
  trees.casme(tmp_path, CASME_ROWS)
  for subject, name, pad, cropped in (
    (1, 'EP01_12', 0, False),
    (1, 'EP01_12', 0, True),
    (12, 'EP03_2', 3, False),
    (13, 'EP04_4', 3, False),
    (14, 'EP05_1', 3, False),
  ):
    home = 'Cropped' if cropped else 'CASME_raw_selected'
    trees.write_frames(
      tmp_path / home / f'sub{subject:02d}' / name,
      [f'{"reg_" * cropped}{name}-{n:0{pad}d}.jpg' for n in range(1, 15)],
    )
  return tmp_path


def test_casme_finds_frames_of_both_cameras(casme_tree):
  first, second, *_ = casme.CORPUS.read(casme_tree)
  assert first.frames[0].name == 'EP01_12-5.jpg'
  assert second.frames[0].name == 'EP03_2-003.jpg'
  assert (first.subject, second.subject) == ('sub01', 'sub12')
  assert (first.corpus, first.fps, first.emotion) == ('casme', 60.0, 'tense')
  assert second.apex == 6  # Its first apex is blank.
  assert not first.problem and not second.problem


def test_casme_takes_wrong_numbers_from_the_folder_and_says_so(casme_tree):
  *_, outside, late = casme.CORPUS.read(casme_tree)
  assert (outside.onset, outside.apex, outside.offset) == (1, 7, 14)
  assert outside.apex_source == 'midpoint'
  assert 'onset 140 and offset 160 repaired to 1 and 14' in outside.remarks[0]
  assert (late.onset, late.apex, late.offset) == (2, 5, 14)
  assert late.remarks == ('offset 90 repaired to 14, the last frame',)


def test_casme_has_a_cropped_tree(casme_tree):
  clips = list(casme.CORPUS.read(casme_tree, images='cropped'))
  assert clips[0].frames[0].name == 'reg_EP01_12-5.jpg'
  assert clips[1].problem == 'the folder of its frames is missing'


CASME2_ROWS = [
  ('01', 'EP02_01f', 46, 59, 86, '6+12', 'happiness'),
  ('04', 'EP12_01f', 10, '/', 20, '4', 'disgust'),
  ('05', 'EP09_05f', 10, 10, 20, '4+7+L10', 'disgust'),
  ('05', 'EP16_04f', 10, 20, 20, 4, 'others'),
  ('16', 'EP01_08', 10, 14, 20, '?', 'others'),
]


@pytest.fixture
def casme2_tree(tmp_path):
  trees.casme2(tmp_path, CASME2_ROWS)
  trees.write_sheet(
    tmp_path / 'CASME2-ObjectiveClasses.xlsx',
    ('Subject', 'Filename', 'Objective Class'),
    [('01', 'EP02_01f', 1)],
  )
  for subject, name, on, _, off, *_ in CASME2_ROWS:
    numbers = range(on - 3, off + 3)
    raw = tmp_path / 'CASME2_RAW_selected' / f'sub{subject}' / name
    trees.write_frames(raw, [f'img{n}.jpg' for n in numbers])
    cropped = tmp_path / 'Cropped' / f'sub{subject}' / name
    # The cropped tree lacks annotated frames, and most of one clip.
    numbers = [n for n in numbers if n not in (14, 59)]
    numbers = numbers[:4] if name == 'EP01_08' else numbers
    trees.write_frames(cropped, [f'reg_img{n}.jpg' for n in numbers])
  return tmp_path


def test_casme2_keeps_leading_zeros_and_reads_raw_frames_first(casme2_tree):
  clips = list(casme2.CORPUS.read(casme2_tree))
  assert [c.identity for c in clips[:2]] == [
    'casme2/sub01/EP02_01f',
    'casme2/sub04/EP12_01f',
  ]
  assert clips[0].frames[0] == (
    casme2_tree / 'CASME2_RAW_selected/sub01/EP02_01f/img46.jpg'
  )
  assert clips[0].frame_numbers == tuple(range(46, 87))
  assert not any(clip.problem for clip in clips)


def test_casme2_reads_lazily(casme2_tree):
  clips = casme2.CORPUS.read(casme2_tree)
  assert not isinstance(clips, (list, tuple))
  next(clips)
  trees.write_frames(
    casme2_tree / 'CASME2_RAW_selected/sub04/EP12_01f', ['img18.png']
  )
  assert 'twice' in next(clips).problem


def test_casme2_mends_apexes_that_are_absent_or_the_onset(casme2_tree):
  _, absent, onset, offset, _ = casme2.CORPUS.read(casme2_tree)
  assert (absent.apex, absent.apex_source) == (15, 'midpoint')
  assert "no apex ('/' in cell E3)" in absent.notes[0]
  assert (onset.apex, onset.apex_source) == (15, 'midpoint')
  assert (offset.apex, offset.apex_source) == (20, 'annotated')


def test_casme2_action_units_may_be_numbers_or_unknown(casme2_tree):
  clips = list(casme2.CORPUS.read(casme2_tree))
  assert [[str(u) for u in c.action_units] for c in clips] == [
    ['6', '12'], ['4'], ['4', '7', 'L10'], ['4'], [],
  ]  # fmt: skip


def test_cropped_casme2_lacks_frames(casme2_tree):
  clips = list(casme2.CORPUS.read(casme2_tree, images='cropped'))
  assert clips[0].frames[0].name == 'reg_img46.jpg'
  assert (clips[0].apex, clips[0].apex_source) == (58, 'repaired')
  assert 'apex frame 59 is missing: 58 is taken' in clips[0].remarks
  assert 'apex frame 14 is missing' in clips[4].problem


@pytest.mark.parametrize(
  'home', ['Cropped-updated/Cropped/{}', '{}', 'CASME2/CROPPED/SUB{:02d}']
)
def test_casme2_trees_may_be_renamed_and_bare(home, tmp_path):
  trees.casme2(tmp_path, CASME2_ROWS[:1])
  folder = tmp_path / home.format(1) / 'ep02_01F'
  trees.write_frames(folder, [f'reg_img{n}.jpg' for n in range(46, 87)])
  (clip,) = casme2.CORPUS.read(tmp_path)
  assert clip.problem == ''
  assert clip.identity == 'casme2/sub01/EP02_01f'


def test_casme2_has_two_sheets(casme2_tree):
  rows = [(*CASME2_ROWS[0][:6], 'surprise'), *CASME2_ROWS[1:]]
  trees.casme2(casme2_tree, rows, date='20190701')
  assert next(casme2.CORPUS.read(casme2_tree)).emotion == 'surprise'
  assert (
    next(casme2.CORPUS.read(casme2_tree, sheet='2014')).emotion == 'happiness'
  )
  with pytest.raises(FileNotFoundError, match="'2020' in its name"):
    casme2.CORPUS.read(casme2_tree, sheet='2020')


def test_paths_need_not_be_ascii(tmp_path):
  root = tmp_path / 'Ausdrücke 表情'
  trees.casme2(root, CASME2_ROWS[:1])
  folder = root / 'CASME2_RAW_selected/sub01/EP02_01f'
  trees.write_frames(folder, [f'img{n}.jpg' for n in range(46, 87)])
  (clip,) = casme2.CORPUS.read(root)
  assert clip.problem == ''
