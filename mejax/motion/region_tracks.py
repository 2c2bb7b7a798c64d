"""Follows sixteen regions of a face through a long recording.

The recording is cut into segments of four seconds that overlap by half. In each
the points of the regions are followed from one quiet frame, the reference, so
that a signal is a displacement and not a speed; what the face does as a whole
is fitted to the points that move least by themselves, and removed. Brightness
and contrast of the face are set to those of the reference first. The segments
are joined where they overlap.

Only one segment of frames is in memory; an hour at 30 frames a second leaves 20
MB of signals. Above 40 frames a second, neighbouring frames are averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import math
from typing import NamedTuple

import cv2
from jaxtyping import Float
from jaxtyping import Float32
from jaxtyping import UInt8
import numpy as np
from scipy import ndimage

from mejax.motion import scenes
from mejax.motion.detection import DetectedFace

# Places in distances between the eyes, right and down from an anchor: the left
# or right eye, the point between them, the nose, the corners of the mouth or
# the point between these. Left is left in the image.
REGIONS = {
  'left inner brow': ('left_eye', (0.18, -0.29)),
  'left brow': ('left_eye', (0.0, -0.33)),
  'left outer brow': ('left_eye', (-0.18, -0.28)),
  'right inner brow': ('right_eye', (-0.18, -0.29)),
  'right brow': ('right_eye', (0.0, -0.33)),
  'right outer brow': ('right_eye', (0.18, -0.28)),
  'glabella': ('eyes', (0.0, -0.18)),
  'left nose wing': ('nose', (-0.20, 0.04)),
  'right nose wing': ('nose', (0.20, 0.04)),
  'left cheek': ('left_eye', (-0.04, 0.45)),
  'right cheek': ('right_eye', (0.04, 0.45)),
  'left mouth corner': ('left_mouth', (0.0, 0.0)),
  'right mouth corner': ('right_mouth', (0.0, 0.0)),
  'upper lip': ('mouth', (0.0, -0.08)),
  'lower lip': ('mouth', (0.0, 0.12)),
  'chin': ('mouth', (0.0, 0.38)),
}
MOUTH = frozenset(
  {'left mouth corner', 'right mouth corner', 'upper lip', 'lower lip', 'chin'}
)
_LIDS = {
  'left': ('left_eye', (0.0, -0.07)),
  'right': ('right_eye', (0.0, -0.07)),
}
_RIGID = (
  ('eyes', (0.0, 0.05)),
  ('eyes', (0.0, 0.22)),
  ('nose', (0.0, 0.0)),
  ('eyes', (-0.28, -0.62)),
  ('eyes', (0.0, -0.62)),
  ('eyes', (0.28, -0.62)),
  ('left_eye', (-0.36, 0.25)),
  ('right_eye', (0.36, 0.25)),
)
# Points of a region lie around its middle, in distances between the eyes.
_SPREAD = ((0.0, 0.0), (0.07, 0.0), (-0.07, 0.0), (0.0, 0.06), (0.0, -0.06))
# A point of a region counts less for the head than a rigid one.
_REGION_WEIGHT = 0.25
# Frames a second that are analysed, and above which frames are averaged.
_RATE, _MOST = 30.0, 40.0
# Seconds between two references, and pixels between the eyes.
_HOP, _EYES = 2.0, 64.0
# Distances between the eyes around the points that are cut out.
_MARGIN = 1.0
# Window and smoothing of the tracking, in distances between the eyes.
_WINDOW, _BLUR = 0.3, 0.02
# Frames that are filled in where some are missing.
_FILLED = 3
# A step between frames that is a cut, see `scenes.difference`.
_CUT = 0.15
# A picture that differs this much from the reference does not show the face.
_OTHER = 0.35
# Distances between the eyes; smaller residuals have equal weight.
_SMALL = 2e-3

Detector = Callable[[UInt8[np.ndarray, 'h w 3']], list[DetectedFace]]


@dataclasses.dataclass(frozen=True)
class Tracks:
  """The signals of a recording, at the frames that were analysed.

  Distances are shares of that between the eyes. Where no face was found, all
  but `numbers` is nan.

  Attributes:
    numbers: the number of each analysed frame; of averaged ones, that in the
      middle.
    fps: analysed frames a second.
    motion: displacement of each of `REGIONS`, right and down.
    lids: downward displacement of the left and right upper lid.
    head: speed of the face as a whole, in distances a second.
    light: brightness of the face, as a share of its mean.
    shot: frames of one number follow each other without a cut or a gap; -1 if
      there is no face.
    eyes: pixels between the eyes.
  """

  numbers: Float[np.ndarray, ' t']
  fps: float
  motion: Float[np.ndarray, 't r 2']
  lids: Float[np.ndarray, 't 2']
  head: Float[np.ndarray, ' t']
  light: Float[np.ndarray, ' t']
  shot: np.ndarray
  eyes: float


def track(
  frames: Iterable[tuple[int, UInt8[np.ndarray, 'h w 3']]],
  *,
  fps: float,
  detector: Detector,
) -> Tracks:
  """Follows the regions of the face in numbered frames.

  Args:
    frames: number and RGB of each frame, in order; numbers may be missing.
    fps: frames a second.
    detector: image to faces; the largest one is followed.

  Raises:
    ValueError: there is no frame, or `fps` is not above 0.
  """
  if not fps > 0:
    raise ValueError(f'fps is {fps}; expected a number above 0')
  every = max(1, round(fps / _RATE)) if fps > _MOST else 1
  shots = [_Shot(fps / every, detector)]
  for number, image in _averaged(frames, every):
    number = float(number)
    if shots[-1].ends_before(number, image, every):
      shots[-1].close()
      shots.append(_Shot(fps / every, detector))
    shots[-1].add(number, image, every)
  shots[-1].close()
  parts = [part for shot in shots for part in shot.parts]
  if not parts:
    raise ValueError('there are no frames')
  joined = _Signals(*map(np.concatenate, zip(*parts, strict=True)))
  lengths = [sum(len(part.head) for part in shot.parts) for shot in shots]
  shot = np.repeat(np.arange(len(shots)), lengths)
  shot[np.isnan(joined.head)] = -1
  eyes = [size for shot in shots for size in shot.eyes]
  return Tracks(
    numbers=np.concatenate([shot.numbers for shot in shots]),
    fps=fps / every,
    motion=joined.motion,
    lids=joined.lids,
    head=joined.head,
    light=joined.light / max(np.nanmean(joined.light), 1e-6)
    if eyes
    else joined.light,
    shot=shot,
    eyes=float(np.median(eyes)) if eyes else 0.0,
  )


def _averaged(
  frames: Iterable[tuple[int, UInt8[np.ndarray, 'h w 3']]], every: int
) -> Iterator[tuple[float, UInt8[np.ndarray, 'h w 3']]]:
  """Yields means of groups of frames, and the number in their middle."""
  if every == 1:
    yield from frames
    return
  group: list[np.ndarray] = []
  start = 0
  for number, image in frames:
    if group and number // every != start:
      yield start * every + (every - 1) / 2, _mean(group)
      group = []
    start = number // every
    group.append(image)
  if group:
    yield start * every + (every - 1) / 2, _mean(group)


def _mean(images: list[np.ndarray]) -> UInt8[np.ndarray, 'h w 3']:
  return np.rint(np.mean(images, 0, dtype=np.float32)).astype(np.uint8)


class _Signals(NamedTuple):
  """The signals of some frames; see `Tracks`. `light` is in grey levels."""

  motion: Float[np.ndarray, 't r 2']
  lids: Float[np.ndarray, 't 2']
  head: Float[np.ndarray, ' t']
  light: Float[np.ndarray, ' t']

  def cut(self, start: int, stop: int | None = None) -> _Signals:
    return _Signals(*(array[start:stop] for array in self))


def _nothing(length: int) -> _Signals:
  """Returns the signals of frames without a face."""
  return _Signals(
    np.full((length, len(REGIONS), 2), np.nan),
    np.full((length, 2), np.nan),
    np.full(length, np.nan),
    np.full(length, np.nan),
  )


class _Shot:
  """Frames that follow each other, of which one segment is in memory."""

  def __init__(self, fps: float, detector: Detector):
    self._fps, self._detector = fps, detector
    self._hop = max(round(_HOP * fps), 2)
    self._images: list[np.ndarray] = []
    self._tail: _Signals | None = None
    self._scale = 0.0
    self._last: np.ndarray | None = None
    self.numbers: list[float] = []
    self.parts: list[_Signals] = []
    self.eyes: list[float] = []

  def ends_before(self, number: float, image, every: int) -> bool:
    """Returns whether a frame cannot follow the last one: a gap or a cut."""
    if self._last is None:
      return False
    gap = (number - self.numbers[-1]) / every
    return gap > _FILLED + 1 or scenes.difference(self._last, image) > _CUT

  def add(self, number: float, image, every: int) -> None:
    if not self._scale:
      self._scale = _scale(image, self._detector)
    self._last = image
    size = [max(round(self._scale * side), 1) for side in image.shape[1::-1]]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    missing = (
      round((number - self.numbers[-1]) / every) - 1 if self.numbers else 0
    )
    before = self._images[-1] if self._images else small
    for i in range(missing):
      # A frame that is missing is a mixture of its neighbours.
      share = (i + 1) / (missing + 1)
      mixed = cv2.addWeighted(before, 1 - share, small, share, 0)
      self._images.append(mixed)
      self.numbers.append(self.numbers[-1] + every)
    self._images.append(small)
    self.numbers.append(float(number))
    while len(self._images) >= 2 * self._hop + 1:
      self._advance(self._hop)

  def close(self) -> None:
    """Works off what is left."""
    self._advance(len(self._images))
    self._last = None

  def _advance(self, number: int) -> None:
    """Follows the segment in memory, and lets go of its first frames."""
    if not number:
      return
    images = self._images[: 2 * self._hop]
    found, eyes = _follow(images, self._fps, self._detector)
    if eyes:
      self.eyes.append(eyes / self._scale)
    joined = found if self._tail is None else _joined(self._tail, found)
    self.parts.append(joined.cut(0, number))
    self._tail = joined.cut(number) if number < len(images) else None
    del self._images[:number]


def _joined(tail: _Signals, new: _Signals) -> _Signals:
  """Goes over from one segment to the next where they overlap."""
  length = min(len(tail.head), len(new.head))
  if np.isnan(new.head).all():
    return _Signals(
      *(
        np.concatenate([old[:length], array[length:]])
        for old, array in zip(tail, new, strict=True)
      )
    )
  share = np.linspace(0, 1, length + 2)[1:-1]
  result = []
  for old, array in zip(tail, new, strict=True):
    own = share.reshape(-1, *[1] * (array.ndim - 1))
    if array.ndim > 1:
      # Displacements count from the reference of their segment.
      apart = old[:length] - array[:length]
      known = np.isfinite(apart).all(tuple(range(1, apart.ndim)))
      if known.any():
        array = array + np.median(apart[known], 0)
    mixed = (1 - own) * old[:length] + own * array[:length]
    mixed = np.where(np.isnan(mixed), old[:length], mixed)
    mixed = np.where(np.isnan(mixed), array[:length], mixed)
    result.append(np.concatenate([mixed, array[length:]]))
  return _Signals(*result)


def _largest(faces: list[DetectedFace]) -> Float32[np.ndarray, '5 2'] | None:
  faces = [face for face in faces if _eyes(face.points) > 0]
  if not faces:
    return None
  return max(faces, key=lambda face: face.box[2] * face.box[3]).points


def _eyes(points: Float[np.ndarray, '5 2']) -> float:
  return math.hypot(*(points[1] - points[0]))


def _scale(image: UInt8[np.ndarray, 'h w 3'], detector: Detector) -> float:
  """Returns by how much frames are reduced; small faces stay as they are."""
  points = _largest(detector(image))
  if points is None:
    return min(1.0, 640 / max(image.shape[:2]))
  return min(1.0, _EYES / _eyes(points))


def _follow(
  images: list[UInt8[np.ndarray, 'h w 3']], fps: float, detector: Detector
) -> tuple[_Signals, float]:
  """Follows the face through a segment; returns the pixels between its eyes."""
  reference, five = _reference(images, detector)
  if five is None or len(images) < 2:
    return _nothing(len(images)), 0.0
  places, weights = _places(five)
  eyes = _eyes(five)
  low = np.floor(places.min(0) - _MARGIN * eyes).astype(int).clip(0)
  high = np.ceil(places.max(0) + _MARGIN * eyes).astype(int)
  cuts = [image[low[1] : high[1], low[0] : high[0]] for image in images]
  greys, light = _same_light(cuts, reference, five - low, eyes)
  found = _lucas_kanade(greys, reference, np.float32(places - low), eyes)
  is_face = np.array(
    [scenes.difference(cuts[reference], cut) < _OTHER for cut in cuts]
  )
  rest, whole = _without_head(
    (found - found[reference]) / eyes, places, weights
  )
  speed = np.linalg.norm(np.gradient(whole, axis=0), axis=-1).mean(-1) * fps
  rest[~is_face], speed[~is_face], light[~is_face] = np.nan, np.nan, np.nan
  number = len(_SPREAD)
  regions = rest[:, : number * len(REGIONS)]
  regions = regions.reshape(len(images), len(REGIONS), number, 2).mean(2)
  lids = rest[:, number * len(REGIONS) :][:, : 3 * len(_LIDS), 1]
  return (
    _Signals(regions, lids.reshape(-1, len(_LIDS), 3).mean(-1), speed, light),
    eyes,
  )


def _reference(
  images: list[UInt8[np.ndarray, 'h w 3']], detector: Detector
) -> tuple[int, Float32[np.ndarray, '5 2'] | None]:
  """Finds a quiet frame near the middle that shows a face, and its points."""
  small = [cv2.resize(image, None, fx=0.25, fy=0.25) for image in images]
  step = [
    float(cv2.absdiff(a, b).mean())
    for a, b in zip(small, small[1:], strict=False)
  ]
  step.append(step[-1] if step else 0.0)
  motion = ndimage.uniform_filter1d(step, 5)
  away = abs(np.arange(len(images)) / max(len(images) - 1, 1) - 0.5)
  order = np.argsort(motion + 1e3 * (away > 0.3) + away * 1e-3, kind='stable')
  tried = [*order[:2].tolist(), 0, len(images) // 2, len(images) - 1]
  for at in dict.fromkeys(tried):
    points = _largest(detector(images[at]))
    if points is not None:
      return at, points.astype(np.float32)
  return 0, None


def _places(
  five: Float32[np.ndarray, '5 2'],
) -> tuple[Float[np.ndarray, 'n 2'], Float[np.ndarray, ' n']]:
  """Returns the points that are followed, and their weights for the head.

  Those of the regions come first, then those of the lids, then rigid ones.
  """
  left, right = five[:2].astype(np.float64)
  along = right - left
  across = np.array([-along[1], along[0]])
  anchors = {
    'left_eye': left,
    'right_eye': right,
    'eyes': (left + right) / 2,
    'nose': five[2],
    'left_mouth': five[3],
    'right_mouth': five[4],
    'mouth': (five[3] + five[4]) / 2,
  }

  def place(anchor, at, more=(0.0, 0.0)):
    x, y = at[0] + more[0], at[1] + more[1]
    return anchors[anchor] + x * along + y * across

  places = [
    place(*region, more) for region in REGIONS.values() for more in _SPREAD
  ]
  lids = [
    place(*lid, (x, 0.0)) for lid in _LIDS.values() for x in (-0.06, 0.0, 0.06)
  ]
  rigid = [
    place(anchor, at, more)
    for anchor, at in _RIGID
    for more in ((0.0, 0.0), (0.05, 0.03), (-0.05, -0.03))
  ]
  weights = [
    *[_REGION_WEIGHT] * len(places), *[0.0] * len(lids), *[1.0] * len(rigid)
  ]  # fmt: skip
  return np.stack([*places, *lids, *rigid]), np.array(weights)


def _same_light(
  cuts: list[UInt8[np.ndarray, 'h w 3']],
  reference: int,
  five: Float[np.ndarray, '5 2'],
  eyes: float,
) -> tuple[list[UInt8[np.ndarray, 'h w']], Float[np.ndarray, ' t']]:
  """Returns smooth grey frames with one brightness and contrast of the face.

  The second value is the brightness that they had.
  """
  x, y = five[2]
  reach = 0.9 * eyes
  rows = slice(max(round(y - reach), 0), max(round(y + reach), 1))
  columns = slice(max(round(x - reach), 0), max(round(x + reach), 1))
  blurred, means, spreads = [], [], []
  for cut in cuts:
    grey = cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = cv2.GaussianBlur(grey, (0, 0), max(_BLUR * eyes, 0.6))
    mean, spread = cv2.meanStdDev(grey[rows, columns])
    blurred.append(grey)
    means.append(float(mean[0, 0]))
    spreads.append(float(spread[0, 0]))
  # What noise adds to the spread of single frames must not flicker.
  gains = spreads[reference] / np.maximum(spreads, 1e-3)
  # The full range of bytes makes their rounding small.
  stretch = 40.0 / max(spreads[reference], 1.0)
  return [
    np.rint((grey - mean) * (gain * stretch) + 128)
    .clip(0, 255)
    .astype(np.uint8)
    for grey, mean, gain in zip(blurred, means, gains, strict=True)
  ], np.array(means)


def _lucas_kanade(
  greys: list[UInt8[np.ndarray, 'h w']],
  reference: int,
  places: Float32[np.ndarray, 'n 2'],
  eyes: float,
) -> Float[np.ndarray, 't n 2']:
  """Follows points from the reference to every other frame.

  Bouguet, "Pyramidal implementation of the Lucas Kanade feature tracker"
  (2001).
  """
  side = 2 * max(round(_WINDOW * eyes / 2), 3) + 1
  found = np.empty((len(greys), *places.shape))
  for order in (range(reference, len(greys)), range(reference, -1, -1)):
    guess = places.copy()
    for t in order:
      ours, is_found, _ = cv2.calcOpticalFlowPyrLK(
        greys[reference],
        greys[t],
        places,
        guess.copy(),
        winSize=(side, side),
        maxLevel=2,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.005),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
      )
      # A point that is lost moves as the others do, in the middle.
      is_lost = is_found.ravel() == 0
      step = np.median(ours - places, 0)
      is_lost |= np.linalg.norm(ours - places - step, axis=-1) > 0.5 * eyes
      guess = np.where(is_lost[:, None], places + step, ours).astype(np.float32)
      found[t] = guess
  return found


def _without_head(
  moved: Float[np.ndarray, 't n 2'],
  places: Float[np.ndarray, 'n 2'],
  weights: Float[np.ndarray, ' n'],
) -> tuple[Float[np.ndarray, 't n 2'], Float[np.ndarray, 't n 2']]:
  """Fits a similarity to each frame by least lengths, and removes it.

  Returns:
    What is left of the displacements, and the motion of the head at each point.
  """
  at = places - places.mean(0)
  at = (at / np.sqrt((at**2).mean()))[None]
  own = np.broadcast_to(weights, moved.shape[:2])
  for _ in range(12):
    total = own.sum(1)[:, None]
    middle = (own[..., None] * at).sum(1) / total
    shift = (own[..., None] * moved).sum(1) / total
    x = at - middle[:, None]
    u = moved - shift[:, None]
    spread = (own[..., None] * x**2).sum((1, 2))
    grow = (own[..., None] * x * u).sum((1, 2)) / spread
    across = np.stack([-x[..., 1], x[..., 0]], -1)
    turn = (own[..., None] * across * u).sum((1, 2)) / spread
    whole = (
      shift[:, None] + grow[:, None, None] * x + turn[:, None, None] * across
    )
    rest = moved - whole
    length = np.linalg.norm(rest, axis=-1)
    own = weights / np.maximum(length, _SMALL)
  return rest, whole
