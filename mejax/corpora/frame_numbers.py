"""Reads onset, apex and offset of a row, and puts them in order."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
import dataclasses
import itertools
import re

from mejax.corpora import cells
from mejax.corpora import frames

# A missing frame is replaced by another that is at most this many frames away.
NEAR = 2
FIELDS = ('onset', 'apex', 'offset')


def read_numbers(
  row: Mapping[str, str],
) -> tuple[dict[str, int | None], dict[str, str]]:
  """Returns the frame numbers of a row, and the text of cells without one.

  A sheet may have `/`, a word or nothing in the place of an apex. The text is
  kept because the clip's remarks quote it.
  """
  numbers = {field: read_number(row.get(field, '')) for field in FIELDS}
  unread = {
    field: row[field]
    for field in FIELDS
    if numbers[field] is None and row.get(field)
  }
  return numbers, unread


def read_number(text: str) -> int | None:
  """Returns the whole number that a cell holds; None if it holds none.

  One that is too large for the number of a frame counts as none.
  """
  if getattr(text, 'fault', ''):
    return None
  number = re.fullmatch(r'([+-]?[0-9]{1,18})(\.0*)?', cells.visible(text))
  if number and abs(int(number[1])) <= frames.LARGEST:
    return int(number[1])
  return None


def misread(field: str, text: str) -> str:
  """Says that a cell should hold a number; '' if it stands for no value."""
  if cells.says_nothing(text):
    return ''
  return f'{field} is {cells.described(text)}; expected the number of a frame'


@dataclasses.dataclass
class Draft:
  """Onset, apex and offset while they are put in order.

  Remarks are warnings, notes tell usual choices, as in `Clip`.
  """

  onset: int | None
  apex: int | None
  offset: int | None
  apex_source: str
  remarks: list[str]
  problem: str = ''
  notes: list[str] = dataclasses.field(default_factory=list)


def fit_to_folder(draft: Draft, numbers: list[int]) -> None:
  """Mends numbers that lie outside of a folder with one movement."""
  first, last = numbers[0], numbers[-1]
  if draft.onset is not None and not first <= draft.onset <= last:
    draft.remarks.append(
      f'onset {draft.onset} and offset {draft.offset} repaired to {first} and '
      f'{last}, the first and last frame: there is no such onset'
    )
    draft.onset, draft.offset = first, last
  elif draft.offset and not first <= draft.offset <= last:
    draft.remarks.append(
      f'offset {draft.offset} repaired to {last}, the last frame'
    )
    draft.offset = last
  if draft.apex is not None and not first <= draft.apex <= last:
    draft.remarks.append(f'apex {draft.apex} dropped: there is no such frame')
    draft.apex = None


def put_in_order(draft: Draft, numbers: list[int]) -> None:
  """Fills in offset and apex, and checks that the three come in order."""
  onset = draft.onset
  if not draft.offset:
    known = draft.apex or (numbers[-1] if numbers else None)
    if known is None:
      draft.problem = 'the sheet gives neither apex nor offset'
      return
    which = 'apex' if draft.apex else 'last frame'
    draft.notes.append(f'no offset: the {which} {known} stands for it')
    draft.offset = known
  if draft.offset <= onset:
    draft.problem = f'offset {draft.offset} is not after onset {onset}'
  elif draft.apex is None or draft.apex == onset:
    is_onset = draft.apex == onset
    why = 'is the onset' if is_onset else 'is not known'
    draft.apex = (onset + draft.offset) // 2
    if numbers:
      later = [n for n in numbers if onset < n <= draft.offset]
      draft.apex = _nearest(later, draft.apex) if later else draft.apex
    draft.apex = max(draft.apex, onset + 1)
    draft.apex_source = 'midpoint'
    # Many sheets lack an apex, but one at the onset is a slip.
    level = draft.remarks if is_onset else draft.notes
    level.append(f'apex {why}: the middle frame {draft.apex} stands for it')
  elif not onset < draft.apex <= draft.offset:
    draft.problem = (
      f'onset {onset}, apex {draft.apex} and offset {draft.offset} are not in '
      'this order'
    )


def match_files(draft: Draft, numbers: list[int]) -> None:
  """Replaces onset and apex by frames that exist, or reports them missing."""
  onset, apex = (_nearest(numbers, n) for n in (draft.onset, draft.apex))
  for name, asked, found in (
    ('onset', draft.onset, onset),
    ('apex', draft.apex, apex),
  ):
    if asked == found:
      continue
    if abs(asked - found) > NEAR or onset >= apex:
      draft.problem = (
        f'{name} frame {asked} is missing; there are {len(numbers)} frames '
        f'from {numbers[0]} to {numbers[-1]}'
      )
      return
    draft.remarks.append(f'{name} frame {asked} is missing: {found} is taken')
  draft.onset = onset
  if draft.apex != apex:
    draft.apex, draft.apex_source = apex, 'repaired'
    draft.offset = max(apex, draft.offset)


def _nearest(numbers: list[int], number: int) -> int:
  """Returns the nearest number of an ordered list; of two, the lower one."""
  at = bisect.bisect_left(numbers, number)
  return min(numbers[max(at - 1, 0) : at + 1], key=lambda n: abs(n - number))


def remark_gaps(draft: Draft, shown: list[int]) -> None:
  """Adds a remark if frames between onset and offset are missing."""
  if not shown:
    return
  length = draft.offset - draft.onset + 1
  number = length - len(shown)
  if number:
    # Between numbers that are timestamps, billions are missing.
    ends = [draft.onset - 1, *shown, draft.offset + 1]
    gaps = (range(a + 1, b) for a, b in itertools.pairwise(ends))
    missing = itertools.islice(itertools.chain.from_iterable(gaps), 5)
    some = ', '.join(map(str, missing)) + (', ...' * (number > 5))
    draft.remarks.append(
      f'{number} of {length} frames from onset to offset are missing: {some}'
    )
