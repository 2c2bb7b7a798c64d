"""Measures the errors of the whole chain on real faces with known motion.

    python -m tests.benchmarks.chain_errors [--clips 12] [--levels 1,2,4]

Two portraits that ship with scikit-image and matplotlib are turned, scaled and
shifted into clips of 256 pixels. Smooth bumps move brows and mouth (peaks of
0.4 to 1.6 pixels), the head drifts, and the camera's noise is two grey levels.
The clips have the layout of the synthetic corpus, so that
`mejax.datasets.known_truth` measures them like rendered ones. The true face
points are those that the detector finds on the untouched portrait, moved along.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile

import cv2
import numpy as np

from mejax.corpora.faces import movement
from mejax.datasets import known_truth
from mejax.datasets.recipe import FLOWS
from mejax.datasets.recipe import Recipe
from mejax.motion import faces
from tests.motion import exact_warp
from tests.motion import sample_faces

SIZE, FRAMES, FPS, NOISE = 256, 60, 100.0, 2.0
EMOTIONS = ('negative', 'positive', 'surprise')
# Place of a bump, its width and the direction of its pull, in distances between
# the eyes.
BROW = ((0.0, -0.4), 0.25, (0.0, -1.0))
FROWN = ((0.1, -0.4), 0.25, (0.5, 0.5))
CORNER = ((0.0, 0.0), 0.3, (-0.6, -0.8))


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--clips', type=int, default=12, help='of each face')
  parser.add_argument('--levels', default='1,2,4')
  parser.add_argument('--magnify', default='flow')
  parser.add_argument('--flows', nargs='*', choices=FLOWS, default=[*FLOWS])
  args = parser.parse_args()
  levels = tuple(map(float, args.levels.split(',')))
  with tempfile.TemporaryDirectory() as folder:
    source = write_clips(pathlib.Path(folder), clips=args.clips)
    for flow in args.flows:
      recipe = Recipe(levels=levels, flow=flow, magnify=args.magnify)
      errors = known_truth.measure_errors(recipe, source=source, progress=False)
      print(f'\n--flow {flow}\n{errors}')


def write_clips(root: pathlib.Path, *, clips: int) -> pathlib.Path:
  """Writes `clips` clips of each face below `root` and returns that folder."""
  generator = np.random.default_rng(0)
  rows = ['subject,clip,emotion,onset,apex,offset,fps,action_units,amplitude']
  for subject in sample_faces.SAMPLES:
    portrait = sample_faces.image(subject)
    points = faces.locate([portrait], detector=faces.detect_dense).points
    for number in range(clips):
      name, emotion = f'clip{number + 1:02d}', EMOTIONS[number % 3]
      apex, amplitude = _write_clip(
        root / subject / name, portrait, points, emotion, generator
      )
      rows.append(
        f'{subject},{name},{emotion},1,{apex + 1},{FRAMES},{FPS:.0f},,'
        f'{amplitude:.2f}'
      )
  (root / 'labels.csv').write_text('\n'.join(rows) + '\n')
  return root


def _write_clip(folder, portrait, points, emotion, generator):
  """Writes the frames of a clip and its truth; returns apex and amplitude."""
  apart = np.linalg.norm(points[1] - points[0])
  pose = sample_faces.similarity(
    generator.uniform(60, 80) / apart,
    generator.uniform(-8, 8),
    (0, 0),
    about=points.mean(0),
  )
  pose[:, 2] += (
    SIZE / 2 + generator.uniform(-12, 12, 2) - sample_faces.moved(points, pose)
  ).mean(0)
  points = sample_faces.moved(points, pose)
  apex = int(generator.integers(FRAMES // 4, FRAMES * 3 // 4))
  amplitude = generator.uniform(0.4, 1.6)
  expression = [
    movement.Movement(
      amplitude * _bumps(points, emotion),
      movement.rise_and_fall(FRAMES, apex),
    )
  ]
  drift = movement.drift(generator, num_frames=FRAMES, size=SIZE, amount=0.3)
  folder.mkdir(parents=True)
  pixels = np.stack(exact_warp.pixels(SIZE, SIZE), -1)
  back_to_portrait = sample_faces.inverse(pose)
  for t in range(FRAMES):
    back = movement.backward(movement.displacement(expression + drift, t))
    places = sample_faces.moved(pixels + back, back_to_portrait)
    frame = exact_warp.sample(portrait, *np.moveaxis(places, -1, 0))
    frame = frame + generator.normal(0, NOISE, frame.shape)
    frame = np.rint(frame).clip(0, 255).astype(np.uint8)
    cv2.imwrite(str(folder / f'img{t + 1}.png'), frame[..., ::-1])
  np.savez(
    folder / 'truth.npz',
    true_flow=movement.displacement(expression + drift, apex),
    expression_flow=movement.displacement(expression, apex),
    landmarks=points.astype(np.float32),
    intensity=expression[0].envelope,
  )
  return apex, amplitude


def _bumps(points: np.ndarray, emotion: str) -> np.ndarray:
  """Returns the field of an emotion, with a peak of one pixel."""
  unit = np.linalg.norm(points[1] - points[0])
  kind, pairs = {
    'negative': (FROWN, points[:2]),
    'positive': (CORNER, points[3:]),
    'surprise': (BROW, points[:2]),
  }[emotion]
  place, width, pull = map(np.asarray, kind)
  y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
  field = np.zeros((SIZE, SIZE, 2), np.float32)
  for side, point in zip((1, -1), pairs, strict=True):
    centre = point + unit * place * (side, 1)
    away = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
    bump = np.exp(-0.5 * away / (width * unit) ** 2)
    field += bump[..., None] * np.float32(pull * (side, 1))
  return field / np.linalg.norm(field, axis=-1).max()


if __name__ == '__main__':
  main()
