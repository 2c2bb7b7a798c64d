"""Pixels of 10 to 16 bits become the same picture, by one scale for a clip.

Depths: 8 to 16 bits in the low bits of 16-bit files, full 16 bits, shifted to
the high bits. Files: PNG with and without sBIT, TIFF with and without
MaxSampleValue, of both byte orders, grey and colour, 8 bits beside 16.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mejax.corpora import decode
from tests.corpora import image_files
from tests.corpora import test_decode

SIZE = (24, 32)


def pictures(bits: int, *, most: float = 1.0) -> list[np.ndarray]:
  """Three frames of one ramp, of which the second is the brightest."""
  ramp = np.linspace(0, 1, SIZE[0] * SIZE[1]).reshape(SIZE)
  full = most * (2**bits - 1)
  return [np.rint(full * s * ramp).astype(np.uint16) for s in (0.4, 1, 0.6)]


def write(folder, images, suffix='.png'):
  folder.mkdir(exist_ok=True)
  files = []
  for i, image in enumerate(images):
    files.append(folder / f'img{i}{suffix}')
    files[-1].write_bytes(cv2.imencode(suffix, image)[1].tobytes())
  return test_decode.clip_of(files)


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
def test_a_camera_of_any_depth_gives_the_same_picture(tmp_path, bits, suffix):
  clip = write(tmp_path, pictures(bits), suffix)
  expected = [image / (2**bits - 1) * 255 for image in pictures(bits)]
  found = decode.decode(clip, [0, 1, 2])
  for image, frame in zip(expected, found, strict=True):
    np.testing.assert_allclose(
      frame, np.repeat(image[..., None], 3, -1), atol=0.51
    )
  note = decode.find_depth(clip).note
  assert (f'{bits} bits are taken for full' in note) == (bits < 16)


def test_the_decision_is_the_clips_and_not_a_frames(tmp_path):
  dark, bright, _ = pictures(14)
  clip = write(tmp_path, [dark // 8, bright, dark])
  alone = decode.decode(clip, [0])[0]
  np.testing.assert_array_equal(alone, decode.decode(clip, [1, 0])[1])
  assert alone.max() <= 13
  known = decode.decode(clip, [0], depth=decode.find_depth(clip))[0]
  np.testing.assert_array_equal(alone, known)


def test_colours_share_the_scale(tmp_path):
  _, grey, _ = pictures(12)
  image = np.dstack([grey, grey // 2, grey // 4])
  (found,) = decode.decode(write(tmp_path, [image]), [0])
  np.testing.assert_allclose(found, image[..., ::-1] / 4095 * 255, atol=0.51)


@pytest.mark.parametrize('bits', [9, 10, 12, 13])
def test_the_depth_that_a_file_gives_goes_before_its_largest_value(
  tmp_path, bits
):
  images = pictures(bits, most=0.4)
  clip = write(tmp_path / 'png', images)
  for file in clip.frames:
    file.write_bytes(image_files.with_sbit(file.read_bytes(), bits))
  other = write(tmp_path / 'tiff', images, '.tif')
  for order in '<>':
    for file, image in zip(other.frames, images, strict=True):
      file.write_bytes(image_files.tiff(image, order, t281=2**bits - 1))
    assert decode.find_depth(clip).bits == bits
    assert decode.find_depth(other).bits == bits
    found = decode.decode(clip, [1])[0]
    np.testing.assert_array_equal(found, decode.decode(other, [1])[0])
    expected = images[1][..., None] / (2**bits - 1) * 255
    np.testing.assert_allclose(found, np.repeat(expected, 3, -1), atol=0.51)


def test_bits_that_were_shifted_up_are_full_as_they_are(tmp_path):
  # The PNG standard asks for that: sBIT 12 and values up to 65520.
  clip = write(tmp_path, [image << 4 for image in pictures(12)])
  for file in clip.frames:
    file.write_bytes(image_files.with_sbit(file.read_bytes(), 12))
  assert decode.find_depth(clip) == decode.Depth(16)
  assert decode.decode(clip, [1])[0].max() == 255


def test_a_tag_that_is_a_statistic_of_one_frame_does_no_harm(tmp_path):
  images = pictures(12)
  clip = write(tmp_path, images, '.tif')
  for file, image in zip(clip.frames, images, strict=True):
    file.write_bytes(image_files.tiff(image, '<', t281=int(image.max()) // 4))
  assert decode.find_depth(clip).bits == 12


def test_clips_of_8_bits_have_no_depth_to_find(tmp_path):
  images = [image.astype(np.uint8) for image in pictures(8)]
  for suffix in ('.png', '.tif', '.bmp'):
    clip = write(tmp_path, images, suffix)
    assert decode.find_depth(clip) is None
    np.testing.assert_array_equal(
      decode.decode(clip, [1])[0][..., 0], images[1]
    )


def test_frames_of_8_bits_among_those_of_16_stay(tmp_path):
  images = pictures(12)
  small = np.rint(images[0] / 4095 * 255).astype(np.uint8)
  clip = write(tmp_path, [small, *images[1:]])
  found = decode.decode(clip, [0, 1])
  np.testing.assert_array_equal(found[0][..., 0], small)
  assert found[1].max() == 255


def test_all_files_that_decide_the_depth_are_read_for_the_digest(tmp_path):
  clip = write(tmp_path, pictures(12))
  whole = b''.join(file.read_bytes() for file in clip.frames)
  assert b''.join(decode.raw(clip, [0])) == whole


@pytest.mark.parametrize('kept', [10, 40, 60])
def test_a_file_cut_off_gives_no_depth_and_is_named(tmp_path, kept):
  clip = write(tmp_path, pictures(12), '.tif')
  clip.frames[0].write_bytes(clip.frames[0].read_bytes()[:kept])
  with pytest.raises(ValueError, match='"img0.tif".* is damaged or no image'):
    decode.find_depth(clip)
  assert decode.decode(clip, [1])[0].max() == 255
