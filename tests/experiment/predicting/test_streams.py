"""A camera gives numbered frames; a recording takes its place."""

from __future__ import annotations

import numpy as np
import pytest

from mejax.experiment.predicting import streams
from tests.corpora import test_decode


class Camera:
  """A camera whose frames come at given times."""

  def __init__(self, times, *, told=30.0):
    self.times, self.told = list(times), told
    self.now, self.is_free = 0.0, False

  def isOpened(self):
    return bool(self.times)

  def get(self, _):
    return self.told

  def read(self):
    if not self.times:
      return False, None
    self.now = self.times.pop(0)
    # OpenCV has blue first.
    image = np.zeros((4, 6, 3), np.uint8)
    image[..., 0], image[..., 2] = 10, 200
    return True, image

  def release(self):
    self.is_free = True


def opened(camera, monkeypatch, fps=None):
  monkeypatch.setattr(streams.cv2, 'VideoCapture', lambda number: camera)
  return streams._camera(0, fps, lambda: camera.now)


def test_the_frames_of_a_camera_are_numbered_by_their_time(monkeypatch):
  # Two come late and one after the other, and then three are lost.
  times = np.array([0, 1, 2, 3.9, 4.0, 5, 9, 10]) / 20
  camera = Camera(times)
  stream = opened(camera, monkeypatch, fps=20)
  found = list(stream.frames)
  assert [number for number, _ in found] == [0, 1, 2, 4, 5, 6, 9, 10]
  assert found[0][1][0, 0].tolist() == [200, 0, 10]
  assert stream.is_live and stream.name == 'camera 0'
  assert camera.is_free


@pytest.mark.parametrize(
  'each, told, expected',
  [
    (1 / 15, 30.0, 15.0),  # In the dark.
    (1 / 29, 30.0, 30.0),
    (1 / 60, 30.0, 60.0),
    (1 / 50, 0.0, 50.0),
    (1e-5, 30.0, 240.0),
  ],
)
def test_the_rate_of_a_camera_is_measured(monkeypatch, each, told, expected):
  camera = Camera(np.arange(40) * each, told=told)
  stream = opened(camera, monkeypatch)
  assert stream.fps == expected
  stream.frames.close()


def test_a_camera_that_cannot_be_opened_says_so(monkeypatch):
  with pytest.raises(OSError, match='camera 0 cannot be opened.*connected'):
    opened(Camera([]), monkeypatch)


def test_a_fault_of_the_camera_reaches_whoever_looks():
  def frames():
    yield 0, 'a'
    raise RuntimeError('unplugged')

  found = streams._ahead(frames(), 3)
  assert next(found) == (0, 'a')
  with pytest.raises(RuntimeError, match='unplugged'):
    next(found)


def test_a_camera_is_free_when_nobody_looks_any_more(monkeypatch):
  camera = Camera(np.arange(10_000) / 30)
  stream = opened(camera, monkeypatch)
  next(iter(stream.frames))
  stream.frames.close()
  assert camera.is_free and camera.times


def test_a_recording_takes_the_place_of_a_camera(tmp_path):
  images = [test_decode.picture(i) for i in range(5)]
  path = test_decode.write_video(tmp_path / 'a.avi', images, fps=20.0)
  stream = streams.open_stream(path)
  found = list(stream.frames)
  assert [number for number, _ in found] == list(range(5))
  np.testing.assert_array_equal(found[3][1], images[3])
  assert (stream.name, stream.fps, stream.is_live) == ('a', 20.0, False)


def test_what_is_no_stream_is_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match='not there'):
    streams.open_stream(tmp_path / 'b.avi')
  folder = tmp_path / 'frames'
  folder.mkdir()
  for i in range(3):
    test_decode.write_image(folder / f'{i}.png', test_decode.picture(i))
  with pytest.raises(ValueError, match='no frame rate.*--fps'):
    streams.open_stream(folder)
  assert streams.open_stream(folder, fps=25).fps == 25
  with pytest.raises(ValueError, match='fps is -1'):
    streams.open_stream(0, fps=-1)
