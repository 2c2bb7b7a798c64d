"""Measures how a face moves now, for the eye: between a frame and one before.

It is quick, so that it goes along with a camera, and shortens what is narrow:
no number rests on it. What is spotted comes from `spotting`, which follows a
face for seconds.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
import dataclasses

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.motion.detection import DetectedFace

# Side of the face as it is compared, in pixels, and of the square around it, in
# distances between the eyes.
SIDE, _SQUARE = 128, 2.8
# Seconds between two frames that are compared, and between two searches.
_APART, _SEARCH = 0.2, 0.5
# Sides by which a face moves before the square follows.
_STRAY = 0.06
# Pixels between the eyes, at least.
_LEAST_EYES = 8.0


def _oval() -> Float[np.ndarray, 's s 1']:
  """Returns 1 on the face, and less towards the corners behind it."""
  at = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
  away = np.hypot(at[:, None], at[None] * 1.15)
  return np.clip((1.05 - away) / 0.15, 0, 1)[..., None].astype(np.float32)


_OVAL = _oval()


@dataclasses.dataclass(frozen=True)
class Seen:
  """How a face moves.

  Attributes:
    box: left, top and side of the square around it, in pixels.
    eyes: pixels between the eyes.
    flow: motion of `SIDE` x `SIDE` places of the square to the right and down,
      as a share of its side, without that of the head.
  """

  box: tuple[int, int, int]
  eyes: float
  flow: Float[np.ndarray, 's s 2']


class Glance:
  """Follows the largest face of a recording that goes on."""

  def __init__(
    self,
    fps: float | int,
    detector: Callable[[UInt8[np.ndarray, 'h w 3']], list[DetectedFace]],
  ):
    self._detector = detector
    self._apart = max(round(_APART * fps), 1)
    self._search = max(round(_SEARCH * fps), 1)
    self._method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    self._count, self._eyes = 0, 0.0
    self._box: tuple[int, int, int] | None = None
    self._greys = collections.deque(maxlen=self._apart + 1)

  def see(self, image: UInt8[np.ndarray, 'h w 3']) -> Seen | None:
    """Takes the next frame; returns how the face moves, None without one."""
    if self._count % self._search == 0:
      self._find(image)
    self._count += 1
    if self._box is None:
      return None
    self._greys.append(_cut(image, self._box))
    flow = np.zeros((SIDE, SIDE, 2), np.float32)
    if len(self._greys) > 1:
      flow = self._method.calc(self._greys[0], self._greys[-1], None)
      flow = cv2.GaussianBlur(_without_head(flow), (0, 0), 2.0) * _OVAL
    return Seen(self._box, self._eyes, flow / SIDE)

  def _find(self, image: UInt8[np.ndarray, 'h w 3']) -> None:
    faces = self._detector(image)
    if not faces:
      self._box = None
      self._greys.clear()
      return
    points = max(faces, key=lambda face: face.box[2] * face.box[3]).points
    eyes = float(np.linalg.norm(points[1] - points[0]))
    self._eyes = max(eyes, _LEAST_EYES)
    side = round(_SQUARE * self._eyes)
    # Between the eyes and the mouth.
    middle = (points[:2].mean(0) + points[3:].mean(0)) / 2
    left, top = np.rint(middle - side / 2).astype(int).tolist()
    if self._box is not None:
      x, y, before = self._box
      grown = (side - before) / 2
      moved = (left - x + grown, top - y + grown, 2 * grown)
      if max(map(abs, moved)) < _STRAY * before:
        return
    self._box = left, top, side
    self._greys.clear()  # They show another square.


def _cut(
  image: UInt8[np.ndarray, 'h w 3'], box: tuple[int, int, int]
) -> UInt8[np.ndarray, 's s']:
  """Returns a square in grey; its border continues beyond the image."""
  left, top, side = box
  scale = SIDE / side
  moved = np.float32([[scale, 0, -scale * left], [0, scale, -scale * top]])
  cut = cv2.warpAffine(
    image,
    moved,
    (SIDE, SIDE),
    flags=cv2.INTER_LINEAR,
    borderMode=cv2.BORDER_REPLICATE,
  )
  return cv2.GaussianBlur(cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY), (0, 0), 0.8)


def _without_head(
  flow: Float[np.ndarray, 's s 2'],
) -> Float[np.ndarray, 's s 2']:
  """Removes the affine motion that most places share."""
  step = SIDE // 16
  at = (np.mgrid[: len(flow), : len(flow)] / len(flow) - 0.5)[::-1]
  every = np.stack([np.ones_like(at[0]), *at], -1)
  some = every[::step, ::step].reshape(-1, 3)
  moved = flow[::step, ::step].reshape(-1, 2).astype(np.float64)
  own = np.ones(len(some))
  # Least lengths leave alone what moves by itself.
  for _ in range(5):
    both = (some * own[:, None]).T
    found = np.linalg.solve(both @ some, both @ moved)
    own = 1 / np.maximum(np.linalg.norm(moved - some @ found, axis=-1), 0.05)
  return (flow - every @ found).astype(np.float32)
