"""Computes a dataset's mean face and motion, to draw behind attention maps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mejax.datasets import views

# In the mean of fewer people, one of them might still be recognised.
FEWEST_PEOPLE = 8


def mean_face_and_motion(
  examples: Mapping[str, np.ndarray],
  labels: np.ndarray,
  groups: np.ndarray,
  *,
  num_classes: int,
  mode: str | None = None,
) -> dict[str, np.ndarray]:
  """Averages the faces and the motion of a dataset, in the aligned face.

  Args:
    examples: as `load_examples` returns them.
    labels: i32[n], the class of each example.
    groups: str[n], the person of each example.
    num_classes: k.
    mode: mode of the view's mosaic, see `views.region_mosaic`; None if the view
      has no mosaic.

  Returns:
    motion f32[k, h, w], the length of each class's mean motion at each place,
    without the motion of the whole face, divided by the class's largest length;
    face u8[h, w], the mean onset, in which each person counts once, if there
    are at least `FEWEST_PEOPLE` people; corners i64[4, 2], upper left (row,
    column) of the four regions at their mean place, if there is a mosaic.
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
