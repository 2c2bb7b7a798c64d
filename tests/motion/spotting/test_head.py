"""The motion of a head, which is known, and movements that are none of it."""

from __future__ import annotations

import numpy as np
import pytest

from mejax.motion.spotting import head
from mejax.motion.spotting import places

FIVE = np.array([[60, 60], [100, 60], [80, 85], [66, 105], [94, 105]])
AT, WEIGHTS = places.place_points(FIVE.astype(np.float32))


def turned(depth, angle, axis):
  """Returns how far points at a depth move if the head turns, exactly."""
  moved = np.zeros_like(AT)
  away = AT[:, axis] - AT[:, axis].mean()
  moved[:, axis] = away * (np.cos(angle) - 1) + depth * np.sin(angle)
  return moved


def ball():
  """Returns the depth of points on a ball, in pixels."""
  radius = 110.0
  square = ((AT - AT.mean(0)) ** 2).sum(1)
  return np.sqrt(radius**2 - square) - radius


@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize('degrees, left', [(2, 0.15), (6, 0.3)])
def test_turn_of_a_ball_leaves_little(axis, degrees, left):
  moved = turned(ball(), np.radians(degrees), axis)[None]
  rest, whole = head.remove_head(moved, AT, WEIGHTS)
  np.testing.assert_allclose(rest + whole, moved, atol=1e-9)
  spread = np.linalg.norm(moved[0] - moved[0].mean(0), axis=-1).max()
  assert np.linalg.norm(rest, axis=-1).max() < left * spread


def test_similarity_is_removed_exactly():
  at = AT - AT.mean(0)
  moved = np.stack(
    [3 + 0.02 * at[:, 0] - 0.05 * at[:, 1], 0.05 * at[:, 0] + 0.02 * at[:, 1]],
    axis=-1,
  )
  rest, _ = head.remove_head(moved[None], AT, WEIGHTS)
  assert np.abs(rest).max() < 1e-8


def test_region_that_moves_by_itself_stays_and_moves_no_other():
  moved = turned(ball(), np.radians(4), 0) / 40
  names = list(places.REGIONS)
  own = moved.copy()
  number = 5 * names.index('right mouth corner')
  own[number : number + 5] += [0.03, -0.02]
  plain, _ = head.remove_head(moved[None], AT, WEIGHTS)
  rest, _ = head.remove_head(own[None], AT, WEIGHTS)
  extra = places.regions_of(rest - plain)[0]
  there = names.index('right mouth corner')
  np.testing.assert_allclose(extra[there], [0.03, -0.02], atol=3e-3)
  assert np.abs(np.delete(extra, there, 0)).max() < 3e-3


def test_mouth_that_opens_wide_does_not_move_the_brows():
  names = list(places.REGIONS)
  moved = np.zeros((1, *AT.shape))
  for name in places.MOUTH:
    number = 5 * names.index(name)
    moved[0, number : number + 5, 1] = 0.08
  rest, _ = head.remove_head(moved, AT, WEIGHTS)
  regions = places.regions_of(rest)[0]
  brows = [i for i, name in enumerate(names) if 'brow' in name]
  assert np.abs(regions[brows]).max() < 4e-3


def test_one_lost_point_of_a_region_moves_it_hardly():
  moved = np.zeros((1, *AT.shape))
  moved[0, :5] = [0.01, 0.0]
  moved[0, 3] = [0.5, -0.5]
  np.testing.assert_allclose(places.regions_of(moved)[0, 0], [0.01, 0])


def test_lids_are_the_points_behind_the_regions():
  moved = np.zeros((1, *AT.shape))
  start = 5 * len(places.REGIONS)
  moved[0, start : start + 3, 1], moved[0, start + 3 : start + 6, 1] = 0.2, 0.4
  np.testing.assert_allclose(places.lids_of(moved), [[0.2, 0.4]])
  assert (WEIGHTS[start : start + 6] == 0).all()
