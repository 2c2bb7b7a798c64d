"""Finds examples of several people whose inputs are the same."""

from __future__ import annotations

import collections
import hashlib

import numpy as np

from mejax.experiment.task import Task

# Inputs of fewer different values, such as a few action units, may well be the
# same for two people.
_LEAST_VALUES = 16
_MOST_NAMED = 3


def say(task: Task) -> str:
  """Returns a sentence that names them; '' if there are none.

  A copy that is not the same in every value, as after another compression, is
  not found.
  """
  holders = collections.defaultdict(list)
  for i, example in enumerate(task.inputs):
    content = np.ascontiguousarray(example).tobytes()
    holders[hashlib.blake2b(content).digest()].append(i)
  pairs = []
  for first, *others in holders.values():
    other = [i for i in others if task.groups[i] != task.groups[first]]
    if other and len(np.unique(task.inputs[first])) >= _LEAST_VALUES:
      pairs.append(
        ' and '.join(
          f'{task.groups[i]}/{task.clip[i]}' for i in (first, other[0])
        )
      )
  if not pairs:
    return ''
  shown = ', '.join(pairs[:_MOST_NAMED])
  if len(pairs) > _MOST_NAMED:
    shown += f' and {len(pairs) - _MOST_NAMED} more'
  return (
    f'The inputs of different people are the same: {shown}. If they are one'
    ' person, the model was trained on whom it is tested on.'
  )
