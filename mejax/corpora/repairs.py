"""Mends the known errors of published label sheets.

The table, `repairs.csv`, holds one frame number per row. Its key is corpus,
subject, clip and onset as the sheet has them; the onset is empty where the
sheet names the clip only once. A row mends the number in `found` and no other,
so that a corrected edition of the sheet stays as it is.
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
  onset: int | None
  field: str
  found: int
  value: int
  reason: str
  source: str

  def __str__(self) -> str:
    return (
      f'{self.field} {self.found} repaired to {self.value}: {self.reason} '
      f'({self.source})'
    )


@functools.cache
def read_table() -> tuple[Repair, ...]:
  """Reads the table of repairs."""
  with TABLE.open(newline='', encoding='utf-8') as file:
    return tuple(map(_repair_of, csv.DictReader(file)))


def _repair_of(row: dict[str, str]) -> Repair:
  onset = int(row['onset']) if row['onset'] else None
  numbers = {'found': int(row['found']), 'value': int(row['value'])}
  return Repair(**{**row, 'onset': onset, **numbers})


def repair(
  corpus: str, subject: str, clip: str, values: Mapping[str, int | None]
) -> tuple[dict[str, int | None], list[Repair]]:
  """Applies the table to the numbers of a clip.

  Args:
    corpus: as in `Clip`.
    subject: as in `Clip`.
    clip: name of the clip in the sheet.
    values: the sheet's onset, apex and offset; None where it has none.

  Returns:
    The mended numbers, and the repairs that changed one.
  """
  made = [
    row
    for row in read_table()
    if (row.corpus, row.subject, row.clip) == (corpus, subject, clip)
    and (row.onset is None or row.onset == values['onset'])
    and values[row.field] == row.found
  ]
  return {**values, **{row.field: row.value for row in made}}, made
