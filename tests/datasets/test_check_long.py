"""`mejax check` of databases of long videos."""

from __future__ import annotations

import pytest

from mejax import cli
from mejax.datasets import check
from tests.corpora import long_trees


@pytest.fixture
def tree(tmp_path):
  long_trees.samm_long(
    tmp_path,
    [
      ('006', '006_1_2', 10, 30, 60, 'Micro - 1/2', '4+7'),
      ('006', '006_1_4', 0, 33.6, 90.5, 'Macro', '12'),
      ('028', '028_4_2', 900, 905, 950, 'Micro - 1/2', '1'),
      ('031', '031_1_1', 9, 15, 50, 'Micro - 1/2', '1'),
    ],
  )
  for name in ('006_1', '028_4', '030_2'):
    long_trees.frames(
      tmp_path / 'SAMM_longvideos' / name, range(1, 201), name + '_{:04d}.jpg'
    )
  return tmp_path


def test_check_tells_what_is_there_and_what_is_wrong(tree):
  report = check.check_corpus('samm_long', tree, progress=False)
  assert report.usable
  for words in (
    'labels  SAMM_LongVideos_V3_Release.xlsx',
    'micro-expressions            3         1           159',
    '1 of 3 videos have a micro-expression',
    'videos: 4 found, 147 published',
    'samm_long/031/031_1: the folder of its frames is missing',
    'samm_long/028/028_4/028_4_2: frames 900 to 950 are not there',
    'samm_long/006/006_1/006_1_4: its onset is 0: it is under way',
  ):
    assert words in report.text


def test_damaged_frame_makes_a_video_unusable(tree):
  (tree / 'SAMM_longvideos/006_1/006_1_0200.jpg').write_bytes(b'\xff\xd8 no')
  text = check.check_corpus('samm_long', tree, progress=False).text
  assert 'samm_long/006/006_1: "006_1_0200.jpg"' in text


def test_command_tells_by_its_exit_code_whether_anything_can_be_used(
  tree, capsys
):
  assert cli.main(['check', 'samm_long', str(tree)]) == 0
  assert 'Spotting:' in capsys.readouterr().out
  assert cli.main(['check', 'casme2_long', str(tree)]) == 1
  assert 'expected folders as in' in capsys.readouterr().out
  assert (
    cli.main(['check', 'samm_long', str(tree), '--option', 'camera=VIS']) == 2
  )
