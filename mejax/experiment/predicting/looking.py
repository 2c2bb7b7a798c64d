"""Finds where motion decides what a model says.

One place after the other is held still, and the model is asked again: where the
probability of its answer falls, it has looked. This takes any model and any
view, since the motion is stilled in the aligned face, before a view sees it
(occlusion; Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional
Networks").
"""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float
import numpy as np

from mejax.experiment.predicting.making import Making

# Places across and down, which together are one batch of a saved model, and the
# reach of a place as a share of the side.
GRID, _REACH = 8, 0.095


def where(
  making: Making,
  example: Mapping[str, np.ndarray],
  probabilities: Float[np.ndarray, ' k'],
) -> Float[np.ndarray, 'g g']:
  """Returns by how much the probability of the answer falls at each place.

  Args:
    making: makes inputs of examples, for its model.
    example: arrays of one clip.
    probabilities: what the model says of it.
  """
  side = example['flow'].shape[1]
  changed = _stilled(example, _windows(side))
  said = making.model.predict(making.clips(changed).inputs)
  answer = int(np.argmax(probabilities))
  fall = probabilities[answer] - said[:, answer]
  return np.maximum(fall, 0).reshape(GRID, GRID).astype(np.float32)


def _windows(side: int) -> Float[np.ndarray, 'n s s']:
  """Returns a soft window around each place, row by row; 1 in its middle.

  At a hard edge the skin would seem to tear.
  """
  at = (np.arange(side) + 0.5) / side
  middle = (np.arange(GRID) + 0.5) / GRID
  one = np.exp(-0.5 * ((at - middle[:, None]) / _REACH) ** 2)
  both = one[:, None, :, None] * one[None, :, None, :]
  return both.reshape(-1, side, side).astype(np.float32)


def _stilled(
  example: Mapping[str, np.ndarray], windows: Float[np.ndarray, 'n s s']
) -> dict[str, np.ndarray]:
  """Returns the example once for each window, without the motion in it."""
  count = len(windows)
  changed = {
    name: np.repeat(np.asarray(array)[None], count, axis=0)
    for name, array in example.items()
  }
  share = 1 - windows[..., None]
  changed['flow'] = example['flow'][None] * share[:, None]
  onset = example['onset'].astype(np.float32)

  def mixed(frames, share):
    values = onset + share * (frames.astype(np.float32) - onset)
    return np.rint(values).clip(0, 255).astype(np.uint8)

  changed['apex'] = mixed(example['apex'][None], share)
  changed['amplified'] = mixed(example['amplified'][None], share[:, None])
  return changed
