"""Sixteen regions of a face, and the points that stand for them.

Of the points, those of the regions come first, then those of the upper lids,
then those of places that hardly move by themselves.
"""

from __future__ import annotations

from jaxtyping import Float
from jaxtyping import Float32
import numpy as np

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
# Regions that a blink moves as well.
BESIDE_LIDS = frozenset(
  name
  for name in REGIONS
  if ('brow' in name and 'inner' not in name) or 'cheek' in name
)
_LIDS = (('left_eye', (0.0, -0.07)), ('right_eye', (0.0, -0.07)))
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
# Points lie around the middle of a region, a lid and a rigid place.
_AROUND_REGION = (
  (0.0, 0.0), (0.07, 0.0), (-0.07, 0.0), (0.0, 0.06), (0.0, -0.06),
)  # fmt: skip
_AROUND_LID = ((-0.06, 0.0), (0.0, 0.0), (0.06, 0.0))
_AROUND_RIGID = ((0.0, 0.0), (0.05, 0.03), (-0.05, -0.03))
# The mouth counts less for the motion of the head: it speaks.
_MOUTH_WEIGHT = 0.25


def place_points(
  five: Float32[np.ndarray, '5 2'],
) -> tuple[Float[np.ndarray, 'n 2'], Float[np.ndarray, ' n']]:
  """Returns the points that are followed, and their weights for the head.

  Args:
    five: eyes, nose and corners of the mouth, left in the image first.
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
  points, weights = [], []
  for places, around, weight in (
    (REGIONS.values(), _AROUND_REGION, 1.0),
    (_LIDS, _AROUND_LID, 0.0),
    (_RIGID, _AROUND_RIGID, 1.0),
  ):
    for anchor, at in places:
      for more in around:
        x, y = at[0] + more[0], at[1] + more[1]
        points.append(anchors[anchor] + x * along + y * across)
        weights.append(weight)
  number = len(_AROUND_REGION)
  for i, name in enumerate(REGIONS):
    if name in MOUTH:
      weights[i * number : (i + 1) * number] = [_MOUTH_WEIGHT] * number
  return np.stack(points), np.array(weights)


def regions_of(
  moved: Float[np.ndarray, 't n 2'],
) -> Float[np.ndarray, 't r 2']:
  """Returns the motion of each region.

  It is the mean of its points but for the lowest and the highest value, since
  one of them may be lost for some frames.
  """
  number = len(_AROUND_REGION)
  points = moved[:, : number * len(REGIONS)]
  points = points.reshape(len(moved), len(REGIONS), number, 2)
  return np.sort(points, axis=2)[:, :, 1:-1].mean(2)


def lids_of(moved: Float[np.ndarray, 't n 2']) -> Float[np.ndarray, 't 2']:
  """Returns the motion down of the left and the right upper lid."""
  number = len(_AROUND_LID)
  start = len(_AROUND_REGION) * len(REGIONS)
  points = moved[:, start : start + number * len(_LIDS), 1]
  return points.reshape(len(moved), len(_LIDS), number).mean(-1)
