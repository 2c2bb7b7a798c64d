"""Spotting in made-up signals whose bumps and noise are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mejax.motion.spotting import candidates
from mejax.motion.spotting import places
from mejax.motion.spotting.tracks import Tracks

NAMES = list(places.REGIONS)
NOISE = 0.001
FPS = 30.0


def tracks(seconds=20.0, *, fps=FPS, noise=NOISE, every=1, seed=0):
  """Returns signals of a face at rest under a camera with noise."""
  length = round(seconds * fps)
  generator = np.random.default_rng(seed)
  return Tracks(
    numbers=np.arange(length, dtype=float) * every + (every - 1) / 2,
    fps=fps,
    motion=noise * generator.normal(size=(length, len(NAMES), 2)),
    lids=noise * generator.normal(size=(length, 2)),
    head=0.001 * abs(generator.normal(size=length)),
    light=1 + 0.001 * generator.normal(size=length),
    shot=np.zeros(length, int),
    eyes=60.0,
  )


def bump(made, onset, apex, offset):
  """Returns a smooth rise and fall between frames, 1 at the apex."""
  t = np.arange(len(made.head))
  rise = np.clip((t - onset) / (apex - onset), 0, 1)
  fall = np.clip((t - apex) / (offset - apex), 0, 1)
  return np.sin(np.pi / 2 * rise) ** 2 * np.cos(np.pi / 2 * fall) ** 2


def move(made, curve, regions, size, direction=(0.6, -0.8)):
  motion = made.motion.copy()
  for name in regions:
    motion[:, NAMES.index(name)] += size * curve[:, None] * direction
  return dataclasses.replace(made, motion=motion)


def overlap(one, onset, offset):
  shared = min(one.offset, offset) - max(one.onset, onset) + 1
  return shared / (max(one.offset, offset) - min(one.onset, onset) + 1)


@pytest.mark.parametrize('seed', range(4))
def test_short_bump_is_found_where_it_is(seed):
  made = tracks(seed=seed)
  made = move(made, bump(made, 300, 305, 313), ['right mouth corner'], 0.02)
  (one,) = candidates.spot(made)
  assert one.type == 'micro' and one.regions == ('right mouth corner',)
  assert overlap(one, 300, 313) >= 0.5
  assert abs(one.apex - 305) <= 1
  assert one.size == pytest.approx(0.02, rel=0.2)
  assert one.flags == ()


def test_point_that_is_lost_for_a_frame_is_no_movement():
  made = tracks(noise=1e-4)
  lost = np.zeros(len(made.head))
  lost[300] = 1
  assert candidates.spot(move(made, lost, ['left cheek'], 0.03)) == []
  # Five frames are a movement.
  (one,) = candidates.spot(
    move(made, bump(made, 299, 302, 305), ['left cheek'], 0.03)
  )
  assert one.onset <= 301 <= one.offset


@pytest.mark.parametrize(
  'frames', [range(300, 308), [300, 301, 303, 304, 306, 307, 309], [300, 301]]
)
def test_point_that_jumps_between_two_places_is_no_movement(frames):
  made = tracks(noise=3e-4)
  jumps = np.zeros(len(made.head))
  jumps[list(frames)] = 1
  assert candidates.spot(move(made, jumps, ['right cheek'], 0.05)) == []
  # It hides nothing that moves elsewhere.
  curve = bump(made, 300, 304, 311)
  both = move(move(made, jumps, ['right cheek'], 0.05), curve, ['chin'], 0.02)
  (one,) = candidates.spot(both)
  assert one.regions == ('chin',)


def test_long_bump_is_a_macro_expression():
  made = tracks()
  made = move(made, bump(made, 200, 225, 260), ['left brow', 'chin'], 0.05)
  (one,) = candidates.spot(made)
  assert (one.type, set(one.regions)) == ('macro', {'left brow', 'chin'})
  assert overlap(one, 200, 260) >= 0.7


def test_short_bump_on_a_long_one_is_found_as_well():
  made = tracks()
  made = move(made, bump(made, 200, 245, 300), ['left brow'], 0.05)
  made = move(made, bump(made, 250, 255, 264), ['right mouth corner'], 0.03)
  got = candidates.spot(made)
  assert [one.type for one in got] == ['macro', 'micro']
  assert overlap(got[1], 250, 264) >= 0.5


def test_nothing_is_found_in_ten_minutes_of_noise():
  assert candidates.spot(tracks(600)) == []


def test_nothing_is_found_in_a_still_picture():
  assert candidates.spot(tracks(noise=0.0)) == []


def test_score_is_in_units_of_the_recordings_own_noise():
  scores = []
  for scale in (1, 3):
    made = tracks(noise=NOISE * scale)
    curve = bump(made, 300, 305, 313)
    made = move(made, curve, ['chin'], 0.03 * scale)
    scores.append(candidates.spot(made, gates=[])[0].score)
  assert scores[0] == pytest.approx(scores[1], rel=1e-6)


def test_frames_are_numbered_as_in_the_file():
  made = tracks(fps=200 / 7, every=7)
  made = move(made, bump(made, 300, 305, 313), ['chin'], 0.03)
  (one,) = candidates.spot(made)
  assert abs(one.apex - (305 * 7 + 3)) <= 7
  assert overlap(one, 300 * 7, 313 * 7) >= 0.5


def blinked(made, onset):
  lids = made.lids + 0.1 * bump(made, onset, onset + 4, onset + 12)[:, None]
  return dataclasses.replace(made, lids=lids)


def test_blink_that_moves_only_what_is_near_the_lids_is_dropped():
  made = blinked(tracks(), 300)
  made = move(made, bump(made, 300, 305, 313), ['left brow'], 0.02)
  assert candidates.spot(made) == []
  (one,) = candidates.spot(made, gates=['head'])
  assert one.flags == ('blink',)


def test_what_every_blink_drags_along_is_no_movement():
  made = tracks(noise=3e-4)
  for onset in (100, 200, 300, 400):
    made = blinked(made, onset)
  # Far from the lids: the fit of the head leaves it there.
  path = made.lids.mean(1)
  made = move(made, path, ['left nose wing', 'upper lip'], 0.08, (0.0, -1.0))
  assert candidates.spot(made) == []
  assert len(candidates.spot(made, gates=['head'])) == 4
  # An expression during one of them is found where it is.
  curve = bump(made, 300, 305, 313)
  (one,) = candidates.spot(move(made, curve, ['upper lip'], 0.02))
  assert one.flags == ('blink',) and one.regions == ('upper lip',)
  assert overlap(one, 300, 313) >= 0.5 and abs(one.apex - 305) <= 1


def test_expression_that_begins_with_a_blink_is_kept_and_flagged():
  made = blinked(tracks(), 299)
  moved = ['left brow', 'right mouth corner']
  made = move(made, bump(made, 300, 305, 313), moved, 0.02)
  (one,) = candidates.spot(made)
  assert one.flags == ('blink',) and set(one.regions) == set(moved)


def test_motion_of_the_head_raises_the_bar_and_deletes_no_time():
  made = tracks()
  head = made.head + 2.0 * bump(made, 290, 305, 320)
  turned = dataclasses.replace(made, head=head)
  curve = bump(made, 300, 305, 313)
  weak = move(turned, curve, ['chin'], 0.02)
  assert candidates.spot(weak) == []
  assert candidates.spot(weak, gates=[])[0].flags == ('head',)
  strong = move(turned, curve, ['chin'], 0.3)
  assert overlap(candidates.spot(strong)[0], 300, 313) >= 0.5


def test_speech_mutes_the_mouth_and_not_the_brows():
  made = tracks()
  t = np.arange(len(made.head)) / FPS
  talk = np.sin(np.pi * 3.5 * t) ** 2 * ((t > 5) & (t < 9))
  talking = move(made, talk, ['lower lip', 'chin'], 0.04, (0.0, 1.0))
  assert not [one for one in candidates.spot(talking) if 155 < one.apex < 265]
  curve = bump(made, 200, 205, 213)
  both = move(talking, curve, ['left inner brow'], 0.03)
  assert [
    one.regions for one in candidates.spot(both) if one.type == 'micro'
  ] == [('left inner brow',)]
  assert len(candidates.spot(talking, gates=['head'])) > 3


def test_fast_rise_is_micro_only_by_the_rule_of_the_rise():
  made = tracks()
  made = move(made, bump(made, 300, 306, 340), ['chin'], 0.03)
  assert [one.type for one in candidates.spot(made)] == ['macro']
  got = candidates.spot(made, part='rise', seconds=8 / 30)
  assert [one.type for one in got] == ['micro']
  assert overlap(got[0], 300, 340) >= 0.5


def test_nothing_is_found_where_there_is_no_face():
  made = tracks()
  made = move(made, bump(made, 300, 305, 313), ['chin'], 0.03)
  motion, shot = made.motion.copy(), made.shot.copy()
  motion[280:330], shot[280:330] = np.nan, -1
  shot[330:] = 1
  gone = dataclasses.replace(made, motion=motion, shot=shot)
  assert candidates.spot(gone) == []
  assert np.isnan(candidates.overview(gone).strength[280:330]).all()


def test_event_at_the_end_of_a_recording_is_flagged():
  made = tracks(seconds=311 / FPS)
  made = move(made, bump(made, 300, 305, 313), ['chin'], 0.05)
  got = candidates.spot(made)
  assert got and all('cut' in one.flags for one in got)


def test_recording_that_ends_while_an_event_falls_says_so():
  made = tracks(seconds=312 / FPS)
  made = move(made, bump(made, 300, 305, 320), ['chin'], 0.08)
  (one,) = candidates.spot(made)
  assert 'cut' in one.flags and abs(one.apex - 305) <= 1
  assert one.offset in (310, 311)


def test_event_that_still_rises_at_the_end_is_not_known_yet():
  made = tracks(seconds=304 / FPS)
  made = move(made, bump(made, 300, 308, 320), ['chin'], 0.08)
  assert candidates.spot(made) == []


def test_length_counts_both_ends():
  # Fifteen frames of thirty a second are half a second, eighteen are more.
  kinds = []
  for last in (314, 320):
    made = tracks(noise=1e-5)
    made = move(made, bump(made, 299, 306, last + 1), ['chin'], 0.05)
    (one,) = candidates.spot(made)
    assert abs(one.onset - 300) <= 1 and abs(one.offset - last) <= 1
    kinds.append(one.type)
  assert kinds == ['micro', 'macro']


@pytest.mark.parametrize('fps, every', [(30.0, 1), (60.0, 2), (200.0, 7)])
def test_first_and_last_frame_are_right_at_every_rate(fps, every):
  made = tracks(fps=fps / every, every=every, noise=1e-5)
  fine = tracks(len(made.head) * every / fps, fps=fps)
  errors = []
  for i, seconds in enumerate([0.3, 0.35, 0.4, 0.45, 0.5]):
    first = round(10 * fps) + i
    last = first + round(seconds * fps) - 1
    curve = bump(fine, first - 1, first + round(0.4 * (last - first)), last + 1)
    # Neighbouring frames are averaged, as `tracks.track` does.
    curve = curve.reshape(-1, every).mean(1)
    (one,) = candidates.spot(move(made, curve, ['chin'], 0.05))
    errors.append([one.onset - first, one.offset - last])
  assert np.abs(np.mean(errors, 0)).max() / fps < 0.012


def test_short_movement_before_a_slow_return_is_found_once():
  made = tracks()
  made = move(made, bump(made, 300, 305, 313), ['chin'], 0.04)
  made = move(made, bump(made, 295, 310, 370), ['chin'], 0.012)
  got = candidates.spot(made)
  assert [one.type for one in got] == ['micro']
  assert overlap(got[0], 300, 313) >= 0.5


@pytest.mark.parametrize('length', [1, 2, 5, 20])
def test_recording_of_a_few_frames_gives_nothing(length):
  assert candidates.spot(tracks(seconds=length / FPS)) == []


def test_unknown_gates_types_and_parts_are_refused():
  made = tracks(seconds=1)
  for options in (
    {'gates': ['wink']},
    {'thresholds': {'tiny': 3.0}},
    {'part': 'fall'},
  ):
    with pytest.raises(ValueError, match='wink|tiny|fall'):
      candidates.spot(made, **options)
