"""Cuts recordings into windows for a network, and joins what it says of them.

Windows overlap, so that a frame in the middle part of one is seen with the
frames around it. The middle parts of a recording cover each frame once.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from jaxtyping import Float
from jaxtyping import Float32
from jaxtyping import Int
import numpy as np

from mejax.experiment.spotting.signal_sets import Recorded
from mejax.motion.spotting import curves as curves_lib
from mejax.motion.spotting import inputs as inputs_lib


@dataclasses.dataclass(frozen=True)
class Windows:
  """Windows of several recordings.

  Attributes:
    inputs: f32[n t c], see `motion.spotting.inputs`.
    targets: f32[n t q], see `motion.spotting.curves`.
    counted: f32[n t], 1 for the frames of the middle part that show a face.
    recording: i32[n], position of the recording of each window.
    lengths: frames of each recording.
    margin: frames at each end of a window that are not of its middle part.
  """

  inputs: Float32[np.ndarray, 'n t c']
  targets: Float32[np.ndarray, 'n t q']
  counted: Float32[np.ndarray, 'n t']
  recording: Int[np.ndarray, ' n']
  lengths: tuple[int, ...]
  margin: int


def cut_all(
  recordings: Sequence[Recorded], *, length: int, margin: int
) -> Windows:
  """Returns the windows of recordings with known expressions."""
  parts, recording, lengths = [], [], []
  for i, one in enumerate(recordings):
    truths = [(e.type, e.onset, e.offset) for e in one.video.truths]
    targets, counted = curves_lib.targets(one.tracks, truths)
    # Only the frames of the middle part count, each in one window.
    inputs = inputs_lib.inputs(one.tracks)
    windows = [cut(x, length=length, margin=margin) for x in (inputs, targets)]
    own = np.zeros(windows[0].shape[:2], np.float32)
    middle = slice(margin, length - margin)
    own[:, middle] = cut(counted[:, None], length=length, margin=margin)[
      :, middle, 0
    ]
    parts.append((*windows, own))
    recording += [i] * len(own)
    lengths.append(len(inputs))
  joined = [np.concatenate(some) for some in zip(*parts, strict=True)]
  return Windows(*joined, np.array(recording, np.int32), tuple(lengths), margin)


def cut(
  x: Float[np.ndarray, 't c'], *, length: int, margin: int
) -> Float32[np.ndarray, 'n l c']:
  """Returns the windows of one recording; there is nothing beyond its ends."""
  step = length - 2 * margin
  number = -(-len(x) // step)
  room = np.zeros((number * step + 2 * margin, x.shape[1]), np.float32)
  room[margin : margin + len(x)] = x
  return np.stack([room[i * step : i * step + length] for i in range(number)])


def join(
  windows: Float[np.ndarray, 'n l q'], *, length: int, margin: int
) -> Float[np.ndarray, 't q']:
  """Returns the middle parts of the windows of a recording, one after another.

  Args:
    windows: of the recording, in their order.
    length: frames of the recording.
    margin: as in `cut`.
  """
  middle = windows[:, margin : windows.shape[1] - margin]
  return middle.reshape(-1, windows.shape[-1])[:length]
