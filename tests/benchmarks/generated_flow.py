"""Draws generated flow, and compares its statistics with those of a dataset.

  python -m tests.benchmarks.generated_flow --out docs/generated_flow.png
  python -m tests.benchmarks.generated_flow --data_dir data --dataset NAME

Of a dataset only numbers are printed, means over all its pictures; none of them
is a parameter of the generator.
"""

from __future__ import annotations

import argparse
import pathlib

from jaxtyping import Float
import numpy as np

from mejax.corpora.faces import muscles
from mejax.datasets import generated
from mejax.datasets import load
from mejax.motion import flow as flow_lib

NAMES = ('u', 'v', 'strain')
COLUMNS = 8


def statistics(images: Float[np.ndarray, 'n h w 3']) -> dict[str, float]:
  """Returns means over pictures of what no stretching of a channel changes.

  roughness: mean squared difference of neighbours over twice the variance; 1
    for white noise, 0 for what is smooth.
  correlation: of two channels of a picture; that of strain is with the strain
    that u and v have.
  mirror: correlation of a channel with its mirror image, u with its sign
    changed.
  skew: skewness of strain, in which little that moves stands out.
  """
  found = {}
  images = images.astype(np.float64)
  centred = images - images.mean((1, 2), keepdims=True)
  variance = np.maximum((centred**2).mean((1, 2)), 1e-12)
  for c, name in enumerate(NAMES):
    steps = [(np.diff(centred[..., c], axis=axis) ** 2) for axis in (1, 2)]
    steps = np.mean([step.mean((1, 2)) for step in steps], 0)
    found[f'roughness {name}'] = (steps / (2 * variance[:, c])).mean()
  own = flow_lib.strain(images[..., :2])[..., None]
  for one, other, name in (
    (images[..., 0], images[..., 1], 'correlation of u and v'),
    (images[..., 2], own[..., 0], 'correlation of strain and its own'),
    (images[..., 0], -images[:, :, ::-1, 0], 'mirror u'),
    (images[..., 1], images[:, :, ::-1, 1], 'mirror v'),
    (images[..., 2], images[:, :, ::-1, 2], 'mirror strain'),
  ):
    found[name] = np.mean(
      [
        np.corrcoef(a.ravel(), b.ravel())[0, 1]
        for a, b in zip(one, other, strict=True)
        if a.std() > 0 and b.std() > 0
      ]
    )
  third = (centred[..., 2] ** 3).mean((1, 2)) / variance[:, 2] ** 1.5
  found['skew strain'] = third.mean()
  return {name: float(value) for name, value in found.items()}


def draw(path: pathlib.Path, examples: dict[str, np.ndarray], lines) -> None:
  """Draws some pictures of each class, and the statistics beside them."""
  import matplotlib

  matplotlib.use('Agg')
  from matplotlib import pyplot

  classes = np.unique(examples['emotion'])
  figure, axes = pyplot.subplots(
    3 * len(classes),
    COLUMNS,
    figsize=(13, 12),
    gridspec_kw={'right': 0.70, 'left': 0.06, 'top': 0.96, 'bottom': 0.02},
  )
  for k, name in enumerate(classes):
    rows = np.flatnonzero(examples['emotion'] == name)[:: len(classes) + 2]
    for column, row in enumerate(rows[:COLUMNS]):
      shown = examples['action_units'][row] > 0
      for c, channel in enumerate(NAMES):
        axis = axes[3 * k + c, column]
        image = examples['flow'][row, 0, ..., c]
        axis.imshow(image, cmap='inferno' if channel == 'strain' else 'RdBu_r')
        axis.set_xticks([])
        axis.set_yticks([])
        if c == 0:
          units = '+'.join(np.array(muscles.NAMES)[shown])
          axis.set_title(units, fontsize=8)
        if column == 0:
          label = f'{name}\n{channel}' if c == 1 else channel
          axis.set_ylabel(label, fontsize=9)
  figure.text(0.73, 0.93, '\n'.join(lines), va='top', family='monospace')
  figure.savefig(path, dpi=80)


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument('--people', type=int, default=300)
  parser.add_argument('--out', type=pathlib.Path)
  parser.add_argument('--data_dir', type=pathlib.Path)
  parser.add_argument('--dataset', default='htnet_release')
  args = parser.parse_args()
  if args.data_dir:
    examples = load.load_examples(args.dataset, args.data_dir)
    name = args.dataset
  else:
    examples, _ = generated.examples(people=args.people, pictures=3)
    name = f'generated, {3 * args.people} pictures'
  numbers = statistics(examples['flow'][:, 0])
  lines = [name, '', *(f'{k:<34}{v:6.2f}' for k, v in numbers.items())]
  print('\n'.join(lines))
  if args.out:
    if args.data_dir:
      raise SystemExit('pictures of a dataset are not drawn')
    draw(args.out, examples, lines)


if __name__ == '__main__':
  main()
