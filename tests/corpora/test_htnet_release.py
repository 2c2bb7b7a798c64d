"""The reader of the HTNet repository, on a small tree and on the real one."""

from __future__ import annotations

import collections
import csv
import subprocess
import sys

import cv2
import numpy as np
import pytest

from mejax.corpora import htnet_release
from mejax.motion import faces
from tests.corpora import htnet_tree
from tests.motion import sample_faces

FIRST = htnet_tree.ROWS[0]


@pytest.fixture
def tree(tmp_path):
  htnet_tree.write_tree(tmp_path)
  return tmp_path


def test_clips_come_in_the_order_of_the_sheet_with_words_for_labels(tree):
  clips = list(htnet_release.read(tree))
  words = {'0': 'negative', '1': 'positive', '2': 'surprise'}
  assert [(c.corpus, c.subject, c.name, c.emotion) for c in clips] == [
    (*row[:3], words[row[3]]) for row in htnet_tree.ROWS
  ]
  assert not any(c.problem for c in clips)


def test_flow_is_u_v_strain_from_the_red_green_blue_of_the_png(tmp_path):
  images = htnet_tree.write_tree(tmp_path)
  for clip in htnet_release.read(tmp_path):
    expected = images[clip.corpus, clip.subject, clip.name]
    np.testing.assert_array_equal(
      htnet_release.read_flow(clip.flow_file), expected
    )


def test_without_landmarks_every_face_has_the_release_defaults(tree):
  for clip in htnet_release.read(tree):
    assert clip.crop_points == ((9, 11), (21, 10), (15, 17), (10, 21), (20, 21))
    # The released point lies this far from the edge of the image.
    assert clip.landmarks[0] == pytest.approx((9.528073 - 0.5, 11.062551 - 0.5))


@pytest.mark.parametrize('crops', [True, False])
def test_landmarks_are_matched_by_clip_and_not_by_row(tree, crops):
  file = tree / 'points.csv'
  made = htnet_tree.write_landmarks(
    file, reversed(htnet_tree.ROWS), crops=crops
  )
  defaults = next(htnet_release.read(tree)).crop_points
  for clip in htnet_release.read(tree, landmarks=file):
    points, crop = made[clip.corpus, clip.subject, clip.name]
    np.testing.assert_allclose(np.array(clip.landmarks) + 0.5, points)
    expected = tuple(map(tuple, crop.tolist())) if crops else defaults
    assert clip.crop_points == expected


def test_a_file_of_crop_points_alone_leaves_the_face_points_to_the_detector(
  tree,
):
  both, alone = tree / 'points.csv', tree / 'crops.csv'
  made = htnet_tree.write_landmarks(both)
  with both.open(newline='') as file:
    rows = list(csv.reader(file))
  with alone.open('w', newline='') as file:
    csv.writer(file).writerows(row[:3] + row[13:] for row in rows)
  plain = list(htnet_release.read(tree))
  for clip, default in zip(
    htnet_release.read(tree, landmarks=alone), plain, strict=True
  ):
    _, crops = made[clip.corpus, clip.subject, clip.name]
    np.testing.assert_array_equal(clip.crop_points, crops)
    assert clip.landmarks == default.landmarks
  assert htnet_release.point_source(tree, alone) == 'release defaults'
  assert htnet_release.point_source(tree, both) == 'file points.csv'


FAKE_DETECTOR = """
import numpy as np

class MTCNN:
  def __init__(self, device): pass

  def detect(self, image, landmarks):
    assert image.shape == (28, 28, 3) and landmarks
    blue = int(image[..., 0].mean())
    if blue == 0:
      return None, [None], None
    points = np.full((2, 5, 2), 14.0)
    points[0] = [[blue / 10, 3.9], [25.0, 9.5], [15, 17], [10, 20], [20, 21.7]]
    return None, None, points
"""


