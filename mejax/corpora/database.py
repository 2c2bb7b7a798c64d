"""Reads databases that consist of folders of frames and a label sheet.

A `Database` describes one by data. Its module also holds the `Corpus` that
reads it; `casme2.py` is a short one to copy.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import pathlib
import re

from mejax.corpora import annotated
from mejax.corpora import frames
from mejax.corpora import sheets
from mejax.corpora.clip import UNKNOWN
from mejax.corpora.clip import Clip


@dataclasses.dataclass(frozen=True)
class Found:
  """The label sheet and the tree of frames that were found below a root.

  Attributes:
    table: the label sheet, or None if none is needed.
    tree: the frames, or None if only labels are read.
    others: further trees, which are not read.
  """

  table: sheets.Table | None
  tree: frames.Tree | None
  others: tuple[frames.Tree, ...] = ()

  def folder(self, key: Hashable) -> pathlib.Path | None:
    """Returns the folder of a clip's frames, or None if there is none."""
    return None if self.tree is None else self.tree.clips.get(key)


@dataclasses.dataclass
class Reading(Iterator[Clip]):
  """An iterator over clips that also holds where they come from."""

  found: Found
  clips: Iterator[Clip]

  def __next__(self) -> Clip:
    return next(self.clips)


# The annotation of a clip, and the key of the clip's folder.
Labelled = tuple[annotated.Annotation, Hashable]


