"""Measures how much of the factor alpha each amplification realises.

  python -m tests.benchmarks.magnify_truth [--figure docs/magnify.png]
    [--params magnet.npz] [--fast]

The pictures are faces of 128 x 128 pixels in the photos that come with
matplotlib (Grace Hopper) and, if it is installed, scikit-image (Eileen
Collins). Three smooth bumps move them by at most 0.1 to 2 pixels; each frame is
sampled from a picture of twice the resolution. All numbers describe the part of
the frame that moves by more than a fifth of the longest motion:

- realised: the factor whose true frame is nearest to the result, over alpha;
- by flow: the same by the TV-L1 flow from the onset to the result, regressed on
  the true flow, over the same regression for the true frame;
- error: root mean square difference from the true frame, in grey levels, and
  relative to that of the unchanged apex; PSNR and SSIM;
- noise gain: for frames that do not move, with noise of 1 % of their range, the
  standard deviation of the result over that of the noise. It is 1 if noise is
  neither amplified nor removed.

A last table repeats the PSNR under other light in the apex (5 % lighter, with a
shadow of 10 %), noise of two grey levels, and JPEG of quality 75. The true
frame has the light of the apex, and no noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import functools
import importlib.util
import itertools
import pathlib
import time

import cv2
import jax
import numpy as np
import scipy.ndimage

from mejax.motion import magnet
from mejax.motion.magnify import MAGNIFY
from mejax.motion.tvl1 import tvl1
from tests.motion import exact_warp

SIZE = 128
ALPHAS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
MOTIONS = (0.1, 0.2, 0.5, 1.0, 2.0)
NOISE = 0.01
FARTHEST = 10.0  # Pixels; with longer motion the bumps nearly fold the face.


def read_faces() -> dict[str, np.ndarray]:
  """Returns faces of twice the size of the frames, RGB in [0, 1]."""
  import matplotlib.cbook
  import matplotlib.image

  file = matplotlib.cbook.get_sample_data('grace_hopper.jpg', asfileobj=False)
  crops = {'Hopper': (matplotlib.image.imread(file) / 255)[60:260, 160:360]}
  skimage = importlib.util.find_spec('skimage')
  if skimage:
    folder = pathlib.Path(skimage.submodule_search_locations[0])
    photo = matplotlib.image.imread(folder / 'data/astronaut.png')[..., :3]
    crops['Collins'] = photo[30:200, 140:310]
  zoom = functools.partial(
    scipy.ndimage.zoom, order=3, mode='mirror', grid_mode=True
  )
  return {
    name: np.clip(zoom(crop, (*[2 * SIZE / len(crop)] * 2, 1)), 0, 1)
    for name, crop in crops.items()
  }


class Scene:
  """A face that bumps can move by any distance."""

  def __init__(self, picture: np.ndarray, seed: int):
    self._picture = picture
    source = np.random.default_rng(seed)
    around = np.array([[0.32, 0.3], [0.68, 0.33], [0.5, 0.72]]) * SIZE
    self._centres = around + source.uniform(-6, 6, (3, 2))
    self._widths = source.uniform(0.1, 0.14, 3) * SIZE
    angle = source.uniform(0, 2 * np.pi, 3)
    self._heights = np.stack([np.cos(angle), np.sin(angle)], -1)
    self._heights *= source.uniform(0.6, 1, (3, 1))
    places = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), -1)
    longest = np.linalg.norm(self._bumps(places), axis=-1).max()
    self._heights /= longest
    self.field = self._bumps(places)
    self.moving = np.linalg.norm(self.field, axis=-1) > 0.2
    self.render = functools.lru_cache(maxsize=None)(self._render)

  def _bumps(self, places):
    far = ((places[..., None, :] - self._centres) ** 2).sum(-1)
    return np.exp(-far / (2 * self._widths**2)) @ self._heights

  def _render(self, distance: float) -> np.ndarray:
    """Returns the face after a longest motion of `distance` pixels."""
    fine = (np.arange(2 * SIZE) + 0.5) / 2 - 0.5
    places = np.stack(np.meshgrid(fine, fine), -1)
    origin = places
    for _ in range(12 if distance < 3 else 40):
      origin = places - distance * self._bumps(origin)
    x, y = np.moveaxis(2 * origin + 0.5, -1, 0)
    frame = exact_warp.sample(self._picture, x, y)
    frame = frame.reshape(SIZE, 2, SIZE, 2, 3).mean((1, 3))
    return np.clip(frame, 0, 1).astype(np.float32)

  def error(self, frame: np.ndarray, distance: float) -> float:
    """Returns the RMS difference from the true frame where it moves."""
    difference = frame - self.render(round(max(distance, 0), 4))
    return float(np.sqrt((difference[self.moving] ** 2).mean()))

  def realised(self, frame: np.ndarray, motion: float) -> float:
    """Returns the factor whose true frame is nearest to this one."""
    best = min(range(13), key=lambda g: self.error(frame, g * motion))
    for step in (0.5, 0.25):
      steps = (best - step, best, best + step)
      errors = [self.error(frame, g * motion) ** 2 for g in steps]
      best = steps[int(np.argmin(errors))]
    errors = [self.error(frame, g * motion) ** 2 for g in (best - 0.25, best)]
    errors.append(self.error(frame, (best + 0.25) * motion) ** 2)
    before, least, after = errors
    bend = before - 2 * least + after
    return best + 0.125 * (before - after) / bend if bend > 1e-12 else best

  def by_flow(self, frame: np.ndarray) -> float:
    """Returns the length of the flow from the onset along the true field."""
    flow = np.asarray(tvl1(self.render(0), frame))[self.moving]
    field = self.field[self.moving]
    return float((flow * field).sum() / (field**2).sum())


def structural_similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Returns the SSIM of grey frames at each pixel (Wang et al., 2004)."""
  a, b = (x @ np.array([0.299, 0.587, 0.114]) for x in (a, b))
  blur = functools.partial(scipy.ndimage.gaussian_filter, sigma=1.5)
  ma, mb = blur(a), blur(b)
  va, vb, cov = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
  light = (2 * ma * mb + 0.01**2) / (ma**2 + mb**2 + 0.01**2)
  return light * (2 * cov + 0.03**2) / (va + vb + 0.03**2)


