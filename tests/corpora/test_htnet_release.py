"""The reader of the HTNet repository, on a small tree and on the real one."""

from __future__ import annotations

import collections

import cv2
import numpy as np
import pytest

from mejax.corpora import htnet_release
from tests.corpora import htnet_tree

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
