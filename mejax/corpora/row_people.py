"""Finds recordings whose rows name several people that no face tells apart."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from collections.abc import Mapping
import pathlib

from mejax.corpora import people
from mejax.corpora import which_face

Row = Mapping[str, str]


def find_mixed(
  rows: Iterable[tuple[Row, pathlib.Path]],
) -> dict[pathlib.Path, str]:
  """Returns the names of the people of each recording that nothing tells apart.

  One face under two names would be in training and test at once. So each row
  of a recording of several people has to say which face is meant, and no two
  people may have the same.

  Args:
    rows: each row, with `subject` and `which_face`, and its recording.
  """
  names = collections.defaultdict(dict)
  owners = collections.defaultdict(lambda: collections.defaultdict(set))
  for row, recording in rows:
    if people.is_person(row['subject']):
      person = people.plain(row['subject'])
      names[recording].setdefault(person, row['subject'])
      owners[recording][_face(row)].add(person)
  return {
    recording: ', '.join(some.values())
    for recording, some in names.items()
    if len(some) > 1 and not _are_apart(owners[recording])
  }


def _face(row: Row) -> which_face.WhichFace:
  """Returns the face that a row means; '' if it does not say."""
  try:
    return which_face.parse(row['which_face'])
  except ValueError:
    return ''


def _are_apart(owners: Mapping[which_face.WhichFace, set[str]]) -> bool:
  # The largest face may be the left one.
  is_certain = not owners.keys() & {'', which_face.LARGEST}
  return is_certain and all(len(own) == 1 for own in owners.values())
