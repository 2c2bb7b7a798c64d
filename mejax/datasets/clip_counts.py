"""Counts the clips of a dataset, and says why some are not in it."""

from __future__ import annotations

import collections
from collections.abc import Sequence
import pathlib
from typing import Any

from mejax.corpora import cells
from mejax.corpora.clip import Clip


def usable(clips: Sequence[Clip]) -> list[Clip]:
  """Returns the clips without a problem."""
  return [clip for clip in clips if not clip.problem]


def refuse_unusable(
  clips: Sequence[Clip], *, allow_missing: bool = True
) -> None:
  """Raises an error if no clip can be used.

  Args:
    clips: all clips.
    allow_missing: if False, one clip that cannot be used is enough to raise.

  Raises:
    ValueError: the message lists every clip that cannot be used, and why.
  """
  number = len(usable(clips))
  if not number:
    raise ValueError(
      f'none of {len(clips)} clips can be used:\n{_reasons(clips)}'
    )
  if number < len(clips) and not allow_missing:
    raise ValueError(
      f'{len(clips) - number} of {len(clips)} clips cannot be used:\n'
      f'{_reasons(clips)}\n'
      'Mend them, or go on without them with --allow_missing.'
    )


def describe_clips(clips: Sequence[Clip]) -> dict[str, Any]:
  """Returns the clips, counts and skipped clips of a dataset as JSON values.

  No path is among them, so that equal data give equal metadata everywhere.
  """
  taken = usable(clips)
  counts = collections.defaultdict(collections.Counter)
  for clip in taken:
    counts[clip.corpus][clip.emotion] += 1
  return {
    'clips': [clip.identity for clip in taken],
    'counts': {k: dict(v) for k, v in counts.items()},
    'skipped': [
      {
        'identity': clip.identity,
        'reason': cells.printable(clip.problem),
        'emotion': clip.emotion,
        # Only a few databases have such clips.
        **({'by_choice': True} if clip.by_choice else {}),
      }
      for clip in clips
      if clip.problem
    ],
    'remarks': {
      clip.identity: list(map(cells.printable, clip.remarks))
      for clip in taken
      if clip.remarks
    },
  }


def format_counts(
  name: str, folder: pathlib.Path, clips: Sequence[Clip]
) -> str:
  """Returns a table of the clips, and why others were left out."""
  taken = usable(clips)
  emotions = list(dict.fromkeys(c.emotion for c in taken))
  rows = [['', 'subjects', 'clips', *emotions]]
  for database in dict.fromkeys(c.corpus for c in taken):
    own = [c for c in taken if c.corpus == database]
    counts = collections.Counter(c.emotion for c in own)
    subjects = len({c.subject for c in own})
    rows.append([database, subjects, len(own), *(counts[e] for e in emotions)])
  lines = [f'{name}: {len(taken)} clips in {folder}']
  widths = [
    max(len(str(x)) for x in column) for column in zip(*rows, strict=True)
  ]
  first, *others = (max(width, 8) + 2 for width in widths)
  for database, *numbers in rows:
    cells = (f'{x:>{w}}' for x, w in zip(numbers, others, strict=True))
    lines.append(f'  {database:<{first}}' + ''.join(cells))
  remarked = sum(bool(c.remarks) for c in taken)
  if remarked:
    lines.append(f'with a remark: {remarked}; the metadata has them')
  lines.append(f'skipped: {len(clips) - len(taken)}')
  return '\n'.join(lines) + (f'\n{_reasons(clips)}').rstrip()


def _reasons(clips: Sequence[Clip]) -> str:
  return cells.printable(
    '\n'.join(f'  {c.identity}: {c.problem}' for c in clips if c.problem)
  )