def mean_scores(
  method: Callable, scenes: dict[str, Scene], motion: float, alpha: float
) -> dict[str, float]:
  """Returns the scores of a method as means over the scenes."""
  rows = []
  for scene in scenes.values():
    onset, apex = scene.render(0), scene.render(motion)
    found = np.asarray(method(onset, apex, alpha=float(alpha)))
    truth = scene.render(round(alpha * motion, 4))
    error = scene.error(found, alpha * motion)
    rows.append(
      {
        'realised': scene.realised(found, motion) / alpha,
        'by_flow': scene.by_flow(found) / scene.by_flow(truth),
        'rms': 255 * error,
        'left': error / max(scene.error(apex, alpha * motion), 1e-9),
        'psnr': -20 * np.log10(max(error, 1e-9)),
        'ssim': structural_similarity(found, truth)[scene.moving].mean(),
      }
    )
  return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def noise_gain(method: Callable, scene: Scene, alpha: float) -> float:
  """Returns the noise of the result over that of the frames."""
  still = np.clip(scene.render(0), 0.2, 0.8)
  source = np.random.default_rng(0)
  onset, apex = (
    (still + NOISE * source.normal(size=still.shape)).astype(np.float32)
    for _ in range(2)
  )
  found = np.asarray(method(onset, apex, alpha=float(alpha)))
  return float((found - still).std() / NOISE)


def print_tables(methods, scenes, alphas, motions) -> dict:
  """Prints all numbers as Markdown; returns them by (method, motion, alpha)."""
  cells = {}
  heads = (
    *('method', 'motion, px', 'alpha', 'realised', 'by flow', 'RMS'),
    *('of the apex', 'PSNR, dB', 'SSIM'),
  )
  print('\n|', *(f'{head} |' for head in heads))
  print('|---' * len(heads) + '|')
  for name, method in methods.items():
    for motion in motions:
      for alpha in alphas:
        if alpha == 1 or alpha * motion > FARTHEST:
          continue
        cell = mean_scores(method, scenes, motion, alpha)
        cells[name, motion, alpha] = cell
        print(
          f'| {name} | {motion} | {alpha} | {cell["realised"]:.2f} '
          f'| {cell["by_flow"]:.2f} | {cell["rms"]:.2f} | {cell["left"]:.2f} '
          f'| {cell["psnr"]:.1f} | {cell["ssim"]:.3f} |',
          flush=True,
        )
  scene = next(iter(scenes.values()))
  print('\nNoise gain\n\n| method |', *(f'{a} |' for a in alphas))
  print('|---' * (1 + len(alphas)) + '|')
  for name, method in methods.items():
    gains = [noise_gain(method, scene, alpha) for alpha in alphas]
    for alpha, gain in zip(alphas, gains, strict=True):
      cells[name, 'noise', alpha] = gain
    print(f'| {name} |', *(f'{gain:.2f} |' for gain in gains), flush=True)
  return cells


