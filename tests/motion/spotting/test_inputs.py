"""What a network reads of the signals of a recording."""

from __future__ import annotations

import dataclasses

import numpy as np

from mejax.motion.spotting import inputs as inputs_lib
from mejax.motion.spotting import places
from tests import made_signals

NAMES = list(places.REGIONS)


def mirrored_tracks(tracks):
  sides = [
    NAMES.index(
      name.replace('left', 'right')
      if 'left' in name
      else name.replace('right', 'left')
    )
    for name in NAMES
  ]
  motion = tracks.motion[:, sides] * [-1, 1]
  return dataclasses.replace(
    tracks, motion=motion, lids=tracks.lids[:, ::-1].copy()
  )


def test_mirrored_channels_are_those_of_the_mirrored_face():
  tracks = made_signals.tracks(0, [(100, 112)], length=300)
  ours = inputs_lib.mirrored(inputs_lib.inputs(tracks))
  np.testing.assert_allclose(
    ours, inputs_lib.inputs(mirrored_tracks(tracks)), atol=1e-4
  )
  assert abs(ours - inputs_lib.inputs(tracks)).max() > 1


def test_movement_stands_out_in_its_region_and_in_units_of_noise():
  still = made_signals.tracks(0, length=300)
  moved = made_signals.tracks(0, [(100, 112)], length=300)
  change = abs(inputs_lib.inputs(moved) - inputs_lib.inputs(still))
  strongest = change[106, : 2 * len(NAMES)].argmax()
  assert NAMES[strongest // 2] in (
    'left brow', 'left inner brow', 'right mouth corner',
  )  # fmt: skip
  # Twice the noise and twice the movement look the same.
  moved = dataclasses.replace(moved, motion=10 * moved.motion)
  both = dataclasses.replace(moved, motion=2 * moved.motion)
  regions = slice(0, 2 * len(NAMES))
  np.testing.assert_allclose(
    inputs_lib.inputs(both)[:, regions],
    inputs_lib.inputs(moved)[:, regions],
    atol=1e-4,
  )


def test_frames_without_a_face_are_zero():
  tracks = made_signals.tracks(0, length=300)
  shot = tracks.shot.copy()
  shot[100:140] = -1
  shot[140:] = 1
  motion = tracks.motion.copy()
  motion[100:140] = np.nan
  found = inputs_lib.inputs(
    dataclasses.replace(tracks, shot=shot, motion=motion)
  )
  assert np.isfinite(found).all()
  assert (found[100:140] == 0).all() and (found[139:141].any(1) == [0, 1]).all()


def test_every_rate_is_read_thirty_times_a_second():
  for fps, number in ((30.0, 300), (29.97, 300), (25.0, 360), (40.0, 225)):
    tracks = made_signals.tracks(0, length=300, fps=fps)
    assert inputs_lib.inputs(tracks).shape == (number, inputs_lib.CHANNELS)
