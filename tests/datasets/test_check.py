"""`mejax check`: what is there, what is missing, what is wrong."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest

from mejax import cli
from mejax.datasets import check
from mejax.datasets.recipe import Recipe
from tests.corpora import htnet_tree
from tests.corpora import trees

ROWS = [
  ('01', 'EP02_01f', 46, 49, 52, '6+12', 'happiness'),
  ('01', 'EP03_02', 46, 49, 52, '4', 'disgust'),
  ('02', 'EP01_11f', 46, 46, 52, '4', 'disgust'),
  ('02', 'EP08_04', 46, 49, 52, '4', 'joy'),
]
RAW = 'CASME2_RAW_selected'


@pytest.fixture
def tree(rendered, tmp_path):
  trees.casme2(tmp_path, ROWS)
  for subject, name, *_ in ROWS:
    trees.write_frames(
      tmp_path / RAW / f'sub{subject}' / name,
      [f'img{n}.jpg' for n in range(46, 53)],
      images=rendered,
    )
  return tmp_path


def _check(root, corpus='casme2', recipe=None, **options):
  return check.check_corpus(
    corpus, root, options=options, recipe=recipe, workers=0, progress=False
  )


def _row(report, name):
  """The cells of a row of the table."""
  lines = [line.split() for line in report.text.splitlines()]
  return next(line[1:] for line in lines if line[:1] == [name])


def test_a_check_tells_where_it_read_and_counts_what_there_is(tree):
  trees.write_frames(tree / 'Cropped/sub01/EP02_01f', ['reg_img46.jpg'])
  report = _check(tree)
  assert report.usable
  assert 'labels  CASME2-coding-20140508.xlsx, sheet Sheet1' in report.text
  assert f'frames  {RAW} (raw)' in report.text
  assert 'not read: Cropped (cropped, 1 clips)' in report.text
  assert _row(report, 'subjects') == ['2', '2', '26']
  assert _row(report, 'clips') == ['4', '4', '255']
  assert _row(report, 'disgust') == ['2', '2', '63']
  assert _row(report, 'surprise') == ['0', '0', '25', 'or', '28']
  assert _row(report, 'joy') == ['1', '1', '0']
  assert 'apex: 3 annotated, 1 spotted' in report.text


def test_a_check_tells_what_differs_from_the_release(tree):
  text = _check(tree).text
  assert 'Not as published:' in text
  assert '  clips: 4 found, 255 published' in text
  assert '  sadness: 0 found, 7 or 4 published' in text
  assert '  joy: 1 found, 0 published' in text
  assert '1 clip can be used, but:\n  casme2/sub02/EP01_11f: apex is' in text
  assert 'megc2019: 3 clips = 3 casme2; 2 subjects' in text
  assert 'casme2 negative: 2 clips, expected 88' in text
  assert 'smic is absent' not in text


def test_a_check_looks_at_the_frames_that_matter(tree):
  folder = tree / RAW
  (folder / 'sub01/EP02_01f/img49.jpg').write_bytes(b'')
  cut = folder / 'sub01/EP03_02/img46.jpg'
  cut.write_bytes(cut.read_bytes()[:30])
  for file in (folder / 'sub02/EP08_04').iterdir():
    file.unlink()
  (folder / 'sub02/EP01_11f/img50.jpg').write_bytes(b'')
  report = _check(tree, recipe=Recipe(apex='midpoint'))
  assert report.usable
  assert _row(report, 'clips') == ['4', '1', '255']
  assert '3 clips cannot be used:' in report.text
  assert (
    'EP02_01f: "img49.jpg" is an empty file; expected an image' in report.text
  )
  assert 'EP03_02: "img46.jpg" (30 bytes) is damaged or no image' in report.text
  assert 'EP08_04: EP08_04 holds no frames' in report.text
  assert 'EP01_11f: 1 frames are empty files: img50.jpg' in report.text
  assert 'missing ("img49.jpg" is an empty file' in report.text


def test_copies_of_two_people_are_named(tree):
  names = 'sub01/EP03_02', 'sub02/EP08_04'
  one, other = (tree / RAW / name for name in names)
  shutil.copytree(one, other, dirs_exist_ok=True)
  text = _check(tree).text
  words = 'its files are, byte for byte, those of'
  for name, twin in (names, names[::-1]):
    assert f'casme2/{name}: {words} casme2/{twin}: is this one' in text


def test_a_size_that_changes_within_a_clip_is_a_problem(tree):
  other = np.zeros((9, 9, 3), np.uint8)
  file = tree / RAW / 'sub01/EP02_01f/img49.jpg'
  assert cv2.imwrite(str(file), other)
  assert '"img49.jpg" has 9x9 pixels, "img46.jpg" has 96' in _check(tree).text


def test_what_many_clips_share_is_said_once(rendered, tmp_path):
  rows = [('01', f'EP02_{i:02d}', 1, 1, 9, '4', 'fear') for i in range(30)]
  trees.casme2(tmp_path, rows)
  trees.write_frames(
    tmp_path / RAW / 'sub01/EP02_00', ['img1.jpg', 'img9.jpg'], images=rendered
  )
  text = _check(tmp_path).text
  assert '29 clips, such as casme2/sub01/EP02_01: the folder' in text
  assert 'EP02_02' not in text.partition('Protocols')[0]


@pytest.mark.parametrize('lack', ['sheet', 'frames', 'broken sheet', 'rows'])
def test_what_cannot_be_used_at_all_is_told_with_the_reason(lack, tree):
  (sheet,) = tree.glob('*.xlsx')
  if lack == 'sheet':
    sheet.unlink()
    words = 'holds no label sheet of CASME II'
  elif lack == 'frames':
    shutil.rmtree(tree / RAW)
    words = 'holds no frames of CASME II'
  elif lack == 'broken sheet':
    sheet.write_bytes(b'')
    words = 'cannot be read'
  else:
    sheet.unlink()
    trees.casme2(tree, [])
    words = 'no clip can'
  report = _check(tree)
  assert not report.usable
  assert 'It cannot be used: ' in report.text
  assert words in report.text


def test_the_cropped_release_of_smic_never_had_one_clip(tmp_path):
  trees.write_frames(
    tmp_path / 'SMIC_all_cropped/HS/s18/micro/surprise/s18_sur_02',
    [f'reg_image{n:06d}.bmp' for n in range(11)],
  )
  report = _check(tmp_path, 'smic')
  assert 's18_sur_03 is missing: the cropped release never' in report.text


def test_ready_made_flow_is_checked_too(tmp_path):
  htnet_tree.write_tree(tmp_path)
  report = _check(tmp_path, 'htnet_release')
  assert report.usable
  assert 'megc2019: ' in report.text
  assert 'Not as published' not in report.text


def test_the_verb_prints_and_says_by_its_exit_code(tree, capsys):
  assert cli.main(['check', 'casme2', str(tree)]) == 0
  assert '\n  clips  ' in capsys.readouterr().out
  (tree / 'CASME2-coding-20140508.xlsx').unlink()
  assert cli.main(['check', 'casme2', str(tree)]) == 1
  assert 'It cannot be used' in capsys.readouterr().out


@pytest.mark.parametrize(
  ('args', 'words'),
  [
    (['casme9', '.'], "unknown corpus 'casme9'; known: casme, casme2"),
    (['casme2', 'nowhere'], 'nowhere is no folder'),
    (
      ['casme2', '.', '--option', 'colour=red'],
      "casme2 has no option 'colour'; it has images, sheet",
    ),
  ],
)
def test_the_verb_refuses_bad_input(args, words, capsys):
  assert cli.main(['check', *args]) == 2
  assert words in capsys.readouterr().err


def test_the_verb_takes_options_of_the_reader(tree, capsys):
  arguments = ['check', 'casme2', str(tree), '--option']
  assert cli.main([*arguments, 'sheet=2014']) == 0
  assert cli.main([*arguments, 'sheet=2019']) == 1
  with pytest.raises(SystemExit):
    cli.main([*arguments, 'sheet'])
  assert "'sheet' is not like KEY=VALUE" in capsys.readouterr().err