def test_the_documented_script_writes_a_file_that_the_reader_takes(tree, root):
  """With a fake detector: it reads the mean of the first channel, blue."""
  page = (root / 'docs/released_crops.md').read_text()
  script = page.split('```python\n')[1].split('```')[0]
  (tree / 'facenet_pytorch.py').write_text(FAKE_DETECTOR)
  (tree / 'torch.py').write_text(
    'class cuda: is_available = staticmethod(lambda: False)'
  )
  (tree / 'released_crops.py').write_text(script)
  folder = tree / htnet_release.APEX_FOLDER
  folder.mkdir(parents=True)
  for i, row in enumerate(htnet_tree.ROWS):
    image = np.full((224, 224, 3), (50 * i, 7, 200), np.uint8)
    cv2.imwrite(str(folder / htnet_tree.face_file(row)), image)
  output = tree / 'crops.csv'
  arguments = [sys.executable, 'released_crops.py', '.', output]
  subprocess.run(arguments, cwd=tree, check=True, capture_output=True)
  clips = list(htnet_release.read(tree, landmarks=output))
  assert clips[0].crop_points == htnet_release.DEFAULT_CROP_POINTS
  others = [clip.crop_points for clip in clips[1:]]
  rest = ((21, 9), (15, 17), (10, 20), (20, 21))
  assert [crops[1:] for crops in others] == [rest] * 4
  for i, crops in enumerate(others, start=1):
    # Clamped to 7..21, then truncated; a JPEG's blue is off by one at most.
    assert crops[0][1] == 7
    assert abs(crops[0][0] - min(max(5 * i, 7), 21)) <= 1


def test_a_clip_without_a_landmark_row_says_so(tree):
  file = tree / 'points.csv'
  htnet_tree.write_landmarks(file, htnet_tree.ROWS[1:])
  first, *others = htnet_release.read(tree, landmarks=file)
  assert first.problem == 'has no row in the landmark file'
  assert not any(c.problem for c in others)


def _truncate(file):
  file.write_bytes(file.read_bytes()[:-20])


