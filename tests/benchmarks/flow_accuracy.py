"""Measures the error of optical flow on known motion, and the time per pair.

  python -m tests.benchmarks.flow_accuracy [--contrib PYTHON]
    [--only errors widths times]

The methods are our TV-L1 with and without its fit of light, OpenCV's Farneback
(with the settings of HTNet's authors), OpenCV's DIS and OpenCV's TV-L1. The
last one is in the package opencv-contrib-python, which cannot be installed
beside opencv-python: install it in another environment and give the interpreter
of that as `--contrib`.

A pair is a picture and the same picture warped by smooth bumps, whose longest
motion is 0.2 to 2 pixels. The pictures are a face (of matplotlib's sample
photo, left out if matplotlib is missing), pink noise, and noise as smooth as
skin. Both frames are sampled from a picture of twice the resolution. In the
rows with noise each frame gets its own (standard deviation 1 grey level) and is
rounded to bytes. The error is the mean end-point error in pixels.

A second table says how long the flow of a smile is, over its true length.

Each method may use all cores of the process (`taskset` limits them). Time is
wall time, the best of some rounds in which the methods alternate.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import functools
import json
import pathlib
import subprocess
import tempfile
import time

import jax
import numpy as np

from mejax.motion import flow
from tests.benchmarks import magnify_truth
from tests.motion import exact_warp

AMPLITUDES = (0.2, 0.5, 1.0, 2.0)
NOISES = (0, 1)
# The smile of `print_widths`, in pixels: its longest motion, the standard
# deviations of its bumps, and Collins's corners of the mouth.
SMILE = 1.65
WIDTHS = (5, 7, 10, 14)
CORNERS = ((50.0, 86.5), (74.5, 87.5))
OPENCV = """
import json, sys, time
import cv2, numpy
pairs = numpy.load(sys.argv[1])
method = cv2.optflow.DualTVL1OpticalFlow_create()
seconds, flows = [], []
for first, second in zip(pairs['first'], pairs['second']):
  start = time.perf_counter()
  flows.append(method.calc(first, second, None))
  seconds.append(time.perf_counter() - start)
