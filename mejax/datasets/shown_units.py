"""Which action units a clip shows, by the sheets of the databases."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from mejax.corpora.clip import Clip

# The twelve that MEB scores over six databases (Varanka and others, 2022, "Data
# Leakage and Evaluation Issues in Micro-Expression Analysis").
MEB = ('1', '2', '4', '5', '6', '7', '9', '10', '12', '14', '15', '17')
# Of the metadata of a dataset: the numbers of the units of each clip.
KEY = 'units_shown'


def describe(clips: Sequence[Clip]) -> dict[str, list[int]]:
  """Returns the units of each clip that has a list of them.

  On whichever side, however strong; those that the coder left open, and those
  that do not move, do not count.
  """
  return {
    clip.identity: sorted(
      {unit.number for unit in clip.action_units if _counts(unit)}
    )
    for clip in clips
    if clip.action_units
  }


def _counts(unit) -> bool:
  return unit.certain and not unit.static


def listed(
  examples: Mapping[str, np.ndarray],
  metadata: Mapping[str, Any],
  units: Sequence[str],
) -> tuple[dict[str, np.ndarray], str]:
  """Returns the examples with a list of units, and says how many have none.

  Args:
    examples: as `load.load_examples` returns them.
    metadata: of their dataset.
    units: names of units.

  Returns:
    The examples, with action_units f32[n, u], 1 for those that are shown; and a
    sentence, '' if all have a list.

  Raises:
    ValueError: the dataset lists no units.
  """
  told = metadata.get(KEY)
  if not told:
    raise ValueError(
      'the dataset lists no action units: its databases have none, or an older'
      ' mejax prepared it. In the second case give the same `mejax prepare`'
      ' command again, with --overwrite.'
    )
  columns = (examples[key].tolist() for key in ('corpus', 'subject', 'clip'))
  names = ['/'.join(parts) for parts in zip(*columns, strict=True)]
  rows = [i for i, name in enumerate(names) if name in told]
  shown = [[int(unit) in told[names[i]] for unit in units] for i in rows]
  found = {key: array[rows] for key, array in examples.items()}
  found['action_units'] = np.array(shown, np.float32).reshape(-1, len(units))
  lacking = len(names) - len(rows)
  note = (
    f'Left out, without a list of action units: {lacking} of {len(names)}'
    ' clips.'
  )
  return found, note if lacking else ''
