"""`mejax predict` on photographs of faces whose skin is moved by known bumps.

The photographs lie in the wheels of scikit-image and matplotlib.
"""

from __future__ import annotations

import numpy as np
import pytest

import mejax
from mejax.corpora import recordings as recordings_lib
from mejax.experiment.predicting import events as events_lib
from mejax.experiment.predicting import frames as frames_lib
from mejax.experiment.predicting import making as making_lib
from mejax.experiment.predicting import shipped
from mejax.experiment.spotting import recordings as spotting
from tests.corpora import test_decode
from tests.motion import exact_warp
from tests.motion import sample_faces

FPS, FRAMES = 30.0, 120
ONSET, APEX, OFFSET = 60, 65, 73
# Pixels by which the skin moves, and distances between the eyes over which the
# motion falls.
BY, REACH = {'hopper': (1.2, -1.6), 'astronaut': (-0.4, -1.8)}, 0.3
# Where, from between the eyes and in distances between them: right is along
# them. A corner of the mouth, and a brow.
WHERE = {'hopper': (0.45, 1.15), 'astronaut': (-0.4, -0.35)}

pytestmark = [
  pytest.mark.slow,
  pytest.mark.usefixtures('small'),
  pytest.mark.parametrize('name', sample_faces.SAMPLES),
]


def eyes_of(name: str) -> np.ndarray:
  """Returns the marked eyes in the portrait."""
  marked = np.array(sample_faces.EYES[name])
  return marked - marked.mean(0).astype(int) + 90


def place_of(name: str) -> np.ndarray:
  """Returns where the bump is in the portrait."""
  left, right = eyes_of(name)
  along = right - left
  across = np.array([-along[1], along[0]])
  right, down = WHERE[name]
  return eyes_of(name).mean(0) + right * along + down * across


def share_of(number: int) -> float:
  """Returns which share of its way the skin has gone: it rises and falls."""
  if number <= APEX:
    return float(np.clip((number - ONSET) / (APEX - ONSET), 0, 1))
  return float(np.clip((OFFSET - number) / (OFFSET - APEX), 0, 1))


def filmed(name: str, path):
  """Writes a video of a portrait in which one place moves and comes back."""
  portrait = sample_faces.portrait(name)
  x, y = exact_warp.pixels(*portrait.shape[:2])
  reach = REACH * np.linalg.norm(np.subtract(*eyes_of(name)))
  px, py = place_of(name)
  bump = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * reach**2))
  rng = np.random.default_rng(0)
  images = []
  for number in range(FRAMES):
    picture, share = portrait.astype(np.float64), share_of(number)
    if share:
      by = share * np.array(BY[name])
      picture = exact_warp.sample(portrait, x - by[0] * bump, y - by[1] * bump)
    noisy = picture + rng.normal(0, 1.0, picture.shape)
    images.append(np.rint(noisy).clip(0, 255).astype(np.uint8))
  return test_decode.write_video(path, images, fps=FPS)


def test_the_apex_that_is_spotted_is_the_true_one(name, tmp_path):
  path = filmed(name, tmp_path / f'{name}.avi')
  table = mejax.predict(path, progress=False)
  (row,) = table.to_dict('records')
  assert row['type'] == 'micro'
  assert abs(row['apex'] - APEX) <= 1
  assert abs(row['onset'] - ONSET) <= 2 and abs(row['offset'] - OFFSET) <= 2
  eyes = np.linalg.norm(np.subtract(*eyes_of(name)))
  assert row['face_px'] == pytest.approx(eyes, rel=0.1)
  # The flow has half of the length at least, as below; 99 % of the face moves
  # less than .9 of what the place does; a frame beside the apex has .8 of it.
  assert 0.5 * 0.9 * 0.8 < row['motion_px'] / np.hypot(*BY[name]) < 1.1


def test_the_flow_follows_the_bump_and_has_half_of_its_length(name, tmp_path):
  path = filmed(name, tmp_path / f'{name}.avi')
  (recording,) = recordings_lib.find([path])
  event = events_lib.Event(type='given', onset=ONSET, apex=APEX, offset=OFFSET)
  found = events_lib.Found(
    name=name, clip=spotting.clip_of(recording, FPS), fps=FPS, events=(event,)
  )
  recipe = making_lib.making_of(shipped.load()).recipe
  clips = frames_lib.clips_of(found, recipe, tmp_path / 'frames')
  (made,) = frames_lib.make(clips, recipe, tmp_path / 'made')
  flow = made.example['flow'][0, ..., :2]
  # From the picture to the aligned face by the eyes, as complex numbers.
  there = np.array(made.example['landmarks'][:2], float) @ (1, 1j)
  here = eyes_of(name) @ (1, 1j)
  factor = (there[1] - there[0]) / (here[1] - here[0])
  at = there[0] + factor * (place_of(name) @ (1, 1j) - here[0])
  column, line = round(at.real), round(at.imag)
  measured = flow[line, column] @ (1, 1j) / factor
  truth = np.array(BY[name]) @ (1, 1j)
  ratio = measured / truth
  assert 0.5 < ratio.real < 1.1 and abs(ratio.imag) < 0.15
  # What is far away, in distances between the eyes, stays where it is.
  rows, columns = np.indices(flow.shape[:2])
  far = np.hypot(rows - line, columns - column)
  still = flow[far > 1.3 * abs(there[1] - there[0])]
  assert np.percentile(np.linalg.norm(still, axis=-1), 95) < 0.2 * abs(
    truth * factor
  )
