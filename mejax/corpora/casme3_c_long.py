"""CAS(ME)^3 part C: questions about a mock crime, 31 people, a video each.

    CAS(ME)3_part_C.xls                              both types, sheet organize
    CAS(ME)3_part_C_ME.xlsx                          optional, the newer one
    part_C/04/a/color/116.jpg

The authors ask for the newer sheet where micro-expressions are meant: it has
165 of them (the other 160), with emotions, and people 1 to 3, whose
macro-expressions nobody annotated. It replaces those of the other sheet. There
are no apexes. A micro-expression lasts half a second at most. Depth images are
not read.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
import re

from mejax.corpora import cells
from mejax.corpora import frames
from mejax.corpora import long_videos
from mejax.corpora import people
from mejax.corpora import sheets

_BOTH = {
  'subject': ('Subject', 'sub'),
  'onset': ('Onset',),
  'offset': ('Offset',),
  'type': ('Exp_type', 'Expression type'),
}
_MICRO = {
  'subject': ('sub', 'Subject'),
  'count': ('count',),
  'onset': ('onset',),
  'offset': ('offset',),
  'facs': ('au',),
  'emotion': ('emotion',),
}
# As the sheet writes types.
_TYPES = {'1': 'micro', '0': 'macro'}


def _place(parts: tuple[str, ...]) -> frames.Place | None:
  """The folder of a person's only video is a letter, if there is one."""
  if len(parts) < 3 or parts[-1] != 'color':
    return None
  depth = 3 if re.fullmatch('[a-z]', parts[-2]) else 2
  match = re.fullmatch(r'(?:sub *)?(\d{1,3})', parts[-depth])
  # A number below that of a person is that of a clip which was cut.
  if match is None or (depth == 2 and parts[-3].isdigit()):
    return None
  return frames.Place(key=int(match[1]), depth=depth, kind='raw')


def _labels(
  files: list[pathlib.Path],
) -> tuple[pathlib.Path, list[long_videos.Keyed]] | None:
  # Part A has a sheet with the same columns.
  files = [file for file in files if re.search('part_?c', file.name.lower())]
  both = sheets.find(files, fields=_BOTH)
  if both is None:
    return None
  others = [file for file in files if file != both.path]
  micro = sheets.find(others, fields=_MICRO)
  found = list(_events(both.rows))
  if micro is not None:
    found = [pair for pair in found if pair[1].type != 'micro']
    found += list(_only_micro(micro.rows, {key for key, _ in found}))
  return both.path, found


def _events(rows: list[dict[str, str]]) -> Iterator[long_videos.Keyed]:
  for row in rows:
    kind = _TYPES.get(cells.visible(row['type']), row['type'])
    yield (
      _key_of(row),
      long_videos.annotated(
        row | {'type': kind}, name=cells.visible(row['onset'])
      ),
    )


def _only_micro(
  rows: list[dict[str, str]], with_macro: set[int | str]
) -> Iterator[long_videos.Keyed]:
  """Yields micro-expressions, and who has no macro-expressions annotated."""
  for row in rows:
    yield (
      _key_of(row),
      long_videos.annotated(
        row | {'type': 'micro'}, name=cells.visible(row['onset'])
      ),
    )
  for key in sorted({_key_of(row) for row in rows} - with_macro, key=str):
    yield (
      key,
      long_videos.Annotated(
        name='macro-expressions',
        problem='nobody annotated those of this person: what is spotted counts '
        'as a false alarm',
      ),
    )


def _key_of(row: dict[str, str]) -> int | str:
  number = people.number(row['subject'])
  return str(row['subject']) if number is None else number


def _who(key) -> tuple[str, str]:
  name = f'{key:02d}' if isinstance(key, int) else key
  return name, name


DATABASE = long_videos.LongDatabase(
  corpus='casme3_c_long',
  title='CAS(ME)^3 part C',
  fps=30.0,
  rule=long_videos.TypeRule('total', 0.5),
  published={
    'subjects': (28, 31),
    'videos': (28, 31),
    'micro': (160, 165),
    'macro': (303,),
  },
  place_of=_place,
  who=_who,
  labels=_labels,
  example='part_C/04/a/color/116.jpg and CAS(ME)3_part_C.xls',
  kinds=('raw',),
)
