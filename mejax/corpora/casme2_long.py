"""CAS(ME)^2: long videos of 22 people, 30 frames a second.

    CAS(ME)^2code_final(Updated).xlsx
    rawpic/s15/15_0101disgustingteeth/img001.jpg
    longVideoFaceCropped/s15/15_0101disgustingteeth/...

The first sheet has no header: subject, event, onset, apex, offset, action
units, emotion, type, self-report. `naming rule1` says which folder a subject's
number means, `naming rule2` which code a video's name: `anger1_2` is event 2 of
the video `anger1`, whose folder has 0401 in its name. Padding grows beyond 999.
In 44 macro-expressions the offset is 0. Published code takes the apex for it,
or apex + 2/3 s; here it is mirrored at the apex.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
import re

from mejax.corpora import cells
from mejax.corpora import frames
from mejax.corpora import long_videos
from mejax.corpora import sheets
from mejax.corpora import spreadsheets

_FIELDS = (
  'subject', 'name', 'onset', 'apex', 'offset', 'facs', 'emotion', 'type',
)  # fmt: skip


def _place(parts: tuple[str, ...]) -> frames.Place | None:
  if len(parts) < 2 or not re.fullmatch(r's\d+', parts[-2]):
    return None
  match = re.fullmatch(r'\d+_(\d{4})[a-z]*', parts[-1])
  if match is None:
    return None
  key = (int(parts[-2][1:]), match[1])
  return frames.Place(key=key, depth=2, kind=frames.kind_of(parts))


def _labels(
  files: list[pathlib.Path],
) -> tuple[pathlib.Path, list[long_videos.Keyed]] | None:
  # The edition `(Updated)` comes last by name.
  own = [
    file
    for file in sorted(files, key=lambda file: file.name.lower())
    if file.suffix.lower() in spreadsheets.SUFFIXES
    and 'code_final' in file.name.lower()
    and not file.name.startswith('~$')
  ]
  if not own:
    return None
  pages = sheets.read_pages(own[-1])
  rules = {
    number: _page(pages, f'naming rule{number}', own[-1]) for number in (1, 2)
  }
  folders = dict(_pairs(rules[1], r's\d+', key_is_right=True))
  codes = dict(_pairs(rules[2], r'[a-z]+\d+', key_is_right=False))
  return own[-1], list(_events(pages[0][1], folders, codes))


def _page(pages, title: str, file: pathlib.Path) -> spreadsheets.Rows:
  for name, rows in pages:
    if re.sub(r'\s', '', name.lower()) == title.replace(' ', ''):
      return rows
  raise ValueError(f'{file} has no sheet {title!r}; expected one')


def _pairs(
  rows: spreadsheets.Rows, pattern: str, *, key_is_right: bool
) -> Iterator[tuple[str, str]]:
  """Yields what stands beside a name: to the right of s15, left of disgust1."""
  for row in rows:
    for i, cell in enumerate(row):
      word = cells.visible(cell).lower()
      beside = i + 1 if key_is_right else i - 1
      if not re.fullmatch(pattern, word) or not 0 <= beside < len(row):
        continue
      number = cells.visible(row[beside])
      if number.isdigit():
        yield (number, word) if key_is_right else (word, number.zfill(4))


def _events(
  rows: spreadsheets.Rows, folders: dict[str, str], codes: dict[str, str]
) -> Iterator[long_videos.Keyed]:
  for cell_row in rows:
    row = dict(zip(_FIELDS, cell_row, strict=False))
    number = cells.visible(row.get('subject', ''))
    if not number.isdigit():
      continue  # A note, or a header that somebody has added.
    name = cells.visible(row['name']).lower()
    video = name.partition('_')[0]
    event = long_videos.annotated(row, name=name)
    yield (
      _key(folders.get(number), codes.get(video), number, video),
      event,
    )


def _key(folder: str | None, code: str | None, number: str, video: str):
  """Returns the key of a video; one that no folder has if a rule lacks it."""
  if folder is None or code is None:
    return (number, video)
  return (int(folder[1:]), code)


def _who(key) -> tuple[str, str]:
  subject, code = key
  return (f's{subject:02d}' if isinstance(subject, int) else subject), code


DATABASE = long_videos.LongDatabase(
  corpus='casme2_long',
  title='CAS(ME)^2',
  fps=30.0,
  rule=long_videos.TypeRule('total', 0.5),
  published={
    'subjects': (22,),
    'videos': (97, 98),
    'micro': (57,),
    'macro': (300,),
  },
  place_of=_place,
  who=_who,
  labels=_labels,
  example=(
    'rawpic/s15/15_0101disgustingteeth/img001.jpg and '
    'CAS(ME)^2code_final(Updated).xlsx'
  ),
)
