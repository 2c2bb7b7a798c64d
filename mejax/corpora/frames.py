"""The frame files of a folder, and the folders of clips below a root."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Sequence
import dataclasses
import os
import pathlib
import re

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff')
# No published tree is deeper; it also ends a circle of links.
_DEPTH = 9


@dataclasses.dataclass(frozen=True)
class Place:
  """What the path of a folder says about the clip in it.

  Attributes:
    key: the clip, in a form that does not depend on how a source writes it.
    depth: how many folders of the path belong to the clip.
    kind: which of the published trees it is part of, e.g. `cropped`.
  """

  key: Hashable
  depth: int
  kind: str


@dataclasses.dataclass(frozen=True)
class Tree:
  """Folders of clips that lie under one folder and are of one kind."""

  folder: pathlib.Path
  kind: str
  clips: dict[Hashable, pathlib.Path]


def kind_of(parts: Sequence[str]) -> str:
  """`cropped` or `raw`, as the innermost folder says that says any of it."""
  for part in reversed(parts):
    if 'crop' in part:
      return 'cropped'
    if 'raw' in part:
      break
  return 'raw'


def frame_number(file: pathlib.Path) -> int | None:
  """The last integer in the name of a file, which no padding can change."""
  numbers = re.findall(r'\d+', file.stem)
  return int(numbers[-1]) if numbers else None


def list_frames(folder: pathlib.Path) -> dict[int, pathlib.Path]:
  """The images of a folder by frame number, in the order of the numbers.

  Raises:
    OSError: the folder cannot be read.
    ValueError: two files have the same number.
  """
  frames = {}
  for file in sorted(folder.iterdir()):
    # A dot in front marks what a Mac leaves beside the files it copies.
    if file.suffix.lower() not in SUFFIXES or file.name.startswith('.'):
      continue
    number = frame_number(file)
    if number is None:
      continue
    if number in frames:
      raise ValueError(
        f'frame {number} is there twice: {frames[number].name}, {file.name}'
      )
    frames[number] = file
  return dict(sorted(frames.items()))


def scan(
  root: pathlib.Path, place_of: Callable[[tuple[str, ...]], Place | None]
) -> tuple[list[Tree], list[pathlib.Path]]:
  """Finds the trees of clips below a root, and the files outside of them.

  Folders of clips are not looked into, so that this takes no longer for long
  clips.

  Args:
    root: where a database lies.
    place_of: from the path of a folder, its parts in lower case and beginning
      with the name of `root`, to the clip whose folder it is.

  Returns:
    Trees, and files that are no images, both in the order of their paths.
  """
  trees, files = {}, []

  def visit(folder: pathlib.Path, parts: tuple[str, ...]) -> None:
    place = place_of(parts)
    if place is not None:
      home = folder.parents[place.depth - 1]
      tree = trees.setdefault(
        (home, place.kind), Tree(folder=home, kind=place.kind, clips={})
      )
      tree.clips.setdefault(place.key, folder)
      return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
      if entry.name.startswith('.'):
        continue
      path = folder / entry.name
      if entry.is_dir():
        if len(parts) < _DEPTH:
          visit(path, (*parts, entry.name.lower()))
      elif path.suffix.lower() not in SUFFIXES:
        files.append(path)

  visit(root, (root.absolute().name.lower(),))
  return list(trees.values()), files


def choose(trees: Sequence[Tree], kinds: Sequence[str]) -> Tree | None:
  """The fullest tree of the first kind that is there at all."""
  for kind in kinds:
    own = [tree for tree in trees if tree.kind == kind]
    if own:
      return max(own, key=lambda tree: len(tree.clips))
  return None
