"""Real faces from PyPI wheels, and known similarity warps of them."""

from __future__ import annotations

import importlib.util
import math
import pathlib

import cv2
import numpy as np
import pytest

# Package, file, and the scale at which the face is 110 to 130 pixels tall. The
# eyes below were marked by hand at that scale.
SAMPLES = {
  'hopper': ('matplotlib', 'mpl-data/sample_data/grace_hopper.jpg', 0.6),
  'astronaut': ('skimage', 'data/astronaut.png', 1.0),
}
EYES = {
  'hopper': ((132.0, 115.5), (184.0, 113.0)),
  'astronaut': ((203.0, 101.5), (246.0, 103.5)),
}


def image(name: str, *, scale: float = 1.0) -> np.ndarray:
  """Returns the RGB picture; skips the test if its package is missing."""
  package, file, reduce = SAMPLES[name]
  spec = importlib.util.find_spec(package)
  if spec is None:
    pytest.skip(f'{package} is not installed')
  path = pathlib.Path(spec.origin).parent / file
  picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
  return cv2.resize(
    picture, None, fx=reduce * scale, fy=reduce * scale,
    interpolation=cv2.INTER_AREA if reduce * scale <= 1 else cv2.INTER_CUBIC,
  )  # fmt: skip


def portrait(name: str) -> np.ndarray:
  """Returns a face of 100 pixels, in a picture of 200 x 200."""
  x, y = np.mean(EYES[name], axis=0).astype(int)
  picture = image(name)
  rows, columns = (
    np.arange(middle - 90, middle + 110).clip(0, length - 1)
    for middle, length in zip((y, x), picture.shape, strict=False)
  )
  return picture[rows][:, columns]


def similarity(
  scale: float, degrees: float, shift: tuple[float, float], about=(150, 130)
) -> np.ndarray:
  """Returns [A b] that turns and scales about a point, then shifts."""
  angle = math.radians(degrees)
  cos, sin = scale * math.cos(angle), scale * math.sin(angle)
  linear = np.array([[cos, -sin], [sin, cos]])
  about = np.asarray(about, float)
  return np.c_[linear, about + shift - linear @ about]


def similarities(number: int, *, seed: int = 0) -> list[np.ndarray]:
  source = np.random.default_rng(seed)
  return [
    similarity(
      source.uniform(0.7, 1.4),
      source.uniform(-12, 12),
      tuple(source.uniform(-3, 3, 2)),
    )
    for _ in range(number)
  ]


def warped(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
  """Returns the picture with the content of x moved to A x + b."""
  height, width = picture.shape[:2]
  return cv2.warpAffine(
    picture,
    matrix,
    (width, height),
    flags=cv2.INTER_CUBIC,
    borderMode=cv2.BORDER_REPLICATE,
  )


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
  return points @ matrix[:, :2].T + matrix[:, 2]


def inverse(matrix: np.ndarray) -> np.ndarray:
  linear = np.linalg.inv(matrix[:, :2].astype(float))
  return np.c_[linear, -linear @ matrix[:, 2]]