def _flip_a_bit(file):
  data = bytearray(file.read_bytes())
  data[len(data) // 2] ^= 16
  file.write_bytes(data)


@pytest.mark.parametrize(
  ('spoil', 'reason'),
  [
    (lambda file: file.unlink(), 'is missing'),
    (lambda file: file.write_bytes(b''), 'is damaged'),
    (_truncate, 'is damaged'),
    (_flip_a_bit, 'is damaged'),
    (lambda file: file.write_text('not an image'), 'is damaged'),
    (
      lambda file: cv2.imwrite(str(file), np.zeros((32, 32, 3), np.uint8)),
      r'has shape \(32, 32, 3\)',
    ),
    (
      lambda file: cv2.imwrite(str(file), np.zeros((28, 28), np.uint8)),
      r'has shape \(28, 28\)',
    ),
    (
      lambda file: cv2.imwrite(str(file), np.zeros((28, 28, 3), np.uint16)),
      'type uint16',
    ),
  ],
)
def test_a_bad_image_is_a_problem_of_its_clip_alone(tree, spoil, reason):
  file = htnet_tree.flow_file(tree, *FIRST[1:3])
  spoil(file)
  first, *others = htnet_release.read(tree)
  assert first.problem.startswith(f'flow image "{file.name}"')
  with pytest.raises(AssertionError, match=reason):
    raise AssertionError(first.problem)
  assert len(others) == len(htnet_tree.ROWS) - 1
  assert not any(c.problem for c in others)


@pytest.mark.parametrize(
  ('row', 'message'),
  [
    (('casme2', 'sub09', 'x', '3'), r"casme2/sub09/x\): label is '3'"),
    (('casme2', 'sub09', 'x', ''), "label is ''"),
    (('casme3', 'sub09', 'x', '0'), "dataset is 'casme3'"),
    (('casme2', '', 'x', '0'), 'sub or filename_o is empty'),
    (htnet_tree.ROWS[0], 'has a row already'),
  ],
)
def test_a_fault_in_the_sheet_is_an_error_with_its_line(tree, row, message):
  htnet_tree.write_sheet(tree, [*htnet_tree.ROWS, row])
  with pytest.raises(ValueError, match=rf'(?s){htnet_tree.SHEET}.*{message}'):
    htnet_release.read(tree)
  with pytest.raises(ValueError, match=rf'line {len(htnet_tree.ROWS) + 2} '):
    htnet_release.read(tree)


def test_all_faults_of_the_sheet_are_listed_at_once(tree):
  bad = [('casme2', 'a', 'x', '7'), ('smic', 'b', 'y', '8')]
  htnet_tree.write_sheet(tree, bad)
  with pytest.raises(ValueError, match="(?s)is '7'.*is '8'"):
    htnet_release.read(tree)


def test_a_missing_column_is_named(tree):
  columns = ('dataset', 'sub', 'filename_o', 'lable')
  htnet_tree.write_sheet(tree, htnet_tree.ROWS, columns)
  with pytest.raises(ValueError, match='no column label; it has dataset, sub,'):
    htnet_release.read(tree)


def test_a_sheet_without_rows_is_an_error(tree):
  htnet_tree.write_sheet(tree, [])
  with pytest.raises(ValueError, match='has no rows'):
    htnet_release.read(tree)


def test_a_folder_of_something_else_is_refused_with_what_it_holds(tmp_path):
  with pytest.raises(FileNotFoundError, match='is no folder'):
    htnet_release.read(tmp_path / 'absent')
  with pytest.raises(FileNotFoundError, match='holds nothing; expected'):
    htnet_release.read(tmp_path)
  (tmp_path / 'SAMM').mkdir()
  with pytest.raises(FileNotFoundError, match='holds SAMM; expected'):
    htnet_release.read(tmp_path)


def test_an_empty_image_folder_is_one_error_and_not_442(tree):
  for file in (tree / htnet_tree.FLOW).iterdir():
    file.unlink()
  with pytest.raises(FileNotFoundError, match='holds no PNG'):
    htnet_release.read(tree)


def test_faults_of_a_landmark_file_are_errors(tree):
  file = tree / 'points.csv'
  with pytest.raises(FileNotFoundError, match='points.csv does not exist'):
    htnet_release.read(tree, landmarks=file)
  htnet_tree.write_landmarks(file)
  text = file.read_text()
  file.write_text(text.replace('leye_x', 'left_x'))
  with pytest.raises(ValueError, match='no column leye_x'):
    htnet_release.read(tree, landmarks=file)
  lines = text.splitlines()
  number = lines[1].split(',')
  for position, value in ((3, 'nan'), (3, ''), (-1, '27')):
    changed = list(number)
    changed[position] = value
    file.write_text('\n'.join([lines[0], ','.join(changed), *lines[2:]]))
    with pytest.raises(ValueError, match='line 2 .casme2/sub01/EP02_01f'):
      htnet_release.read(tree, landmarks=file)


def _write_apex_images(tree, size=(224, 224)):
  """One grey level a clip, in the files that the sheet names."""
  folder = tree / htnet_release.APEX_FOLDER
  folder.mkdir(parents=True)
  for level, row in enumerate(htnet_tree.ROWS):
    grey = np.full((*size, 3), 40 * level, np.uint8)
    cv2.imwrite(str(folder / htnet_tree.face_file(row)), grey)
  return folder


def _spot(image):
  """Points that tell which image they were found in."""
  level = image[0, 0, 0] / 40
  return np.float32([[111.5 + 8 * k, 8 * level - 0.5] for k in range(5)])


def test_points_located_in_the_apex_images_are_scaled_to_the_flow(tree):
  _write_apex_images(tree)
  for level, clip in enumerate(htnet_release.read(tree, locate=_spot)):
    # 224 pixels become 28; positions count from the first pixel's centre.
    expected = [(14 - 0.5 + k, level - 0.5) for k in range(5)]
    np.testing.assert_allclose(clip.landmarks, expected, atol=0.05)
    assert clip.crop_points[0] == (9, 11)
    assert clip.remarks == ()


def test_apex_images_of_another_shape_keep_their_places(tree):
  _write_apex_images(tree, size=(112, 224))
  first = next(htnet_release.read(tree, locate=_spot))
  np.testing.assert_allclose(first.landmarks[0], (13.5, -0.5))
  *_, last = htnet_release.read(tree, locate=_spot)
  np.testing.assert_allclose(last.landmarks[0], (13.5, 8 - 0.5), atol=0.05)


def test_a_landmark_file_comes_before_what_is_located(tree):
  _write_apex_images(tree)
  made = htnet_tree.write_landmarks(tree / 'points.csv')
  file = tree / 'points.csv'
  for clip in htnet_release.read(tree, landmarks=file, locate=_spot):
    points, _ = made[clip.corpus, clip.subject, clip.name]
    np.testing.assert_allclose(np.array(clip.landmarks) + 0.5, points)


def test_without_apex_images_nothing_is_located(tree):
  assert not htnet_release.has_apex_images(tree)
  defaults = list(htnet_release.read(tree))
  assert list(htnet_release.read(tree, locate=_spot)) == defaults
  folder = _write_apex_images(tree)
  assert htnet_release.has_apex_images(tree)
  for file in folder.iterdir():
    file.unlink()
  assert not htnet_release.has_apex_images(tree)


def test_an_apex_image_without_points_is_remarked_and_costs_nothing_else(tree):
  folder = _write_apex_images(tree)
  files = [folder / htnet_tree.face_file(row) for row in htnet_tree.ROWS]
  files[0].unlink()
  files[1].write_bytes(b'')
  files[2].write_bytes(b'no image')

  def locate(image):
    if round(image[0, 0, 0] / 40) == 3:
      raise ValueError('no face in it')
    return _spot(image)

  *bad, good = htnet_release.read(tree, locate=locate)
  plain = next(htnet_release.read(tree))
  whys = (
    'missing',
    'damaged or no image',
    'damaged or no image',
    'no face in it',
  )
  for clip, file, why in zip(bad, files, whys, strict=False):
    assert clip.remarks == (
      f'default landmarks: apex image "{file.name}": {why}',
    )
    assert clip.landmarks == plain.landmarks
    assert clip.problem == ''
  assert good.remarks == ()


def test_the_detector_finds_a_face_that_fills_the_apex_image(tree):
  """As in the release: square crops of 224 pixels, the eyes 0.56 apart."""
  picture = sample_faces.image('hopper', scale=2)
  points = faces.detect_dense(picture)[0].points
  side = np.linalg.norm(points[1] - points[0]) / 0.56
  corner = points[:2].mean(0) - (0.5 * side, 0.27 * side)
  x, y = np.rint(corner).astype(int)
  x1, y1 = np.rint(corner + side).astype(int)
  crop = cv2.resize(
    picture[y:y1, x:x1], (224, 224), interpolation=cv2.INTER_AREA
  )
  folder = tree / htnet_release.APEX_FOLDER
  folder.mkdir(parents=True)
  for row in htnet_tree.ROWS:
    file = folder / htnet_tree.face_file(row)
    cv2.imwrite(str(file), crop[..., ::-1])
  expected = (points - (x, y) + 0.5) * 28 / (x1 - x, y1 - y) - 0.5

  def locate(image):
    return faces.locate([image], detector=faces.detect_dense).points

  for clip in htnet_release.read(tree, locate=locate):
    assert clip.remarks == ()
    # In pixels of the flow, where the eyes are 15.7 apart.
    np.testing.assert_allclose(clip.landmarks, expected, atol=0.9)


def test_the_real_release_has_the_published_counts(shared):
  clips = list(
    htnet_release.read(
      shared / 'htnet442', landmarks=shared / 'htnet442/landmarks28.csv'
    )
  )
  assert not any(c.problem for c in clips)
  assert collections.Counter((c.corpus, c.emotion) for c in clips) == {
    ('smic', 'negative'): 70,
    ('smic', 'positive'): 51,
    ('smic', 'surprise'): 43,
    ('casme2', 'negative'): 88,
    ('casme2', 'positive'): 32,
    ('casme2', 'surprise'): 25,
    ('samm', 'negative'): 92,
    ('samm', 'positive'): 26,
    ('samm', 'surprise'): 15,
  }
  assert len({(c.corpus, c.subject) for c in clips}) == 68
