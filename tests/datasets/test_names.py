"""Names and files of any kind cost their own clip, never the process.

Through the commands: names that are no UTF-8 of a video, of a folder of frames
and of the files in it; a decoder that crashes; frames numbered as timestamps;
one person under several names; another encoding.
"""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest

from mejax import cli
from mejax.corpora import decode
from mejax.corpora import isolated
from mejax.corpora import recordings
from mejax.datasets import check
from mejax.datasets import load
from mejax.datasets.recipe import Recipe
from tests.corpora import test_video
from tests.corpora import trees
from tests.datasets import bad_trees

HEADER = 'clip,subject,emotion,onset,apex,offset\n'
ODD = os.fsdecode(b'\xb8\xdf\xcb\xd0_01')
SHOWN = r'\xb8\xdf\xcb\xd0_01'


def _frames(folder, rendered, name='{}.png', numbers=range(1, 8)):
  # OpenCV crashes if it shall write such a name.
  plain = folder.with_name('made')
  trees.write_frames(plain, [f'{n}.png' for n in numbers], images=rendered)
  for n in numbers:
    (plain / f'{n}.png').rename(plain / name.format(n))
  plain.rename(folder)


def _prepared(tmp_path, **options):
  bad_trees.make('video', tmp_path / 'clips', tmp_path, **options)
  return bad_trees.made(tmp_path, 'video')


def test_opencv_is_never_given_a_name_that_would_end_the_process(tmp_path):
  file = tmp_path / f'{ODD}.avi'
  test_video.write_video(tmp_path / 'good.avi').rename(file)
  (recording,) = recordings.find([tmp_path])
  assert recording.content.problem == decode.NOT_UTF8
  with pytest.raises(ValueError, match='not UTF-8'):
    decode._from_video(file, [0])


def test_a_video_of_such_a_name_is_named_and_the_others_are_checked(
  tmp_path, capsys
):
  good = test_video.write_video(tmp_path / 'clips/good.avi')
  (tmp_path / 'clips' / f'{ODD}.avi').write_bytes(good.read_bytes())
  how = ['--faces', 'none', '--apex', 'midpoint']
  assert cli.main(['check', 'video', str(tmp_path / 'clips'), *how]) == 0
  text = capsys.readouterr().out
  assert f'video/{SHOWN}/{SHOWN}: its path is not UTF-8: rename' in text
  assert '1 clip with notes' in text


def test_a_folder_of_such_a_name_does_not_lose_the_preparation(
  rendered, tmp_path
):
  _frames(tmp_path / 'clips/good', rendered)
  _frames(tmp_path / 'clips' / ODD, rendered)
  # Files of such names in a good folder can be read.
  odd_file = os.fsdecode(b'\xb8\xdf_{}.png')
  _frames(tmp_path / 'clips/inside', rendered, odd_file.replace('{}', '{:02}'))
  examples, metadata = _prepared(tmp_path)
  assert sorted(examples) == ['good', 'inside']
  assert bad_trees.same(examples['good'], examples['inside'])
  (skipped,) = metadata['skipped']
  assert skipped['identity'] == f'video/{SHOWN}/{SHOWN}'
  assert 'not UTF-8' in skipped['reason']


def test_a_line_break_in_a_name_fakes_no_line(rendered, tmp_path, capsys):
  fake = 'x\nmejax check: all is well\n'
  _frames(tmp_path / 'clips/good', rendered)
  _frames(tmp_path / f'clips/{fake}', rendered)
  _frames(tmp_path / 'clips/damaged', rendered, fake + '{}.png')
  for file in (tmp_path / 'clips/damaged').iterdir():
    file.write_bytes(b'no image')
  (tmp_path / f'clips/{fake}.gif').write_bytes(b'GIF89a')
  how = ['--faces', 'none', '--apex', 'midpoint', '--size', '32']
  place = ['video', str(tmp_path / 'clips'), *how]
  assert cli.main(['check', *place]) == 0
  assert cli.main(['prepare', *place, '--data_dir', str(tmp_path)]) == 0
  for source in (str(tmp_path / fake), str(tmp_path / 'clips' / f'{fake}.gif')):
    assert cli.main(['check', 'video', source]) in (1, 2)
  text = ''.join(capsys.readouterr())
  assert text.count(r'all is well\n') > 6
  assert '\nmejax check: all is well' not in text


def test_a_folder_of_a_database_may_have_such_a_name(rendered, tmp_path):
  root = bad_trees.write(tmp_path / 'db', rendered)
  odd = os.fsdecode(b'EP\xb8')
  _frames(root / 'CASME2_RAW_selected/sub01' / odd, rendered)
  (root / os.fsdecode(b'\xb8.csv')).write_bytes(b'x\n')
  bad_trees.make('casme2', root, tmp_path)
  examples, metadata = bad_trees.made(tmp_path)
  assert (len(examples), metadata['skipped']) == (3, [])


def test_a_dataset_is_not_made_where_it_could_not_be_written(
  rendered, tmp_path, capsys
):
  _frames(tmp_path / 'clips/good', rendered)
  place = ['video', str(tmp_path / 'clips')]
  data = ['--data_dir', str(tmp_path / ODD)]
  assert cli.main(['prepare', *place, *data]) == 2
  words = rf'{SHOWN}/mejax is not UTF-8; choose another --data_dir'
  assert words in capsys.readouterr().err
  assert not (tmp_path / ODD).exists()


