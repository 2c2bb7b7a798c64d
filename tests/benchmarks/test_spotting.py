"""Kept signals are those of what is asked for, as it is measured now."""

from __future__ import annotations

import argparse
import types

import numpy as np
import pytest

from mejax.experiment.spotting import kept_tracks
from tests import made_signals
from tests.benchmarks import spotting

NUMBER = 30


@pytest.fixture
def measured(monkeypatch):
  """Returns a list with an entry for each recording that is followed."""
  images = np.random.default_rng(0).integers(0, 255, (NUMBER, 48, 48, 3))
  take = types.SimpleNamespace(
    num_frames=NUMBER,
    numbered=lambda generator: enumerate(images.astype(np.uint8)),
  )
  calls = []

  def track(frames, *, fps, detector):
    calls.append(len(list(frames)))
    return made_signals.tracks(0, length=NUMBER)

  monkeypatch.setattr(spotting, 'take_of', lambda name, seed, args: take)
  monkeypatch.setattr(spotting.tracks_lib, 'track', track)
  return calls


def args_of(folder, floors):
  return argparse.Namespace(
    seconds=1.0, fps=30.0, size=48, keep=folder, floors=floors
  )


def test_floors_have_their_curves_after_a_call_without_them(measured, tmp_path):
  for floors in (False, True, True):
    tracks, curves = spotting.tracks_of('quiet', 1, args_of(tmp_path, floors))
    assert len(tracks.numbers) == NUMBER
    assert ('difference' in curves) == ('mdmd' in curves) == floors
  assert measured == [NUMBER, NUMBER]


def test_signals_of_an_older_format_are_not_taken(
  measured, tmp_path, monkeypatch
):
  spotting.tracks_of('quiet', 1, args_of(tmp_path, False))
  monkeypatch.setattr(kept_tracks, 'FORMAT', kept_tracks.FORMAT + 1)
  spotting.tracks_of('quiet', 1, args_of(tmp_path, False))
  assert len(measured) == 2
