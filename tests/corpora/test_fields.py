"""Two fields in one frame are told from frames, whatever is in them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mejax.corpora import fields
from mejax.corpora import video
from mejax.corpora.faces import long_takes
from mejax.corpora.faces.script import Script
from tests.corpora import test_decode
from tests.motion import sample_faces


def scene(shift: float) -> np.ndarray:
  picture = sample_faces.image('astronaut', scale=2.0)
  matrix = np.float32([[1, 0, shift], [0, 1, 0]])
  sides = picture.shape[1::-1]
  moved = cv2.warpAffine(
    picture, matrix, sides, borderMode=cv2.BORDER_REPLICATE
  )
  return moved[100:340, 140:460]


def woven(shift: float, step: float) -> np.ndarray:
  frame = scene(shift).copy()
  frame[1::2] = scene(shift + step)[1::2]
  return frame


def noisy(image: np.ndarray, noise: float) -> np.ndarray:
  source = np.random.default_rng(0).normal(0, noise, image.shape)
  return np.clip(image + source, 0, 255).astype(np.uint8)


@pytest.mark.parametrize('noise', [0, 1, 2])
def test_fields_of_a_moving_face_are_combs(noise):
  for step in (1.5, 3.0):
    assert fields.are_woven([fields.comb(noisy(woven(0, step), noise))])
  assert not fields.are_woven([fields.comb(noisy(woven(0, 0), noise))])


@pytest.mark.parametrize(
  'image',
  [
    np.zeros((90, 120, 3), np.uint8),
    np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8),
    np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((9, 9)))[..., None]
    .repeat(3, -1)
    .astype(np.uint8)
    * 255,
    np.full((3, 3, 3), 7, np.uint8),
  ],
  ids=['black', 'noise', 'chessboard', 'tiny'],
)
def test_other_pictures_are_none(image):
  assert not fields.are_woven([fields.comb(image)])


def framed(image: np.ndarray, top: int, left: int) -> np.ndarray:
  """Returns a picture between bars, as a video player compresses it."""
  bars = cv2.copyMakeBorder(
    image, top, top, left, left, cv2.BORDER_CONSTANT, value=(60, 60, 60)
  )
  _, data = cv2.imencode('.jpg', bars, [cv2.IMWRITE_JPEG_QUALITY, 95])
  return cv2.imdecode(data, cv2.IMREAD_COLOR)


@pytest.mark.parametrize('top, left', [(80, 0), (80, 40), (0, 60)])
def test_bars_around_a_picture_neither_make_nor_hide_combs(top, left):
  # A smooth face: the edges of the bars were most of what alternates.
  take = long_takes.play(Script(noise=1.0), seed=77, seconds=1, fps=9, size=200)
  face = take.frame(0, np.random.default_rng(0))
  assert not fields.are_woven([fields.comb(framed(face, top, left))])
  assert fields.are_woven([fields.comb(framed(woven(0, 3.0), top, left))])


def test_a_few_frames_do_not_make_a_video_woven():
  assert fields.are_woven([2.0, 0.0, 0.0, 0.0])
  assert not fields.are_woven([2.0, 0.0, 0.0, 0.0, 0.0])
  assert not fields.are_woven([])


def test_a_video_that_was_woven_says_so(tmp_path):
  for name, step in (('woven.avi', 2.0), ('plain.avi', 0.0)):
    frames = [woven(n, step) for n in range(10)]
    test_decode.write_video(tmp_path / name, frames, codec='MJPG')
  plain, other = video.read(tmp_path)
  assert plain.remarks == ()
  (remark,) = other.remarks
  assert remark.startswith('"woven.avi" seems to have frames of two fields')
  assert '`ffmpeg -i woven.avi -vf bwdif=1' in remark
