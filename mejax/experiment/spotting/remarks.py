"""Sentences to know before one looks at what was spotted."""

from __future__ import annotations

import numpy as np

from mejax.motion import oddities
from mejax.motion.spotting.tracks import Tracks

# Frames a second below which the shortest micro-expressions, of .17 s, have
# fewer than four frames.
_SLOW = 24.0
LEAST_SECONDS = 1.0


def on_frames(watch: oddities.Watch, fps: float) -> list[str]:
  """Returns what is odd about the frames."""
  remarks = []
  if watch.is_still:
    remarks.append('All its frames show one picture: nothing moves in it.')
  if watch.repeated:
    real = fps * (1 - watch.repeated)
    remarks.append(
      f'{100 * watch.repeated:.0f} % of its {fps:.3g} frames a second repeat '
      f'the frame before, so it shows {real:.3g} different ones a second'
      + (_slow(real) or '.')
    )
  if watch.turned:
    at, degrees = watch.turned[0]
    remarks.append(
      f'The picture is turned by {degrees} degrees before second '
      f'{at / fps:.0f}: nothing is spotted where the face lies on its side. '
      'Turn that part back first.'
    )
  return remarks


def on_turn(turn: int) -> list[str]:
  """Returns what was done with a turned picture.

  Args:
    turn: degrees anticlockwise by which it was turned back; 0 if it is upright.
  """
  if not turn:
    return []
  how = {
    90: '90 degrees clockwise',
    180: '180 degrees',
    270: '90 degrees anticlockwise',
  }[turn]
  return [
    f'The picture is turned by {how}. It was turned back first: left, right '
    'and places are those of the upright picture.'
  ]


def on_rate(fps: float) -> list[str]:
  """Returns what so few frames a second cannot show."""
  slow = _slow(fps)
  return [f'It has {fps:.3g} frames a second{slow}'] if slow else []


def _slow(fps: float) -> str:
  """Says what so few frames a second cannot show; '' if they are enough."""
  if fps >= _SLOW:
    return ''
  return (
    f': a micro-expression of .2 s has {0.2 * fps:.0f} of them. What is '
    f'shorter than {4 / fps:.2g} s cannot be told from noise.'
  )


def on_signals(tracks: Tracks, fps: float) -> list[str]:
  """Returns what the signals cannot show."""
  remarks = on_rate(fps)
  seconds = len(tracks.numbers) / tracks.fps
  if seconds < LEAST_SECONDS:
    remarks.append(
      f'It lasts {seconds:.2f} s: there is no rest to compare a movement with.'
    )
  share = float((tracks.shot < 0).mean())
  if share == 1:
    remarks.append('It shows no face: nothing can be spotted.')
  elif share > 0.02:
    remarks.append(
      f'{100 * share:.0f} % of it shows no face; nothing is spotted there.'
    )
  if 0 < tracks.eyes < 20:
    remarks.append(
      f'The face is tiny: its eyes are {tracks.eyes:.0f} pixels apart. Small '
      'movements are lost.'
    )
  return remarks


def on_cuts(tracks: Tracks) -> list[str]:
  """Returns where the scene changes between two frames that show a face."""
  before, after = tracks.shot[:-1], tracks.shot[1:]
  changes = (before != after) & (before >= 0) & (after >= 0)
  # Where frames are missing, another shot begins, too.
  steps = np.diff(tracks.numbers)
  changes &= steps < 2 * np.median(steps) if len(steps) else False
  at = np.flatnonzero(changes)
  if not at.size:
    return []
  times = f', {at.size} times in all' * (at.size > 1)
  return [
    f'The scene changes at frame {tracks.numbers[at[0] + 1]:.0f}{times}: a'
    ' movement is spotted within a scene.'
  ]
