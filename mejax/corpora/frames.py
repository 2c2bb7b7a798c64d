"""Finds the frame files of a folder, and the folders of clips below a root."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Sequence
import dataclasses
import os
import pathlib
import re

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff')
# Datasets store numbers of frames in 32 bits.
LARGEST = 2**31 - 1
# No published tree is deeper.
_DEPTH = 9


@dataclasses.dataclass(frozen=True)
class Place:
  """The place of a clip in a tree, read from the path of its folder.

  Attributes:
    key: identifies the clip, whatever its case and padding in folders and
      sheets.
    depth: number of the path's last folders that belong to the clip.
    kind: kind of the published tree that it is part of, e.g. `cropped`.
  """

  key: Hashable
  depth: int
  kind: str


@dataclasses.dataclass(frozen=True)
class Tree:
  """Folders of clips of one kind below one folder."""

  folder: pathlib.Path
  kind: str
  clips: dict[Hashable, pathlib.Path]


def kind_of(parts: Sequence[str]) -> str:
  """Returns `cropped` or `raw`: the innermost folder with a word decides."""
  for part in reversed(parts):
    if 'crop' in part:
      return 'cropped'
    if 'raw' in part:
      break
  return 'raw'


def frame_number(file: pathlib.Path) -> int | None:
  """Returns the last integer in the name of a file, whatever its padding."""
  numbers = re.findall(r'\d+', file.stem)
  return int(numbers[-1]) if numbers else None


def list_frames(folder: pathlib.Path) -> dict[int, pathlib.Path]:
  """Lists the images of a folder by frame number, in the order of numbers.

  Raises:
    OSError: the folder cannot be read.
    ValueError: two files have the same number, or a number is too large.
  """
  frames = {}
  for file in sorted(folder.iterdir()):
    # A Mac leaves files beside those it copies; their names begin with a dot.
    if file.suffix.lower() not in SUFFIXES or file.name.startswith('.'):
      continue
    number = frame_number(file)
    if number is None:
      continue
    if number > LARGEST:
      raise ValueError(
        f'"{file.name}" has the number {number}; expected at most {LARGEST}: '
        'number the frames from 1'
      )
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

  Folders of clips are not opened, so that long clips take no more time. A
  folder to which links lead is read once, under its own name if it has one
  below the root.

  Args:
    root: where a database lies.
    place_of: maps the path of a folder to the clip in it, or None. The path
      comes as parts in lower case, the first of which is the name of `root`.

  Returns:
    Trees, and the files that are no images, both in the order of their paths.
  """
  trees, files, links, seen = {}, [], [], set()

  def visit(folder: pathlib.Path, parts: tuple[str, ...]) -> None:
    if not is_new(folder, seen):
      return
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
        below = (path, (*parts, entry.name.lower()))
        if entry.is_symlink():
          links.append(below)
        elif len(parts) < _DEPTH:
          visit(*below)
      elif path.suffix.lower() not in SUFFIXES:
        files.append(path)

  visit(root, (root.absolute().name.lower(),))
  for below in links:  # Which grow while they are visited.
    if len(below[1]) <= _DEPTH:
      visit(*below)
  return list(trees.values()), sorted(files)


def is_new(folder: pathlib.Path, seen: set[tuple[int, int]]) -> bool:
  """Returns whether a folder is not among those seen yet; adds it to them.

  Links can make circles and any number of paths to one folder.
  """
  there = folder.stat()
  key = there.st_dev, there.st_ino
  is_new = key not in seen
  seen.add(key)
  return is_new


def choose(trees: Sequence[Tree], kinds: Sequence[str]) -> Tree | None:
  """Returns the tree with most clips, of the first kind that exists."""
  for kind in kinds:
    own = [tree for tree in trees if tree.kind == kind]
    if own:
      return max(own, key=lambda tree: len(tree.clips))
  return None