numpy.save(sys.argv[2], flows)
print(json.dumps({'version': cv2.__version__, 'seconds': seconds}))
"""


def make_field(size: int, amplitude: float, source) -> Callable:
  """Returns a field of four bumps in u and four in v, a function of places."""
  centres = source.uniform(0.2, 0.8, (2, 4, 2)) * size
  widths = source.uniform(0.07, 0.14, (2, 4)) * size
  heights = source.normal(size=(2, 4))

  def field(x, y):
    distance = (x[..., None, None] - centres[..., 0]) ** 2
    distance += (y[..., None, None] - centres[..., 1]) ** 2
    return (heights * np.exp(-distance / (2 * widths**2))).sum(-1)

  x, y = np.meshgrid(np.arange(size), np.arange(size))
  longest = np.linalg.norm(field(x, y), axis=-1).max()
  return lambda x, y: field(x, y) * amplitude / longest


def make_picture(kind: str, size: int, source) -> np.ndarray:
  """Returns a grey picture in [0, 1], twice as large as the frames."""
  n = 2 * size
  if kind == 'face':
    import matplotlib.cbook
    import matplotlib.image

    file = matplotlib.cbook.get_sample_data('grace_hopper.jpg', asfileobj=False)
    colours = matplotlib.image.imread(file) / 255
    left = 120 if n <= 300 else 30
    return (colours @ [0.299, 0.587, 0.114])[5 : 5 + n, left : left + n]
  frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(n), np.fft.fftfreq(n)))
  frequency[0, 0] = np.inf
  if kind == 'pink':
    spectrum, contrast = 1 / frequency, 0.15
  else:
    spectrum, contrast = np.exp(-((frequency * n / 12) ** 2) / 2), 0.12
  noise = np.fft.ifft2(spectrum * np.fft.fft2(source.normal(size=(n, n)))).real
  return np.clip(0.5 + contrast * noise / noise.std(), 0, 1)


def make_pair(kind: str, size: int, amplitude: float, noise: int, seed: int):
  """Returns two frames, f32[2, size, size], and the flow between them.

  The second frame is the picture itself, and the first one is looked up along
  the flow, so that the flow is exact.
  """
  source = np.random.default_rng(seed)
  picture = make_picture(kind, size, source)
  field = make_field(size, amplitude, source)
  frames, truth = warp_picture(picture, size, field)
  if noise:
    frames = 255 * frames + noise * source.normal(size=frames.shape)
    frames = np.rint(frames).clip(0, 255) / 255
  return frames.astype(np.float32), truth


def warp_picture(picture: np.ndarray, size: int, field: Callable):
  """Returns frames [2, size, size] of a picture, and the flow between them."""
  fine = (np.arange(2 * size) + 0.5) / 2 - 0.5
  x, y = np.meshgrid(fine, fine)
  u, v = np.moveaxis(field(x, y), -1, 0)
  first = exact_warp.sample(picture, 2 * (x + u) + 0.5, 2 * (y + v) + 0.5)
  frames = np.stack([first, picture])
  frames = frames.reshape(2, size, 2, size, 2).mean((2, 4))
  return frames, field(*exact_warp.pixels(size, size))


def grey_faces() -> dict[str, np.ndarray]:
  """Returns faces in [0, 1], of twice the size of the frames."""
  faces = magnify_truth.read_faces()
  return {name: face @ [0.299, 0.587, 0.114] for name, face in faces.items()}


def print_widths() -> None:
  """Prints how long the flow of a smile is, by the width of its two bumps."""
  face = grey_faces().get('Collins')
  if face is None:
    return
  strong = functools.partial(flow.tvl1, attachment=0.6)
  methods = METHODS | {'attachment .6': strong}
  print(f'\nLength of the flow of a smile of {SMILE} px over its true length')
  print('| bumps, px |', *(f'{name} |' for name in methods))
  print('|---' * (1 + len(methods)) + '|')
  for width in WIDTHS:
    smile = functools.partial(_smile, width)
    frames, truth = warp_picture(face, magnify_truth.SIZE, smile)
    first, second = np.float32(frames)[:, None]
    row = [
      (method(first, second)[0] * truth).sum() / (truth**2).sum()
      for method in methods.values()
    ]
    print(f'| {width} |', *(f'{length:.2f} |' for length in row))


def _smile(width: float, x, y):
  """Returns bumps that pull the corners of a mouth outwards and up."""
  total = 0.0
  for side, (left, top) in zip((-1, 1), CORNERS, strict=True):
    away = (x - left) ** 2 + (y - top) ** 2
    bump = np.exp(-away / (2 * width**2))
    total = total + SMILE * bump[..., None] * np.array([0.6 * side, -0.8])
  return total


def opencv_tvl1(python: str, first, second) -> tuple[np.ndarray, list, str]:
  """Runs OpenCV's TV-L1 in another environment.

  Returns the flows, the seconds of each pair and the version of OpenCV.
  """
  with tempfile.TemporaryDirectory() as folder:
    pairs, out = pathlib.Path(folder, 'in.npz'), pathlib.Path(folder, 'out.npy')
    np.savez(pairs, first=first, second=second)
    said = subprocess.run(
      [python, '-c', OPENCV, pairs, out],
      check=True,
      capture_output=True,
      text=True,
    )
    said = json.loads(said.stdout)
    return np.load(out), said['seconds'], said['version']


def colour(frames: np.ndarray) -> np.ndarray:
  """Returns grey frames as RGB, which the wrappers of OpenCV's methods take."""
  return np.repeat(frames[..., None], 3, -1)


METHODS = {
  'ours': lambda a, b: np.asarray(flow.tvl1(a, b)),
  'light=False': lambda a, b: np.asarray(flow.tvl1(a, b, light=False)),
  'Farneback': lambda a, b: flow.farneback(colour(a), colour(b)),
  'DIS': lambda a, b: flow.dis(colour(a), colour(b)),
}


