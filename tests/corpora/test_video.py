"""A user's own recordings and sheet, whatever is in them."""

from __future__ import annotations

import unicodedata

import cv2
import numpy as np
import pytest

from mejax import cli
from mejax.corpora import people
from mejax.corpora import video
from mejax.corpora.decode import decode
from tests.corpora import trees

LENGTH = 12


def write_video(file, *, length=LENGTH, fps=30.0):
  """Frame n has the grey level 10 n everywhere."""
  file.parent.mkdir(parents=True, exist_ok=True)
  writer = cv2.VideoWriter(
    str(file), cv2.VideoWriter_fourcc(*'FFV1'), fps, (32, 24)
  )
  assert writer.isOpened()
  for n in range(length):
    writer.write(np.full((24, 32, 3), 10 * n % 256, np.uint8))
  writer.release()
  return file


@pytest.fixture
def clips(tmp_path):
  """Two videos, two folders of frames that count from 5, and a note."""
  root = tmp_path / 'clips'
  write_video(root / 'anna' / 'smile.avi')
  write_video(root / 'ben' / 'smile.mkv', fps=60.0)
  for name in ('frown', 'anna/blink'):
    trees.write_frames(root / name, [f'f_{n:04d}.png' for n in range(5, 20)])
  (root / 'notes.txt').write_text('nothing')
  return root


@pytest.fixture
def read(clips, tmp_path):
  def read(text, *, paths=None, encoding='utf-8', name='my.csv'):
    sheet = tmp_path / name
    sheet.write_bytes(text.encode(encoding))
    found = video.read(paths or [clips], labels=sheet)
    return {clip.name: clip for clip in found}

  return read


HEADER = 'clip,subject,emotion,onset,apex,offset,fps\n'


def test_recordings_are_found_in_files_folders_and_folders_of_both(clips):
  single = clips / 'ben' / 'smile.mkv'
  found = list(video.read([single, clips, clips / 'frown']))
  assert [clip.name for clip in found] == [
    'ben_smile', 'blink', 'anna_smile', 'frown',
  ]  # fmt: skip
  assert found[0].video == single
  assert found[1].frames[0] == clips / 'anna/blink/f_0005.png'
  assert all(not clip.problem for clip in found)
  assert [c.name for c in video.read(single)] == ['smile']


