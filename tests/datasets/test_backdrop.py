"""What stands behind a map: nobody's face, and where each class moves."""

from __future__ import annotations

import numpy as np
import pytest

from mejax.datasets import backdrop
from mejax.motion import regions

POINTS = np.array([[10, 12], [21, 12], [16, 18], [11, 24], [20, 24]], float)


@pytest.fixture
def examples():
  """Ten people, the first with many clips; class 1 moves at one place."""
  source = np.random.default_rng(0)
  people = np.array([0] * 6 + list(range(10)))
  flow = np.zeros((16, 2, 32, 32, 3), np.float32)
  flow[8:, 0, 4:8, 20:24, 0] = 2
  flow[:, 0] += source.normal(size=(16, 1, 1, 3))  # The head moves as well.
  flow[:, 1] = source.normal(size=flow[:, 1].shape)
  return {
    'flow': flow,
    'onset': np.full(
      (16, 32, 32, 3), 20 * people[:, None, None, None], np.uint8
    ),
    'landmarks': np.tile(POINTS, (16, 1, 1)).astype(np.float32),
    'people': np.char.add('own/', people.astype(str)),
  }


def made(examples, mode=None):
  labels = np.repeat([0, 1], 8)
  groups = examples['people']
  return backdrop.mean_face_and_motion(
    examples, labels, groups, num_classes=3, mode=mode
  )


def test_motion_is_where_a_class_moves_and_not_that_of_the_head(examples):
  motion = made(examples)['motion']
  there = np.zeros((32, 32), bool)
  there[4:8, 20:24] = True
  assert motion.shape == (3, 32, 32)
  assert (motion[1][there] > 0.99).all() and (motion[1][~there] < 0.05).all()
  # A class that only moves with the head, and one without clips.
  assert motion[0].max() <= 1 and (motion[2] == 0).all()


def test_each_person_counts_once_in_the_mean_face(examples):
  np.testing.assert_array_equal(made(examples)['face'], 90)


def test_few_people_have_no_mean_face(examples):
  examples['people'][-3:] = examples['people'][-4]
  assert 'face' not in made(examples)


def test_ready_made_flow_has_no_face(examples):
  del examples['onset']
  assert set(made(examples)) == {'motion'}


def test_regions_stand_where_they_are_cut_out(examples):
  corners = made(examples, 'landmarks')['corners']
  np.testing.assert_array_equal(corners, regions.face_corners(POINTS, size=32))
  assert 'corners' not in made(examples, 'full')
