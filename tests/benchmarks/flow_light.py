"""Measures the error of optical flow in a changing light, with noise and JPEG.

  python -m tests.benchmarks.flow_light [--pairs 4]

The table changes the light of the second frame of faces (Grace Hopper's in
matplotlib, Eileen Collins's in scikit-image), and adds noise and JPEG to both.
Light multiplies grey values: gains, a gradient from left to right, a smooth
shadow on a cheek, and halves of the face that flicker in opposite directions.
JPEG rounds two frames alike in constant light, which hides its error; so in one
row the blocks of the second frame lie four pixels aside. The last column is our
TV-L1 without the fit for frames whose light, known exactly, was taken out: what
no fit of light can be expected to beat.
"""

from __future__ import annotations

import argparse
import copy
import itertools

import cv2
import numpy as np

from tests.benchmarks import flow_accuracy
from tests.benchmarks import magnify_truth

MOTIONS = (0.0, 0.1, 0.3, 1.0, 3.0)
# From places in [-1, 1] to gain and offset of the second frame, the offset in
# grey levels.
ASIDE = 'constant, blocks aside'
LIGHTS = {
  'constant': lambda x, y: (1.0, 0),
  ASIDE: lambda x, y: (1.0, 0),
  '+ 2 %': lambda x, y: (1.02, 0),
  '+ 5 %': lambda x, y: (1.05, 0),
  '+ 10 %': lambda x, y: (1.1, 0),
  '+ 5 grey levels': lambda x, y: (1.0, 5),
  'gradient 5 %': lambda x, y: (1 + 0.05 * x, 0),
  'gradient 10 %': lambda x, y: (1 + 0.1 * x, 0),
  'shadow 10 %': lambda x, y: (
    1 - 0.1 * np.exp(-((x - 0.3) ** 2 + (y - 0.2) ** 2) / (2 * 0.3**2)),
    0,
  ),
  'halves 5 %': lambda x, y: (1 + 0.05 * np.tanh(x / 0.12), 0),
}
# Standard deviation of the noise in grey levels, and quality of the JPEG.
CAMERAS = {
  'none': (0, None),
  'noise 2': (2, None),
  'JPEG 75': (0, 75),
  'JPEG 90': (0, 90),
  'noise 1, JPEG 75': (1, 75),
}


def film(
  frame: np.ndarray, camera: str, source, *, aside: int = 0
) -> np.ndarray:
  """Returns a grey frame in [0, 1] with noise and JPEG of a name.

  The blocks of the JPEG begin `aside` pixels outside of the frame.
  """
  noise, quality = CAMERAS[camera]
  if not noise and quality is None:
    return frame
  frame = np.rint(255 * frame + noise * source.normal(size=frame.shape))
  frame = frame.clip(0, 255).astype(np.uint8)
  if quality is not None:
    how = [cv2.IMWRITE_JPEG_QUALITY, quality]
    frame = np.pad(frame, ((aside, 0), (aside, 0)), mode='reflect')
    _, code = cv2.imencode('.jpg', frame, how)
    frame = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)[aside:, aside:]
  return frame / 255


def print_light(*, pairs: int) -> None:
  """Prints a row for each light and camera, a column per longest motion."""
  size = magnify_truth.SIZE
  faces = flow_accuracy.grey_faces()
  names = [*flow_accuracy.METHODS, 'light=False told the light']
  print(f'\nFaces {", ".join(faces)}; error in px: ' + ' / '.join(names))
  print('| light | noise |', *(f'{motion:g} px |' for motion in MOTIONS))
  print('|---' * (2 + len(MOTIONS)) + '|')
  place = (np.arange(size) + 0.5) * 2 / size - 1
  made = []
  for motion, face, seed in itertools.product(
    MOTIONS, faces.values(), range(pairs)
  ):
    source = np.random.default_rng(seed)
    field = flow_accuracy.make_field(size, motion, source)
    made.append((*flow_accuracy.warp_picture(face, size, field), source))
  truth = [field for _, field, _ in made]
  for camera in CAMERAS:
    for name, light in LIGHTS.items():
      gain, offset = light(*np.meshgrid(place, place))
      first, second = [], []
      for (a, b), _, source in made:
        source = copy.deepcopy(source)  # Every row has the same noise.
        b = (gain * b + offset / 255).clip(0, 1)
        first.append(film(a, camera, source))
        second.append(film(b, camera, source, aside=4 * (name == ASIDE)))
      first, second = np.float32(first), np.float32(second)
      flows = [
        method(first, second) for method in flow_accuracy.METHODS.values()
      ]
      unlit = np.float32((second - offset / 255) / gain)
      flows.append(flow_accuracy.METHODS['light=False'](first, unlit))
      errors = np.linalg.norm(np.stack(flows) - truth, axis=-1).mean((-2, -1))
      errors = errors.reshape(len(names), len(MOTIONS), -1).mean(-1)
      row = (' / '.join(f'{e:.3f}' for e in cell) for cell in errors.T)
      print(f'| {name} | {camera} |', *(f'{c} |' for c in row), flush=True)


if __name__ == '__main__':
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument('--pairs', type=int, default=4, help='of each face')
  print_light(pairs=parser.parse_args().pairs)
