"""A stretch of a recording: its signals, its noise, and what else happens.

Head and light raise the noise while they change, and what the lids drag along
is removed, so that nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Collection
import math

from jaxtyping import Bool
from jaxtyping import Float
import numpy as np
from scipy import ndimage
from scipy import signal

from mejax.motion.spotting import lids as lids_lib
from mejax.motion.spotting import places
from mejax.motion.spotting.tracks import Tracks

MICRO, MACRO = 'micro', 'macro'
# Circumstances that a candidate may come from; each can be let through.
GATES = ('blink', 'head', 'speech', 'light')
# Distances between the eyes: the smallest motion that is one.
LEAST_MOTION = {MICRO: 4e-3, MACRO: 1.2e-2}
# Height at which the sides of a bump are found, as a share.
SIDE = 0.2
# Seconds: a standard deviation that removes what is faster than 5 Hz.
_SMOOTH = 0.03
# Seconds in which a bump of each type, and rest around it, has room.
ROOM = {MICRO: 1.6, MACRO: 10.0}
# Seconds of the lag whose differences are noise.
_LAG = 0.1
# Distances between the eyes: what is noise, at least.
_LEAST_NOISE = 4e-4
# What a distance of the head, and a share of brightness, add to the noise.
_HEAD_NOISE, _LIGHT_NOISE = {MICRO: 0.02, MACRO: 0.01}, 0.02
# Seconds over which the path of the head is measured for each type.
_HEAD_SECONDS = {MICRO: 0.25, MACRO: 2.0}
# Where the mouth turns so many times within so many seconds to both sides, it
# speaks.
_SPEECH = (1.0, 5)


def runs_of(shot: np.ndarray) -> list[tuple[int, int]]:
  """Returns start and end of each stretch of one shot with a face."""
  edges = np.flatnonzero(np.diff(shot)) + 1
  bounds = [0, *edges.tolist(), len(shot)]
  return [
    (a, b) for a, b in zip(bounds, bounds[1:], strict=False) if shot[a] >= 0
  ]


class Run:
  """A stretch of frames that follow each other and show the face."""

  def __init__(self, tracks: Tracks, own: slice, gates: Collection[str]):
    self.fps, self.gates = tracks.fps, gates
    self.numbers = tracks.numbers[own]
    # Frames of the file that one analysed frame stands for.
    steps = np.diff(self.numbers)
    self.every = float(np.median(steps)) if len(steps) else 1.0
    smooth = _SMOOTH * self.fps
    # As it was followed, without what is done below.
    self.tracked = tracks.motion[own]
    self.motion = ndimage.gaussian_filter1d(
      self.tracked, smooth, axis=0, mode='nearest'
    )
    self.lids = ndimage.gaussian_filter1d(
      tracks.lids[own].mean(1), smooth, mode='nearest'
    )
    self.head = {
      kind: self._path_of_head(tracks.head[own], seconds)
      for kind, seconds in _HEAD_SECONDS.items()
    }
    reach = max(round(_HEAD_SECONDS[MICRO] * self.fps), 1)
    light = tracks.light[own]
    self.light = ndimage.maximum_filter1d(light, reach) - (
      ndimage.minimum_filter1d(light, reach)
    )
    room = odd(ROOM[MICRO] * self.fps)
    self.blinks = lids_lib.find_blinks(self.lids, fps=self.fps, room=room)
    if 'blink' in gates:
      self.motion = lids_lib.remove_drag(
        self.motion, self.lids, self.blinks, room=room
      )
    self.noise = self._noise()
    self.speech = self._speech()

  def _path_of_head(
    self, speed: Float[np.ndarray, ' t'], seconds: float
  ) -> Float[np.ndarray, ' t']:
    """Returns how far the head gets in some seconds around each frame."""
    reach = max(round(seconds * self.fps), 1)
    mean = ndimage.uniform_filter1d(speed, reach, mode='nearest')
    return seconds * ndimage.maximum_filter1d(mean, reach, mode='nearest')

  def _noise(self) -> Float[np.ndarray, ' r']:
    """Returns the noise of each region, where head and lids are at rest."""
    lag = max(round(_LAG * self.fps), 1)
    if len(self.motion) <= lag:
      return np.full(self.motion.shape[1], _LEAST_NOISE)
    steps = np.linalg.norm(self.motion[lag:] - self.motion[:-lag], axis=-1)
    head = self.head[MICRO]
    quiet = head[lag:] <= np.median(head)
    for start, stop in self.blinks:
      quiet[max(start - lag, 0) : stop] = False
    if quiet.sum() > 2 * self.fps:
      steps = steps[quiet]
    # The median length of a normal step in the plane is 1.177 sigma, and a step
    # has the noise of two frames.
    sigma = np.median(steps, 0) / 1.177 / math.sqrt(2)
    return np.maximum(sigma, _LEAST_NOISE)

  def usual(self, kind: str) -> Float[np.ndarray, 't r 2']:
    """Returns where each region usually is, around each frame."""
    # A median over ten seconds needs no more than some thirty of the frames.
    room = odd(ROOM[kind] * self.fps)
    step = max(room // 30, 1)
    some = ndimage.median_filter(
      self.motion[::step], size=(odd(room / step), 1, 1), mode='nearest'
    )
    t = np.arange(len(self.motion))
    columns = some.reshape(len(some), -1).T
    return np.stack(
      [np.interp(t, t[::step], column) for column in columns], 1
    ).reshape(self.motion.shape)

  def head_noise(self, kind: str) -> Float[np.ndarray, ' t']:
    """Returns what the motion of the head adds to the noise."""
    return _HEAD_NOISE[kind] * self.head[kind]

  def noise_at(self, kind: str) -> Float[np.ndarray, 't r']:
    """Returns the noise of each region with what head and light add to it."""
    square = np.repeat(self.noise[None] ** 2, len(self.motion), 0)
    if 'head' in self.gates:
      square += self.head_noise(kind)[:, None] ** 2
    if 'light' in self.gates:
      square += (_LIGHT_NOISE * self.light[:, None]) ** 2
    return np.sqrt(square)

  def _speech(self) -> Bool[np.ndarray, ' t']:
    """Returns where the mouth opens and closes again and again."""
    i = list(places.REGIONS).index('lower lip')
    path = self.motion[:, i, 1]
    least = max(6 * self.noise[i], LEAST_MOTION[MICRO])
    turns = np.zeros(len(path))
    for sign in (1, -1):
      peaks, _ = signal.find_peaks(sign * path, prominence=least)
      turns[peaks] = 1
    reach = round(_SPEECH[0] * self.fps)
    around = np.convolve(turns, np.ones(2 * reach + 1))[reach:][: len(path)]
    return around >= _SPEECH[1]


def odd(length: float) -> int:
  return 2 * max(round(length / 2), 1) + 1
