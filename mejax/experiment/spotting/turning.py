"""Turns recordings back that were filmed with a turned camera."""

from __future__ import annotations

import contextlib
import dataclasses

import cv2
import numpy as np

from mejax.corpora import decode
from mejax.corpora.clip import Clip
from mejax.motion import detection
from mejax.motion import upright
from mejax.motion.spotting.following import Detector

# Frames from all of a recording of which some decide.
_LOOKED_AT = 8


def turned_back(clip: Clip, detector: Detector) -> Clip:
  """Returns a recording with the turn in which its face is upright.

  Args:
    clip: the recording.
    detector: image to faces; only `detection.detect` is asked for turned ones,
      since nobody knows what another says of a face on its side.
  """
  if detector is not detection.detect:
    return clip
  numbers, count = clip.frame_numbers, min(len(clip.frame_numbers), _LOOKED_AT)
  middles = (np.arange(count) + 0.5) * len(numbers) / max(count, 1)
  wanted = {numbers[int(at)] for at in middles}

  def seen():
    # Whoever needs a frame that is damaged tells of it.
    with contextlib.suppress(OSError, ValueError, cv2.error):
      yield from (image for _, image in decode.some(clip, wanted))

  return dataclasses.replace(clip, turn=upright.turn_of(seen(), detector))
