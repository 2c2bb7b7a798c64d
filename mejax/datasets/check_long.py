"""Checks a database of long videos: what is there, missing or wrong."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import importlib
import pathlib

from mejax import bars
from mejax.corpora import LONG_VIDEOS
from mejax.corpora import cells
from mejax.corpora import decode
from mejax.corpora import long_videos
from mejax.corpora.long_videos import LongVideo
from mejax.datasets import clip_counts


def check_videos(
  name: str,
  source: str | pathlib.Path,
  *,
  options: Mapping[str, str] | None = None,
  progress: bool = True,
) -> tuple[str, bool]:
  """Checks the label sheet, the numbers of the frames, and some pictures.

  The first, the middle and the last frame of each video are decoded; an hour of
  video is not.

  Args:
    name: one of `mejax.corpora.LONG_VIDEOS`.
    source: where the database lies.
    options: `images`, the kind of frames.
    progress: whether to show a bar.

  Returns:
    The report, and whether at least one video can be used.

  Raises:
    FileNotFoundError: `source` is no folder.
    ValueError: an option is unknown.
  """
  database = importlib.import_module(LONG_VIDEOS[name]).DATABASE
  source, options = pathlib.Path(source), dict(options or {})
  if unknown := set(options) - {'images'}:
    raise ValueError(f'{name} has no option {min(unknown)!r}; it has images')
  if not source.is_dir():
    raise FileNotFoundError(f'{source} is no folder; expected {name} in it')
  head = f'{name} in {source}'
  try:
    reading = database.read(source, **options)
    watched = bars.Bar(reading, desc='read', unit='video', disable=not progress)
    videos = [_decoded(video) for video in watched]
  except (OSError, ValueError) as error:
    text = f'{head}\n\nIt cannot be used: {error}'
    return cells.printable(text), False
  parts = [
    [
      head,
      f'  labels  {_inside(reading.sheet, source)}',
      f'  frames  {_inside(reading.tree.folder, source)} ({reading.tree.kind})',
    ],
    _table(videos, database.published),
    _protocol(videos, database),
    _differences(videos, database.published),
    clip_counts.listed(
      'cannot be used',
      [(v.identity, v.problem) for v in videos],
      noun='video',
    ),
    clip_counts.listed(
      'can be used, but',
      _remarks(videos),
      noun='video',
    ),
    clip_counts.listed(
      'cannot be used',
      _events_told(videos, 'problem'),
      noun='event',
    ),
    clip_counts.listed(
      'can be used, but',
      _events_told(videos, 'remarks'),
      noun='event',
    ),
  ]
  usable = any(not video.problem for video in videos)
  if not usable:
    parts.append(['It cannot be used: no video can.'])
  text = '\n\n'.join('\n'.join(lines) for lines in parts if lines)
  return cells.printable(text), usable


def _decoded(video: LongVideo) -> LongVideo:
  """Returns the video; its problem says if a frame cannot be decoded."""
  if video.problem:
    return video
  numbers = list(video.frames)
  some = [numbers[0], numbers[len(numbers) // 2], numbers[-1]]
  try:
    decode.decode(video.clip(), list(dict.fromkeys(some)))
  except ValueError as error:
    return dataclasses.replace(video, problem=str(error))
  return video


def _inside(path: pathlib.Path, root: pathlib.Path) -> str:
  inside = path.is_relative_to(root) and path != root
  return str(path.relative_to(root) if inside else path)


def _counts(
  videos: Sequence[LongVideo],
) -> dict[str, tuple[int, int]]:
  """Returns how many there are of each kind, and how many can be used."""
  good = [video for video in videos if not video.problem]
  rows = {
    'subjects': tuple(
      len({video.subject for video in some}) for some in (videos, good)
    ),
    'videos': (len(videos), len(good)),
  }
  for kind in long_videos.TYPES:
    rows[kind] = tuple(
      sum(
        event.type == kind and not (usable and event.problem)
        for video in some
        for event in video.events
      )
      for some, usable in ((videos, False), (good, True))
    )
  return rows


def _table(
  videos: Sequence[LongVideo], published: Mapping[str, tuple[int, ...]]
) -> list[str]:
  names = {'micro': 'micro-expressions', 'macro': 'macro-expressions'}
  lines = [f'{"":<20}{"found":>10}{"usable":>10}{"published":>14}']
  for name, (here, good) in _counts(videos).items():
    known = ' or '.join(map(str, published.get(name, ())))
    lines.append(f'{names.get(name, name):<20}{here:>10}{good:>10}{known:>14}')
  return [f'  {line.rstrip()}' for line in lines]


def _protocol(
  videos: Sequence[LongVideo], database: long_videos.LongDatabase
) -> list[str]:
  """Returns lines on what a score over these videos rests on."""
  good = [video for video in videos if not video.problem]
  if not good:
    return []
  rule = database.rule
  minutes = sum(max(video.frames) - min(video.frames) + 1 for video in good) / (
    database.fps * 60
  )
  lines = [
    'Spotting:',
    f'  {minutes:.1f} minutes at {database.fps:g} frames a second',
    f'  a micro-expression is one whose {rule.part} is at most '
    f'{rule.seconds:g} s',
  ]
  for kind in long_videos.TYPES:
    number = sum(
      any(e.type == kind and not e.problem for e in video.events)
      for video in good
    )
    lines.append(
      f'  {number} of {len(good)} videos have a {kind}-expression; the others '
      'count, too: what is spotted there is a false alarm'
    )
  return lines


def _differences(
  videos: Sequence[LongVideo], published: Mapping[str, tuple[int, ...]]
) -> list[str]:
  counts = _counts(videos)
  lines = [
    f'  {name}: {counts[name][0]} found, {" or ".join(map(str, known))} '
    'published'
    for name, known in published.items()
    # Of some databases a range is known, since sources differ.
    if not min(known) <= counts[name][0] <= max(known)
  ]
  return ['Not as published:', *lines] if lines else []


def _remarks(videos: Sequence[LongVideo]) -> Iterator[tuple[str, str]]:
  for video in videos:
    if not video.problem:
      for remark in video.remarks:
        yield video.identity, remark


def _events_told(
  videos: Sequence[LongVideo], field: str
) -> Iterator[tuple[str, str]]:
  """Yields pairs of an event and what is to be told of it."""
  for video in videos:
    for event in video.events:
      words = getattr(event, field)
      own = [words] if isinstance(words, str) else words
      if field == 'remarks' and (event.problem or video.problem):
        continue
      for word in own:
        yield f'{video.identity}/{event.name}', word