def _shaded(frame: np.ndarray) -> np.ndarray:
  x, y = np.meshgrid(*[np.arange(SIZE) / SIZE] * 2)
  shadow = np.exp(-((x - 0.65) ** 2 + (y - 0.6) ** 2) / (2 * 0.15**2))
  return (1.05 * frame * (1 - 0.1 * shadow)[..., None]).clip(0, 1)


def _grainy(frame: np.ndarray, source) -> np.ndarray:
  frame = frame + 2 / 255 * source.normal(size=frame.shape)
  return np.rint(255 * frame).clip(0, 255) / 255


def _compressed(frame: np.ndarray, source) -> np.ndarray:
  del source  # Nothing is random.
  how = [cv2.IMWRITE_JPEG_QUALITY, 75]
  pixels = np.rint(255 * frame).astype(np.uint8)
  _, code = cv2.imencode('.jpg', pixels[..., ::-1], how)
  return cv2.imdecode(code, cv2.IMREAD_COLOR_RGB) / 255


def print_conditions(methods, scenes, *, alphas=(2, 4, 8)) -> None:
  """Prints the PSNR of every method in light, noise and JPEG."""
  light = {'constant': lambda frame: frame, 'changes': _shaded}
  camera = {
    'none': lambda frame, _: frame, 'noise': _grainy, 'JPEG': _compressed,
  }  # fmt: skip
  cells = [(motion, alpha) for motion in (0.1, 0.3, 1.0) for alpha in alphas]
  print('\nPSNR in dB; motion in px x alpha; methods:', ' / '.join(methods))
  print('\n| light | noise |', *(f'{m} x {a} |' for m, a in cells))
  print('|---' * (2 + len(cells)) + '|')
  for (how, lit), (grain, taken) in itertools.product(
    light.items(), camera.items()
  ):
    row = []
    for motion, alpha in cells:
      psnr = np.zeros((len(scenes), len(methods)))
      for i, scene in enumerate(scenes.values()):
        source = np.random.default_rng(i)
        onset = taken(scene.render(0), source)
        apex = taken(lit(scene.render(motion)), source)
        pair = np.float32(onset), np.float32(apex)
        truth = lit(scene.render(round(alpha * motion, 4)))
        for j, method in enumerate(methods.values()):
          found = np.asarray(method(*pair, alpha=float(alpha)))
          error = ((found - truth)[scene.moving] ** 2).mean()
          psnr[i, j] = -10 * np.log10(error)
      row.append(' / '.join(f'{x:.1f}' for x in psnr.mean(0)))
    print(f'| {how} | {grain} |', *(f'{cell} |' for cell in row), flush=True)


def print_times(methods, scenes, *, batches=(1, 32), rounds: int = 4) -> None:
  """Prints milliseconds per pair of 128 pixels a side."""
  print('\nMilliseconds per pair, on', jax.devices()[0].device_kind)
  print('\n| method |', *(f'batch {batch} |' for batch in batches))
  print('|---' * (1 + len(batches)) + '|')
  scene = next(iter(scenes.values()))
  for name, method in methods.items():
    row = []
    for batch in batches:
      pair = [
        np.repeat(scene.render(motion)[None], batch, 0) for motion in (0, 0.5)
      ]
      best = np.inf
      for turn in range(rounds + 1):  # The first turn compiles.
        start = time.perf_counter()
        jax.block_until_ready(method(*pair, alpha=4.0))
        if turn:
          best = min(best, time.perf_counter() - start)
      row.append(f'{1e3 * best / batch:.2f}')
    print(f'| {name} |', *(f'{cell} |' for cell in row), flush=True)


