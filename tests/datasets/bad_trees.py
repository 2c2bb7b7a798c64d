"""A small CASME II of rendered faces, whole, that tests spoil."""

from __future__ import annotations

import numpy as np

from mejax.datasets import load
from mejax.datasets import prepare
from mejax.datasets.recipe import Recipe
from tests.corpora import trees

RECIPE = Recipe(size=32, flow='farneback')
ROWS = [
  ('01', 'EP01_01', 8, 13, 14, '4', 'happiness'),
  ('02', 'EP01_02', 8, 13, 14, '4', 'disgust'),
  ('03', 'EP01_03', 8, 13, 14, '4', 'surprise'),
]
NUMBERS = range(8, 15)
# The clip that is spoiled.
BAD = 'CASME2_RAW_selected/sub02/EP01_02'


def write(root, images, rows=ROWS):
  """Unpadded numbers: in the order of names, 10 comes before 8."""
  trees.casme2(root, rows)
  for subject, name, *_ in ROWS:
    trees.write_frames(
      root / f'CASME2_RAW_selected/sub{subject}/{name}',
      [f'img{n}.png' for n in NUMBERS],
      images=images,
    )
  return root


def make(corpora, source, data_dir, **options):
  """Prepares without processes and bars."""
  return prepare.prepare(
    corpora,
    source=source,
    data_dir=data_dir,
    **{'recipe': RECIPE, 'workers': 0, 'progress': False, **options},
  )


def made(data_dir, name='casme2'):
  """Arrays of each clip by its name, and the metadata."""
  examples = load.load_examples(name, data_dir)
  return {
    clip: {key: values[i] for key, values in examples.items()}
    for i, clip in enumerate(examples['clip'].tolist())
  }, load.read_metadata(name, data_dir)


def same(one, other):
  """Whether two examples have the same arrays."""
  return all(
    np.array_equal(values, other[key])
    for key, values in one.items()
    if isinstance(values, np.ndarray)
  )
