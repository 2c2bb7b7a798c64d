"""Frames come out as they were written, and what is broken is named."""

from __future__ import annotations

import dataclasses
import os
import pathlib

import cv2
import numpy as np
import pytest

from mejax.corpora import complaints
from mejax.corpora import decode as decode_lib
from mejax.corpora import frames as frame_files
from mejax.corpora.clip import Clip
from mejax.corpora.decode import decode
from mejax.corpora.decode import raw

SIZE = (24, 32)


def picture(seed: int, *, size=SIZE, high=256, dtype=np.uint8) -> np.ndarray:
  generator = np.random.default_rng(seed)
  return generator.integers(0, high, (*size, 3), dtype)


def clip_of(files) -> Clip:
  return Clip(
    corpus='video',
    subject='me',
    name='clip',
    emotion='unknown',
    frames=tuple(files),
    frame_numbers=tuple(range(len(files))),
  )


def write_image(file: pathlib.Path, image: np.ndarray) -> pathlib.Path:
  order = (
    image if image.ndim == 2 else image[..., [2, 1, 0, 3][: image.shape[-1]]]
  )
  _, data = cv2.imencode(file.suffix, order)
  file.write_bytes(data.tobytes())
  return file


def write_video(
  file: pathlib.Path, images, *, fps: float = 25.0, codec: str = 'FFV1'
) -> pathlib.Path:
  height, width, _ = images[0].shape
  writer = cv2.VideoWriter(
    str(file), cv2.VideoWriter_fourcc(*codec), fps, (width, height)
  )
  assert writer.isOpened()
  for image in images:
    writer.write(image[..., ::-1])
  writer.release()
  return file


def video_clip(file: pathlib.Path, length: int) -> Clip:
  return Clip(
    corpus='video',
    subject='me',
    name='clip',
    emotion='unknown',
    video=file,
    frame_numbers=tuple(range(length)),
  )


@pytest.mark.parametrize('suffix', frame_files.SUFFIXES)
def test_images_of_every_suffix_are_read(tmp_path, suffix):
  image = np.full((*SIZE, 3), (200, 90, 40), np.uint8)
  file = write_image(tmp_path / f'img1{suffix}', image)
  (found,) = decode(clip_of([file]), [0])
  loss = 3 if suffix in ('.jpg', '.jpeg') else 0
  np.testing.assert_allclose(found, image, atol=loss)


def test_grey_and_colour_and_alpha_mixed_become_rgb(tmp_path):
  colour = picture(1)
  grey = picture(2)[..., 0]
  alpha = np.dstack([colour, picture(3)[..., 0]])
  files = [
    write_image(tmp_path / f'img{i}.png', image)
    for i, image in enumerate((colour, grey, alpha))
  ]
  found = decode(clip_of(files), [0, 1, 2])
  np.testing.assert_array_equal(found[0], colour)
  np.testing.assert_array_equal(found[1], np.dstack([grey] * 3))
  np.testing.assert_array_equal(found[2], colour)


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_sixteen_bits_are_scaled_to_eight(tmp_path, suffix):
  image = picture(1).astype(np.uint16) * 257
  file = write_image(tmp_path / f'img{suffix}', image)
  (found,) = decode(clip_of([file]), [0])
  np.testing.assert_array_equal(found, picture(1))


def test_frames_come_in_the_order_asked_for_and_as_often(tmp_path):
  images = [picture(i) for i in range(4)]
  files = [
    write_image(tmp_path / f'{i}.png', image) for i, image in enumerate(images)
  ]
  video = write_video(tmp_path / 'v.avi', images)
  for clip in (clip_of(files), video_clip(video, 4)):
    found = decode(clip, [3, 0, 3])
    np.testing.assert_array_equal(found, [images[3], images[0], images[3]])
    assert decode(clip, []) == []


