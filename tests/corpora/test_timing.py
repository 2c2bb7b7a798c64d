"""A frame of a video keeps its number, whatever was lost before it.

Times: a constant rate, in whole milliseconds too, with gaps, variable, none,
running backwards, a clock that jumps, a rate that is the clock's.
Files: MP4 with lost frames, a variable rate, an edit list; AVI and MOV damaged
in the middle, AVI without a list of its frames, AVI and Matroska cut off.
"""

from __future__ import annotations

import pathlib

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from mejax.corpora import containers
from mejax.corpora import decode
from mejax.corpora import recordings
from mejax.corpora import timing
from mejax.corpora import video
from tests.corpora import mp4_boxes
from tests.corpora import test_decode

HEADER = 'clip,subject,emotion,onset,apex,offset\n'
LENGTH = 40
SIZE = (48, 4 * LENGTH)


@pytest.fixture
def number(tmp_path):
  """Numbers frames of a file in which nothing is missing."""
  file = tmp_path / 'v.mkv'
  file.write_bytes(b'\x1a\x45\xdf\xa3')

  def number(times, *, fps=0.0, claimed=0):
    times = [float(time) for time in times]
    return timing.number(times, fps=fps, claimed=claimed, file=file)

  return number


@hypothesis.given(
  fps=st.sampled_from([15.0, 24000 / 1001, 25.0, 29.97, 100.0, 200.0, 240.0]),
  kept=st.sets(st.integers(1, 80), min_size=45),
  in_milliseconds=st.booleans(),
  start=st.sampled_from([0.0, 1400.0]),
)
@hypothesis.example(
  fps=15.0,
  kept={*range(1, 23), *range(24, 69, 2)},
  in_milliseconds=True,
  start=0.0,
)
@hypothesis.settings(
  max_examples=40,
  suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_lost_frames_leave_their_numbers_out(
  number, fps, kept, in_milliseconds, start
):
  numbers = [0, *sorted(kept)]
  times = start + np.array(numbers) * 1000 / fps
  found = number(np.rint(times) if in_milliseconds else times, fps=fps)
  assert found.numbers == tuple(numbers)
  assert found.fps == pytest.approx(fps, rel=0.02)
  lost = numbers[-1] + 1 - len(numbers)
  assert any(f'has lost {lost} of' in r for r in found.remarks) == (lost > 0)


def test_a_constant_rate_has_no_remark_and_the_rate_of_the_container(number):
  found = number(np.arange(30) * 1001 / 30, fps=30000 / 1001)
  assert (found.remarks, found.notes) == ((), ())
  assert found.fps == 30000 / 1001
  assert found.numbers == tuple(range(30))


def test_a_rate_of_the_clock_is_replaced_by_that_of_the_times(number):
  times = np.arange(30) * 40.0
  for fps in (90_000.0, 50.0, 0.0):
    assert number(times, fps=fps).fps == pytest.approx(25)


def test_a_variable_rate_is_counted_and_told(number):
  steps = np.random.default_rng(0).uniform(20, 60, 50)
  found = number(np.r_[0, np.cumsum(steps)], fps=25.0)
  assert found.numbers == tuple(range(51))
  (remark,) = found.remarks
  assert 'variable frame rate' in remark
  assert f'{1000 / steps.mean():.2f} per second on average' in remark


@pytest.mark.parametrize('times', [[0.0] * 9, [5.0] * 9, [0.0]])
def test_without_times_frames_are_counted(number, times):
  found = number(times, fps=25.0)
  assert found.numbers == tuple(range(len(times)))
  assert (found.fps, found.remarks) == (25.0, ())


def test_times_that_run_backwards_or_jump_are_counted_and_told(number):
  back = number([0, 40, 20, 80, 120], fps=25.0)
  assert back.numbers == (0, 1, 2, 3, 4)
  assert 'do not increase' in back.remarks[0]
  assert number([0, 40, 20, 80, 120], fps=25.0, claimed=5).remarks == ()
  jump = number([0, 40, 80, 9e7, 9e7 + 40, 9e7 + 120], fps=25.0)
  assert jump.numbers == (0, 1, 2, 3, 4, 6)
  assert 'a clock that jumps by 90000 s' in jump.remarks[0]


def bars() -> list[np.ndarray]:
  """Frame n has a bright bar at the place n."""
  images = np.full((LENGTH, *SIZE, 3), 30, np.uint8)
  for place, image in enumerate(images):
    image[:, 4 * place : 4 * place + 4] = 220
  return list(images)


def shown(image: np.ndarray) -> int:
  return int(image.mean((0, 2)).reshape(LENGTH, 4).mean(1).argmax())


def write(file: pathlib.Path, images, codec: str) -> pathlib.Path:
  return test_decode.write_video(file, images, codec=codec)


def read(file: pathlib.Path, rows: str = ''):
  """Reads the clip of a video, with labels if there are rows."""
  sheet = file.with_suffix('.csv')
  sheet.write_text(HEADER + rows)
  (clip,) = video.read(file, labels=sheet if rows else None)
  return clip


def test_frames_lost_in_an_mp4_do_not_shift_those_after_them(tmp_path):
  lost = {13, 14, 25}
  kept = [n for n in range(LENGTH) if n not in lost]
  file = write(tmp_path / 'v.mp4', [bars()[n] for n in kept], 'mp4v')
  mp4_boxes.retimed(file, [512 * s for s in (*np.diff(kept).tolist(), 1)])
  clip = read(file, 'v,me,joy,10,30,38\n')
  assert clip.frame_numbers == tuple(n for n in kept if 10 <= n <= 38)
  assert clip.fps == pytest.approx(25)
  assert 'has lost 3 of 40 frames; the others keep' in ' '.join(clip.remarks)
  assert 'to offset are missing: 13, 14, 25' in ' '.join(clip.remarks)
  wanted = [30, 12, 15, 24, 26, 38]
  found = [shown(image) for image in decode.decode(clip, wanted)]
  assert found == wanted
  with pytest.raises(ValueError, match='frame 14 is missing'):
    decode.decode(clip, [14])


def test_an_apex_that_was_lost_is_named(tmp_path):
  kept = [n for n in range(LENGTH) if not 18 <= n <= 26]
  file = write(tmp_path / 'v.mp4', [bars()[n] for n in kept], 'mp4v')
  mp4_boxes.retimed(file, [512 * s for s in (*np.diff(kept).tolist(), 1)])
  clip = read(file, 'v,me,joy,10,22,38\n')
  assert 'apex frame 22 is missing' in clip.problem


def test_a_variable_rate_of_an_mp4_is_told(tmp_path):
  file = write(tmp_path / 'v.mp4', bars(), 'mp4v')
  steps = np.random.default_rng(1).integers(300, 900, LENGTH)
  mp4_boxes.retimed(file, steps.tolist())
  clip = read(file)
  assert len(clip.frame_numbers) == LENGTH
  assert 'has a variable frame rate' in ' '.join(clip.remarks)
  assert clip.fps == pytest.approx(12800 / steps[:-1].mean(), rel=0.01)


def test_an_edit_list_is_a_note_and_no_cut(tmp_path):
  file = write(tmp_path / 'v.mp4', bars(), 'mp4v')
  mp4_boxes.edited(file, start=512 * 12, length=20 * 40)
  clip = read(file)
  assert clip.remarks == ()
  assert len(clip.frame_numbers) < LENGTH
  assert 'has an edit list, which shows' in ' '.join(clip.notes)
  first = shown(decode.decode(clip, [0])[0])
  assert [shown(i) for i in decode.decode(clip, [0, 7])] == [first, first + 7]


def test_a_second_stream_of_pictures_is_told(tmp_path):
  file = write(tmp_path / 'v.mp4', bars(), 'mp4v')
  assert not any('streams' in remark for remark in read(file).remarks)
  mp4_boxes.doubled(file)
  assert '2 streams of pictures, of which the first' in read(file).remarks[0]
  file = write(tmp_path / 'v.avi', bars(), 'MJPG')
  assert containers.read(file).streams == 1
  data = file.read_bytes()
  at = data.index(b'strh')
  file.write_bytes(data[:at] + data[at : at + 64] + data[at:])
  assert containers.read(file).streams == 2
  file = write(tmp_path / 'v.mkv', bars(), 'MJPG')
  assert containers.read(file).streams == 1
  # A header of Matroska whose segment does not tell its length.
  track = b'\xae\x83\x83\x81'
  tracks = track + b'\x01' + track + b'\x02' + track + b'\x01'
  start = b'\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01' + 7 * b'\xff'
  file.write_bytes(start + b'\x16\x54\xae\x6b\x8f' + tracks)
  assert containers.read(file).streams == 2


def lose(file: pathlib.Path, mark: bytes, *, spoiled: int = 4) -> set[int]:
  """Spoils the chunks 18 and 19, which begin with a mark."""
  data = bytearray(file.read_bytes())
  at = data.find(b'mdat' if file.suffix == '.mov' else b'movi')
  for number in range(20):
    at = data.find(mark, at + 4)
    if number >= 18:
      data[at : at + spoiled] = bytes([0xD5]) * spoiled
  file.write_bytes(data)
  return {18, 19}


@pytest.mark.parametrize(
  ('name', 'mark'),
  [('v.avi', b'00dc'), ('v.avi', b'\xff\xd8\xff'), ('v.mov', b'\xff\xd8\xff')],
  ids=['AVI, chunks', 'AVI, pictures', 'MOV, pictures'],
)
def test_damage_in_the_middle_shifts_no_number(tmp_path, name, mark):
  file = write(tmp_path / name, bars(), 'MJPG')
  lost = lose(file, mark, spoiled=4 if mark == b'00dc' else 200)
  clip = read(file)
  assert clip.frame_numbers == tuple(n for n in range(LENGTH) if n not in lost)
  found = [shown(i) for i in decode.decode(clip, clip.frame_numbers)]
  assert found == list(clip.frame_numbers)
  assert 'has lost 2 of 40 frames; the others keep' in clip.remarks[0]
  assert clip.remarks[1].endswith('are missing: 18, 19')


def test_frames_lost_within_an_avi_without_a_list_are_told(tmp_path):
  file = write(tmp_path / 'v.avi', bars(), 'MJPG')
  lose(file, b'00dc')
  file.write_bytes(file.read_bytes().replace(b'idx1', b'junk'))
  clip = read(file)
  assert len(clip.frame_numbers) == LENGTH - 2
  (remark,) = clip.remarks
  assert 'is damaged: 2 of 40 frames cannot be decoded' in remark
  assert 'frames after them have too low numbers' in remark


def test_an_edit_list_does_not_excuse_a_file_that_is_cut_off(tmp_path):
  file = write(tmp_path / 'v.mp4', bars(), 'mp4v')
  mp4_boxes.edited(file, start=0, length=20 * 40)
  structure = containers.read(file)
  assert (structure.is_exact, structure.is_whole) == (True, True)
  assert structure.shown == pytest.approx(0.8)
  data = file.read_bytes()
  for kept in (len(data) - 1, len(data) // 2, 30, 3):
    file.write_bytes(data[:kept])
    assert not containers.read(file).is_whole


@hypothesis.given(
  data=st.binary(max_size=200),
  start=st.sampled_from(
    [b'RIFF\0\0\0\0AVI ', b'\0\0\0\x08ftyp', b'\0\0\0\x60moov']
  ),
)
@hypothesis.settings(
  max_examples=60,
  suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_any_bytes_have_a_structure(tmp_path, start, data):
  file = tmp_path / 'v.avi'
  file.write_bytes(start + data)
  assert containers.read(file).is_exact


@pytest.mark.parametrize(
  ('name', 'codec'), [('v.avi', 'MJPG'), ('v.mkv', 'FFV1')]
)
def test_a_video_cut_off_is_told(tmp_path, name, codec):
  file = write(tmp_path / name, bars(), codec)
  data = file.read_bytes()
  file.write_bytes(data[: len(data) * 2 // 3])
  (recording,) = recordings.find([file])
  assert 0 < len(recording.content.files) < LENGTH
  (remark,) = recording.content.remarks
  assert f'is cut off: {len(recording.content.files)} of 40' in remark
