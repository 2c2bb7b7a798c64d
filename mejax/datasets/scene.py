"""The face and the motion that a view was taken of, averaged for a picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mejax.datasets import views

# The mean of fewer people could still show one of them.
FEWEST_PEOPLE = 8


def scene(
  examples: Mapping[str, np.ndarray],
  labels: np.ndarray,
  groups: np.ndarray,
  *,
  num_classes: int,
  mode: str | None = None,
) -> dict[str, np.ndarray]:
  """What to draw behind a map of places, all in the aligned face.

  Args:
    examples: as `load` gives them.
    labels: i32[n], the class of each.
    groups: str[n], whose each is.
    num_classes: k.
    mode: of the view's mosaic, see `views.region_mosaic`; None if it cuts none.

  Returns:
    motion f32[k, h, w], how long the mean motion of a class is at each place,
    relative to the whole face, as a share of where it is longest; face u8[h,
    w], the mean onset, each person counting once, if there are enough people;
    corners i64[4, 2], upper left (row, column) of the four regions at their
    mean place, if there are any.
  """
  flow = np.zeros((num_classes, *examples['flow'].shape[2:4], 2), np.float64)
  for label, levels in zip(labels, examples['flow'], strict=True):
    flow[label] += levels[0, ..., :2]
  flow /= np.bincount(labels, minlength=num_classes).clip(1)[
    :, None, None, None
  ]
  motion = np.linalg.norm(flow - flow.mean((1, 2), keepdims=True), axis=-1)
  motion /= motion.max((1, 2), keepdims=True).clip(1e-12)
  found = {'motion': motion.astype(np.float32)}
  people = np.unique(groups)
  if 'onset' in examples and len(people) >= FEWEST_PEOPLE:
    face = sum(examples['onset'][groups == one].mean((0, 3)) for one in people)
    found['face'] = np.rint(face / len(people)).astype(np.uint8)
  if mode in views.MOSAICS:
    key, corners = views.MOSAICS[mode]
    size = motion.shape[-1]
    places = [corners(points, size=size) for points in examples[key]]
    found['corners'] = np.rint(np.mean(places, 0)).astype(np.int64)
  return found
