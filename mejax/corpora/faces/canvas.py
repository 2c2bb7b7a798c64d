"""The canvas of a drawing: coordinates in frame units, and soft shapes.

A drawing also covers a margin around the frame, from which a moved face fills
the border.
"""

from __future__ import annotations

import cv2
import numpy as np

MARGIN = 1 / 16  # In frame units, on each side.
PIXELS = 432  # Side of a drawing, margins included.


class Canvas:
  """The coordinates (x, y) of every pixel, and shapes over them."""

  def __init__(self, generator: np.random.Generator):
    self.generator = generator
    span = (np.arange(PIXELS, dtype=np.float32) + 0.5) / PIXELS
    self.x, self.y = np.meshgrid(*[span * (1 + 2 * MARGIN) - MARGIN] * 2)

  def spot(self, centre, sigma):
    """Returns a Gaussian of height 1; `centre` and `sigma` are (x, y)."""
    dx = (self.x - centre[0]) / sigma[0]
    dy = (self.y - centre[1]) / sigma[1]
    return np.exp(-0.5 * (dx**2 + dy**2))

  def noise(self, sigma):
    """Returns smooth noise of unit variance; `sigma` is a number or (x, y)."""
    white = self.generator.normal(size=(PIXELS, PIXELS)).astype(np.float32)
    smooth = self.blur(white, sigma)
    return smooth / smooth.std()

  def blur(self, image, sigma):
    """Smooths by a Gaussian; `sigma` is one number or (x, y)."""
    pixels = np.broadcast_to(sigma, 2) * PIXELS / (1 + 2 * MARGIN)
    return cv2.GaussianBlur(
      image, (0, 0), float(pixels[0]), None, float(pixels[1])
    )

  def length(self, span):
    """Returns a length for OpenCV's drawing with `shift=4`: 1/16 pixels."""
    return round(16 * span * PIXELS / (1 + 2 * MARGIN))

  def pixel(self, x, y):
    """Returns a position for OpenCV's drawing with `shift=4`: 1/16 pixels."""
    scale = 16 * PIXELS / (1 + 2 * MARGIN)
    return int((x + MARGIN) * scale - 8), int((y + MARGIN) * scale - 8)


def step(distance, softness):
  """Rises from 0 to 1 where `distance` passes zero."""
  return 1 / (1 + np.exp(-np.clip(distance / softness, -30, 30)))


def mix(image, colour, mask):
  """Blends: the image where `mask` is 0, the colour where it is 1."""
  image = np.asarray(image, np.float32)
  mask = np.asarray(mask, np.float32)[..., None]
  return image + mask * (np.asarray(colour, np.float32) - image)


def darken(image, amount, colour=(1.0, 1.0, 1.0)):
  """Removes the share `amount` of the light, times `colour` in each channel."""
  amount = np.asarray(amount, np.float32)[..., None]
  return image * (1 - amount * np.asarray(colour, np.float32))
