"""A decoder that gives no picture is heard, and nothing else is swallowed."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from mejax.corpora import decode
from mejax.corpora import decoder_log
from mejax.corpora import recordings
from mejax.corpora import video
from tests import child
from tests.corpora import odd_videos
from tests.corpora import test_decode

LOST = (
  '[swscaler @ 0x5579f1f88c80] Cannot convert interlaced to progressive\n'
  ' (Invalid argument): fmt:yuv420p csp:unknown -> fmt:bgr24\n'
)


@pytest.mark.parametrize('name', odd_videos.INTERLACED)
def test_interlaced_frames_never_become_a_picture(tmp_path, capfd, name):
  file = odd_videos.write(tmp_path, name)
  # OpenCV says that the frame is there, or this test shows nothing.
  assert cv2.VideoCapture(str(file)).read()[0]
  capfd.readouterr()
  (clip,) = video.read(file)
  assert clip.problem.startswith(f'"{name}" is interlaced')
  for number in range(3):
    with pytest.raises(ValueError, match='is interlaced.*vf bwdif=1') as error:
      decode.decode(test_decode.video_clip(file, 3), [number])
    assert f'-i {name}' in str(error.value)
  assert capfd.readouterr() == ('', '')
  images = [test_decode.picture(i) for i in range(3)]
  other = test_decode.write_video(tmp_path / 'v.avi', images)
  found = decode.decode(test_decode.video_clip(other, 3), range(3))
  np.testing.assert_array_equal(found, images)


QUIET = """
import sys
from mejax.corpora import video
from tests import child
(clip,) = video.read(sys.argv[1])
print(clip.problem)
"""


@pytest.mark.parametrize('level', ['-8', '16', '48'])
def test_no_setting_of_the_user_makes_a_decoder_silent(tmp_path, level):
  file = odd_videos.write(tmp_path, odd_videos.INTERLACED[0])
  done = subprocess.run(
    [sys.executable, '-c', QUIET, str(file)],
    capture_output=True,
    text=True,
    env=child.environment() | {'OPENCV_FFMPEG_LOGLEVEL': level},
  )
  assert ' is interlaced: ' in done.stdout
  assert done.stderr == ''


class _Capture:
  """A video of three frames; what `retrieve` does is given."""

  # For type checks. OpenCV frees an object of a subclass twice.
  __class__ = cv2.VideoCapture

  def __init__(self, retrieve):
    self._left, self._retrieve = 3, retrieve

  def retrieve(self):
    return self._retrieve()

  def isOpened(self):  # noqa: N802
    return True

  def get(self, what):
    return {cv2.CAP_PROP_FRAME_COUNT: 3.0}.get(what, 0.0)

  def grab(self):
    self._left -= 1
    return self._left >= 0

  def release(self):
    pass


def _open(monkeypatch, retrieve):
  class Given(_Capture):
    def __init__(self, _):
      super().__init__(retrieve)

  monkeypatch.setattr(cv2, 'VideoCapture', Given)


def test_one_lost_picture_among_others_is_enough(tmp_path, monkeypatch):
  file = odd_videos.write(tmp_path, odd_videos.INTERLACED[0])
  calls = []

  def retrieve():
    calls.append(0)
    if len(calls) == 2:
      os.write(2, LOST.encode())
    return True, np.zeros((8, 8, 3), np.uint8)

  _open(monkeypatch, retrieve)
  with pytest.raises(ValueError, match='is interlaced'):
    decode.decode(test_decode.video_clip(file, 3), [0, 1, 2])


def test_a_frame_without_a_picture_does_not_shift_the_next(
  tmp_path, monkeypatch
):
  file = odd_videos.write(tmp_path, odd_videos.INTERLACED[0])
  _open(monkeypatch, lambda: (False, None))
  with pytest.raises(ValueError, match='gives no picture of frame 1'):
    decode.decode(test_decode.video_clip(file, 3), [1])


def test_lines_of_decoders_are_caught_and_those_of_others_printed(capfd):
  with decoder_log.listening() as said:
    os.write(2, b'progress 10 %\n' + LOST.encode() + b'a warning of Python')
    os.write(2, b'\n[ WARN:0@0.09] global cap.cpp:19 open Unknown\n')
  assert capfd.readouterr().err == 'progress 10 %\na warning of Python\n'
  assert [line[:8] for line in said] == ['[swscale', ' (Invali', '[ WARN:0']
  assert '"v.avi" is interlaced' in decoder_log.problem(said, 'v.avi')
  assert decoder_log.problem(said[1:], 'v.avi') == ''
  other = ['[swscaler @ 0x5579f1f88c80] bad dst image pointers']
  words = 'pictures that are none: its decoder says: bad dst image pointers'
  assert words in decoder_log.problem(other, 'v.avi')
  told = decoder_log.complaint(said)
  assert told.startswith('its decoder says: Cannot convert interlaced')
  assert told.endswith(', and 2 more')
  assert decoder_log.complaint([]) == ''


def test_errors_leave_the_standard_error_as_it_was(capfd):
  with pytest.raises(KeyError), decoder_log.listening():
    raise KeyError
  os.write(2, b'after')
  assert capfd.readouterr().err == 'after'


def test_what_a_decoder_says_of_a_damaged_video_is_told(tmp_path, capfd):
  data = odd_videos.content(odd_videos.WIDE_PIXELS)
  at = data.index(b'mdat') + 60
  file = tmp_path / 'v.mp4'
  file.write_bytes(data[:at] + b'\xff' * 40 + data[at + 40 :])
  (recording,) = recordings.find([file])
  content = recording.content
  told = ' '.join((*content.remarks, *content.notes, content.problem))
  assert 'its decoder says: ' in told
  assert '@ 0x' not in told
  file.write_bytes(data[: data.index(b'moov')])
  (clip,) = video.read(file)
  assert 'damaged or no video (its decoder says: ' in clip.problem
  assert capfd.readouterr() == ('', '')
