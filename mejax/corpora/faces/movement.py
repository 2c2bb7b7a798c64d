"""The movements of a synthetic face: action units, timing, head drift.

Coordinates are in frame units: (0, 0) is the top left corner of the frame and
(1, 1) the bottom right one. The displacements of the table are in pixels of a
128-pixel frame, those of a field in pixels of its own frame.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

import cv2
from jaxtyping import Float
import numpy as np

# The points that a muscle pulls: (anchor, (outward, down), (sigma_x, sigma_y)).
# `outward` is away from the middle of the face. The directions follow Ekman and
# Friesen's Facial Action Coding System; 'gaze' and 'twitch' are not part of it.
ACTION_UNITS = {
  '1': (('brow_inner', (0.05, -1.0), (0.060, 0.055)),),
  '2': (('brow_outer', (0.05, -1.0), (0.070, 0.055)),),
  '4': (('brow_inner', (-0.45, 0.9), (0.075, 0.060)),),
  '6': (
    ('cheek', (0.10, -0.8), (0.080, 0.055)),
    ('lower_lid', (0.00, -0.4), (0.060, 0.030)),
  ),
  '7': (
    ('lower_lid', (0.00, -0.8), (0.060, 0.028)),
    ('upper_lid', (0.00, 0.5), (0.055, 0.024)),
  ),
  '10': (('upper_lip', (0.10, -0.9), (0.050, 0.045)),),
  '12': (
    ('mouth_corner', (0.65, -0.75), (0.070, 0.062)),
    ('cheek', (0.10, -0.30), (0.080, 0.060)),
  ),
  '14': (('mouth_corner', (0.85, 0.10), (0.055, 0.050)),),
  '15': (('mouth_corner', (0.15, 0.95), (0.060, 0.060)),),
  '17': (('chin', (0.00, -0.9), (0.080, 0.055)),),
  '26': (
    ('lower_lip', (0.00, 0.6), (0.080, 0.045)),
    ('chin', (0.00, 0.9), (0.090, 0.075)),
  ),
  '45': (('upper_lid', (0.00, 1.0), (0.058, 0.028)),),
  'gaze': (('eye', (1.0, 0.0), (0.034, 0.026)),),
  'twitch': (('mouth_corner', (0.6, 0.4), (0.050, 0.045)),),
}

# The muscles that make an emotion, and those that only some people add to it.
EMOTIONS = {
  'negative': (('4',), ('7', '10', '15', '17')),
  'positive': (('12',), ('6', '14')),
  'surprise': (('1', '2'), ('26',)),
}


@dataclasses.dataclass(frozen=True)
class Movement:
  """A field of displacements and its strength over time.

  Attributes:
    field: displacement in pixels (right, down) at the onset's pixels.
    envelope: strength of the field in each frame; 0 in the first.
  """

  field: Float[np.ndarray, 'h w 2']
  envelope: Float[np.ndarray, ' t']


def grid(size: int) -> Float[np.ndarray, 'h w 2']:
  """Returns the (x, y) of pixel centres of a square frame, in frame units."""
  centres = (np.arange(size, dtype=np.float32) + 0.5) / size
  return np.stack(np.meshgrid(centres, centres), axis=-1)


def field(
  activations: Mapping[str, tuple[float, float]],
  points: Mapping[str, Float[np.ndarray, '2 2']],
  *,
  size: int,
) -> Float[np.ndarray, 'h w 2']:
  """Sums the pulls of action units.

  Args:
    activations: strength of each action unit on the left and on the right side
      of the image.
    points: anchors in frame units, the left and the right one of each pair.
    size: width and height of the frame in pixels.

  Returns:
    Displacements in pixels, right and down; strength 1 is about one pixel of a
    128-pixel frame.
  """
  at = grid(size)
  total = np.zeros((size, size, 2), np.float32)
  for unit, strengths in activations.items():
    for anchor, (outward, down), sigma in ACTION_UNITS[unit]:
      for side, strength in enumerate(strengths):
        offset = (at - points[anchor][side]) / np.asarray(sigma, np.float32)
        weight = np.exp(-0.5 * np.sum(offset**2, axis=-1))
        pull = np.array([(2 * side - 1) * outward, down], np.float32)
        total += strength * weight[..., None] * pull
  return total * np.float32(size / 128)


def rise_and_fall(num_frames: int, apex: int) -> Float[np.ndarray, ' t']:
  """Returns the strength of an expression: 0 at onset and offset, 1 at apex."""
  time = np.arange(num_frames)
  rise = np.sin(np.pi / 2 * np.minimum(time / apex, 1)) ** 2
  fall = np.clip((time - apex) / (num_frames - 1 - apex), 0, 1)
  return (rise * np.cos(np.pi / 2 * fall) ** 2).astype(np.float32)


def bump(
  num_frames: int, *, start: float, length: float
) -> Float[np.ndarray, ' t']:
  """Returns the strength of a twitch: `length` frames from `start` >= 0 on."""
  phase = np.clip((np.arange(num_frames) - start) / length, 0, 1)
  return (np.sin(np.pi * phase) ** 2).astype(np.float32)


def drift(
  generator: np.random.Generator, *, num_frames: int, size: int, amount: float
) -> list[Movement]:
  """Makes up slow movements of the whole head: shift, roll and scale.

  Args:
    generator: decides the path, which is 0 at the onset.
    num_frames: frames of the clip.
    size: width and height of the frame in pixels.
    amount: standard deviation of the shift at the end of the clip, in pixels of
      a 128-pixel frame; roll and scale add about as much at the frame's edge.
  """
  centred = (grid(size) - 0.5) * 2
  rolled = np.stack([-centred[..., 1], centred[..., 0]], axis=-1)
  still = np.zeros_like(centred)
  across, down = still + [1, 0], still + [0, 1]
  phase = np.pi / 2 * np.arange(num_frames) / num_frames
  waves = np.sin(np.outer([1, 2, 3], phase)) / [[1.0], [2.0], [3.0]]
  movements = []
  for basis, share in ((across, 1), (down, 1), (rolled, 0.5), (centred, 0.3)):
    path = generator.normal(size=3) @ waves * amount * share * size / 128
    movements.append(
      Movement(basis.astype(np.float32), path.astype(np.float32))
    )
  return movements


def displacement(
  movements: list[Movement], frame: int
) -> Float[np.ndarray, 'h w 2']:
  """Returns the exact flow from the onset to `frame`, at the onset's pixels."""
  return np.sum(
    [m.field * m.envelope[frame] for m in movements], axis=0, dtype=np.float32
  )


def backward(
  forward: Float[np.ndarray, 'h w 2'], *, iterations: int = 8
) -> Float[np.ndarray, 'h w 2']:
  """Inverts a smooth field of displacements.

  The result b satisfies b(y) = -f(y + b(y)) for the forward field f, and is
  found as a fixed point. Each step multiplies the error by the slope of f,
  which is below 0.9 for every field made here, and below 0.5 nearly everywhere;
  the error that is left is below .02 pixels.
  """
  height, width = forward.shape[:2]
  pixels = np.stack(
    np.meshgrid(
      np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    ),
    axis=-1,
  )
  result = -forward
  for _ in range(iterations):
    result = -cv2.remap(
      forward,
      pixels + result,
      None,
      cv2.INTER_LINEAR,
      borderMode=cv2.BORDER_REPLICATE,
    )
  return result
