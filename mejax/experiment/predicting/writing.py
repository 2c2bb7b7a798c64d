"""Writes what was said of recordings: a table, pictures, a page, lines."""

from __future__ import annotations

from collections.abc import Sequence
import pathlib
from typing import Any

import pandas as pd

from mejax import files
from mejax.experiment.packs.packed import Model
from mejax.experiment.predicting import showing
from mejax.experiment.predicting.results import Result
from mejax.pages import notice
from mejax.pages import predicting as page_lib

RESULTS = ('predictions.csv', 'index.html')
# Probability below which an answer is hardly one.
_WEAK = 0.5
# Lines that are printed; the table has all.
_LINES = 20


def write(
  out: pathlib.Path,
  table: pd.DataFrame,
  results: Sequence[Result],
  model: Model,
  abstain: float | int,
) -> None:
  """Writes the table and the page."""
  out.mkdir(parents=True, exist_ok=True)
  with files.writing(out / 'predictions.csv') as file:
    writer = files.CsvWriter(file)
    writer.writerow(list(table.columns))
    for row in table.itertuples(index=False):
      writer.writerow([_cell(value) for value in row])
  with files.writing(out / 'index.html') as file:
    file.write(
      page_lib.page(
        results,
        classes=model.classes,
        abstain=float(abstain),
        about=_about(model),
      )
    )


def write_pictures(
  out: pathlib.Path, result: Result, model: Model, *, room: int
) -> None:
  """Writes a picture of each event of a recording, and forgets most of them.

  Args:
    out: folder of the results.
    result: what is said of the recording; cards for which the page has no room
      lose their pictures, so that memory does not grow with their number.
    model: the model.
    room: how many further events the page shows.
  """
  folder = out / 'pictures'
  for i, card in enumerate(result['cards']):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{result["name"][:100]}_{card["row"]["onset"]}.jpg'
    shares = [(name, card['row'][f'p_{name}']) for name in model.classes]
    with files.writing(path, 'wb') as file:
      file.write(showing.strip(card, shares))
    if i >= room:
      card['tiles'] = []


def _cell(value: Any) -> Any:
  if pd.isna(value):
    return ''
  return f'{value:.4f}' if isinstance(value, float) else value


def _about(model: Model) -> dict[str, Any]:
  """Returns what a page tells of a model."""
  about = model.about
  return {
    'name': model.folder.name,
    'generated': bool(cautions(model)),
    'members': len(about['members']),
    'units': dict(zip(model.units, model.thresholds.tolist(), strict=True)),
  }


def summary(table: pd.DataFrame) -> str:
  """Returns lines that say what a table says."""
  lines = []
  for row in table.to_dict('records'):
    words = 'nothing was recognised'
    if row['probability'] == row['probability']:
      words = f'the motion from frame {row["onset"]} to {row["offset"]} is '
      share = f'({100 * row["probability"]:.0f} %)'
      words += f'most like {row["most_like"]} {share}'
      if row['abstained']:
        words = words.partition(' is ')[0] + f' is undecided {share}'
    noted = f'; note: {row["warnings"]}' if row['warnings'] else ''
    lines.append(f'{row["file"]}: {words}{noted}')
  weak = table['probability'].lt(_WEAK) & ~table['abstained'].fillna(True)
  more = len(lines) - _LINES
  lines = lines[:_LINES] + [f'and {more} more'] * (more > 0)
  if count := int(weak.sum()):
    have = 'has' if count == 1 else 'have'
    lines.append(
      f'{count} of these answers {have} a probability below'
      f' {100 * _WEAK:.0f} %: --abstain {_WEAK:g} leaves them undecided'
    )
  return '\n'.join([*lines, *table.attrs['cautions']])


def cautions(model: Model) -> list[str]:
  """Returns sentences to know before one believes a model."""
  return [notice.GENERATED] * bool(model.about['data'].get('generated'))
