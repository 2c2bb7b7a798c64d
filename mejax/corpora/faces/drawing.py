"""Draws neutral faces: a shaded relief of the head with the parts on it.

Functions take the proportions `p` of `anatomy.proportions`; images are
f32[PIXELS, PIXELS, 3] with colours in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

import cv2
from jaxtyping import Float
import numpy as np

from mejax.corpora.faces import parts
from mejax.corpora.faces.anatomy import anchors
from mejax.corpora.faces.anatomy import outline
from mejax.corpora.faces.anatomy import proportions
from mejax.corpora.faces.canvas import MARGIN
from mejax.corpora.faces.canvas import PIXELS
from mejax.corpora.faces.canvas import Canvas
from mejax.corpora.faces.canvas import darken
from mejax.corpora.faces.canvas import mix
from mejax.corpora.faces.canvas import step

_SKIN = (
  (0.93, 0.77, 0.68),
  (0.88, 0.70, 0.58),
  (0.84, 0.66, 0.50),
  (0.76, 0.57, 0.42),
  (0.62, 0.43, 0.31),
  (0.45, 0.30, 0.22),
)
_HAIR = (
  (0.08, 0.07, 0.07),
  (0.15, 0.10, 0.08),
  (0.26, 0.16, 0.10),
  (0.44, 0.27, 0.15),
  (0.68, 0.52, 0.32),
  (0.52, 0.51, 0.51),
)
_GREY = np.array([0.62, 0.61, 0.60])
_IRIS = (
  (0.25, 0.14, 0.08),
  (0.36, 0.22, 0.10),
  (0.30, 0.36, 0.22),
  (0.30, 0.45, 0.58),
)


@dataclasses.dataclass(frozen=True)
class NeutralFace:
  """A face at rest.

  Attributes:
    texture: colours in [0, 1] over [-MARGIN, 1 + MARGIN] in both directions.
    points: anchors of the muscles in frame units, the left and the right one
      (in the image) of each pair; a single point stands in both rows.
    looks: what groups of people differ in: `tone`, lightness of the skin from 0
      to 1; `width` of the face over its height; `folds`, the depth of the folds
      beside the mouth from 0 to 1; `age`, how deep all signs of age are, from 0
      to 1, if people are given one.
  """

  texture: Float[np.ndarray, 'h w 3']
  points: Mapping[str, Float[np.ndarray, '2 2']]
  looks: Mapping[str, float]


def _relief(canvas: Canvas, p: Mapping[str, float], width):
  """Returns the height of the face above the picture plane, in frame units."""
  x, y = canvas.x - 0.5, canvas.y
  t = np.clip((y - p['top']) / (p['chin'] - p['top']), 1e-3, 1 - 1e-3)
  round_x = np.clip(1 - (x / np.maximum(width, 1e-3)) ** 2, 0, 1) ** 0.45
  z = 0.20 * round_x * np.sin(np.pi * t) ** 0.35

  root, tip = p['eye_y'] - 0.01, p['nose_y']
  along = np.clip((y - root) / (tip - root), 0, 1)
  below = np.clip((y - tip) / 0.035, 0, None)
  above = np.clip((root - y) / 0.05, 0, None)
  thick = (0.36 + 0.45 * along) * p['nose_width']
  ridge = (0.25 + 0.75 * along**1.3) * np.exp(-(below**2) - above**2)
  z = z + p['nose_height'] * ridge * np.exp(-0.5 * (x / thick) ** 2)

  def both(dx, cy, sx, sy):
    return canvas.spot((0.5 - dx, cy), (sx, sy)) + canvas.spot(
      (0.5 + dx, cy), (sx, sy)
    )

  mouth = p['mouth_y']
  z += 0.020 * both(0.8 * p['nose_width'], tip + 0.008, 0.016, 0.016)
  z -= 0.030 * both(p['eye_x'] - 0.02, p['eye_y'] - 0.005, 0.055, 0.035)
  z += 0.012 * both(p['eye_x'], p['eye_y'], 0.040, 0.022)
  z += 0.014 * both(p['eye_x'] - 0.01, p['eye_y'] - p['brow_y'], 0.07, 0.022)
  z += p['cheek'] * both(p['eye_x'] + 0.03, p['nose_y'] - 0.03, 0.06, 0.05)
  z += 0.012 * canvas.spot((0.5, mouth - 0.012), (0.07, 0.018))
  z += 0.016 * canvas.spot((0.5, mouth + 0.020), (0.055, 0.014))
  z -= 0.014 * canvas.spot((0.5, mouth + 0.062), (0.06, 0.014))
  z += 0.014 * canvas.spot((0.5, p['chin'] - 0.065), (0.055, 0.036))
  z -= 0.007 * canvas.spot((0.5, mouth - 0.05), (0.008, 0.022))
  fold = 0.070 + 0.55 * (y - tip)
  span = step(y - tip + 0.01, 0.012) * step(mouth + 0.01 - y, 0.02)
  crease = np.exp(-0.5 * ((np.abs(x) - fold) / 0.010) ** 2) * span
  z -= 0.006 * p['folds'] * crease
  if 'age' in p:
    z += p['age'] * _signs_of_age(canvas, p)
  return canvas.blur(z.astype(np.float32), 0.004)


def _signs_of_age(canvas: Canvas, p: Mapping[str, float]):
  """Returns the relief of an old forehead and of slack lower lids."""
  x, y = canvas.x - 0.5, canvas.y
  brow = p['eye_y'] - p['brow_y'] - 0.015
  lines = 0.0
  for i in (1, 2, 3):
    line = brow + (p['hairline'] - brow) * i / 4
    # No random number is drawn, so that the rest of a face stays as it is.
    line = line + 0.004 * np.sin(2 * np.pi * x / 0.21 + i + 20 * p['parting'])
    lines += np.exp(-0.5 * ((y - line) / 0.005) ** 2)
  lines *= np.exp(-((x / 0.17) ** 4))
  away = np.abs(x) - p['eye_x']
  sag = p['eye_y'] + 0.058 - 3 * away**2
  along = np.exp(-0.5 * (away / 0.045) ** 2)
  bag = np.exp(-0.5 * ((y - sag + 0.018) / 0.012) ** 2) * along
  below = np.exp(-0.5 * ((y - sag) / 0.005) ** 2) * along
  return 0.006 * bag - 0.005 * below - 0.004 * lines


def _shade(canvas: Canvas, p: Mapping[str, float], z):
  """Lights a relief; returns its diffuse light, dark in hollows, and gloss."""
  dy, dx = np.gradient(z, (1 + 2 * MARGIN) / PIXELS)
  norm = np.sqrt(1 + dx**2 + dy**2)
  light = np.array([p['light'], -0.55, 1.0])
  light /= np.linalg.norm(light)
  facing = (-dx * light[0] - dy * light[1] + light[2]) / norm
  half = light + [0, 0, 1]
  half /= np.linalg.norm(half)
  gloss = np.clip((-dx * half[0] - dy * half[1] + half[2]) / norm, 0, 1) ** 28
  hollow = np.clip(1 + 5.0 * (z - canvas.blur(z, 0.035)), 0.6, 1.12)
  diffuse = 0.34 + 0.66 * np.clip(0.85 * facing + 0.15, 0, 1)
  return np.float32(diffuse * hollow), np.float32(gloss)


def _skin(canvas: Canvas, p: Mapping[str, float], tone):
  """Draws skin without light: blotches, pores, moles, red and dark places."""
  generator = canvas.generator
  colour = np.ones((PIXELS, PIXELS, 3), np.float32) * np.float32(tone)
  blood = 0.35 * canvas.noise(0.03) + 0.20 * canvas.noise(0.010)
  for side in (-1, 1):
    blood += 1.6 * canvas.spot((0.5 + side * 0.17, 0.57), (0.06, 0.05))
  blood += 1.2 * canvas.spot((0.5, p['nose_y']), (0.035, 0.03))
  colour = darken(colour, 0.045 * blood, (-0.5, 1.0, 0.9))
  grain = (
    0.022 * canvas.noise(0.004)
    + 0.016 * canvas.noise(0.008)
    + 0.018 * canvas.noise(0.025)
  )
  colour *= (1 + generator.uniform(0.7, 1.4) * grain)[..., None]
  for side in (-1, 1):
    below = canvas.spot(
      (0.5 + side * (p['eye_x'] - 0.01), p['eye_y'] + 0.045), (0.05, 0.014)
    )
    colour = darken(colour, 0.10 * below)
  freckles = generator.choice([0, 0, 0, 60])
  moles = int(generator.integers(1, 5))
  marks = np.zeros((PIXELS, PIXELS), np.float32)
  for i in range(moles + freckles):
    dark, radius = (0.6, 0.005) if i < moles else (0.35, 0.003)
    x, y = generator.uniform((0.3, 0.45), (0.7, 0.65 if i >= moles else 0.9))
    centre, width = canvas.pixel(x, y), canvas.length(radius)
    cv2.circle(marks, centre, width, dark, cv2.FILLED, cv2.LINE_8, 4)
  return darken(colour, canvas.blur(marks, 0.002), (0.6, 0.9, 1.0))


def _surroundings(canvas, p, tone):
  """Draws wall, shoulders, neck and ears, which lie behind the face."""
  generator = canvas.generator
  wall = np.array([0.55, 0.57, 0.60]) * generator.uniform(0.7, 1.25)
  wall = wall + generator.uniform(-0.05, 0.05, 3)
  image = np.ones((PIXELS, PIXELS, 3), np.float32) * wall
  image *= (1.05 - 0.15 * canvas.y + 0.02 * canvas.noise(0.03))[..., None]
  x = np.abs(canvas.x - 0.5)
  cloth = generator.uniform(0.08, 0.55, 3)
  weave = 1 + 0.08 * canvas.noise(0.004)
  shoulder = step(canvas.y - 0.93 - 0.35 * x**2 + 0.02, 0.004)
  image = mix(image, cloth * weave[..., None], shoulder)
  neck = step(
    0.62 * p['width'] + 0.6 * np.clip(canvas.y - 0.93, 0, 1) ** 1.3 - x, 0.004
  ) * step(canvas.y - 0.7, 0.01)
  dark = 0.50 + 0.25 * step(canvas.y - p['chin'] - 0.06, 0.02)
  dark = dark * np.clip(1 - (x / 0.25) ** 2 * 0.5, 0, 1)
  image = mix(image, np.asarray(tone) * dark[..., None], neck)
  for side in (-1, 1):
    dx = canvas.x - 0.5 - side * (p['width'] + 0.006)
    dy = canvas.y - p['eye_y'] - 0.07
    ring = np.hypot(dx / 0.034, dy / 0.085)
    bowl = 0.80 - 0.30 * np.exp(-(((ring - 0.55) / 0.25) ** 2))
    colour = np.asarray(tone) * [1.0, 0.90, 0.88] * bowl[..., None]
    image = mix(image, colour, step(1 - ring, 0.05))
  return image


def make_face(
  generator: np.random.Generator, *, size: int, age: float | None = None
) -> NeutralFace:
  """Makes up the face of a person.

  Args:
    generator: decides everything about the face but its age.
    age: from 0 to 1, how deep the lines of the forehead, slack lower lids and
      folds beside the mouth are, and how grey the hair. None has no such signs
      but folds of their own.
    size: side in pixels of the frames that will be rendered; the texture has
      twice that resolution.
  """
  canvas = Canvas(generator)
  p = proportions(generator)
  shade = int(generator.integers(len(_SKIN)))
  tone = np.array(_SKIN[shade]) * generator.uniform(0.94, 1.05, 3)
  darkest = len(_HAIR) if shade < 3 else 3
  hair = np.array(_HAIR[generator.integers(darkest)])
  if age is not None:
    p |= {'age': age, 'folds': 0.3 * p['folds'] + 0.7 * age}
    hair = hair + np.clip(2 * age - 1, 0, 1) * (_GREY - hair)
  iris = np.array(_IRIS[generator.integers(4 if shade < 3 else 2)])
  long = bool(generator.uniform() < 0.4)
  stubble = 0.0 if long else max(0.0, generator.uniform(-0.5, 0.75))

  width, inside = outline(canvas, p)
  lit, gloss = _shade(canvas, p, _relief(canvas, p, width))
  image = _skin(canvas, p, tone)
  if stubble:
    image = parts.draw_beard(canvas, image, p, hair, stubble)
  image = image * np.stack([lit**0.88, lit, lit**1.05], axis=-1)
  image = image + 0.10 * gloss[..., None]
  image = parts.draw_mouth(canvas, image, p, tone)
  image = parts.draw_nostrils(canvas, image, p)
  for side in (-1, 1):
    image = parts.draw_eye(canvas, image, p, side, iris, np.clip(lit, 0.5, 1.1))
  image = parts.draw_brows(canvas, image, p, hair)
  behind = _surroundings(canvas, p, tone)
  image = mix(behind, image, step(inside, 0.0025))
  image = parts.draw_hair(canvas, image, p, hair, long)
  texture = cv2.resize(
    np.clip(image, 0, 1).astype(np.float32),
    [round(2 * size * (1 + 2 * MARGIN))] * 2,
    interpolation=cv2.INTER_AREA,
  )
  looks = {
    'tone': float(tone.mean()),
    'width': 2 * p['width'] / (p['chin'] - p['top']),
    'folds': p['folds'],
  } | ({} if age is None else {'age': age})
  return NeutralFace(texture, anchors(p), looks)
