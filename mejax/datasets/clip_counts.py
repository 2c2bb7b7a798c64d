"""Counts the clips of a dataset, and says why some are not in it."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from collections.abc import Sequence
import pathlib
import re
from typing import Any

from mejax.corpora import cells
from mejax.corpora.clip import Clip
from mejax.datasets import shown_units

# Kinds of warnings that the table lists.
_KINDS = 12
# Remarks of one kind, and lines, from which a list is shortened.
_MANY, _LINES = 5, 40


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
    'fps': {clip.identity: clip.fps for clip in taken if clip.fps},
    'counts': {k: dict(v) for k, v in counts.items()},
    shown_units.KEY: shown_units.describe(taken),
    'skipped': [
      {
        'identity': clip.identity,
        'reason': cells.in_line(clip.problem),
        'emotion': clip.emotion,
        # Only a few databases have such clips.
        **({'by_choice': True} if clip.by_choice else {}),
      }
      for clip in clips
      if clip.problem
    ],
    'warnings': {
      clip.identity: list(map(cells.in_line, clip.remarks))
      for clip in taken
      if clip.remarks
    },
    'notes': {
      clip.identity: list(map(cells.in_line, clip.notes))
      for clip in taken
      if clip.notes
    },
  }


def by_kind(
  remarks: Iterable[tuple[str, str]],
) -> list[list[tuple[str, str]]]:
  """Groups pairs of clip and remark that differ only in numbers and names."""
  kinds = collections.defaultdict(list)
  for clip, remark in remarks:
    kinds[re.sub(r'"[^"]*"|[\d.,]*\d', '#', remark)].append((clip, remark))
  return list(kinds.values())


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
  lines += _warnings(taken)
  lines.append(f'skipped: {len(clips) - len(taken)}')
  return '\n'.join(lines) + (f'\n{_reasons(clips)}').rstrip()


def _warnings(taken: Sequence[Clip]) -> list[str]:
  """Returns a line for each kind of warning, and one that counts the clips."""
  warned = sum(bool(clip.remarks) for clip in taken)
  if not warned:
    return []
  kinds = by_kind((c.identity, remark) for c in taken for remark in c.remarks)
  kinds.sort(key=len, reverse=True)
  lines = [f'with a warning: {warned}; `mejax inspect` shows them']
  kinds = [[(c, cells.in_line(r)) for c, r in kind] for kind in kinds]
  for kind in kinds[:_KINDS]:
    (clip, remark), number = kind[0], len({clip for clip, _ in kind})
    lines.append(f'  {number} {"clip" if number == 1 else "clips"}: {remark}')
    if number > 1:
      lines[-1] += f' ({clip})'
  if len(kinds) > _KINDS:
    lines.append(f'  and {len(kinds) - _KINDS} kinds more')
  return lines


def _reasons(clips: Sequence[Clip]) -> str:
  return '\n'.join(
    f'  {c.identity}: {cells.in_line(c.problem)}' for c in clips if c.problem
  )


def listed(
  what: str,
  told: Iterable[tuple[str, str]],
  *,
  noun: str = 'clip',
  many: int = _MANY,
) -> list[str]:
  """Returns a heading and a line for each remark; none if there is no remark.

  Args:
    what: what the heading says of the things.
    told: pairs of the name of a thing and a remark, which may be ''.
    noun: what a thing is called.
    many: if more than so many remarks are alike, the first stands for all.
  """
  told = [(name, remark) for name, remark in told if remark]
  if not told:
    return []
  lines = []
  for own in by_kind(told):
    if len(own) > many:
      name, remark = own[0]
      lines.append(f'  {len(own)} {noun}s, such as {name}: {remark}')
    else:
      lines += [f'  {name}: {remark}' for name, remark in own]
  if len(lines) > _LINES:
    lines[_LINES:] = [f'  and {len(lines) - _LINES} more']
  number = len({name for name, _ in told})
  return [f'{number} {noun}{"s" * (number != 1)} {what}:', *lines]
