"""Coordinates of a drawing in frame units, and soft shapes on it.

A drawing covers a margin around the frame, so that a moved face has something
to show at the border.
"""

from __future__ import annotations

import cv2
import numpy as np

MARGIN = 1 / 16
PIXELS = 432


class Canvas:
  """The coordinates of every pixel, and how to draw on them."""

  def __init__(self, generator: np.random.Generator):
    self.generator = generator
    span = (np.arange(PIXELS, dtype=np.float32) + 0.5) / PIXELS
    self.x, self.y = np.meshgrid(*[span * (1 + 2 * MARGIN) - MARGIN] * 2)

  def spot(self, centre, sigma):
    """A Gaussian of height 1."""
    dx = (self.x - centre[0]) / sigma[0]
    dy = (self.y - centre[1]) / sigma[1]
    return np.exp(-0.5 * (dx**2 + dy**2))

  def noise(self, sigma):
    """Smooth noise of unit variance; `sigma` in units (x, y)."""
    white = self.generator.normal(size=(PIXELS, PIXELS)).astype(np.float32)
    smooth = self.blur(white, sigma)
    return smooth / smooth.std()

  def blur(self, image, sigma):
    pixels = np.broadcast_to(sigma, 2) * PIXELS / (1 + 2 * MARGIN)
    return cv2.GaussianBlur(
      image, (0, 0), float(pixels[0]), None, float(pixels[1])
    )

  def length(self, span):
    """Length for cv2 drawing with `shift=4`."""
    return round(16 * span * PIXELS / (1 + 2 * MARGIN))

  def pixel(self, x, y):
    """Position for cv2 drawing with `shift=4`."""
    scale = 16 * PIXELS / (1 + 2 * MARGIN)
    return int((x + MARGIN) * scale - 8), int((y + MARGIN) * scale - 8)


def step(distance, softness):
  """0 to 1 where `distance` passes zero."""
  return 1 / (1 + np.exp(-np.clip(distance / softness, -30, 30)))


def mix(image, colour, mask):
  """`image` where `mask` is 0, `colour` where it is 1."""
  image = np.asarray(image, np.float32)
  mask = np.asarray(mask, np.float32)[..., None]
  return image + mask * (np.asarray(colour, np.float32) - image)


def darken(image, amount, colour=(1.0, 1.0, 1.0)):
  """Takes the share `amount` of the light away, per channel by `colour`."""
  amount = np.asarray(amount, np.float32)[..., None]
  return image * (1 - amount * np.asarray(colour, np.float32))
