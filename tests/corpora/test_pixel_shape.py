"""Frames have square pixels, whatever the pixels of their file are.

Files: MP4, also turned; PNG and TIFF with pixels per metre, PNG as FFmpeg
writes it, JPEG with and without a unit, BMP; shapes that cannot be.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
import struct
import zlib

import cv2
import numpy as np
import pytest

from mejax.corpora import decode
from mejax.corpora import pixel_shape
from mejax.datasets import staging
from tests.corpora import image_files
from tests.corpora import mp4_boxes
from tests.corpora import odd_videos
from tests.corpora import test_decode

# A disc on a screen, in a file whose pixels are 64:45.
SHAPE = Fraction(64, 45)
WIDTH, HEIGHT = 90, 96


def disc(shape: Fraction) -> np.ndarray:
  y, x = np.mgrid[:HEIGHT, :WIDTH]
  away = np.hypot((x - WIDTH / 2 + 0.5) * float(shape), y - HEIGHT / 2 + 0.5)
  grey = np.clip(40 * (30 - away), 0, 255).astype(np.uint8)
  return np.dstack([grey] * 3)


def extent(image: np.ndarray) -> tuple[float, float]:
  """Returns width and height of the disc."""
  bright = image[..., 0] / 255.0
  return bright.sum(1).max(), bright.sum(0).max()


def with_shape(suffix: str, image, across: int, down: int, unit: int) -> bytes:
  """Writes an image with that many pixels a unit, or that shape without one."""
  data = cv2.imencode(suffix, image)[1].tobytes()
  if suffix == '.png':
    content = b'pHYs' + struct.pack('>IIB', across, down, unit)
    chunk = struct.pack('>I', 9) + content
    chunk += struct.pack('>I', zlib.crc32(content))
    return data[:33] + chunk + data[33:]
  if suffix == '.jpg':
    assert data[6:11] == b'JFIF\0'
    return data[:13] + struct.pack('>BHH', unit, across, down) + data[18:]
  return data[:38] + struct.pack('<ii', across, down) + data[46:]


@pytest.mark.parametrize(
  ('suffix', 'numbers'),
  [
    ('.png', (64, 45, 0)),
    ('.png', (4500, 6400, 1)),
    ('.jpg', (64, 45, 0)),
    ('.jpg', (45, 64, 1)),
    ('.bmp', (4500, 6400, 1)),
  ],
)
@pytest.mark.parametrize('wide', [True, False])
def test_a_disc_is_round_after_decoding(tmp_path, suffix, numbers, wide):
  across, down, unit = numbers
  shape = SHAPE if wide else 1 / SHAPE
  if not wide:
    across, down = down, across
  file = tmp_path / f'img1{suffix}'
  file.write_bytes(with_shape(suffix, disc(shape), across, down, unit))
  clip = test_decode.clip_of([file])
  (found,) = decode.decode(clip, [0])
  if wide:
    assert found.shape == (HEIGHT, 128, 3)
  else:
    assert found.shape == (round(HEIGHT * 64 / 45), WIDTH, 3)
  wide_by, high_by = extent(found)
  assert wide_by == pytest.approx(high_by, rel=0.03)
  told = decode.stretching(clip)
  side = 'width' if wide else 'height'
  assert f'the {side} of its frames is stretched, from 90x96 to' in told


def test_the_resolution_of_a_tiff_counts(tmp_path):
  image = disc(SHAPE)
  data = image_files.tiff(image[..., 0], '<')
  (start,) = struct.unpack_from('<I', data, 4)
  (count,) = struct.unpack_from('<H', data, start)
  rows = data[start + 2 : start + 2 + 12 * count]
  data += b'\0' * (len(data) % 2)
  values = len(data)
  data += struct.pack('<IIII', 72, 1, 1024, 10)
  for tag, place in ((282, values), (283, values + 8)):
    rows += struct.pack('<HHII', tag, 5, 1, place)
  count, start = count + 2, len(data)
  data += struct.pack('<H', count) + rows + struct.pack('<I', 0)
  data = data[:4] + struct.pack('<I', start) + data[8:]
  file = tmp_path / 'img1.tif'
  file.write_bytes(data)
  (found,) = decode.decode(test_decode.clip_of([file]), [0])
  assert found.shape == (HEIGHT, 128, 3)


@pytest.mark.parametrize(
  ('across', 'down', 'unit'),
  [(2835, 2834, 1), (0, 0, 0), (72, 0, 0), (1, 300, 1), (96, 96, 0)],
)
def test_roundings_and_faults_of_a_header_change_nothing(
  tmp_path, across, down, unit
):
  file = tmp_path / 'img1.png'
  file.write_bytes(with_shape('.png', disc(SHAPE), across, down, unit))
  clip = test_decode.clip_of([file])
  np.testing.assert_array_equal(decode.decode(clip, [0])[0], disc(SHAPE))
  assert decode.stretching(clip) == ''


def test_a_turned_image_is_stretched_along_the_side_that_its_file_means(
  tmp_path,
):
  stored = with_shape('.jpg', disc(SHAPE), 64, 45, 0)
  file = tmp_path / 'img1.jpg'
  file.write_bytes(image_files.with_orientation(stored, '.jpg', 6))
  (found,) = decode.decode(test_decode.clip_of([file]), [0])
  assert found.shape == (128, HEIGHT, 3)


@pytest.mark.parametrize('turned', [False, True])
def test_a_video_is_stretched_and_says_so(tmp_path, turned):
  file = odd_videos.write(tmp_path, odd_videos.WIDE_PIXELS)
  if turned:
    matrix = struct.pack('>9i', 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    file.write_bytes(mp4_boxes.with_matrix(file.read_bytes(), matrix))
  clip = test_decode.video_clip(file, 3)
  (found,) = decode.decode(clip, [1])
  assert found.shape == ((46, 32, 3) if turned else (32, 46, 3))
  # Only stretched: shrunk again, it is what OpenCV gives.
  capture = cv2.VideoCapture(str(file))
  capture.grab()
  plain = capture.read()[1][..., ::-1]
  again = cv2.resize(found, (32, 32), interpolation=cv2.INTER_AREA)
  assert abs(again.astype(int) - plain).mean() < 6
  note = decode.stretching(clip)
  assert ('(45:64): the height' if turned else '(64:45): the width') in note
  clip = dataclasses.replace(clip, onset=0, apex=1, offset=2)
  plan = staging.Plan(size=32, neighbours=0, faces='none', whole=False)
  assert note in staging.stage(clip, plan).notes


def test_nothing_is_shrunk():
  for shape in (Fraction(8, 9), Fraction(59, 54), Fraction(4), Fraction(1, 4)):
    width, height = pixel_shape.size(720, 576, shape)
    assert width >= 720
    assert height >= 576
    assert width / height == pytest.approx(720 * float(shape) / 576, rel=1e-3)
