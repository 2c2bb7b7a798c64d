"""Long videos, and the events that were annotated in them.

A video without an event is yielded as well: what is spotted there is a false
alarm. Frames are known by their numbers, since some are missing.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import math
import pathlib
import re

from mejax.corpora import cells
from mejax.corpora import frames as frame_files
from mejax.corpora import sheets
from mejax.corpora.clip import UNKNOWN
from mejax.corpora.clip import Clip

TYPES = ('micro', 'macro')


@dataclasses.dataclass(frozen=True)
class TypeRule:
  """What makes an expression of a database a micro-expression.

  Attributes:
    part: `total` (onset to offset, both counted) or `rise` (onset to apex).
    seconds: it lasts this long or shorter.
  """

  part: str
  seconds: float

  def type_of(
    self, onset: int, apex: int | None, offset: int, *, fps: float
  ) -> str | None:
    """Returns `micro` or `macro`; None if the rule needs an absent apex."""
    if self.part == 'rise' and apex is None:
      return None
    frames = offset - onset + 1 if self.part == 'total' else apex - onset
    return TYPES[0] if frames <= self.seconds * fps + 1e-6 else TYPES[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Annotated:
  """An annotated event.

  Attributes:
    name: as the sheet writes it.
    onset, apex, offset: frame numbers; None if not known.
    type: one of `TYPES`.
    emotion, facs: as in `Clip`.
    problem: why it cannot be used; '' if it can.
    remarks: what was changed, or is odd.
  """

  name: str
  onset: int | None = None
  apex: int | None = None
  offset: int | None = None
  type: str = ''
  emotion: str = ''
  facs: str = ''
  problem: str = ''
  remarks: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class LongVideo:
  """A long video on disk.

  Attributes:
    corpus, subject, name: its identity, as in `Clip`.
    fps: frames per second.
    frames: the file of each frame number, in order.
    events: what the sheet has of it, in the order of onsets.
    problem: why it cannot be used; '' if it can.
    remarks: what is odd.
  """

  corpus: str
  subject: str
  name: str
  fps: float
  frames: Mapping[int, pathlib.Path] = dataclasses.field(default_factory=dict)
  events: tuple[Annotated, ...] = ()
  problem: str = ''
  remarks: tuple[str, ...] = ()

  @property
  def identity(self) -> str:
    """`corpus/subject/name`."""
    return f'{self.corpus}/{self.subject}/{self.name}'

  def clip(self) -> Clip:
    """Returns the frames as a clip, which `decode` takes."""
    return Clip(
      corpus=self.corpus,
      subject=self.subject,
      name=self.name,
      emotion=UNKNOWN,
      frames=tuple(self.frames.values()),
      frame_numbers=tuple(self.frames),
      fps=self.fps,
    )


# The key of a video's folder, and an event in it.
Keyed = tuple[Hashable, Annotated]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LongDatabase:
  """A database of long videos, described by data.

  Attributes:
    corpus: its name.
    title: its name for messages.
    fps: frames per second.
    rule: what its annotators call a micro-expression.
    published: number of subjects, videos, micro- and macro-expressions of the
      release; several where sources differ.
    place_of: as in `database.Database`; the key is of one video.
    who: function of a key that returns subject and name of the video.
    labels: function of the files beside the frames that returns the label
      sheet and the events in it, or None if there is no such sheet.
    example: path of a frame and name of a sheet, for messages.
    kinds: kinds of trees, the preferred one first.
  """

  corpus: str
  title: str
  fps: float
  rule: TypeRule
  published: Mapping[str, tuple[int, ...]]
  place_of: Callable[[tuple[str, ...]], frame_files.Place | None]
  who: Callable[[Hashable], tuple[str, str]]
  labels: Callable[
    [list[pathlib.Path]], tuple[pathlib.Path, Iterable[Keyed]] | None
  ]
  example: str
  kinds: tuple[str, ...] = ('raw', 'cropped')

  def read(self, root: str | pathlib.Path, *, images: str = '') -> LongReading:
    """Reads the videos in the order of their folders.

    Args:
      root: folder below which the sheet and the frames lie.
      images: kind of frames; the first of `kinds` that is there if not given.

    Raises:
      FileNotFoundError: the root, the sheet or the frames do not exist.
      ValueError: `images` is unknown, or the sheet cannot be read.
    """
    root = pathlib.Path(root)
    if not root.is_dir():
      raise FileNotFoundError(f'{root} is no folder; expected {self.title}')
    if images and images not in self.kinds:
      raise ValueError(
        f'images is {images!r}; {self.title} has {", ".join(self.kinds)}'
      )
    trees, files = frame_files.scan(root, self.place_of)
    tree = frame_files.choose(trees, [images] if images else self.kinds)
    if tree is None:
      raise FileNotFoundError(
        f'{root} holds no frames of {self.title}: expected folders as in '
        f'{self.example}'
      )
    found = self.labels(files)
    if found is None:
      names = [f.name for f in files if f.suffix.lower() in sheets.SUFFIXES]
      raise FileNotFoundError(
        f'{root} holds no label sheet of {self.title}: expected one as in '
        f'{self.example}; spreadsheets there: {", ".join(names) or "none"}'
      )
    sheet, events = found
    own: dict[Hashable, list[Annotated]] = {}
    for key, event in events:
      own.setdefault(key, []).append(event)
    return LongReading(sheet, tree, self._videos(tree, own))

  def _videos(
    self, tree: frame_files.Tree, own: Mapping[Hashable, list[Annotated]]
  ) -> Iterator[LongVideo]:
    absent = [key for key in own if key not in tree.clips]
    for key in (*tree.clips, *absent):
      subject, name = self.who(key)
      video = LongVideo(
        corpus=self.corpus, subject=subject, name=name, fps=self.fps
      )
      yield _filled(video, tree.clips.get(key), own.get(key, ()), self.rule)


@dataclasses.dataclass
class LongReading(Iterator[LongVideo]):
  """An iterator over videos that also holds where they come from."""

  sheet: pathlib.Path
  tree: frame_files.Tree
  videos: Iterator[LongVideo]

  def __next__(self) -> LongVideo:
    return next(self.videos)


def _filled(
  video: LongVideo,
  folder: pathlib.Path | None,
  events: Iterable[Annotated],
  rule: TypeRule,
) -> LongVideo:
  """Adds the frames and the events, as far as they agree."""
  if folder is None:
    return dataclasses.replace(
      video,
      events=tuple(events),
      problem='the folder of its frames is missing',
    )
  try:
    files = frame_files.list_frames(folder)
  except (OSError, ValueError) as error:
    return dataclasses.replace(
      video, events=tuple(events), problem=f'{folder.name}: {error}'
    )
  if len(files) < 2:
    problem = f'{folder.name} holds {len(files)} frames; expected two or more'
    return dataclasses.replace(video, events=tuple(events), problem=problem)
  first, last = next(iter(files)), next(reversed(files))
  remarks = []
  if first > 1:
    remarks.append(f'its first frame has the number {first}')
  if lost := last - first + 1 - len(files):
    remarks.append(f'{lost} of {last - first + 1} frames are missing')
  fitted = [_fitted(event, first, last, video.fps, rule) for event in events]
  fitted.sort(key=lambda event: (event.onset is None, event.onset or 0))
  return dataclasses.replace(
    video, frames=files, events=tuple(fitted), remarks=tuple(remarks)
  )


def _fitted(
  event: Annotated, first: int, last: int, fps: float, rule: TypeRule
) -> Annotated:
  """Cuts an event to the frames that are there, and compares it to the rule."""
  if event.problem:
    return event
  onset, offset = max(event.onset, first), min(event.offset, last)
  if onset > offset:
    return dataclasses.replace(
      event,
      problem=f'frames {event.onset} to {event.offset} are not there: the '
      f'video has {first} to {last}',
    )
  remarks = list(event.remarks)
  for name, was, now in (
    ('onset', event.onset, onset),
    ('offset', event.offset, offset),
  ):
    if was != now:
      remarks.append(f'{name} {was} lies outside of the video: {now} is taken')
  apex = event.apex
  if apex is not None and not onset <= apex <= offset:
    apex = None
  kind = rule.type_of(event.onset, event.apex, event.offset, fps=fps)
  if kind not in (None, event.type):
    remarks.append(
      f'it is called {event.type}, but by the rule of the database '
      f'({rule.part} of at most {rule.seconds:g} s) it is {kind}'
    )
  return dataclasses.replace(
    event, onset=onset, apex=apex, offset=offset, remarks=tuple(remarks)
  )


def annotated(row: Mapping[str, str], *, name: str, **others) -> Annotated:
  """Reads an event from a row of a sheet, and mends what can be mended.

  Fractions of frames are rounded. An onset of 0 is that of an event under way
  at the first frame. An absent offset is mirrored at the apex. An apex that is
  absent, or outside of the event, is not known.

  Args:
    row: text of onset, apex, offset, type, and perhaps emotion and facs.
    name: of the event.
    **others: attributes that replace those of the row.
  """
  given = {f: read_number(row.get(f, '')) for f in ('onset', 'apex', 'offset')}
  onset, apex, offset = (
    None if n is None else math.floor(n + 0.5) for n in given.values()
  )
  remarks, problem = [], ''
  if any(n is not None and n != math.floor(n) for n in given.values()):
    remarks.append('its frame numbers have fractions: they are rounded')
  kind = type_of(row.get('type', ''))
  if onset is None or onset < 0:
    problem = f'onset is {cells.described(row.get("onset", ""))}'
  elif kind is None:
    problem = f'type is {cells.described(row.get("type", ""))}'
    problem += '; expected micro or macro'
  if onset == 0:
    remarks.append('its onset is 0: it is under way at the first frame')
    onset = 1
  if apex is not None and apex < 1:
    apex = None
  if not problem and (offset is None or offset < 1):
    if apex is None or apex <= onset:
      problem = 'the sheet gives no offset, nor an apex to mirror the onset at'
    else:
      offset = 2 * apex - onset
      remarks.append(
        f'no offset: {offset}, as long after the apex as the onset is before, '
        'stands for it'
      )
  if not problem and offset < onset:
    problem = f'offset {offset} is before onset {onset}'
  if not problem and apex is not None and not onset <= apex <= offset:
    remarks.append(
      f'apex {apex} is not between onset {onset} and offset {offset}: it is '
      'dropped'
    )
    apex = None
  words = {key: str(row.get(key, '')) for key in ('emotion', 'facs')}
  values = {
    'name': name,
    'onset': onset,
    'apex': apex,
    'offset': offset,
    'type': kind or '',
    'problem': problem,
    'remarks': tuple(remarks),
  }
  return Annotated(**(words | values | others))


def read_number(text: str) -> float | None:
  """Returns the number in a cell, whole or not; None if it holds none."""
  if getattr(text, 'fault', ''):
    return None
  plain = cells.visible(text)
  if not re.fullmatch(r'[+-]?[0-9]{1,9}(\.[0-9]*)?', plain):
    return None
  return float(plain)


def type_of(text: str) -> str | None:
  """Returns `micro` or `macro` for the word of a sheet; None for any other."""
  plain = cells.visible(text).lower()
  found = [kind for kind in TYPES if plain.startswith(kind)]
  return found[0] if found else None
