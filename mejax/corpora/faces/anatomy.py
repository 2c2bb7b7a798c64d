"""The proportions of made-up people and the anchors of their muscles."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from mejax.corpora.faces.canvas import MARGIN
from mejax.corpora.faces.canvas import PIXELS
from mejax.corpora.faces.canvas import Canvas


def proportions(generator: np.random.Generator) -> dict[str, float]:
  """Draws the proportions of one person's face at random.

  They are in frame units, except for `egg` and `square`, exponents of the
  outline, `folds`, a strength, and `light`, the direction of the light from -1
  (left) to 1.
  """
  between = {
    'top': (0.035, 0.065),
    'chin': (0.905, 0.945),
    'width': (0.305, 0.355),
    'egg': (0.82, 1.0),
    'square': (0.40, 0.54),
    'eye_x': (0.140, 0.162),
    'eye_y': (0.395, 0.425),
    'eye_width': (0.058, 0.068),
    'eye_height': (0.021, 0.031),
    'eye_tilt': (-0.006, 0.012),
    'gaze': (-0.006, 0.006),
    'brow_y': (0.070, 0.094),
    'brow_thick': (0.010, 0.019),
    'brow_arch': (0.006, 0.024),
    'nose_y': (0.575, 0.610),
    'nose_width': (0.042, 0.058),
    'nose_height': (0.055, 0.085),
    'mouth_y': (0.725, 0.755),
    'mouth_x': (0.094, 0.122),
    'upper_lip': (0.016, 0.027),
    'lower_lip': (0.023, 0.037),
    'corners': (-0.008, 0.008),
    'cheek': (0.010, 0.026),
    'folds': (0.0, 1.0),
    'light': (-0.75, 0.75),
    'hairline': (0.130, 0.185),
    'hair_volume': (0.030, 0.075),
    'parting': (-0.15, 0.15),
    'fringe': (-0.01, 0.16),
  }
  return {
    name: float(generator.uniform(*limits)) for name, limits in between.items()
  }


def anchors(p: Mapping[str, float]) -> dict[str, np.ndarray]:
  """Returns the muscles' anchors for proportions `p`, in frame units.

  Each is f32[2, 2]: (x, y) of the left and of the right one in the image.
  """
  brow = p['eye_y'] - p['brow_y']
  places = {
    'eye': (p['eye_x'], p['eye_y']),
    'upper_lid': (p['eye_x'], p['eye_y'] - 0.8 * p['eye_height']),
    'lower_lid': (p['eye_x'], p['eye_y'] + 0.8 * p['eye_height']),
    'brow_inner': (p['eye_x'] - 0.055, brow + 0.005),
    'brow_outer': (p['eye_x'] + 0.055, brow - 0.005),
    'cheek': (p['eye_x'] + 0.01, p['eye_y'] + 0.125),
    'nose': (0.0, p['nose_y']),
    'mouth_corner': (p['mouth_x'], p['mouth_y'] - p['corners']),
    'upper_lip': (0.5 * p['mouth_x'], p['mouth_y'] - 1.5 * p['upper_lip']),
    'lower_lip': (0.0, p['mouth_y'] + p['lower_lip']),
    'chin': (0.0, p['mouth_y'] + 0.55 * (p['chin'] - p['mouth_y'])),
  }
  return {
    name: np.array([[0.5 - x, y], [0.5 + x, y]], np.float32)
    for name, (x, y) in places.items()
  }


def outline(canvas: Canvas, p: Mapping[str, float], grow: float = 0.0):
  """Returns the head's half-width at each pixel's height, and signed distance.

  Both are in frame units. The distance is positive inside the outline, which
  `grow` widens on all sides.
  """
  top, chin = p['top'] - grow, p['chin'] + grow
  t = (canvas.y - top) / (chin - top)
  within = np.clip(t, 1e-4, 1 - 1e-4)
  width = (p['width'] + grow) * (
    np.sin(np.pi * within ** p['egg']) ** p['square']
  )
  inside = (np.abs(canvas.x - 0.5) < width) & (t > 0) & (t < 1)
  signed = [
    cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5)
    for part in (inside, ~inside)
  ]
  distance = (signed[0] - signed[1]) * (1 + 2 * MARGIN) / PIXELS
  return width, canvas.blur(distance, 0.003)
