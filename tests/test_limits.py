"""A file that claims too much is refused before anything is decoded."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile

import cv2
import hypothesis
from hypothesis import strategies
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest

from mejax import files
from mejax import limits

KINDS = ('.png', '.jpg', '.bmp', '.tiff', '.webp', '.gif')


def header(shape, dtype='<f4') -> bytes:
  """The beginning of a `.npy` file, by NumPy."""
  file = io.BytesIO()
  np.lib.format.write_array_header_1_0(
    file, {'descr': dtype, 'fortran_order': False, 'shape': shape}
  )
  return file.getvalue()


def write(path, **members: bytes):
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
    for name, data in members.items():
      file.writestr(f'{name}.npy', data)
  return path


@hypothesis.given(
  hnp.arrays(
    strategies.sampled_from(['f4', 'i8', 'bool', 'U3', 'u1']),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
  ),
  strategies.booleans(),
)
@hypothesis.settings(
  max_examples=30,
  suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_what_numpy_writes_is_read(tmp_path, array, is_compressed):
  save = np.savez_compressed if is_compressed else np.savez
  save(tmp_path / 'a.npz', a=array, b=np.asfortranarray(array))
  found = files.read_npz(tmp_path / 'a.npz', hint='')
  np.testing.assert_array_equal(found['a'], array)
  np.testing.assert_array_equal(found['b'], array)
  assert files.read_npz(tmp_path / 'a.npz', hint='', only=['b']).keys() == {'b'}


def test_an_array_that_claims_149_gib_is_refused_by_its_header(tmp_path):
  path = write(tmp_path / 'a.npz', a=header((40_000_000_000,)) + bytes(64))
  tracemalloc.start()
  with pytest.raises(ValueError, match=r'claims arrays of 149 GiB.*is \d+ GiB'):
    files.read_npz(path, hint='')
  assert tracemalloc.get_traced_memory()[1] < 2**24
  tracemalloc.stop()


def test_several_arrays_count_together(tmp_path, monkeypatch):
  monkeypatch.setattr(limits, 'LARGEST_ARRAYS', 2**20)
  np.savez_compressed(tmp_path / 'a.npz', a=np.zeros(100_000), b=np.zeros(99))
  limits.check_arrays(tmp_path / 'a.npz')
  np.savez_compressed(
    tmp_path / 'a.npz', a=np.zeros(100_000), b=np.zeros(40_000)
  )
  with pytest.raises(ValueError, match='claims arrays of'):
    limits.check_arrays(tmp_path / 'a.npz')


def test_arrays_that_shrank_a_hundredfold_may_only_be_small(
  tmp_path, monkeypatch
):
  path = tmp_path / 'a.npz'
  np.savez_compressed(path, a=np.zeros(2**20))
  assert files.read_npz(path, hint='')['a'].size == 2**20
  monkeypatch.setattr(limits, '_FREELY', 2**22)
  with pytest.raises(ValueError, match='a.npz is damaged .*claims arrays of'):
    files.read_npz(path, hint='')
  np.savez(path, a=np.zeros(2**20))
  assert files.read_npz(path, hint='')['a'].size == 2**20


@pytest.mark.parametrize(
  ('data', 'why'),
  [
    (header((9,)) + bytes(35), 'claims .* and has'),
    (header((9,)) + bytes(37), 'claims .* and has'),
    (header((-9,)) + bytes(36), 'damaged'),
    (header((9,))[:20], 'damaged'),
    (b'', 'damaged'),
    (b'\x93NUMPY\x09\x00', 'damaged'),
    (header((), '|O') + pickle.dumps(print), 'could run code'),
    (pickle.dumps(print), 'damaged'),
    (header((2**31,), '<U0'), 'values of no bytes'),
    (
      b'\x93NUMPY\x02\x00' + b'\0\0\0\x40' + bytes(99),
      'a header of 1073741824 bytes',
    ),
  ],
)
def test_a_member_that_is_no_whole_array_is_refused(tmp_path, data, why):
  path = write(tmp_path / 'a.npz', a=data)
  with pytest.raises(ValueError, match=why) as error:
    files.read_npz(path, hint='')
  assert f'{path} is damaged' in str(error.value)


def test_a_file_of_another_kind_is_refused(tmp_path):
  np.save(tmp_path / 'a.npy', np.zeros(3))
  (tmp_path / 'b.npz').write_bytes(pickle.dumps({}))
  for name in ('a.npy', 'b.npz'):
    with pytest.raises(ValueError, match=f'{name} is damaged'):
      files.read_npz(tmp_path / name, hint='')
  with pytest.raises(FileNotFoundError):
    files.read_npz(tmp_path / 'c.npz', hint='')


def test_json_that_is_far_too_large_is_not_read(tmp_path, monkeypatch):
  path = tmp_path / 'a.json'
  with path.open('wb') as file:
    file.truncate(limits.LARGEST_TEXT + 1)  # It takes no room on the disk.
  monkeypatch.setattr(path.__class__, 'read_text', None)
  with pytest.raises(ValueError, match='has 128 MiB; the limit is 128 MiB'):
    files.read_json(path, hint='')


def test_json_in_which_a_key_stands_twice_is_damaged(tmp_path):
  path = tmp_path / 'a.json'
  path.write_text('{"a": {"seed": 1, "seed": 2}}')
  with pytest.raises(ValueError, match='a.json is damaged .a key stands twice'):
    files.read_json(path, hint='')


def test_json_of_a_thousand_levels_is_damaged(tmp_path):
  path = tmp_path / 'a.json'
  path.write_text('{"a":' * 100_000 + '1' + '}' * 100_000)
  with pytest.raises(ValueError, match='a.json is damaged .*recursion'):
    files.read_json(path, hint='')


@hypothesis.given(
  strategies.sampled_from(KINDS),
  strategies.integers(1, 300),
  strategies.integers(1, 300),
)
@hypothesis.settings(max_examples=40)
def test_the_size_is_that_of_the_image_that_opencv_decodes(kind, width, height):
  picture = np.full((height, width, 3), 7, np.uint8)
  data = cv2.imencode(kind, picture)[1].tobytes()
  assert limits.image_size(data) == (width, height)
  shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
  assert shown.shape[:2] == (height, width)


@pytest.mark.parametrize(
  ('kind', 'options', 'dtype', 'channels'),
  [
    ('.jpg', [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], np.uint8, 3),
    ('.jpg', [cv2.IMWRITE_JPEG_RST_INTERVAL, 2], np.uint8, 1),
    ('.webp', [cv2.IMWRITE_WEBP_QUALITY, 101], np.uint8, 3),
    ('.webp', [cv2.IMWRITE_WEBP_QUALITY, 50], np.uint8, 4),
    ('.png', [], np.uint16, 4),
    ('.tiff', [], np.uint16, 3),
    ('.tiff', [], np.float32, 1),
    ('.bmp', [], np.uint8, 1),
  ],
)
def test_every_form_of_a_kind_is_read(kind, options, dtype, channels):
  picture = np.ones((31, 57, channels), dtype)
  data = cv2.imencode(kind, picture, options)[1].tobytes()
  assert limits.image_size(data) == (57, 31)


def tiff(order: str, width: int, height: int) -> bytes:
  entries = [(256, 4, 1, width), (257, 4, 1, height)]
  return b''.join(
    [
      {'<': b'II', '>': b'MM'}[order] + struct.pack(f'{order}HI', 42, 8),
      struct.pack(f'{order}H', len(entries)),
      *(struct.pack(f'{order}HHII', *entry) for entry in entries),
    ]
  )


def big_tiff(width: int, height: int) -> bytes:
  return b''.join(
    [
      b'II' + struct.pack('<HHHQ', 43, 8, 0, 16) + struct.pack('<Q', 2),
      struct.pack('<HHQQ', 256, 16, 1, width),
      struct.pack('<HHQQ', 257, 16, 1, height),
    ]
  )


HUGE = {
  'png': b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + struct.pack('>II', 60_000, 60_000),
  'jpeg': b'\xff\xd8\xff\xe1\x00\x06\xff\xc0ab\xff\xff\xc2\x00\x11\x08'
  + struct.pack('>HH', 60_000, 60_000),
  'bmp': b'BM' + bytes(12) + struct.pack('<Iii', 40, 60_000, -60_000),
  'os2': b'BM' + bytes(12) + struct.pack('<IHH', 12, 60_000, 60_000),
  'gif': b'GIF89a' + struct.pack('<HH', 60_000, 60_000),
  'webp': b'RIFF\0\0\0\0WEBPVP8X' + bytes(8)
  + (59_999).to_bytes(3, 'little') * 2,
  'tiff': tiff('<', 60_000, 60_000),
  'tiff big end first': tiff('>', 60_000, 60_000),
  'bigtiff': big_tiff(60_000, 60_000),
}  # fmt: skip


@pytest.mark.parametrize('kind', HUGE)
def test_an_image_of_60000_by_60000_is_refused_by_its_header(kind):
  message = 'a.x claims 60000 x 60000 pixels; the limit is 35 million pixels'
  with pytest.raises(ValueError, match=message):
    limits.check_image(HUGE[kind], 'a.x')


@pytest.mark.parametrize('size', [(7680, 4320), (8192, 4320)])
def test_a_frame_of_8k_is_taken(size):
  limits.check_pixels(*size, 'a')


def test_a_frame_of_twice_8k_is_refused():
  with pytest.raises(ValueError, match='a claims 8192 x 8192 pixels'):
    limits.check_pixels(8192, 8192, 'a')


@hypothesis.given(
  strategies.sampled_from([b'', *(data[:12] for data in HUGE.values())]),
  strategies.binary(max_size=60),
)
@hypothesis.example(b'\xff\xd8', b'\xff' * 50)
def test_no_header_whatever_breaks_the_reader(start, rest):
  try:
    known = limits.check_image(start + rest, 'a.x')
  except ValueError as error:
    assert str(error).startswith('a.x claims')
  else:
    assert isinstance(known, bool)