def test_without_labels_each_is_its_own_subject_from_first_to_last_frame(clips):
  for clip in video.read(clips):
    first = 0 if clip.video else 5
    last = 11 if clip.video else 19
    assert (clip.corpus, clip.emotion) == ('video', 'unknown')
    assert clip.subject == clip.name
    assert (clip.onset, clip.offset) == (first, last)
    assert clip.frame_numbers == tuple(range(first, last + 1))
    assert (clip.apex, clip.apex_source) == ((first + last) // 2, 'midpoint')
    assert clip.remarks == ()
    assert any('subject of its own' in note for note in clip.notes)


def test_frames_of_a_video_are_counted_from_zero(read):
  rows = 'anna/smile,anna,happiness,3,7,9,\n'
  clip = read(HEADER + rows)['anna_smile']
  assert (clip.onset, clip.apex, clip.offset) == (3, 7, 9)
  assert clip.frame_numbers == tuple(range(3, 10))
  assert (clip.apex_source, clip.fps) == ('annotated', 30.0)
  assert [int(frame.max()) for frame in decode(clip, [3, 7])] == [30, 70]


def test_frames_of_a_folder_have_the_numbers_of_their_names(read):
  clip = read(HEADER + 'frown,ben,anger,6,9,15,99.5\n')['frown']
  assert (clip.onset, clip.apex, clip.offset) == (6, 9, 15)
  assert clip.frames[0].name == 'f_0006.png'
  assert (clip.subject, clip.emotion, clip.fps) == ('ben', 'anger', 99.5)
  assert clip.remarks == ()


@pytest.mark.parametrize(
  'name',
  ['anna/smile.avi', 'anna/smile', 'ANNA/Smile', 'smile.avi', 'anna\\smile.avi',
   './anna/smile.avi', 'clips/anna/smile'],
)  # fmt: skip
def test_a_row_may_name_a_recording_in_many_ways(read, name):
  clip = read(HEADER + f'{name},anna,joy,,,,\n')['anna_smile']
  assert (clip.problem, clip.emotion) == ('', 'joy')


@pytest.mark.parametrize(
  ('sign', 'encoding'),
  [(',', 'utf-8-sig'), (';', 'utf-8'), ('\t', 'utf-8-sig')],
)
def test_the_sheet_may_be_what_a_spreadsheet_writes(read, sign, encoding):
  rows = [
    ['Clip', 'Subject', 'Emotion', 'Onset Frame', 'FPS'],
    ['frown', 'zoë', 'anger', '6', '"29,97"' if sign == ',' else '29,97'],
    ['', '', '', '', ''],
  ]
  text = '\r\n'.join(sign.join(row) for row in rows)
  clip = read(text, encoding=encoding)['frown']
  assert (clip.subject, clip.onset, clip.fps) == ('zoë', 6, 29.97)


def test_a_name_may_be_composed_in_another_way(tmp_path):
  folder = tmp_path / unicodedata.normalize('NFD', 'übung')
  trees.write_frames(folder, [f'{n}.png' for n in range(1, 9)])
  sheet = tmp_path / 'my.csv'
  sheet.write_text(HEADER + 'übung,zoë,joy,,,,\n', encoding='utf-8')
  (clip,) = video.read(folder, labels=sheet)
  assert (clip.problem, clip.subject) == ('', 'zoë')


def test_several_expressions_of_a_recording_are_told_apart(read):
  rows = 'frown,ben,anger,6,8,10,\nfrown,ben,fear,12,14,16,\n'
  found = read(HEADER + rows)
  assert found['frown_6'].frame_numbers == tuple(range(6, 11))
  assert found['frown_12'].emotion == 'fear'
  assert not (found['frown_6'].problem or found['frown_12'].problem)


@pytest.mark.parametrize(
  ('text', 'face'),
  [
    ('', ''),
    ('left', 'left'),
    ('Right', 'right'),
    ('412 230', (412.0, 230.0)),
    ('"412, 230"', (412.0, 230.0)),
    ('412.5;230', (412.5, 230.0)),
    ('412x230', (412.0, 230.0)),
  ],
)
def test_a_sheet_may_say_which_face_is_meant(read, text, face):
  found = read(
    f'clip,subject,emotion,which_face\nfrown,ben,anger,{text}\n'
    'anna/smile,anna,joy,middle\n'
  )
  assert (found['frown'].problem, found['frown'].which_face) == ('', face)
  assert (
    "which_face is 'middle' in cell D3; expected largest, left, right, or the "
    'place of the face in pixels' in found['anna_smile'].problem
  )


@pytest.mark.parametrize(
  ('faces', 'is_used'),
  [
    ('left,right', True),
    ('10 10,30 10', True),
    ('left,left', False),
    ('left,', False),
    (',', False),
    ('largest,left', False),
  ],
)
def test_a_recording_has_several_people_if_their_faces_are_told_apart(
  clips, tmp_path, faces, is_used
):
  rows = zip(('ann', 'ben'), faces.split(','), strict=True)
  sheet = 'clip,subject,emotion,onset,apex,offset,which_face\n'
  sheet += ''.join(f'frown,{who},joy,5,8,9,{face}\n' for who, face in rows)
  (tmp_path / 'my.csv').write_text(sheet)
  found = people.settled(video.read(clips, labels=tmp_path / 'my.csv'))
  problems = [clip.problem for clip in found if 'frown' in clip.name]
  assert len(problems) == 2
  assert [not problem for problem in problems] == [is_used] * 2


@pytest.mark.parametrize(
  ('row', 'words'),
  [
    ('frown,ben,anger,9,7,15,', 'onset 9, apex 7 and offset 15 are not in'),
    ('frown,ben,anger,9,12,9,', 'offset 9 is not after onset 9'),
    ('frown,ben,anger,1,7,15,', 'onset 1 is missing; the frames are 5 to 19'),
    ('frown,ben,anger,6,40,50,', 'apex 40 is missing; the frames are 5 to 19'),
    ('frown,ben,anger,6,8,50,', 'offset 50 is missing; the frames are 5 to'),
    (
      'frown,ben,anger,first,8,15,',
      "onset is 'first' in cell D2; expected the number",
    ),
    ('frown,ben,anger,2,8,99,', 'onset 2 is missing; the frames are 5 to 19; '),
    (
      'frown,ben,anger,6,8,15,fast',
      "fps is 'fast' in cell G2; expected frames per",
    ),
    ('frown,ben,anger,6,8,15,0', "fps is '0' in cell G2"),
    ('frown,ben,anger,6,8,15,2500000', "fps is '2500000' in cell G2; expected"),
    ('frown,ben,anger,6,8,15,1', "fps is '1' in cell G2; expected frames"),
    ('frown,,,6,8,15,', 'gives no subject and no emotion'),
  ],
)
def test_a_bad_row_costs_its_own_clip_only(read, row, words):
  found = read(HEADER + row + '\nanna/smile,anna,joy,1,2,3,\n')
  if 'is missing; the frames are 5 to 19; ' in words:
    words = 'onset 2 is missing; the frames are 5 to 19; offset 99 is missing'
  assert words in found['frown'].problem
  assert not found['anna_smile'].problem


def test_what_can_be_mended_is_mended_and_told(read):
  same = read(HEADER + 'frown,ben,anger,6,6,15,\n')['frown']
  assert (same.problem, same.apex, same.apex_source) == ('', 10, 'midpoint')
  assert 'apex is the onset: the middle frame 10 stands for it' in same.remarks
  counted_from_1 = read(HEADER + 'anna/smile,anna,joy,1,12,12,\n')['anna_smile']
  assert (counted_from_1.problem, counted_from_1.offset) == ('', 11)
  assert 'offset 12 is missing: 11 is taken' in counted_from_1.remarks


def test_a_frame_rate_that_the_video_does_not_have_is_told(read):
  rows = HEADER + 'anna/smile,anna,joy,1,3,9,1000\n'
  fast = read(rows)['anna_smile']
  assert (fast.problem, fast.fps) == ('', 1000)
  (remark,) = fast.remarks
  assert (
    '1000 frames per second in the sheet, 30 in its file: 1000 is' in remark
  )
  near = read(rows.replace('1000', '29.97'))['anna_smile']
  assert (near.remarks, near.fps) == ((), 29.97)


def test_a_video_of_a_frame_in_a_second_needs_its_rate(tmp_path):
  file = write_video(tmp_path / 'slides.avi', fps=1.0)
  (clip,) = video.read(file)
  assert clip.problem.startswith('fps of the recording is 1.0; expected frames')
  assert 'in the sheet if' in clip.problem


@pytest.mark.parametrize(
  ('fps', 'frames'), [(2.0, 1), (5.0, 3), (9.5, 5), (10.0, None), (25.0, None)]
)
def test_a_recording_too_slow_for_a_micro_expression_is_told(
  tmp_path, fps, frames
):
  (clip,) = video.read(write_video(tmp_path / 'lapse.avi', fps=fps))
  assert not clip.problem
  told = [words for words in clip.remarks if 'shows in' in words]
  expected = f'has {fps:g} frames per second'
  assert len(told) == (frames is not None)
  for words in told:
    assert words.startswith(expected)
    assert words.endswith(f'shows in {frames} of its frames at most')


@pytest.mark.parametrize('labelled', [True, False])
def test_what_lasts_too_long_for_a_micro_expression_is_told(tmp_path, labelled):
  file = write_video(tmp_path / 'slow.avi', length=70, fps=30.0)
  sheet = tmp_path / 'my.csv'
  ends = ('3', '69') if labelled else ('', '')
  sheet.write_text(HEADER + f'slow,anna,joy,{ends[0]},9,{ends[1]},\n')
  (clip,) = video.read(file, labels=sheet)
  seconds = '2.2' if labelled else '2.3'
  said, silent = clip.remarks, clip.notes
  if not labelled:
    said, silent = silent, said
  words = f'lasts {seconds} s from onset to offset, at 30 frames per second'
  assert any(line.startswith(words) for line in said)
  assert not any('lasts' in line for line in silent)


def test_files_that_are_not_read_are_told_by_kind(clips, tmp_path, capsys):
  for name in ('a.gif', 'anna/b.GIF', 'c.webp', '.hidden.gif', 'Thumbs.db'):
    (clips / name).write_bytes(b'GIF89a')
  trees.write_frames(clips / 'anna', ['poster1.png'])
  sheet = clips / 'my.csv'
  sheet.write_text(HEADER + 'frown,ben,anger,6,8,9,\na.gif,ben,joy,,,,\n')
  lines = video.unread(clips, labels=sheet)
  kinds = {line.split()[4].rstrip(','): line for line in lines}
  assert sorted(kinds) == ['.gif', '.png', '.txt', '.webp']
  assert kinds['.gif'].startswith('not read: 2 files .gif, such as ')
  assert '`ffmpeg -i name.gif name.mp4`' in kinds['.gif']
  assert 'poster1.png: a single image beside' in kinds['.png']
  assert kinds['.txt'].startswith('not read: 1 file .txt, /')
  found = {clip.name: clip for clip in video.read(clips, labels=sheet)}
  assert 'no such recording: .gif is no kind of video' in found['a.gif'].problem
  # What is found and what is not read is all there is.
  assert 'poster1' not in str([clip.frames for clip in found.values()])
  option = ['--option', f'labels={sheet}', '--faces', 'none']
  option += ['--apex', 'midpoint']
  cli.main(['check', 'video', str(clips), *option])
  out = capsys.readouterr().out
  assert all(line in out for line in lines)


def test_a_deep_folder_is_told(tmp_path):
  folder = tmp_path.joinpath(*'abcdefghijkl')
  write_video(folder / 'deep.avi')
  write_video(tmp_path / 'a/near.avi')
  (line,) = video.unread(tmp_path)
  assert 'deep.avi: it lies more than 9 folders deep' in line
  assert [clip.name for clip in video.read(tmp_path)] == ['near']


def test_rows_and_recordings_that_do_not_meet_are_told(read, clips):
  rows = 'frown,ben,anger,,,,\nsmile,anna,joy,,,,\nnobody,x,joy,,,,\n'
  found = read(HEADER + rows + 'frown,ben,anger,,,,\n')
  assert 'no such recording' in found['nobody'].problem
  assert 'write more of its path' in found['smile'].problem
  assert str(clips / 'ben/smile.mkv') in found['smile'].problem
  assert found['blink'].problem == 'has no row in my.csv'
  assert 'anna_smile' not in found


def test_a_row_that_is_there_twice_counts_once(clips, tmp_path):
  sheet = tmp_path / 'my.csv'
  sheet.write_text(HEADER + 'frown,ben,anger,6,8,9,\n' * 2)
  first, second, *_ = video.read(clips / 'frown', labels=sheet)
  assert first.problem == ''
  assert 'has a row already' in second.problem


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    ('frown,ben,anger\n', 'has no header with the columns clip, subject, emo'),
    ('clip,emotion\nfrown,anger\n', 'has no header'),
    (HEADER, 'has no rows'),
    ('', 'it is empty'),
    (HEADER + 'x,ben,joy,,,,\n', 'rows for x; the recordings are blink, '),
  ],
)
def test_a_bad_sheet_is_an_error(read, text, words):
  with pytest.raises(ValueError, match=words):
    read(text)