def test_a_damaged_frame_of_such_a_name_is_named_in_all_that_is_written(
  rendered, tmp_path, capsys
):
  _frames(tmp_path / 'clips/good', rendered)
  _frames(tmp_path / 'clips/bad', rendered, os.fsdecode(b'\xb8_{}.png'))
  (tmp_path / 'clips/bad' / os.fsdecode(b'\xb8_1.png')).write_bytes(b'x')
  _, metadata = _prepared(tmp_path)
  words = r'"\xb8_1.png" (1 bytes) is damaged or no image'
  assert metadata['skipped'][0]['reason'] == words
  assert words in capsys.readouterr().out
  assert words in check.check_corpus('video', tmp_path / 'clips').text
  json.dumps(metadata, ensure_ascii=False).encode()


def test_a_link_that_leads_nowhere_and_a_pipe_cost_their_clips(
  rendered, tmp_path
):
  home = tmp_path / 'clips'
  _frames(home / 'good', rendered)
  _frames(home / 'gap', rendered)
  (home / 'gap/3.png').unlink()
  (home / 'gap/3.png').symlink_to(home / 'nowhere.png')
  (home / 'link.avi').symlink_to(home / 'nowhere.avi')
  os.mkfifo(home / 'pipe.avi')
  report = check.check_corpus('video', home, progress=False)
  assert report.usable
  for name in ('link', 'pipe'):
    assert f'video/{name}/{name}: "{name}.avi" is no file' in report.text


def _crash(*_):
  os.kill(os.getpid(), signal.SIGSEGV)


def test_a_decoder_that_crashes_costs_its_clip_only(tmp_path, monkeypatch):
  """The crash is real, and happens in the process that decodes."""
  for name in ('bad', 'good'):
    test_video.write_video(tmp_path / f'clips/{name}.avi')
  call = isolated.call

  def crashing(function, *args):
    is_bad = function is recordings._see and 'bad' in str(args[0])
    return call(_crash if is_bad else function, *args)

  monkeypatch.setattr(isolated, 'call', crashing)
  text = check.check_corpus(
    'video',
    tmp_path / 'clips',
    recipe=Recipe(faces='none', apex='midpoint'),
    workers=0,
    progress=False,
  ).text
  assert 'the process that decodes it died (SIGSEGV); a damaged file' in text
  assert '1 clip cannot be used' in text and '1 clip can be used' in text


def test_frames_numbered_as_timestamps_are_read_at_once(rendered, tmp_path):
  stamps = (1, 300_000_000, 500_000_000, 900_000_000, 900_000_001)
  _frames(tmp_path / 'clips/stamps', rendered, numbers=stamps)
  # Milliseconds since 1970 do not fit the 32 bits of a dataset.
  _frames(tmp_path / 'clips/since', rendered, numbers=(1_700_000_000_000, 2))
  sheet = tmp_path / 'my.csv'
  sheet.write_text(
    HEADER + 'stamps,A,joy,1,500000000,900000000\nsince,B,joy,,,\n'
  )
  examples, metadata = _prepared(tmp_path, options={'labels': sheet})
  (example,) = examples.values()
  assert example['apex_number'] == 500_000_000
  (remark,) = metadata['warnings']['video/A/stamps']
  assert remark == (
    '899999996 of 900000000 frames from onset to offset are missing: 2, 3, 4, '
    '5, 6, ...'
  )
  reason = metadata['skipped'][0]['reason']
  assert '"1700000000000.png" has the number 1700000000000; expected at' in (
    reason
  )


@pytest.fixture
def people_sheet(rendered, tmp_path):
  names = ('smile', '007', 'x')
  for name in names:
    _frames(tmp_path / 'clips' / name, rendered)
  sheet = tmp_path / 'my.csv'
  rows = zip(names, ('01', 'sub1', '2'), strict=True)
  sheet.write_text(HEADER + ''.join(f'{n},{s},joy,1,6,7\n' for n, s in rows))
  return sheet


def test_one_person_under_two_names_is_refused_before_anything_is_made(
  people_sheet, tmp_path, capsys
):
  place = ['video', str(tmp_path / 'clips')]
  option = ['--option', f'labels={people_sheet}']
  assert cli.main(['check', *place, *option]) == 1
  text = capsys.readouterr().out
  assert 'It cannot be used: these names may be one person' in text
  assert "video: '01', 'sub1'" in text
  assert 'apex: 3 annotated' in text  # All the rest is told too.
  data = ['--data_dir', str(tmp_path / 'data')]
  assert cli.main(['prepare', *place, *option, *data]) == 2
  assert "video: '01', 'sub1'" in capsys.readouterr().err
  assert not (tmp_path / 'data').exists()


@pytest.mark.parametrize(
  ('way', 'subjects'),
  [('join', ['01', '01', '2']), ('apart', ['01', 'sub1', '2'])],
)
def test_an_option_says_who_they_are(people_sheet, tmp_path, way, subjects):
  options = {'labels': str(people_sheet), 'people': way}
  examples, metadata = _prepared(tmp_path, options=options)
  assert [example['subject'] for example in examples.values()] == subjects
  told = any(
    'taken for one person' in r[0] for r in metadata['warnings'].values()
  )
  assert told == (way == 'join')
  text = check.check_corpus('video', tmp_path / 'clips', options=options).text
  assert 'may be one person' not in text


def test_a_sheet_in_another_encoding_is_read_by_its_name_only(
  rendered, tmp_path
):
  _frames(tmp_path / 'clips/smile', rendered)
  sheet = tmp_path / 'my.csv'
  sheet.write_bytes((HEADER + 'smile,王,高兴,1,6,7\n').encode('gbk'))
  options = {'labels': sheet}
  with pytest.raises(ValueError, match='encoding=gb18030: smile,王,高兴'):
    bad_trees.make('video', tmp_path / 'clips', tmp_path, options=options)
  _prepared(tmp_path, options=options | {'encoding': 'gbk'})
  examples = load.load_examples('video', tmp_path)
  assert (examples['subject'][0], examples['emotion'][0]) == ('王', '高兴')
  assert np.isfinite(examples['flow']).all()