def by_row(
  label: Callable[[dict[str, str]], Labelled],
) -> Callable[[Found], Iterator[Labelled]]:
  """Returns the `labels` of a database whose sheet has one row per clip."""
  return lambda found: map(label, found.table.rows)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Database:
  """A database described by data: its sheet, its folders, its labels.

  Attributes:
    title: its name, for messages.
    columns: for each field of a row the headings it may have in the sheet, as
      `sheets.find` takes them.
    place_of: maps the path of a folder to the clip in it, as `frames.scan`
      takes it.
    labels: function of what was found that yields annotation and folder key of
      each clip; `by_row` makes it from a function of one row.
    example: path of a frame and name of a sheet, for messages.
    optional: fields whose column may be absent.
    sheet_name: regular expression that the sheet's file name usually matches.
    accepts: as in `sheets.find`.
    kinds: kinds of trees, the preferred one first.
    inner: name of a folder within a clip's folder that may hold the frames.
    cut: as in `annotated.from_files`.
    joins: whether there are several sheets, and several folders of clips, all
      of which count.
    needs_sheet: whether the labels of a tree stand in a sheet; it is called
      with None if only labels are read.
  """

  title: str
  columns: Mapping[str, Sequence[str]]
  place_of: Callable[[tuple[str, ...]], frames.Place | None]
  labels: Callable[[Found], Iterable[Labelled]]
  example: str
  optional: Sequence[str] = ()
  sheet_name: str = ''
  accepts: Callable[[pathlib.Path, str], bool] = lambda path, title: True
  kinds: Sequence[str] = ('raw', 'cropped')
  inner: str = ''
  cut: bool = False
  joins: bool = False
  needs_sheet: Callable[[frames.Tree | None], bool] = lambda tree: True

  def read(
    self,
    root: str | pathlib.Path,
    *,
    images: str = '',
    sheet: str = '',
    encoding: str = '',
    with_frames: bool = True,
  ) -> Reading:
    """Reads the clips in the order of the labels.

    Args:
      root: folder below which the sheet and the frames lie.
      images: kind of frames to read; the first of `kinds` that is there if not
        given.
      sheet: part of the label sheet's file name, to choose among several; the
        last by name if not given.
      encoding: that of a label sheet that is a CSV file; UTF-8 if not given.
      with_frames: if False, the clips have labels only.

    Returns:
      The clips, then folders of clips without a label, which cannot be used.

    Raises:
      FileNotFoundError: the root, the sheet or the frames do not exist.
      ValueError: `images` is unknown, or the sheet cannot be read.
    """
    found = self._locate(
      pathlib.Path(root), images, sheet, encoding, with_frames
    )
    return Reading(found, self._clips(found))

  def _clips(self, found: Found) -> Iterator[Clip]:
    keys, corpus = set(), ''

    def annotations() -> Iterator[Clip]:
      for annotation, key in self.labels(found):
        keys.add(key)
        yield annotated.make_clip(
          annotation,
          found.folder(key),
          with_frames=found.tree is not None,
          cut=self.cut,
        )

    for clip in annotated.unique(annotations()):
      corpus = clip.corpus
      yield clip
    # A folder without a row is reported, not dropped. Whole videos are left
    # out: most show no micro-expression, so they need no row.
    if corpus and found.tree is not None and found.tree.kind != 'videos':
      for key, folder in found.tree.clips.items():
        if key not in keys:
          yield Clip(
            corpus,
            UNKNOWN,
            folder.relative_to(found.tree.folder).as_posix(),
            UNKNOWN,
            problem=f'has no row in {found.table.path.name}',
          )

  def _locate(
    self,
    root: pathlib.Path,
    images: str,
    sheet: str,
    encoding: str,
    with_frames: bool,
  ) -> Found:
    if not root.is_dir():
      raise FileNotFoundError(f'{root} is no folder; expected {self.title}')
    if images and images not in self.kinds:
      raise ValueError(
        f'images is {images!r}; {self.title} has {", ".join(self.kinds)}'
      )
    # Copies are unpacked, nested and renamed in many ways, so folders are found
    # by the names of the clips in them.
    trees, files = frames.scan(root, self.place_of)
    trees = [tree for tree in trees if tree.kind in self.kinds]
    if self.joins:
      trees = [_joined(root, trees, kind) for kind in self.kinds]
      trees = [tree for tree in trees if tree.clips]
    tree = frames.choose(trees, [images] if images else self.kinds)
    if tree is None and with_frames:
      there = ', '.join(f'{t.folder} ({t.kind})' for t in trees)
      raise FileNotFoundError(
        f'{root} holds no {images + " " * bool(images)}frames of {self.title}:'
        f' expected folders as in {self.example}'
        + (f'; there are {there}' if there else '')
      )
    others = tuple(other for other in trees if other is not tree)
    if not with_frames:
      tree = None
    table = None
    if self.needs_sheet(tree):
      table = self._find_table(root, files, sheet, encoding)
    if tree is not None and self.inner:
      tree = dataclasses.replace(
        tree, clips={k: self._inner(path) for k, path in tree.clips.items()}
      )
    return Found(table=table, tree=tree, others=others)

  def _inner(self, folder: pathlib.Path) -> pathlib.Path:
    below = folder / self.inner
    return below if below.is_dir() else folder

  def _find_table(
    self,
    root: pathlib.Path,
    files: Sequence[pathlib.Path],
    sheet: str,
    encoding: str,
  ) -> sheets.Table:
    left = [file for file in files if sheet.lower() in file.name.lower()]
    tables: list[sheets.Table] = []
    while self.joins or not tables:
      table = sheets.find(
        left,
        fields=self.columns,
        optional=self.optional,
        name=self.sheet_name,
        accepts=self.accepts,
        encoding=encoding,
      )
      if table is None:
        break
      tables.append(table)
      left = [file for file in left if file != table.path]
    if tables:
      return dataclasses.replace(
        tables[0],
        rows=[row for table in tables for row in table.rows],
        unread=tuple(words for table in tables for words in table.unread),
      )
    there = ', '.join(
      file.name for file in files if file.suffix.lower() in sheets.SUFFIXES
    )
    headings = ', '.join(
      names[0]
      for field, names in self.columns.items()
      if field not in self.optional
    )
    raise FileNotFoundError(
      f'{root} holds no label sheet of {self.title}'
      + (f' with {sheet!r} in its name' if sheet else '')
      + f': expected one as in {self.example}, with a header that has the '
      f'columns {headings}; spreadsheets there: {there or "none"}'
    )


def _joined(
  root: pathlib.Path, trees: Sequence[frames.Tree], kind: str
) -> frames.Tree:
  """Returns one tree of all clips of a kind; the first of a name counts."""
  own = [tree for tree in reversed(trees) if tree.kind == kind]
  clips = {key: path for tree in own for key, path in tree.clips.items()}
  return frames.Tree(folder=root, kind=kind, clips=dict(sorted(clips.items())))


def digits(text: str) -> int | None:
  """Returns the last integer in a name, e.g. 7 for `sub07`."""
  numbers = re.findall(r'\d+', text)
  return int(numbers[-1]) if numbers else None
