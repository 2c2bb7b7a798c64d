"""Label sheet and frames of a database: found below a root, made into clips."""

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
class Layout:
  """What a database looks like.

  Attributes:
    title: its name, for messages.
    fields: headings of the label sheet, as `sheets.find` takes them.
    place_of: paths to clips, as `frames.scan` takes it.
    example: path of a frame and name of a sheet, for messages.
    optional: fields that may be absent.
    sheet_name: what the name of the sheet's file usually matches.
    accepts: as in `sheets.find`.
    kinds: kinds of trees, the one to prefer first.
  """

  title: str
  fields: Mapping[str, Sequence[str]]
  place_of: Callable[[tuple[str, ...]], frames.Place | None]
  example: str
  optional: Sequence[str] = ()
  sheet_name: str = ''
  accepts: Callable[[pathlib.Path, str], bool] = lambda path, title: True
  kinds: Sequence[str] = ('raw', 'cropped')


@dataclasses.dataclass(frozen=True)
class Source:
  """The label sheet and the tree of frames that are read.

  Attributes:
    table: the label sheet, or None where none is needed.
    tree: the frames, or None where only labels are read.
    others: further trees that are there.
  """

  table: sheets.Table | None
  tree: frames.Tree | None
  others: tuple[frames.Tree, ...] = ()

  def folder(self, key: Hashable) -> pathlib.Path | None:
    """The folder of a clip's frames, if it is there."""
    return None if self.tree is None else self.tree.clips.get(key)


@dataclasses.dataclass
class Reading(Iterator[Clip]):
  """Clips as they are read, and from where."""

  source: Source
  clips: Iterator[Clip]

  def __next__(self) -> Clip:
    return next(self.clips)


Label = Callable[[dict[str, str]], tuple[annotated.Annotation, Hashable]]


def read(found: Source, label: Label, *, cut: bool = False) -> Reading:
  """Makes a clip of each row of a label sheet.

  Args:
    found: the sheet and the frames.
    label: from a row to what it says, and the key of the clip's folder.
    cut: as in `annotated.make_clip`.
  """
  return Reading(
    found, make_clips(found, map(label, found.table.rows), cut=cut)
  )


def make_clips(
  found: Source,
  labels: Iterable[tuple[annotated.Annotation, Hashable]],
  *,
  cut: bool = False,
) -> Iterator[Clip]:
  """Makes the clips of annotations, each with the key of its folder.

  Folders without an annotation give clips that cannot be used.
  """
  keys, corpus = set(), ''

  def annotations() -> Iterator[Clip]:
    for annotation, key in labels:
      keys.add(key)
      yield annotated.make_clip(
        annotation,
        found.folder(key),
        with_frames=found.tree is not None,
        cut=cut,
      )

  for clip in annotated.unique(annotations()):
    corpus = clip.corpus
    yield clip
  # Most whole videos show no micro-expression.
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


def locate(
  root: str | pathlib.Path,
  layout: Layout,
  *,
  images: str = '',
  sheet: str = '',
  with_frames: bool = True,
  needs_sheet: Callable[[frames.Tree | None], bool] = lambda tree: True,
) -> Source:
  """Finds what a reader reads.

  Args:
    root: folder below which the database lies.
    layout: what it looks like.
    images: kind of tree to read; the first of `layout.kinds` that is there if
      not given.
    sheet: a part of the name of the sheet's file, to choose among several.
    with_frames: look for the frames at all.
    needs_sheet: whether the labels of a tree stand in a sheet alone.

  Raises:
    FileNotFoundError: the root, the sheet or the frames are not there.
    ValueError: `images` is unknown, or the sheet cannot be read.
  """
  root = pathlib.Path(root)
  if not root.is_dir():
    raise FileNotFoundError(f'{root} is no folder; expected {layout.title}')
  if images and images not in layout.kinds:
    raise ValueError(
      f'images is {images!r}; {layout.title} has {", ".join(layout.kinds)}'
    )
  trees, files = frames.scan(root, layout.place_of)
  trees = [tree for tree in trees if tree.kind in layout.kinds]
  tree = frames.choose(trees, [images] if images else layout.kinds)
  if tree is None and with_frames:
    there = ', '.join(f'{t.folder} ({t.kind})' for t in trees)
    raise FileNotFoundError(
      f'{root} holds no {images + " " * bool(images)}frames of {layout.title}: '
      f'expected folders as in {layout.example}'
      + (f'; there are {there}' if there else '')
    )
  table = None
  if needs_sheet(tree):
    table = _find_table(root, layout, files, sheet)
  return Source(
    table=table,
    tree=tree if with_frames else None,
    others=tuple(other for other in trees if other is not tree),
  )


def _find_table(root, layout: Layout, files, sheet: str) -> sheets.Table:
  chosen = [file for file in files if sheet.lower() in file.name.lower()]
  table = sheets.find(
    chosen,
    fields=layout.fields,
    optional=layout.optional,
    name=layout.sheet_name,
    accepts=layout.accepts,
  )
  if table is None:
    there = ', '.join(
      file.name for file in files if file.suffix.lower() in sheets.SUFFIXES
    )
    columns = ', '.join(
      names[0]
      for field, names in layout.fields.items()
      if field not in layout.optional
    )
    raise FileNotFoundError(
      f'{root} holds no label sheet of {layout.title}'
      + (f' with {sheet!r} in its name' if sheet else '')
      + f': expected one as in {layout.example}, with a header that has the '
      f'columns {columns}; spreadsheets there: {there or "none"}'
    )
  return table


def digits(text: str) -> int | None:
  """The last integer in a subject's or clip's name, e.g. 7 of `sub07`."""
  numbers = re.findall(r'\d+', text)
  return int(numbers[-1]) if numbers else None