COLOURS = {
  'linear': '#c8553d',
  'phase': '#2a6f97',
  'flow': '#5b8e3e',
  'learned': '#8d6a9f',
}


def draw(file: pathlib.Path, cells, methods, scenes, motions, alphas) -> None:
  """Draws realised factor and error over alpha, and example frames."""
  import matplotlib

  matplotlib.use('Agg')
  import matplotlib.pyplot as plt

  plt.rcParams.update(
    {'font.size': 9, 'axes.titlesize': 9, 'lines.linewidth': 2}
  )
  shown = [motion for motion in (0.2, 0.5, 1.0, 2.0) if motion in motions]
  figure = plt.figure(figsize=(8.6, 5.9), dpi=130)
  plots = figure.add_gridspec(
    2,
    4,
    left=0.075,
    right=0.985,
    top=0.905,
    bottom=0.365,
    hspace=0.16,
    wspace=0.1,
  )
  rows = (
    ('realised', 'realised of alpha', (0, 1.19)),
    ('rms', 'error, grey levels', (0, 40)),
  )
  for row, (key, label, limits) in enumerate(rows):
    for column, motion in enumerate(shown):
      axes = figure.add_subplot(plots[row, column])
      for name in methods:
        points = [
          (alpha, cells[name, motion, alpha][key])
          for alpha in alphas
          if (name, motion, alpha) in cells
        ]
        axes.plot(*zip(*points, strict=True), color=COLOURS[name], label=name)
      axes.set(xlim=(1, 10), ylim=limits, xticks=(2, 4, 6, 8, 10))
      axes.spines[['top', 'right']].set_visible(False)
      axes.tick_params(length=2, labelbottom=row == 1, labelleft=column == 0)
      if row == 0:
        axes.axhline(1, color='0.75', linewidth=0.8, zorder=0)
        axes.set_title(f'motion {motion:g} px')
      elif column == 0:
        axes.set_xlabel('alpha', loc='left')
      if column == 0:
        axes.set_ylabel(label)
  handles, labels = figure.axes[0].get_legend_handles_labels()
  figure.legend(
    handles,
    labels,
    ncols=4,
    loc='upper left',
    frameon=False,
    handlelength=1.2,
    bbox_to_anchor=(0.065, 1.0),
    columnspacing=1.6,
  )
  scene = [*scenes.values()][-1]
  motion, alpha = 1.0, 5
  frames = {
    'onset': scene.render(0),
    f'apex, {motion:g} px': scene.render(motion),
    f'truth, alpha {alpha}': scene.render(alpha * motion),
  }
  for name, method in methods.items():
    frames[name] = np.asarray(
      method(scene.render(0), scene.render(motion), alpha=float(alpha))
    )
  faces = figure.add_gridspec(
    1, len(frames), left=0.015, right=0.985, top=0.255, bottom=0.0, wspace=0.04
  )
  for column, (title, frame) in enumerate(frames.items()):
    axes = figure.add_subplot(faces[0, column])
    axes.imshow(frame, interpolation='lanczos')
    axes.set_title(title, color=COLOURS.get(title, 'black'))
    axes.axis('off')
  figure.savefig(file)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument('--figure', type=pathlib.Path, help='a PNG to draw')
  parser.add_argument('--params', help='of MagNet, to measure `learned` too')
  parser.add_argument('--fast', action='store_true', help='a few cells only')
  options = parser.parse_args()
  methods = {name: MAGNIFY[name] for name in ('linear', 'phase', 'flow')}
  if options.params:
    params = magnet.load_params(options.params)
    methods['learned'] = functools.partial(MAGNIFY['learned'], params=params)
  alphas, motions = ALPHAS, MOTIONS
  if options.fast:
    alphas, motions = (1, 2, 5, 10), (0.2, 1.0)
  faces = read_faces()
  scenes = {name: Scene(x, i) for i, (name, x) in enumerate(faces.items())}
  print('Faces:', *scenes)
  cells = print_tables(methods, scenes, alphas, motions)
  print_conditions(methods, scenes)
  print_times(methods, scenes)
  if options.figure:
    draw(options.figure, cells, methods, scenes, motions, alphas)


if __name__ == '__main__':
  main()