@pytest.mark.parametrize(
  'turn, how',
  [(0, None), (90, cv2.ROTATE_90_COUNTERCLOCKWISE), (180, cv2.ROTATE_180),
   (270, cv2.ROTATE_90_CLOCKWISE)],
)  # fmt: skip
def test_frames_are_turned_as_the_clip_says(tmp_path, turn, how):
  images = [picture(i) for i in range(4)]
  files = [
    write_image(tmp_path / f'{i}.png', image) for i, image in enumerate(images)
  ]
  video = write_video(tmp_path / 'v.avi', images)
  expected = [i if how is None else cv2.rotate(i, how) for i in images]
  for clip in (clip_of(files), video_clip(video, 4)):
    clip = dataclasses.replace(clip, turn=turn)
    np.testing.assert_array_equal(decode(clip, range(4)), expected)
    streamed = dict(decode_lib.stream(clip))
    np.testing.assert_array_equal([streamed[i] for i in range(4)], expected)
    (one, first), (two, second) = decode_lib.some(clip, {3, 1})
    assert (one, two) == (1, 3)
    np.testing.assert_array_equal([first, second], [expected[1], expected[3]])


@pytest.mark.parametrize('suffix', ['.avi', '.mkv'])
def test_a_lossless_video_gives_every_frame_exactly(tmp_path, suffix):
  images = [picture(i) for i in range(30)]
  file = write_video(tmp_path / f'v{suffix}', images)
  found = decode(video_clip(file, 30), range(30))
  np.testing.assert_array_equal(found, images)


def test_a_compressed_video_gives_the_frame_of_the_number(tmp_path):
  # Frames predicted from others are where seeking goes wrong.
  length = 40
  images = np.full((length, 48, 4 * length, 3), 30, np.uint8)
  for number, image in enumerate(images):
    image[:, 4 * number : 4 * number + 4] = 220
  file = write_video(tmp_path / 'v.mp4', images, codec='mp4v')
  for number in (0, 13, 37, length - 1):
    (found,) = decode(video_clip(file, length), [number])
    bars = found.mean((0, 2)).reshape(length, 4).mean(1)
    assert bars.argmax() == number


def test_names_need_not_be_ascii(tmp_path):
  folder = tmp_path / 'Gesichter ä 表情'
  folder.mkdir()
  image = write_image(folder / 'é 1.png', picture(1))
  video = write_video(folder / 'ü 2.avi', [picture(1)])
  np.testing.assert_array_equal(decode(clip_of([image]), [0])[0], picture(1))
  np.testing.assert_array_equal(
    decode(video_clip(video, 1), [0])[0], picture(1)
  )


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp', '.tif'])
@pytest.mark.parametrize('kept', [0.02, 0.5, 0.98])
def test_an_image_that_was_cut_off_is_named(tmp_path, suffix, kept):
  smooth = cv2.GaussianBlur(picture(1, size=(60, 80)), (5, 5), 2)
  whole = write_image(tmp_path / f'a{suffix}', smooth)
  broken = tmp_path / f'img12{suffix}'
  data = whole.read_bytes()
  broken.write_bytes(data[: int(kept * len(data))])
  decode(clip_of([whole]), [0])
  with pytest.raises(ValueError, match=f'"img12{suffix}".*damaged'):
    decode(clip_of([whole, broken]), [0, 1])


def _damaged(suffix, *options):
  """An image of which a piece inside is lost, or is zero."""
  generator = np.random.default_rng(0)
  image = generator.integers(0, 256, (96, 128, 3), np.uint8)
  data = bytearray(cv2.imencode(suffix, image, options)[1].tobytes())
  middle = len(data) // 2
  if suffix == '.jpg':
    del data[middle : middle + 500]
  else:
    data[middle : middle + 4096] = bytes(4096)
  return bytes(data)


