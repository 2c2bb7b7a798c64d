"""The rows of the table of predictions."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

from jaxtyping import Float
import numpy as np
import pandas as pd

from mejax.experiment.packs.packed import Model
from mejax.experiment.predicting.events import Event
from mejax.experiment.predicting.events import Found
from mejax.experiment.predicting.frames import Made
from mejax.experiment.predicting.making import Making

# Columns before and behind those of the classes; those of action units, `units`
# and one for each, end it.
FIRST = (
  'file', 'path', 'type', 'onset', 'apex', 'offset', 'onset_s', 'apex_s',
  'offset_s', 'most_like', 'probability',
)  # fmt: skip
LAST = (
  'entropy', 'abstained', 'motion_px', 'motion_noise', 'face_px', 'regions',
  'warnings',
)  # fmt: skip
_FRAMES = ('onset', 'apex', 'offset')
_WORDS = (
  'file', 'path', 'type', 'most_like', 'regions', 'warnings', 'units',
)  # fmt: skip
PERCENT = 99


def columns(model: Model, more: Sequence[str] = ()) -> list[str]:
  """Returns the columns of the table of a model, `more` behind the path."""
  return [
    *FIRST[:2],
    *more,
    *FIRST[2:],
    *(f'p_{name}' for name in model.classes),
    *LAST,
    *(['units'] if model.units else []),
    *(f'au_{name}' for name in model.units),
  ]


def of_problem(found: Found) -> dict[str, Any]:
  """Returns the row of a recording in which nothing is looked at."""
  words = [found.problem] if found.problem else []
  return {'file': found.name, 'warnings': _joined([*words, *found.remarks])}


def of_event(
  found: Found,
  event: Event,
  made: Made,
  *,
  making: Making,
  probabilities: Float[np.ndarray, ' k'] | None,
  units: Float[np.ndarray, ' u'] | None,
) -> dict[str, Any]:
  """Returns the row of a stretch, without what depends on abstaining.

  It has `own_warnings` too, those that its recording does not share.

  Args:
    found: its recording.
    event: the stretch.
    made: what was made of it.
    making: of the model's inputs.
    probabilities, units: what it says; None if it is not asked.
  """
  clip, model = made.clip, making.model
  own = [clip.problem, *event.remarks, *clip.remarks]
  words = [*own, *remarks_on(found, making)]
  apex = clip.apex if event.apex is not None or not clip.problem else None
  row = {
    'file': found.name,
    'type': event.type,
    'onset': clip.onset,
    'apex': apex,
    'offset': clip.offset,
    'motion_noise': event.score,
    'regions': event.regions,
    'warnings': _joined(words),
    'own_warnings': _joined(own),
  }
  if found.fps:
    row |= {
      f'{name}_s': (row[name] - found.first) / found.fps
      for name in _FRAMES
      if row[name] is not None
    }
  if made.example:
    row['motion_px'] = motion(made, making.recipe.levels)
    row['face_px'] = made.eyes
  if probabilities is None:
    return row
  row |= {
    f'p_{name}': float(value)
    for name, value in zip(model.classes, probabilities, strict=True)
  }
  row |= {
    f'au_{name}': float(value)
    for name, value in zip(model.units, units, strict=True)
  }
  row['entropy'] = entropy(probabilities)
  return row


def remarks_on(found: Found, making: Making) -> list[str]:
  """Returns sentences that hold for all of a recording."""
  return [*found.remarks, *making.remarks]


def entropy(probabilities: Float[np.ndarray, ' k']) -> float:
  """Returns the entropy in nats: 0 if sure, log(k) if nothing is known."""
  shares = probabilities.astype(np.float64)
  return float(-np.sum(shares * np.log(np.maximum(shares, 1e-300))))


def motion(made: Made, levels: Sequence[float]) -> float:
  """Returns the size of the motion, before amplification, in frame pixels."""
  lowest = min(levels)
  flow = made.example['flow'][levels.index(lowest), ..., :2] / lowest
  length = np.linalg.norm(flow, axis=-1)
  return float(np.percentile(length, PERCENT)) * scale_of(made)


def scale_of(made: Made) -> float:
  """Returns how many pixels of a frame are one of the aligned face."""
  points = made.example['landmarks']
  return made.eyes / math.dist(points[0], points[1])


def table(
  rows: Sequence[dict[str, Any]],
  model: Model,
  *,
  abstain: float,
  more: Sequence[str] = (),
) -> pd.DataFrame:
  """Returns the table; see `recordings.predict`.

  Args:
    rows: of `of_problem` and `of_event`.
    model: the model.
    abstain: smallest probability that is an answer.
    more: columns of words, such as labels.
  """
  result = pd.DataFrame(list(rows), columns=columns(model, more))
  for name in _FRAMES:
    result[name] = result[name].astype('Int64')
  for name in result:
    if name in (*_WORDS, *more):
      result[name] = result[name].astype(object).fillna('').astype(str)
    elif name not in (*_FRAMES, 'abstained'):
      result[name] = result[name].astype(float)
  shares = result[[f'p_{name}' for name in model.classes]].to_numpy(float)
  top = shares.max(1)  # Not a number where the model says nothing.
  answered = top >= abstain
  best = np.nan_to_num(shares).argmax(1)
  result['probability'] = top
  names = np.array(model.classes, object)[best]
  result['most_like'] = np.where(answered, names, '')
  undecided = np.where(np.isnan(top), None, ~answered)
  result['abstained'] = pd.array(undecided.tolist(), 'boolean')
  if model.units:
    told = result[[f'au_{name}' for name in model.units]].to_numpy(float)
    # Where the model says nothing, no unit reaches its threshold.
    result['units'] = [
      '+'.join(np.array(model.units)[row]) for row in told >= model.thresholds
    ]
  return result


def _joined(words: Sequence[str]) -> str:
  return '; '.join(dict.fromkeys(word.rstrip('.') for word in words if word))
