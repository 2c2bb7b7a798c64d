"""From cut-out faces to flow, against OpenCV's warp and known motion."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest

from mejax.datasets import frames_to_flow
from mejax.datasets.recipe import Recipe
from mejax.motion import faces

SIZE = 64
# Turned by .4 degrees, 1 % larger, moved by about a pixel.
MOVED = np.float32([[1.01, -0.007, 0.9], [0.007, 1.01, -1.3]])


def texture(size=SIZE):
  """A smooth random picture that any flow can follow."""
  noise = np.random.default_rng(0).uniform(0, 255, (size, size, 3))
  soft = cv2.GaussianBlur(noise, (0, 0), 2.0)
  return np.clip((soft - soft.mean()) / soft.std() * 45 + 128, 0, 255)


def seen_from(picture, matrix):
  """The picture after each place x of it has gone to A x + b."""
  sides = picture.shape[1::-1]
  return cv2.warpAffine(
    picture, matrix, sides, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
  )


def pull(picture, pixels):
  """The picture with a part at the middle moved to the right."""
  y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
  far = (x - 32) ** 2 + (y - 32) ** 2
  part = np.float32(pixels) * np.exp(-far / (2 * 7**2))
  return part, cv2.remap(picture, x - part, y, cv2.INTER_CUBIC)


def counts(landmarks, recipe):
  """The weights of faces that lie inside of their frames."""
  inside = np.ones((len(landmarks), recipe.size, recipe.size), bool)
  return frames_to_flow.weights(landmarks, inside, recipe)


def made(patches, **options):
  """Frames and flow of one clip that lies aligned already."""
  patches = np.rint(np.clip(patches, 0, 255)).astype(np.uint8)[None]
  landmarks = np.float32(faces.CANONICAL * SIZE - 0.5)[None]
  recipe = Recipe(size=SIZE, **options)
  identity = np.eye(2, 3, dtype=np.float32)[None]
  weight = counts(landmarks, recipe)
  found = frames_to_flow.align_frames(patches, identity, weight, recipe)
  return found | frames_to_flow.measure_motion(found['frames'], weight, recipe)


INSIDE = np.s_[8:-8, 8:-8]


@pytest.mark.parametrize('flow', ['tvl1', 'dis'])
def test_the_head_is_where_it_was_in_the_onset(flow):
  onset = texture()
  apex = seen_from(onset, MOVED)
  frames = made([onset, apex], flow=flow, remove_head_motion=True)
  corners = np.float32([[8, 8, 1], [55, 8, 1], [8, 55, 1], [55, 55, 1]])
  np.testing.assert_allclose(
    corners @ frames['head_motion'][0].T, corners @ MOVED.T, atol=0.1
  )
  still, moved = (
    np.abs(frame.astype(np.float32) - onset)[INSIDE].mean()
    for frame in (frames['frames'][0, 1], apex)
  )
  assert still < 0.15 * moved


def test_an_expression_stays_and_only_it_is_amplified():
  onset = texture()
  part, smiling = pull(onset, 0.5)
  apex = seen_from(smiling, MOVED)
  alone, kept = (
    made([onset, apex], levels=(1.0, 4.0), remove_head_motion=on)
    for on in (True, False)
  )
  for level, alpha in enumerate((1, 4)):
    true = np.stack([alpha * part, 0 * part], -1)[INSIDE]
    error, before = (
      np.abs(found['flow'][0, level, ..., :2][INSIDE] - true).mean()
      for found in (alone, kept)
    )
    assert error < 0.15 * before
    middle = alone['flow'][0, level, 32, 32, 0]
    assert 0.5 * alpha * 0.5 < middle < 1.2 * alpha * 0.5


def test_neighbours_are_aligned_too_and_the_onset_stays_as_it_was():
  onset = texture()
  # The onset and the frame after it; before the apex, the apex, after it.
  shares = (0.0, 0.1, 0.8, 1.0, 0.9)
  eye = np.eye(2, 3, dtype=np.float32)
  clip = [seen_from(onset, eye + share * (MOVED - eye)) for share in shares]
  found = made(clip, neighbours=1, flow='dis', remove_head_motion=True)
  frames = found['frames'][0].astype(np.float32)
  np.testing.assert_array_equal(frames[0], np.rint(onset))
  for frame, seen in zip(frames[1:], clip[1:], strict=True):
    still, moved = (np.abs(x - onset)[INSIDE].mean() for x in (frame, seen))
    assert still < max(0.15 * moved, 1)
  np.testing.assert_allclose(found['head_motion'][0], MOVED, atol=0.1)


def test_without_it_frames_are_what_opencv_makes_of_the_patches():
  patch = np.rint(texture(96)).astype(np.uint8)
  matrix = np.float32([[1.2, -0.1, 11.3], [0.1, 1.2, 6.8]])
  frames = frames_to_flow.align_frames(
    np.stack([patch, patch])[None],
    matrix[None],
    counts(np.float32(faces.CANONICAL * SIZE - 0.5)[None], Recipe(size=SIZE)),
    Recipe(size=SIZE),
  )
  assert set(frames) == {'frames'}
  flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
  theirs = cv2.warpAffine(patch, matrix, (SIZE, SIZE), flags=flags)
  # OpenCV's cubic has a = -3/4, ours -1/2, and its places are rounded to 1/32.
  assert np.abs(frames['frames'][0, 0] - theirs.astype(np.float32)).mean() < 1


@pytest.mark.parametrize('method', ['tvl1', 'farneback'])
def test_light_moves_no_head(method):
  onset = texture()
  y, x = np.mgrid[:SIZE, :SIZE] / SIZE
  apex = onset * (0.95 + 0.05 * x)[..., None]
  found = made([onset, apex], flow=method, remove_head_motion=True)
  corners = np.float32([[8, 8, 1], [55, 8, 1], [8, 55, 1], [55, 55, 1]])
  far = 0.02 if method == 'tvl1' else 0.1
  np.testing.assert_allclose(
    corners @ found['head_motion'][0].T, corners[:, :2], atol=far
  )


def test_outside_of_the_frame_is_no_flow_and_it_is_said():
  onset = texture()
  _, smiling = pull(onset, 2.0)
  frames = np.rint([[onset, smiling]]).clip(0, 255).astype(np.uint8)
  recipe = Recipe(size=SIZE)
  landmarks = np.float32(faces.CANONICAL * SIZE - 0.5)[None]
  covered = np.ones((1, SIZE, SIZE), bool)
  covered[:, :, 30:] = False
  weight = frames_to_flow.weights(landmarks, covered, recipe)
  flow = frames_to_flow.measure_motion(frames, weight, recipe)['flow'][0]
  assert (flow[:, :, 28:] == 0).all()
  assert flow[0, 32, 27, 0] > 0.5
  (remark,), notes = frames_to_flow.remarks(flow, covered[0], recipe, scale=2.0)
  assert remark.startswith('53% of the aligned face lies outside')
  assert not notes
  covered[0] = True
  covered[0, :8, :8] = False
  said, (note,) = frames_to_flow.remarks(flow, covered[0], recipe, scale=2.0)
  assert not said
  assert note.startswith('2% of the aligned face lies outside')


@pytest.mark.parametrize('size', [SIZE, 2 * SIZE])
def test_a_face_that_moves_as_a_whole_is_told(size):
  whole, parts, turn = np.float32([1.8, -1.3]), 1.6, 0.002
  y, x = np.mgrid[:size, :size].astype(np.float32)
  bump = np.exp(-((x - size / 2) ** 2 + (y - size / 2) ** 2) / (size / 8) ** 2)
  flow = np.zeros((1, size, size, 3), np.float32)
  flow[0, ..., 1] = parts * bump
  covered = np.ones((size, size), bool)
  said, _ = frames_to_flow.remarks(flow, covered, Recipe(size=size), scale=1.0)
  assert said == []
  flow[0, ..., 0] += whole[0] - turn * y
  flow[0, ..., 1] += whole[1] + turn * x
  (said,), _ = frames_to_flow.remarks(
    flow, covered, Recipe(size=size), scale=1.0
  )
  assert said.startswith('the whole face moves by 2.')
  assert 'px of the recording, more than its parts do (1.' in said
  assert '--remove_head_motion' in said
  # Where two pixels of the recording are one of the aligned face:
  (other,), _ = frames_to_flow.remarks(
    flow, covered, Recipe(size=size), scale=2.0
  )
  once, twice = (
    [float(number) for number in re.findall(r'([\d.]+) px', words)]
    for words in (said, other)
  )
  np.testing.assert_allclose(twice, 2 * np.array(once), atol=0.15)
  # A rendered head drifts on purpose: that is a note.
  recipe = Recipe(size=size)
  _, (note,) = frames_to_flow.remarks(
    flow, covered, recipe, is_rendered=True, scale=1.0
  )
  assert note == f'{said}; it was rendered to do so'
  recipe = Recipe(size=size, remove_head_motion=True)
  assert frames_to_flow.remarks(flow, covered, recipe, scale=1.0) == ([], [])
  # The part outside of the frame does not count.
  flow[0, :, size // 2 - 2 :], covered[:, size // 2 :] = 0, False
  (_, said), _ = frames_to_flow.remarks(
    flow, covered, Recipe(size=size), scale=1.0
  )
  assert said.startswith('the whole face moves by 2.')


@pytest.mark.parametrize(
  ('motion', 'options', 'words'),
  [
    (0.5, {'levels': (1.0, 4.0)}, []),
    (6.0, {}, []),
    (20.0, {}, ['no micro-expression']),
    (2.0, {'levels': (1.0, 2.0), 'magnify': 'phase'}, ['phase cannot']),
    (20.0, {'levels': (1.0, 2.0)}, ['no micro-expression', 'cannot amplify 2']),
    (2.0, {'levels': (2.0, 8.0)}, ['8 times']),
  ],
)
def test_motion_beyond_a_range_is_said(motion, options, words):
  recipe = Recipe(size=SIZE * 2, **options)
  flow = np.zeros((len(recipe.levels), SIZE * 2, SIZE * 2, 3), np.float32)
  for i, level in enumerate(recipe.levels):
    flow[i, 40:80, 40:80, 0] = level * motion
  whole = np.ones(flow.shape[1:3], bool)
  said, _ = frames_to_flow.remarks(flow, whole, recipe, scale=2.0)
  assert len(said) == len(words)
  for remark, word in zip(said, words, strict=True):
    assert word in remark
