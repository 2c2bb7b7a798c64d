"""Where motion decides is found for a model whose answer is known."""

from __future__ import annotations

import types

import numpy as np

from mejax.experiment.predicting import looking
from mejax.experiment.predicting import making as making_lib

SIDE = 40


class Known(making_lib.Making):
  """Inputs are flow; the model looks at the mean motion in one square."""

  def __init__(self, rows, columns):
    # The class is frozen.
    object.__setattr__(self, 'place', (rows, columns))
    model = types.SimpleNamespace(predict=self.predict)
    object.__setattr__(self, 'model', model)

  def clips(self, examples):
    return types.SimpleNamespace(inputs=examples['flow'][:, 0, ..., 0])

  def predict(self, inputs):
    seen = inputs[(slice(None), *self.place)].mean((1, 2))
    share = 0.5 + 0.5 * seen
    return np.stack([share, 1 - share], 1).astype(np.float32)


def example():
  frames = np.zeros((2, SIDE, SIDE, 3), np.uint8)
  return {
    'flow': np.ones((1, SIDE, SIDE, 3), np.float32),
    'onset': frames[0],
    'apex': frames[1] + np.uint8(200),
    'amplified': frames[1:] + np.uint8(200),
  }


def test_the_probability_falls_most_where_the_model_looks():
  making = Known(slice(0, 10), slice(30, 40))
  fall = looking.where(making, example(), np.float32([1.0, 0.0]))
  assert fall.shape == (looking.GRID, looking.GRID) and (fall >= 0).all()
  row, column = np.unravel_index(fall.argmax(), fall.shape)
  assert row <= 1 and column >= looking.GRID - 2
  assert fall[-1, 0] < 1e-3 < 0.1 < fall.max()


def test_what_is_held_still_looks_like_the_onset_there():
  windows = looking._windows(SIDE)
  changed = looking._stilled(example(), windows)
  middle = SIDE // looking.GRID // 2
  assert changed['apex'][0, middle, middle].max() < 20
  assert changed['apex'][0, -1, -1].min() > 195
  assert changed['amplified'].shape == (len(windows), 1, SIDE, SIDE, 3)
  # Nothing else changes, and the given example does not.
  assert (changed['onset'] == 0).all() and (example()['flow'] == 1).all()