def print_errors(sizes, kinds, *, pairs: int, contrib: str | None) -> None:
  """Prints a row for each size, picture and noise, a column per amplitude."""
  names = [*METHODS, *(['OpenCV TV-L1'] if contrib else [])]
  print('\nMean end-point error, px: ' + ' / '.join(names))
  print('| size | picture | noise |', *(f'{a} px |' for a in AMPLITUDES))
  print('|---' * (3 + len(AMPLITUDES)) + '|')
  ratios = []
  for size in sizes:
    cells = [(k, n, a) for k in kinds for n in NOISES for a in AMPLITUDES]
    made = [
      make_pair(kind, size, amplitude, noise, seed)
      for kind, noise, amplitude in cells
      for seed in range(pairs)
    ]
    frames, truth = map(np.stack, zip(*made, strict=True))
    first, second = frames[:, 0], frames[:, 1]
    flows = [method(first, second) for method in METHODS.values()]
    if contrib:
      flows.append(opencv_tvl1(contrib, first, second)[0])
    errors = np.linalg.norm(np.stack(flows) - truth, axis=-1).mean((-2, -1))
    errors = errors.reshape(len(names), len(kinds), len(NOISES), -1, pairs)
    errors = errors.mean(-1)
    ratios.append(errors[:2] / errors[-1])
    for k, kind in enumerate(kinds):
      for n, noise in enumerate(NOISES):
        row = (' / '.join(f'{e:.3f}' for e in c) for c in errors[:, k, n].T)
        print(f'| {size} | {kind} | {noise} |', *(f'{cell} |' for cell in row))
  if contrib:
    for name, ratio in zip(names, np.stack(ratios, 1), strict=False):
      print(
        f'{name} / OpenCV TV-L1: mean {ratio.mean():.2f}, '
        f'worst {ratio.max():.2f}'
      )


def print_times(batches, *, rounds: int, contrib: str | None) -> None:
  """Prints milliseconds per pair of 128 pixels a side."""
  print('\nMilliseconds per pair of 128 px, on', jax.devices()[0].device_kind)
  methods = METHODS | {
    'ours, all at once': lambda a, b: np.asarray(
      flow.tvl1(a, b, pairs_at_once=len(a))
    ),
  }
  print('| batch |', *(f'{name} |' for name in methods), 'OpenCV TV-L1 |')
  print('|---' * (2 + len(methods)) + '|')
  for batch in batches:
    kinds = ('pink', 'smooth')
    made = [
      make_pair(kinds[i % 2], 128, AMPLITUDES[i // 2 % 4], 1, i)[0]
      for i in range(min(batch, 8))
    ]
    frames = np.resize(np.stack(made), (batch, 2, 128, 128))
    first, second = frames[:, 0], frames[:, 1]
    best = dict.fromkeys(methods, np.inf)
    for turn in range(rounds + 1):  # The first turn compiles.
      for name, method in methods.items():
        start = time.perf_counter()
        method(first, second)
        if turn:
          best[name] = min(best[name], time.perf_counter() - start)
    row = [f'{1e3 * seconds / batch:.2f}' for seconds in best.values()]
    theirs = ''
    if contrib:  # It takes pairs one by one: a few are enough.
      _, seconds, version = opencv_tvl1(contrib, first[:8], second[:8])
      theirs = f'{1e3 * np.mean(seconds):.0f} ({version})'
    print(f'| {batch} |', *(f'{cell} |' for cell in [*row, theirs]))


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument('--contrib', metavar='PYTHON', help='see above')
  parser.add_argument('--sizes', type=int, nargs='*', default=[128, 224])
  parser.add_argument('--batches', type=int, nargs='*', default=[1, 32, 256])
  parser.add_argument('--pairs', type=int, default=4, help='in each cell')
  parser.add_argument('--rounds', type=int, default=3)
  parts = ('errors', 'widths', 'times')
  parser.add_argument('--only', choices=parts, nargs='*', default=parts)
  options = parser.parse_args()
  kinds = ['face', 'pink', 'smooth']
  try:
    import matplotlib  # noqa: F401
  except ImportError:
    kinds.remove('face')
  given = {'contrib': options.contrib}
  if 'errors' in options.only:
    print_errors(options.sizes, kinds, pairs=options.pairs, **given)
  if 'widths' in options.only and 'face' in kinds:
    print_widths()
  if 'times' in options.only:
    print_times(options.batches, rounds=options.rounds, **given)


if __name__ == '__main__':
  main()
