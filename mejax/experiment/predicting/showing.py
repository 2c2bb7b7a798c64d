"""Makes the pictures of an event."""

from __future__ import annotations

from typing import Any

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.experiment.predicting import rows
from mejax.experiment.predicting.frames import Made
from mejax.experiment.predicting.making import Making
from mejax.pages import pictures
from mejax.pages import predicting

# Side of a picture in pixels.
SIDE = 240
# How much motion is exaggerated for the eye, if the model reads it as it is,
# and how far it may then be, in sides of the face: beyond it, skin would fold.
_TIMES, _FARTHEST = 5.0, 0.05
_ARROWS = 12

Picture = UInt8[np.ndarray, '_ _ 3']


def tiles(
  making: Making, made: Made, fall: Float[np.ndarray, 'g g']
) -> list[tuple[str, Picture]]:
  """Returns the pictures of an event, each with its caption.

  Args:
    making: how its example was made.
    made: the example.
    fall: where the motion decides, see `looking.where`.
  """
  example, levels = made.example, making.recipe.levels
  onset, apex = (_large(example[name]) for name in ('onset', 'apex'))
  flow = example['flow'][levels.index(min(levels)), ..., :2] / min(levels)
  highest = max(levels)
  if highest > 1:
    shown = example['amplified'][levels.index(highest)]
    times, whose = highest, 'as the model reads it'
  else:
    far = _FARTHEST * len(flow) / max(pictures.size_of(flow), 1e-6)
    times = max(min(_TIMES, round(2 * far) / 2), 1.5)
    shown, whose = _exaggerated(example['onset'], flow, times), 'for the eye'
  size = rows.motion(made, levels)
  scale = pictures.scale_of(
    [pictures.size_of(flow), pictures.FAINT * len(flow)]
  )
  drawn = _flow(flow, scale)
  full = scale * rows.scale_of(made)
  top = float(fall.max())
  points = f'{100 * top:.0f} point{"s" * (round(100 * top) != 1)} of 100'
  return [
    (f'onset, frame {made.clip.onset}', onset),
    (f'apex, frame {made.clip.apex}', apex),
    (f'motion × {times:g}, {whose}', _large(shown)),
    (
      f'flow, {rows.PERCENT} % of it below {size:.2g} px: the colour is full at'
      f' {full:.2g} px',
      drawn,
    ),
    (
      'where the motion decides: held still there, the answer loses at most'
      f' {points}',
      _heat(onset, fall),
    ),
  ]


def strip(card: dict[str, Any], shares: list[tuple[str, float]]) -> bytes:
  """Returns one JPEG of the pictures of a card and bars of probabilities.

  Args:
    card: from `card`.
    shares: name and probability of each class.
  """
  gap, foot = 8, 30
  count = len(card['tiles'])
  width = count * (SIDE + gap) + SIDE + 2 * gap
  sheet = np.full((SIDE + foot + 2 * gap, width, 3), 255, np.uint8)
  for i, tile in enumerate(card['tiles']):
    x = gap + i * (SIDE + gap)
    sheet[gap : gap + SIDE, x : x + SIDE] = pictures.decoded(tile['source'])
    words = tile['caption'].partition(':')[0].replace('×', 'x')
    _write(sheet, words, (x, gap + SIDE + 20))
  x = gap + count * (SIDE + gap)
  _write(sheet, 'the motion is most like', (x, gap + 14))
  step = min(40, SIDE // len(shares))
  for i, (name, share) in enumerate(shares):
    y = gap + 34 + step * i
    cv2.rectangle(sheet, (x, y), (x + SIDE, y + 10), (228, 225, 218), -1)
    end = x + round(SIDE * share)
    cv2.rectangle(sheet, (x, y), (end, y + 10), (20, 99, 140), -1)
    _write(sheet, f'{name} {100 * share:.0f} %', (x, y + 26))
  _, data = cv2.imencode(
    '.jpg', sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90]
  )
  return data.tobytes()


def card(
  made: Made, row: dict[str, Any], captioned: list[tuple[str, Picture]]
) -> dict[str, Any]:
  """Returns JSON values of an event, as `pages.predicting` shows it."""
  first = pictures.jpeg(captioned[0][1])
  sources = [first, *(pictures.jpeg(picture) for _, picture in captioned[1:])]
  # The pointer on apex or exaggerated motion brings the onset back.
  overs = ['', first, first, '', '']
  return {
    'row': row,
    'apex': made.clip.apex,
    'tiles': [
      {'caption': words, 'source': source, 'over': over}
      for (words, _), source, over in zip(
        captioned, sources, overs, strict=True
      )
    ],
  }


def _large(picture: Picture) -> Picture:
  return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def _exaggerated(
  onset: Picture, flow: Float[np.ndarray, 's s 2'], times: float | int
) -> Picture:
  """Moves the pixels of the onset `times` times as far as they moved."""
  y, x = np.mgrid[: len(flow), : len(flow)].astype(np.float32)
  smooth = cv2.GaussianBlur(flow.astype(np.float32), (0, 0), 1.0)
  at = smooth
  for _ in range(4):  # What comes to a place p began at p - times * flow there.
    at = cv2.remap(
      smooth,
      x - times * at[..., 0],
      y - times * at[..., 1],
      cv2.INTER_LINEAR,
      borderMode=cv2.BORDER_REPLICATE,
    )
  return cv2.remap(
    onset,
    x - times * at[..., 0],
    y - times * at[..., 1],
    cv2.INTER_CUBIC,
    borderMode=cv2.BORDER_REPLICATE,
  )


def _flow(flow: Float[np.ndarray, 's s 2'], scale: float) -> Picture:
  """Colours a flow, and draws arrows where it is long enough to have one."""
  flow = flow.astype(np.float32)
  colours = pictures.flow_colour(flow, scale=scale)
  drawn = cv2.resize(colours, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
  means = cv2.resize(flow, (_ARROWS, _ARROWS), interpolation=cv2.INTER_AREA)
  cell = SIDE / _ARROWS
  for (row, column), length in np.ndenumerate(np.linalg.norm(means, axis=-1)):
    if length < 0.15 * scale:
      continue
    start = np.array([column + 0.5, row + 0.5]) * cell
    reach = 1.4 * cell * min(length / scale, 1)
    end = start + means[row, column] / length * reach
    cv2.arrowedLine(
      drawn,
      tuple(np.rint(16 * start).astype(int).tolist()),
      tuple(np.rint(16 * end).astype(int).tolist()),
      (29, 33, 38),
      1,
      cv2.LINE_AA,
      4,
      0.3,
    )
  return drawn


def _heat(face: Picture, fall: Float[np.ndarray, 'g g']) -> Picture:
  """Lays the falls of the probability over a grey face."""
  grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float64)
  value = pictures.enlarge(fall.astype(np.float64), SIDE)
  value = np.clip(value / predicting.FULL_FALL, 0, 1)
  return predicting.veiled(255 - 0.75 * (255 - grey), value)


def _write(sheet: Picture, words: str, at: tuple[int, int]) -> None:
  cv2.putText(
    sheet,
    words,
    at,
    cv2.FONT_HERSHEY_SIMPLEX,
    0.42,
    (60, 66, 72),
    1,
    cv2.LINE_AA,
  )
