"""Decides whose recording it is: one folder or file belongs to one person.

Two names for one recording would put the same face into training and test, and
two labels of one movement would count it twice. This holds over all clips,
whatever reader they come from.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import hashlib
import itertools
import pathlib
import re

from mejax.corpora import cells
from mejax.corpora.clip import UNKNOWN
from mejax.corpora.clip import Clip
from mejax.corpora.which_face import LARGEST

# Why a second row of a clip is left out; readers yield the first before they
# know of it.
REPEATED = 'has a row already in the label sheet: the first counts'
_COPY = 'its files are, byte for byte, those of'
_PIECE = 1 << 20
# More names do not help.
_NAMED = 3


def settled(clips: Iterable[Clip]) -> Iterator[Clip]:
  """Yields the clips; those that share their frames wrongly get a problem.

  A recording of several people is nobody's. A movement that has several labels
  has none; one that is there again with the same label counts once.
  """
  clips = list(clips)
  resolved = functools.cache(_resolved)

  def place(clip: Clip) -> Hashable:
    return _place(clip, resolved)

  problems = _of_repeated(clips)
  for group in _by_face(clips, _groups(clips, place)):
    people = dict.fromkeys(_person(clips[i]) for i in group)
    if len(people) > 1:
      for i in group:
        others = [k for k in group if _person(clips[k]) != _person(clips[i])]
        problems[i] = f'its recording is also that of {_names(clips, others)}'
  # Two movements of a recording begin at two frames.
  begins = _groups(clips, lambda clip: (place(clip), clip.onset))
  for group in _by_face(clips, begins):
    first, *later = group
    if _differ(clips, group):
      for i in group:
        others = _names(clips, [k for k in group if k != i], emotion=True)
        problems.setdefault(
          i, f'its movement has another label: {others}; delete the wrong row'
        )
    for i in later:
      problems.setdefault(
        i, f'is the movement of {clips[first].identity}: the first counts'
      )
  for i, clip in enumerate(clips):
    if i in problems:
      clip = dataclasses.replace(clip, problem=problems[i])
    yield clip


def _of_repeated(clips: Sequence[Clip]) -> dict[int, str]:
  """Returns the problems of clips that stand in two rows with two labels."""
  rows = collections.defaultdict(list)
  for i, clip in enumerate(clips):
    if clip.problem in ('', REPEATED):
      rows[clip.identity].append(i)
  return {
    i: 'its rows in the label sheet have several labels:'
    f' {", ".join(dict.fromkeys(clips[k].emotion for k in own))}; delete the'
    ' wrong row'
    for own in rows.values()
    if _differ(clips, own)
    for i in own
  }


def _differ(clips: Sequence[Clip], places: Sequence[int]) -> bool:
  """Returns whether clips have several labels."""
  words = {cells.visible(clips[i].emotion).casefold() for i in places}
  return len(words) > 1


def remark_copies(clips: Iterable[Clip]) -> list[Clip]:
  """Returns the clips; a warning names each whose files are another person's.

  Only files are read whose sizes, and whose first frames, are the same.
  """
  clips = list(clips)
  digest = functools.cache(_digest)

  def whole(clip: Clip) -> Hashable:
    return tuple(map(digest, _files(clip)))

  keys = (
    lambda clip: (clip.which_face, *map(_size, _files(clip))),
    lambda clip: digest(_files(clip)[0]),
    whole,
  )
  groups = [[i for i, clip in enumerate(clips) if _files(clip)]]
  for key in keys:
    groups = [
      [group[k] for k in part]
      for group in groups
      for part in _groups([clips[i] for i in group], key)
      if len({_person(clips[group[k]]) for k in part}) > 1
    ]
  for group in groups:
    for i in group:
      others = [k for k in group if _person(clips[k]) != _person(clips[i])]
      clips[i] = _remarked(clips[i], f'{_COPY} {_names(clips, others)}')
  return clips


def remark_same_frames(
  clips: Iterable[Clip], pixels: Mapping[int, Sequence[str]]
) -> list[Clip]:
  """Returns the clips; a warning names each with a frame of another person's.

  It finds copies that were saved again without loss, and parts of a clip. What
  was compressed anew has other pixels, and is not found.

  Args:
    clips: the clips; those that are copies of files have their warning already.
    pixels: digests of decoded frames, by the position of their clip.
  """
  clips, holders = list(clips), collections.defaultdict(list)
  for i, digests in pixels.items():
    if clips[i].emotion != UNKNOWN and not clips[i].problem:
      for digest in set(digests):
        # Several people may be in one picture.
        holders[clips[i].which_face, digest].append(i)
  others = collections.defaultdict(set)
  for group in holders.values():
    for i, k in itertools.permutations(group, 2):
      if _person(clips[i]) != _person(clips[k]):
        others[i].add(k)
  remarked = clips.copy()
  for i, places in others.items():
    if not any(remark.startswith(_COPY) for remark in clips[i].remarks):
      words = (
        f'a frame of it is, pixel by pixel, in {_names(clips, sorted(places))}'
      )
      remarked[i] = _remarked(clips[i], words)
  return remarked


def _remarked(clip: Clip, words: str) -> Clip:
  remark = f'{words}: is this one person?'
  return dataclasses.replace(clip, remarks=(*clip.remarks, remark))


def _groups(
  clips: Sequence[Clip], key: Callable[[Clip], Hashable]
) -> list[list[int]]:
  """Returns the positions of usable clips that have one key.

  Recordings without labels are subjects of their own, and never trained on.
  """
  groups = collections.defaultdict(list)
  for i, clip in enumerate(clips):
    if clip.problem or clip.emotion == UNKNOWN or not _files(clip):
      continue
    try:
      groups[key(clip)].append(i)
    except OSError:
      pass  # Who decodes it will tell.
  return [group for group in groups.values() if len(group) > 1]


def _by_face(
  clips: Sequence[Clip], groups: list[list[int]]
) -> Iterator[list[int]]:
  """Splits groups whose clips all say which face in the picture is theirs."""
  for group in groups:
    parts = collections.defaultdict(list)
    for i in group:
      parts[clips[i].which_face].append(i)
    # The largest face may be the left one.
    yield from [group] if parts.keys() & {'', LARGEST} else parts.values()


def _person(clip: Clip) -> tuple[str, str]:
  return clip.corpus, clip.subject


def _names(
  clips: Sequence[Clip], places: Sequence[int], *, emotion: bool = False
) -> str:
  names = [
    clips[i].identity + f' ({clips[i].emotion})' * emotion
    for i in itertools.islice(places, _NAMED)
  ]
  return ', '.join(names) + ', ...' * (len(places) > _NAMED)


def _files(clip: Clip) -> tuple[pathlib.Path, ...]:
  """Returns the files of a clip: frames, a video, or ready-made flow."""
  one = clip.video or clip.flow_file
  return (one,) if one else clip.frames


def _place(
  clip: Clip, resolved: Callable[[pathlib.Path], pathlib.Path]
) -> Hashable:
  """Returns where a clip's frames lie: a file, or a folder and a name.

  One folder may hold the frames of several people if their names say so.
  """
  file = pathlib.Path(_files(clip)[0])
  if not clip.frames:
    return resolved(file)
  name = re.sub(r'\d+(?=\D*$)', '', file.stem)
  return resolved(file.parent), name


def _resolved(path: pathlib.Path) -> pathlib.Path:
  try:
    return path.resolve()
  except RuntimeError as error:  # A circle of links, in Python 3.11.
    raise OSError(str(error)) from error


def _size(file: pathlib.Path) -> int:
  return file.stat().st_size


def _digest(file: pathlib.Path) -> bytes:
  digest = hashlib.sha256()
  with file.open('rb') as stream:
    while piece := stream.read(_PIECE):
      digest.update(piece)
  return digest.digest()
