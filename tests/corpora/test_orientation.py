"""A turned or mirrored image is seen as every viewer shows it."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from mejax.corpora import containers
from mejax.corpora import decode
from tests.corpora import image_files
from tests.corpora import mp4_boxes
from tests.corpora import test_decode

_Y, _X = np.mgrid[:40, :56]
# Each colour tells rows or columns apart.
SCENE = np.dstack([4 * _X, 6 * _Y, 2 * _X + 2 * _Y]).astype(np.uint8)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize(
  ('suffix', 'bits'),
  [('.jpg', 8), ('.png', 8), ('.png', 16), ('.tif', 8), ('.tif', 16)],
)
def test_an_image_lies_as_its_file_says(tmp_path, suffix, bits, orientation):
  for image in (SCENE, SCENE[..., 0] // 2 + SCENE[..., 1] // 3):
    stored = image_files.turned_for(orientation, image)
    if bits == 16:
      stored = stored.astype(np.uint16) * 257
    if suffix == '.tif':
      if stored.ndim == 3:
        continue
      data = image_files.tiff(stored, '<', t274=orientation)
    else:
      data = test_decode.write_image(
        tmp_path / f'a{suffix}', stored
      ).read_bytes()
      data = image_files.with_orientation(data, suffix, orientation)
    file = tmp_path / f'img1{suffix}'
    file.write_bytes(data)
    (found,) = decode.decode(test_decode.clip_of([file]), [0])
    expected = image if image.ndim == 3 else np.dstack([image] * 3)
    np.testing.assert_allclose(found, expected, atol=8 * (suffix == '.jpg'))


def _shown(image, a, b, c, d):
  """Moves the pixel at (x, y) to (a x + c y, b x + d y)."""
  y, x = np.mgrid[: image.shape[0], : image.shape[1]]
  right, down = a * x + c * y, b * x + d * y
  right, down = right - right.min(), down - down.min()
  made = np.zeros((down.max() + 1, right.max() + 1, 3), np.uint8)
  made[down, right] = image
  return made


@pytest.mark.parametrize(
  'matrix',
  [
    (1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0),
    (-1, 0, 0, 1), (0, 1, 1, 0), (1, 0, 0, -1), (0, -1, -1, 0),
  ],
)  # fmt: skip
def test_a_video_lies_as_its_file_says(tmp_path, matrix):
  file = tmp_path / 'a.mp4'
  writer = cv2.VideoWriter(
    str(file), cv2.VideoWriter_fourcc(*'mp4v'), 25.0, (64, 48)
  )
  scene = np.dstack([np.zeros((48, 64), np.uint8)] * 3)
  scene[:16, :24], scene[32:, :24], scene[:16, 40:] = 250, 160, 80
  for _ in range(3):
    writer.write(scene)
  writer.release()
  a, b, c, d = (number << 16 for number in matrix)
  packed = struct.pack('>9i', a, b, 0, c, d, 0, 0, 0, 1 << 30)
  file.write_bytes(mp4_boxes.with_matrix(file.read_bytes(), packed))
  clip = test_decode.video_clip(file, 3)
  (found,) = decode.decode(clip, [1])
  expected = _shown(scene, *matrix)
  assert found.shape == expected.shape
  assert np.abs(found.astype(int) - expected).mean() < 4
  is_mirrored = matrix[0] * matrix[3] - matrix[1] * matrix[2] < 0
  assert containers.is_mirrored(file) == is_mirrored
  assert bool(decode.mirroring(clip)) == is_mirrored


def test_what_is_no_mp4_or_is_cut_off_is_not_mirrored(tmp_path):
  file = tmp_path / 'a.mp4'
  for data in (
    b'',
    b'RIFF',
    b'\0\0\0\x18ftypisom',
    b'\0\0\0\x0cmoov\0\0\0\x09',
  ):
    file.write_bytes(data)
    assert not containers.is_mirrored(file)
