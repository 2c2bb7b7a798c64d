"""A turned or mirrored image is seen as every viewer shows it."""

from __future__ import annotations

import numpy as np
import pytest

from mejax.corpora import decode
from tests.corpora import image_files
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
