"""What a network reads of the signals of a recording, thirty times a second.

Displacements and the noise are those of the spotter without training: the
place of each region counts from where it is for ten seconds around, in units of
the recording's own noise. Logarithms beyond some units of noise keep a large
movement from hiding a small one.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from jaxtyping import Float32
import numpy as np

from mejax.motion.spotting import places
from mejax.motion.spotting import run as run_lib
from mejax.motion.spotting.run import MACRO
from mejax.motion.spotting.run import MICRO
from mejax.motion.spotting.run import Run
from mejax.motion.spotting.tracks import Tracks

RATE = 30.0
# Regions right and down; then lids, path of the head in a short and a long
# time, light, speech, noise, and whether there is a face.
CHANNELS = 2 * len(places.REGIONS) + 7
# Units of noise, distances between the eyes, and a share of brightness, that
# are about 1 to the network.
_NOISES, _LID, _HEAD, _LIGHT = 4.0, 0.02, 0.02, 0.03


def inputs(tracks: Tracks) -> Float32[np.ndarray, 't c']:
  """Returns the channels of each frame of `times`; 0 where there is no face."""
  found = np.zeros((len(tracks.shot), CHANNELS))
  for start, stop in run_lib.runs_of(tracks.shot):
    own = slice(start, stop)
    found[own] = _of_run(Run(tracks, own, ()))
  at = times(tracks)
  t = np.arange(len(found))
  return np.stack([np.interp(at, t, channel) for channel in found.T], 1).astype(
    np.float32
  )


def times(tracks: Tracks) -> Float[np.ndarray, ' t']:
  """Returns the position among the analysed frames of each frame read."""
  step = tracks.fps / RATE
  # 30 and 29.97 frames a second are read as they are.
  step = 1.0 if abs(step - 1) < 0.01 else step
  return np.arange(0, len(tracks.shot), step)


def mirrored(inputs: Float[Any, '*b c']) -> Float[Any, '*b c']:
  """Returns the channels of the mirrored face; takes JAX arrays, too."""
  return inputs[..., _MIRROR] * _SIGN


def _of_run(run: Run) -> Float[np.ndarray, 't c']:
  away = (run.motion - run.usual(MACRO)) / run.noise[:, None]
  others = [
    np.arcsinh((run.lids - np.median(run.lids)) / _LID),
    np.arcsinh(run.head[MICRO] / _HEAD),
    np.arcsinh(run.head[MACRO] / _HEAD),
    np.arcsinh(run.light / _LIGHT),
    run.speech,
    np.full(len(away), np.log10(run.noise.mean()) + 3),
    np.ones(len(away)),
  ]
  regions = np.arcsinh(away.reshape(len(away), -1) / _NOISES)
  return np.concatenate([regions, np.stack(others, 1)], 1)


def _other_side(name: str) -> str:
  for one, other in (('left', 'right'), ('right', 'left')):
    if name.startswith(one):
      return name.replace(one, other, 1)
  return name


_NAMES = list(places.REGIONS)
_SIDES = [_NAMES.index(_other_side(name)) for name in _NAMES]
_MIRROR = np.array(
  [2 * i + axis for i in _SIDES for axis in (0, 1)]
  + list(range(2 * len(_NAMES), CHANNELS))
)
_SIGN = np.array([-1.0, 1.0] * len(_NAMES) + [1.0] * 7, np.float32)
