"""Blinks, and what they drag along, in signals of which both are known."""

from __future__ import annotations

import numpy as np
import pytest

from mejax.motion.spotting import lids as lids_lib

ROOM = 49
LENGTH = 600


def blinks_at(*onsets, height=0.04):
  """Returns lids that close and open within thirteen frames."""
  t = np.arange(LENGTH)
  return height * sum(
    np.sin(np.pi * np.clip((t - onset) / 12, 0, 1)) ** 2 for onset in onsets
  )


def removed(motion, lids):
  blinks = lids_lib.find_blinks(lids, fps=30.0, room=ROOM)
  return lids_lib.remove_drag(motion, lids, blinks, room=ROOM)


def wandering(seed):
  """Returns three regions that move slowly by themselves."""
  t = np.arange(LENGTH)[:, None, None]
  phase = np.random.default_rng(seed).uniform(0, 6, (1, 3, 2))
  return 0.02 * np.sin(2 * np.pi * t / 400 + phase)


def test_blinks_are_found_where_the_lids_move():
  found = lids_lib.find_blinks(blinks_at(100, 250), fps=30.0, room=ROOM)
  assert [
    (abs(first - onset) <= 4, abs(last - onset - 12) <= 4)
    for (first, last), onset in zip(found, (100, 250), strict=True)
  ] == [(True, True)] * 2


@pytest.mark.parametrize('seed', range(3))
def test_what_follows_the_lids_in_every_blink_is_removed(seed):
  own, lids = wandering(seed), blinks_at(100, 200, 300, 450)
  share = np.array([[0.1, 0.2], [0.0, -0.05], [0.02, 0.0]])
  got = removed(own + lids[:, None, None] * share, lids)
  # A twentieth of what was dragged: the face moves meanwhile.
  np.testing.assert_allclose(got, own, atol=0.05 * 0.04 * 0.22)


def test_movement_in_one_blink_of_many_stays():
  lids = blinks_at(100, 200, 300, 450)
  own = np.zeros((LENGTH, 1, 2))
  own[:, 0, 1] = blinks_at(205, height=-0.02)
  got = removed(own + lids[:, None, None] * [[0.0, 0.1]], lids)
  np.testing.assert_allclose(got, own, atol=1e-4)


@pytest.mark.parametrize(
  'lids, share',
  [
    (blinks_at(100, 300), 0.1),  # Of two, one may come with an expression.
    (blinks_at(100, 200, 300, 450), 1.0),  # As far as the lids themselves.
    (np.zeros(LENGTH), 0.1),
  ],
)
def test_what_may_be_an_expression_stays(lids, share):
  motion = wandering(0) + lids[:, None, None] * [[0.0, share]]
  np.testing.assert_array_equal(removed(motion, lids), motion)
