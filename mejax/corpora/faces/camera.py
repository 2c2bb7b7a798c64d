"""Renders a face that has moved: pose, light and camera."""

from __future__ import annotations

import dataclasses

import cv2
from jaxtyping import Float
import numpy as np

from mejax.corpora.faces.canvas import MARGIN
from mejax.corpora.faces.drawing import NeutralFace


@dataclasses.dataclass(frozen=True)
class Pose:
  """The position of a head in the frame, turned and scaled about the middle.

  Attributes:
    shift: right and down, in frame units.
    roll: radians, clockwise in the image.
    scale: 1 is as drawn.
  """

  shift: tuple[float, float]
  roll: float
  scale: float

  def matrix(self) -> Float[np.ndarray, '2 3']:
    """Returns the affine map from the drawing to the frame, in frame units."""
    c, s = np.cos(self.roll), np.sin(self.roll)
    turn = self.scale * np.array([[c, -s], [s, c]])
    move = 0.5 + np.array(self.shift) - turn @ [0.5, 0.5]
    return np.column_stack([turn, move])

  def place(self, at: Float[np.ndarray, 'n 2']) -> Float[np.ndarray, 'n 2']:
    """Returns the places in the frame of points (x, y) of the drawing."""
    turn, move = np.split(self.matrix(), [2], axis=1)
    return (at @ turn.T + move[:, 0]).astype(np.float32)


def render(
  face: NeutralFace, pose: Pose, backward: Float[np.ndarray, 'h w 2']
) -> Float[np.ndarray, 'h w 3']:
  """Renders a moved face.

  Args:
    face: the neutral face.
    pose: position of the head at the onset.
    backward: for each pixel of the frame, the offset (right and down, in
      pixels) of the place where its content was at the onset.

  Returns:
    Colours in [0, 1], each pixel the mean over its area.
  """
  size = backward.shape[0]
  # Two samples a side for each pixel, then their mean: a real sensor averages
  # over its area too, and single samples would alias.
  fine = cv2.resize(
    backward / size, (2 * size, 2 * size), interpolation=cv2.INTER_CUBIC
  )
  centres = (np.arange(2 * size, dtype=np.float32) + 0.5) / (2 * size)
  at = fine + np.stack(np.meshgrid(centres, centres), axis=-1)
  scale = face.texture.shape[0] / (1 + 2 * MARGIN)
  to_texture = scale * cv2.invertAffineTransform(pose.matrix())
  to_texture[:, 2] += scale * MARGIN - 0.5
  image = cv2.remap(
    face.texture,
    cv2.transform(at, to_texture),
    None,
    cv2.INTER_LINEAR,
    borderMode=cv2.BORDER_REPLICATE,
  )
  return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)


@dataclasses.dataclass(frozen=True)
class Lighting:
  """Lamp and camera of a clip; the light does not move with the face.

  Attributes:
    gradient: change of brightness from the middle to the right and lower edge.
    gain: brightness of each frame.
    colour: colour of the lamp, as factors of R, G and B.
    noise: standard deviation of the camera's noise at mid-grey; white is 1.
  """

  gradient: tuple[float, float]
  gain: Float[np.ndarray, ' t']
  colour: Float[np.ndarray, ' 3']
  noise: float

  def expose(
    self,
    image: Float[np.ndarray, 'h w 3'],
    frame: int,
    generator: np.random.Generator,
  ) -> np.ndarray:
    """Takes a picture, u8[h, w, 3], of a rendered face in this light."""
    size = image.shape[0]
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    light = 1 + self.gradient[0] * ramp + self.gradient[1] * ramp[:, None]
    lit = image * light[..., None] * self.colour * self.gain[frame]
    # Shot noise: the variance grows with the light, above a constant part.
    grain = generator.standard_normal(lit.shape, np.float32)
    lit = lit + self.noise * grain * np.sqrt(0.3 + 1.4 * np.clip(lit, 0, 1))
    return np.clip(255 * lit + 0.5, 0, 255).astype(np.uint8)


def make_lighting(
  generator: np.random.Generator, *, num_frames: int, hard: float
) -> Lighting:
  """Makes up lamp and camera; `hard` (0 to 1) scales noise and flicker."""
  phase = generator.uniform(0, 2 * np.pi, 2)
  time = np.arange(num_frames)
  flicker = np.sin(time * 0.9 + phase[0]) + np.sin(time * 0.1 + phase[1])
  gain = generator.uniform(0.9, 1.1) * (1 + (0.002 + 0.008 * hard) * flicker)
  return Lighting(
    gradient=tuple(generator.uniform(-0.15, 0.15, 2).tolist()),
    gain=gain.astype(np.float32),
    colour=generator.uniform(0.96, 1.04, 3).astype(np.float32),
    noise=(0.8 + 4 * hard) / 255,
  )