def test_what_is_not_there_or_no_recording_is_an_error(clips, tmp_path):
  with pytest.raises(FileNotFoundError, match='nothing.mp4'):
    video.read([clips, tmp_path / 'nothing.mp4'])
  with pytest.raises(FileNotFoundError, match=r'no\.csv is no file'):
    video.read(clips, labels=tmp_path / 'no.csv')
  (tmp_path / 'empty').mkdir()
  with pytest.raises(ValueError, match='empty holds no video.*notes.txt is no'):
    video.read([tmp_path / 'empty', clips / 'notes.txt'])


def test_bad_recordings_are_problems_of_their_own(tmp_path):
  whole = write_video(tmp_path / 'whole.avi', length=60)
  data = whole.read_bytes()
  (tmp_path / 'cut.avi').write_bytes(data[: len(data) // 2])
  (tmp_path / 'empty.mp4').write_bytes(b'')
  (tmp_path / 'other.mp4').write_bytes(b'<html>' * 100)
  trees.write_frames(tmp_path / 'twice', ['a1.png', 'b1.png'])
  trees.write_frames(tmp_path / 'unnumbered', ['a.png', 'b.png'])
  trees.write_frames(tmp_path / 'single', ['a1.png'])
  found = {clip.name: clip for clip in video.read(tmp_path)}
  problems = {name: clip.problem for name, clip in found.items()}
  assert problems.pop('whole') == ''
  assert problems.pop('cut') == ''
  assert any('is cut off' in remark for remark in found['cut'].remarks)
  assert problems == {
    'empty': '"empty.mp4" is an empty file',
    'other': '"other.mp4" (600 bytes) is damaged or no video: a text',
    'twice': 'twice: frame 1 is there twice: a1.png, b1.png',
    'unnumbered': 'the images of unnumbered have no numbers in their names',
    'single': 'has one frame; expected two or more',
  }


def test_the_check_reads_them_with_their_sheet(clips, tmp_path, capsys):
  sheet = tmp_path / 'my.csv'
  sheet.write_text(HEADER + 'frown,ben,anger,6,8,9,\nblink,anna,joy,,,,\n')
  # The frames show no face.
  option = ['--option', f'labels={sheet}', '--faces', 'none']
  option += ['--apex', 'midpoint']
  assert cli.main(['check', 'video', str(clips), *option]) == 0
  text = capsys.readouterr().out
  assert 'apex: 1 annotated, 1 midpoint' in text
  assert '2 clips cannot be used' in text
  assert cli.main(['check', 'video', str(clips / 'anna/smile.avi')]) == 1
  assert 'no face in any of 3 frames' in capsys.readouterr().out
  (clips / 'frown/f_0008.png').write_bytes(b'')
  cli.main(['check', 'video', str(clips), *option])
  assert '"f_0008.png" is an empty file' in capsys.readouterr().out


@pytest.mark.parametrize(
  'text',
  [
    'ffconcat version 1.0\nfile ben.avi\n',
    '\ufeffffconcat version 1.0\nfile ben.avi\n',
    '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nben.avi\n',
    '<?xml version="1.0"?>\n<MPD>ben.avi</MPD>\n',
    'ffconcat version 1.0\nfile ben.avi\n#\0\x01\xff',
  ],
)
def test_a_list_of_other_files_is_no_video(tmp_path, text):
  """FFmpeg would show the frames of Ben under the name of Anna."""
  write_video(tmp_path / 'ben.avi')
  (tmp_path / 'anna.mp4').write_text(text)
  anna, ben = video.read([tmp_path])
  assert anna.problem.endswith('or no video: it is a list of other files')
  assert ben.problem == ''


def test_of_many_rows_for_no_recording_the_first_get_a_hint(clips, tmp_path):
  rows = [f'frown{n},A,joy\n' for n in range(3000)]
  sheet = tmp_path / 'my.csv'
  sheet.write_text('clip,subject,emotion\nfrown,A,joy\n' + ''.join(rows))
  told = [clip.problem for clip in video.read([clips], labels=sheet)]
  assert 0 < sum('the nearest is' in problem for problem in told) <= 20
  assert sum('there is no such recording' in problem for problem in told) == (
    len(rows)
  )
