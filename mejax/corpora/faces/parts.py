"""Paints the parts of a face: eyes, brows, mouth, nostrils, hair, beard.

Each function returns the image with its part; `p` are the proportions.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from mejax.corpora.faces.anatomy import outline
from mejax.corpora.faces.canvas import PIXELS
from mejax.corpora.faces.canvas import Canvas
from mejax.corpora.faces.canvas import darken
from mejax.corpora.faces.canvas import mix
from mejax.corpora.faces.canvas import step


def draw_eye(canvas, image, p, side, iris, shadow):
  """Paints sclera, iris, pupil, catchlight, lashes and lid crease of an eye."""
  cx, cy = 0.5 + side * p['eye_x'], p['eye_y']
  e = side * (canvas.x - cx) / p['eye_width']
  y = canvas.y - cy + p['eye_tilt'] * e
  arc = np.clip(1 - e**2, 0, None)
  skewed = np.clip(1 - (e + 0.12) ** 2 / 1.25, 0, None)
  upper = -p['eye_height'] * arc**0.55 * (0.75 + 0.25 * skewed)
  lower = 0.62 * p['eye_height'] * arc**0.75
  within = step(1 - np.abs(e), 0.015)
  opening = step(y - upper, 0.0016) * step(lower - y, 0.0016) * within

  white = np.array([0.86, 0.83, 0.80]) * (1 - 0.25 * np.abs(e)[..., None] ** 3)
  gx = canvas.x - cx - p['gaze']
  gy = canvas.y - cy + 0.18 * p['eye_height']
  radius = np.hypot(gx, gy) / 0.0275
  angle = np.arctan2(gy, gx)
  rays = 0.12 * np.sin(9 * angle + 3 * radius) + 0.10 * np.sin(17 * angle)
  shine = 1 + rays * step(radius - 0.45, 0.1)
  shine *= 1.15 - 0.55 * step(radius - 0.82, 0.06)
  ball = np.asarray(iris) * shine[..., None]
  ball = mix(ball, (0.02, 0.02, 0.02), step(0.42 - radius, 0.04))
  eye = mix(white, ball, step(1 - radius, 0.05))
  depth = np.clip((y - upper) / p['eye_height'], 0, 2)
  eye = eye * (shadow * (0.55 + 0.45 * np.clip(depth / 0.7, 0, 1)))[..., None]
  glint = canvas.spot(
    (cx + p['gaze'] + 0.011 * np.sign(p['light']), cy - 0.012), (0.005, 0.005)
  )
  eye = mix(eye, (1.0, 1.0, 1.0), 0.85 * np.clip(glint * 1.4, 0, 1))
  image = mix(image, eye, opening)

  thick = 0.0042 * (1.0 + 0.5 * np.clip(e, 0, 1))
  wide = step(1.06 - np.abs(e), 0.03)
  lash = np.exp(-(((y - upper + 0.001) / thick) ** 2)) * wide
  image = mix(image, (0.07, 0.05, 0.05), 0.85 * lash)
  lid = np.exp(-(((y - lower) / 0.0032) ** 2)) * wide
  image = darken(image, 0.38 * lid)
  fold = upper * 1.25 - 0.013 + 0.004 * e**2
  crease = np.exp(-(((y - fold) / 0.0040) ** 2)) * step(1.1 - np.abs(e), 0.06)
  return darken(image, 0.32 * crease, (0.8, 1.0, 1.0))


def draw_brows(canvas, image, p, hair):
  """Paints brows of short hairs that stand up inside and lie down outside."""
  generator = canvas.generator
  hairs = np.zeros((PIXELS, PIXELS), np.uint8)
  centre_y = p['eye_y'] - p['brow_y']
  for side in (-1, 1):
    for _ in range(170):
      s = generator.uniform(0, 1) ** 0.9
      x = p['eye_x'] - 0.078 + 0.165 * s
      arch = -p['brow_arch'] * np.sin(np.pi * min(s * 1.05, 1)) + 0.010 * s**2
      thick = p['brow_thick'] * (1.0 - 0.75 * s**2)
      y = centre_y + arch + thick * generator.uniform(-0.75, 0.75)
      lean = np.deg2rad(65 - 75 * s + generator.normal() * 10)
      length = generator.uniform(0.012, 0.024)
      dx, dy = length * np.cos(lean), -length * np.sin(lean)
      ends = [(0.5 + side * (x + k * dx), y + k * dy) for k in (-0.4, 0.6)]
      cv2.line(
        hairs,
        canvas.pixel(*ends[0]),
        canvas.pixel(*ends[1]),
        int(generator.integers(150, 256)),
        1,
        cv2.LINE_AA,
        4,
      )
  strokes = canvas.blur(hairs.astype(np.float32) / 255, 0.0014)
  soft = canvas.blur(strokes, 0.007)
  mask = np.clip(1.0 * strokes + 0.55 * soft, 0, 0.92)
  return mix(image, np.asarray(hair) * min(0.8, 0.30 / max(hair)), mask)


def draw_mouth(canvas, image, p, tone):
  """Paints lips with a cupid's bow, the dark line between them, the corners."""
  e = (canvas.x - 0.5) / p['mouth_x']
  arc = np.clip(1 - e**2, 0, None)
  line = p['mouth_y'] - p['corners'] * e**2 + 0.003 * np.cos(5 * e) * arc
  bow = (
    1
    - 0.30 * np.exp(-((e / 0.16) ** 2))
    + 0.12 * np.exp(-(((np.abs(e) - 0.28) / 0.2) ** 2))
  )
  top = line - p['upper_lip'] * arc**0.9 * bow
  bottom = line + p['lower_lip'] * arc**0.8
  within = step(1 - np.abs(e), 0.03)
  soft = 0.0030
  upper = step(canvas.y - top, soft) * step(line - canvas.y, soft) * within
  lower = step(canvas.y - line, soft) * step(bottom - canvas.y, soft) * within
  red = np.asarray(tone) * [0.94, 0.58, 0.60]
  wrinkles = 1 + 0.05 * canvas.noise((0.003, 0.02))
  red = red * wrinkles[..., None]
  light = np.clip(image.mean(-1) / np.mean(tone), 0, 1.3)[..., None]
  image = mix(image, red * light * 0.84, 0.9 * upper)
  image = mix(image, red * light * 1.06, 0.85 * lower)
  gap = np.exp(-(((canvas.y - line) / 0.0042) ** 2)) * step(
    1.04 - np.abs(e), 0.03
  )
  image = mix(image, (0.18, 0.08, 0.08), 0.78 * gap)
  under = canvas.spot(
    (0.5, p['mouth_y'] + p['lower_lip'] + 0.014), (0.05, 0.008)
  )
  return darken(image, 0.16 * under)