@pytest.mark.parametrize(
  ('suffix', 'options', 'words'),
  [
    ('.jpg', (), 'Corrupt JPEG data: [0-9a-z ]+'),
    (
      '.jpg',
      (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
      'Corrupt JPEG data: [0-9a-z ]+',
    ),
    ('.tif', (cv2.IMWRITE_TIFF_COMPRESSION, 5), '[A-Z][0-9A-Za-z ]+'),
    ('.tif', (cv2.IMWRITE_TIFF_COMPRESSION, 8), '[A-Z][0-9A-Za-z ]+'),
  ],
)
def test_an_image_with_a_damage_inside_is_refused_in_the_librarys_words(
  tmp_path, capfd, suffix, options, words
):
  file = tmp_path / f'0{suffix}'
  file.write_bytes(_damaged(suffix, *options))
  with pytest.raises(ValueError, match=f'"0{suffix}" is damaged: .*{words}'):
    decode(clip_of([file]), [0])
  assert capfd.readouterr().err == ''


def test_an_image_cut_off_and_closed_again_is_refused(tmp_path):
  data = cv2.imencode('.jpg', picture(0, size=(96, 128)))[1].tobytes()
  file = tmp_path / '0.jpg'
  file.write_bytes(data[: len(data) // 2] + b'\xff\xd9')
  with pytest.raises(ValueError, match='premature end of data segment'):
    decode(clip_of([file]), [0])


def test_the_padding_of_a_camera_is_no_damage(tmp_path):
  data = cv2.imencode('.jpg', picture(0))[1].tobytes()
  file = tmp_path / '0.jpg'
  file.write_bytes(data[:-2] + bytes(4) + data[-2:])
  assert decode(clip_of([file]), [0])[0].shape == (*SIZE, 3)


@pytest.mark.parametrize(
  'line',
  [
    'Premature end of JPEG file',
    'Inconsistent progression sequence for component 0 coefficient 0',
    'Corrupt JPEG data: 17 extraneous bytes before marker 0xd9',
  ],
)
def test_every_complaint_of_libjpeg_about_its_data_is_heard(capfd, line):
  def decoder(data):
    os.write(2, f'{line}\n'.encode())
    return data

  assert complaints.heard(decoder, b'\xff\xd8') == (b'\xff\xd8', line)
  assert capfd.readouterr().err == ''


def test_what_libpng_says_of_a_damaged_file_stands_in_the_message(
  tmp_path, capfd
):
  data = bytearray(cv2.imencode('.png', picture(0))[1].tobytes())
  data[len(data) // 2] ^= 255
  (tmp_path / '0.png').write_bytes(data)
  with pytest.raises(ValueError, match='damaged or no image: IDAT'):
    decode(clip_of([tmp_path / '0.png']), [0])
  assert capfd.readouterr().err == ''


def test_what_others_print_during_decoding_is_passed_on(capfd):
  def decoder(data):
    os.write(2, b'Corrupt JPEG data: bad Huffman code\nhello\n')
    return data

  image, complaint = complaints.heard(decoder, b'\xff\xd8')
  assert image == b'\xff\xd8'
  assert complaint == 'Corrupt JPEG data: bad Huffman code'
  assert capfd.readouterr().err == 'hello\n'


def test_empty_missing_and_other_files_are_named(tmp_path):
  empty = tmp_path / 'img1.png'
  empty.write_bytes(b'')
  other = tmp_path / 'img2.png'
  other.write_bytes(b'<html>not found</html>')
  clip = clip_of([empty, other, tmp_path / 'img3.png'])
  with pytest.raises(ValueError, match='"img1.png" is an empty file'):
    decode(clip, [0])
  with pytest.raises(ValueError, match='"img2.png".*no image'):
    decode(clip, [1])
  with pytest.raises(ValueError, match='"img3.png" cannot be read'):
    decode(clip, [2])
  with pytest.raises(ValueError, match='"img3.png" cannot be read'):
    list(raw(clip, [2]))


def test_values_that_are_no_levels_of_grey_are_refused(tmp_path):
  file = tmp_path / 'img1.tif'
  cv2.imwrite(str(file), np.zeros((*SIZE, 3), np.float32))
  with pytest.raises(ValueError, match='"img1.tif" has values of type float32'):
    decode(clip_of([file]), [0])


def test_a_number_without_a_frame_is_told(tmp_path):
  file = write_image(tmp_path / 'img0.png', picture(1))
  for function in (decode, raw):
    with pytest.raises(ValueError, match='frame 7 is missing; there are 1'):
      list(function(clip_of([file]), [7]))


def test_a_size_that_changes_within_a_clip_is_told(tmp_path):
  files = [
    write_image(tmp_path / 'img1.png', picture(1)),
    write_image(tmp_path / 'img2.png', picture(1, size=(30, 40))),
  ]
  match = '"img2.png" has 40x30 pixels, "img1.png" has 32x24'
  with pytest.raises(ValueError, match=match):
    decode(clip_of(files), [0, 1])


def test_a_video_that_was_cut_off_is_told(tmp_path):
  images = [picture(i, size=(48, 64)) for i in range(20)]
  whole = write_video(tmp_path / 'whole.avi', images)
  cut = tmp_path / 'cut.avi'
  data = whole.read_bytes()
  cut.write_bytes(data[: len(data) // 2])
  clip = video_clip(cut, 20)
  np.testing.assert_array_equal(decode(clip, [0, 5]), [images[0], images[5]])
  match = '"cut.avi" ends after .* frames; expected frame 19'
  with pytest.raises(ValueError, match=match):
    decode(clip, [0, 19])


def test_a_video_that_is_none_is_told(tmp_path):
  file = tmp_path / 'v.avi'
  with pytest.raises(ValueError, match='"v.avi" is missing'):
    decode(video_clip(file, 1), [0])
  for data in (b'', b'not a video at all'):
    file.write_bytes(data)
    match = rf'"v.avi" \({len(data)} bytes\) is damaged or no video'
    with pytest.raises(ValueError, match=match):
      decode(video_clip(file, 1), [0])


def test_raw_is_the_contents_of_the_files(tmp_path):
  files = [write_image(tmp_path / f'img{i}.png', picture(i)) for i in range(3)]
  expected = files[2].read_bytes() + files[0].read_bytes()
  assert b''.join(raw(clip_of(files), [2, 0])) == expected
  video = write_video(tmp_path / 'v.avi', [picture(i) for i in range(3)])
  clip = video_clip(video, 3)
  assert b''.join(raw(clip, [1])) == video.read_bytes()


def test_frames_one_after_the_other_are_those_decoded_at_once(tmp_path):
  images = [picture(seed) for seed in range(11)]
  files = [
    write_image(tmp_path / f'img{i}.png', image)
    for i, image in enumerate(images)
  ]
  video = write_video(tmp_path / 'a.avi', images)
  for clip in (clip_of(files), video_clip(video, 11)):
    numbers, frames = zip(*decode_lib.stream(clip), strict=True)
    assert numbers == clip.frame_numbers
    np.testing.assert_array_equal(frames, decode(clip, list(numbers)))


def test_frames_one_after_the_other_keep_numbers_behind_lost_ones(tmp_path):
  images = [picture(seed) for seed in range(4)]
  video = write_video(tmp_path / 'a.avi', images)
  clip = dataclasses.replace(
    video_clip(video, 4), frame_numbers=(0, 1, 5, 6), positions=(0, 1, 2, 3)
  )
  numbers, frames = zip(*decode_lib.stream(clip), strict=True)
  assert numbers == (0, 1, 5, 6)
  np.testing.assert_array_equal(frames, images)


def test_video_that_ends_early_says_so_when_the_end_is_reached(tmp_path):
  video = write_video(tmp_path / 'a.avi', [picture(0)] * 3)
  frames = decode_lib.stream(video_clip(video, 5))
  with pytest.raises(ValueError, match='ends after 3 frames'):
    list(frames)
