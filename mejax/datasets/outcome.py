"""What became of the clips of a dataset, and why some are not in it."""

from __future__ import annotations

import collections
from collections.abc import Sequence
import pathlib
from typing import Any

from mejax.corpora.clip import Clip


def usable(clips: Sequence[Clip]) -> list[Clip]:
  """Those without a problem."""
  return [clip for clip in clips if not clip.problem]


def check(clips: Sequence[Clip], *, allow_missing: bool = True) -> None:
  """Refuses clips of which none can be used.

  Args:
    clips: all of them.
    allow_missing: take it if only some of them can.

  Raises:
    ValueError: naming every clip that cannot, and its problem.
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


def metadata(clips: Sequence[Clip]) -> dict[str, Any]:
  """JSON values, without a word of the machine."""
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
        'reason': clip.problem,
        'emotion': clip.emotion,
      }
      for clip in clips
      if clip.problem
    ],
    'remarks': {
      clip.identity: list(clip.remarks) for clip in taken if clip.remarks
    },
  }


def table(name: str, folder: pathlib.Path, clips: Sequence[Clip]) -> str:
  """What was made and what was not, and why, as text."""
  taken = usable(clips)
  emotions = list(dict.fromkeys(c.emotion for c in taken))
  rows = [['', 'subjects', 'clips', *emotions]]
  for database in dict.fromkeys(c.corpus for c in taken):
    own = [c for c in taken if c.corpus == database]
    counts = collections.Counter(c.emotion for c in own)
    subjects = len({c.subject for c in own})
    rows.append([database, subjects, len(own), *(counts[e] for e in emotions)])
  lines = [f'{name}: {len(taken)} clips in {folder}']
  for first, *others in rows:
    lines.append(f'  {first:<10}' + ''.join(f'{o:>10}' for o in others))
  remarked = sum(bool(c.remarks) for c in taken)
  if remarked:
    lines.append(f'with a remark: {remarked}; the metadata has them')
  lines.append(f'skipped: {len(clips) - len(taken)}')
  return '\n'.join(lines) + (f'\n{_reasons(clips)}').rstrip()


def _reasons(clips: Sequence[Clip]) -> str:
  return '\n'.join(f'  {c.identity}: {c.problem}' for c in clips if c.problem)
