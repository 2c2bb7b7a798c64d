"""What is wrong in published label sheets, and what is right instead.

The table, `repairs.csv`, holds one value a row. Its key is corpus, subject,
clip and onset as the sheet has them; the onset is empty where the clip is named
only once. A row mends the value in `found` and no other, so that a sheet in
which it is right already stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
import csv
import dataclasses
import functools
import pathlib

TABLE = pathlib.Path(__file__).with_name('repairs.csv')


@dataclasses.dataclass(frozen=True)
class Repair:
  """One row of the table."""

  corpus: str
  subject: str
  clip: str
  onset: str
  field: str
  found: str
  value: str
  reason: str
  source: str

  def __str__(self) -> str:
    return (
      f'{self.field} {self.found} repaired to {self.value}: {self.reason} '
      f'({self.source})'
    )


@functools.cache
def read_table() -> tuple[Repair, ...]:
  """All repairs that are known."""
  with TABLE.open(newline='', encoding='utf-8') as file:
    return tuple(Repair(**row) for row in csv.DictReader(file))


def repair(
  corpus: str, subject: str, clip: str, values: Mapping[str, str]
) -> tuple[dict[str, str], list[Repair]]:
  """Mends what the table knows of a clip.

  Args:
    corpus: as clips have it, like subject.
    subject: as clips have it.
    clip: name of the clip in the sheet.
    values: the sheet's text for onset, apex and offset.

  Returns:
    The values as they should be, and the repairs that made a difference.
  """
  made = [
    row
    for row in read_table()
    if (row.corpus, row.subject, row.clip) == (corpus, subject, clip)
    and row.onset in ('', values['onset'])
    and values[row.field] == row.found
  ]
  return {**values, **{row.field: row.value for row in made}}, made