def draw_nostrils(canvas, image, p):
  """Paints nostrils, the creases of the wings and the shadow below."""
  for side in (-1, 1):
    centre = (0.5 + side * 0.46 * p['nose_width'], p['nose_y'] + 0.024)
    hole = np.clip(1.3 * canvas.spot(centre, (0.011, 0.0055)), 0, 1)
    image = mix(image, (0.12, 0.06, 0.05), 0.75 * hole)
    wing = canvas.spot(
      (0.5 + side * 1.08 * p['nose_width'], p['nose_y'] + 0.010), (0.006, 0.018)
    )
    image = darken(image, 0.20 * wing)
  under = canvas.spot((0.5, p['nose_y'] + 0.036), (0.045, 0.009))
  return darken(image, 0.22 * under)


def _strands(canvas: Canvas, p: Mapping[str, float]):
  """Returns the brightness, about 0, of hair that falls from the parting."""
  dx = canvas.x - 0.5 - p['parting']
  dy = np.maximum(canvas.y - p['top'] + 0.16, 0.02)
  bend = canvas.noise(0.08) * 0.012
  across = np.arctan2(dx, dy) / np.pi + 0.5 + bend
  along = np.hypot(dx, dy) / 1.5
  fine = canvas.noise((0.0022, 0.12))
  locks = canvas.noise((0.014, 0.10))
  return cv2.remap(
    0.6 * fine + 0.8 * locks,
    (across * (PIXELS - 1)).astype(np.float32),
    (along * (PIXELS - 1)).astype(np.float32),
    cv2.INTER_LINEAR,
    borderMode=cv2.BORDER_REFLECT,
  )


def draw_hair(canvas, image, p, hair, long):
  """Paints hair down to the hairline; long hair frames the face."""
  width, _ = outline(canvas, p)
  _, cap = outline(canvas, p, p['hair_volume'])
  wisps = 0.004 * canvas.noise((0.006, 0.022))
  x = canvas.x - 0.5
  away = (x - p['parting']) / p['width']
  line = p['hairline'] + p['fringe'] * away**2
  above = step(line - canvas.y + wisps, 0.006)
  ear = p['eye_y'] + 0.02
  # Temples: hair covers the outline down to the ears, long hair falls behind.
  inset = 0.006 + 0.026 * step(p['nose_y'] - 0.02 - canvas.y, 0.03)
  edge = np.maximum(width, 0.62 * p['width'])
  temple = step(np.abs(x) - edge + inset + wisps, 0.004)
  temple *= step((1.3 if long else ear) - canvas.y + 3 * wisps, 0.012)
  mask = step(cap + wisps, 0.004) * np.maximum(above, temple)
  if long:
    outer = p['width'] + p['hair_volume'] + 0.05 * np.clip(canvas.y, 0, 0.6)
    falls = temple * step(outer - np.abs(x) + wisps, 0.006)
    mask = np.maximum(mask, falls * step(canvas.y - 0.30, 0.02))
  shine = np.exp(-(((canvas.y - p['top'] - 0.02 - 0.9 * x**2) / 0.045) ** 2))
  strands = _strands(canvas, p)
  bright = 1 + 0.22 * strands + shine * (0.35 + 0.2 * strands)
  bright = bright * (1 - 0.35 * np.clip(np.abs(x) / 0.45, 0, 1) ** 2)
  colour = np.asarray(hair) * np.clip(bright, 0.3, 2.2)[..., None]
  shadow = canvas.blur(mask.astype(np.float32), (0.012, 0.022))
  image = darken(image, 0.40 * shadow * (1 - mask))
  return mix(image, colour, mask)


def draw_beard(canvas, image, p, hair, amount):
  """Paints stubble around mouth and jaw."""
  _, inside = outline(canvas, p)
  jaw = step(canvas.y - p['nose_y'] - 0.045, 0.02)
  jaw = jaw * step(
    0.115 - inside + 0.9 * np.clip(canvas.y - p['mouth_y'] + 0.05, 0, 1), 0.015
  )
  lips = canvas.spot((0.5, p['mouth_y'] + 0.006), (0.8 * p['mouth_x'], 0.022))
  mask = jaw * (1 - np.clip(1.4 * lips, 0, 1))
  grain = np.clip(0.75 + 0.35 * canvas.noise((0.0025, 0.004)), 0, 1.6)
  return mix(
    image,
    np.asarray(hair) * min(0.9, 0.34 / max(hair)),
    np.clip(amount * mask * grain, 0, 0.9),
  )
