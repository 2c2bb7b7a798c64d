"""Signals that cannot be read say who measures them again."""

from __future__ import annotations

import numpy as np
import pytest

from mejax.experiment.spotting import kept_tracks
from tests import made_signals


def keep(path, source='one', seed=0):
  return kept_tracks.kept(
    path, lambda: made_signals.tracks(seed, length=50), source=source
  )


def write_as_format(path, number):
  with np.load(path) as stored:
    values = dict(stored)
  np.savez(path, **values | {'format': number})


def test_what_is_kept_is_read_until_it_is_of_something_else(tmp_path):
  path = tmp_path / 'p/one.npz'
  first = keep(path)
  np.testing.assert_array_equal(keep(path, seed=1).motion, first.motion)
  np.testing.assert_array_equal(kept_tracks.read(path).motion, first.motion)
  assert (keep(path, 'two', seed=1).motion != first.motion).any()


@pytest.mark.parametrize('fault', ['missing', 'older', 'damaged'])
def test_signals_that_cannot_be_read_say_which_call_makes_them(tmp_path, fault):
  path = tmp_path / 'one.npz'
  if fault != 'missing':
    keep(path)
  if fault == 'older':
    write_as_format(path, 1)
  if fault == 'damaged':
    path.write_bytes(path.read_bytes()[:100])
  with pytest.raises((FileNotFoundError, ValueError)) as caught:
    kept_tracks.read(path)
  words = str(caught.value)
  assert '`mejax film` or `mejax score_spotting`, called again, makes' in words
  # What is missing need not be deleted, and an older format is replaced.
  assert ('Delete it' in words) == (fault == 'damaged')


def test_signals_of_an_older_format_are_measured_again(tmp_path):
  path = tmp_path / 'one.npz'
  keep(path)
  write_as_format(path, kept_tracks.FORMAT - 1)
  again = keep(path, seed=1)
  np.testing.assert_array_equal(kept_tracks.read(path).motion, again.motion)
