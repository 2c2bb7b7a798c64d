"""Checks a database: which parts are there, missing or wrong."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import pathlib

import numpy as np

from mejax import bars
from mejax.corpora import LONG_VIDEOS
from mejax.corpora import cells
from mejax.corpora import footage
from mejax.corpora import people
from mejax.corpora.clip import UNKNOWN
from mejax.corpora.clip import Clip
from mejax.corpora.corpus import find_corpus
from mejax.corpora.database import Reading
from mejax.corpora.release_counts import RELEASE_COUNTS
from mejax.corpora.release_counts import ReleaseCounts
from mejax.datasets import check_long
from mejax.datasets import clip_cache
from mejax.datasets import clip_counts
from mejax.datasets import labelling
from mejax.datasets.protocols import PROTOCOLS
from mejax.datasets.recipe import Recipe

# Words for sources of the apex that do not explain themselves.
_APEXES = {'repaired': 'repaired, as a warning below says'}


@dataclasses.dataclass(frozen=True)
class Report:
  """The result of a check.

  Attributes:
    text: for a person to read.
    usable: whether at least one clip can be used.
  """

  text: str
  usable: bool


def check_corpus(
  corpus: str,
  source: str | pathlib.Path,
  *,
  options: Mapping[str, str] | None = None,
  recipe: Recipe | None = None,
  workers: int | None = None,
  progress: bool = True,
) -> Report:
  """Checks the labels, the file names, the frames and the faces in them.

  A clip is decoded, searched for its face and its apex as `prepare` will do it,
  so that both refuse the same clips in the same words.

  Args:
    corpus: a name of `mejax.corpora.CORPORA` or `LONG_VIDEOS`, or
      `package.module:name`.
    source: where the database lies.
    options: further options of its reader, e.g. `{'images': 'cropped'}`.
    recipe: how `prepare` would make examples; the defaults if not given.
    workers: as `prepare` takes them.
    progress: whether to show bars.

  Raises:
    FileNotFoundError: `source` is no folder.
    ValueError: the corpus or an option is unknown.
  """
  options = dict(options or {})
  if corpus in LONG_VIDEOS:
    return Report(
      *check_long.check_videos(
        corpus, source, options=options, progress=progress
      )
    )
  corpus = find_corpus(corpus)
  source = pathlib.Path(source)
  is_file = corpus.takes_recordings and source.is_file()
  if not (source.is_dir() or is_file):
    raise FileNotFoundError(
      f'{source} is no folder; expected {corpus.name} in it'
    )
  corpus.check_options(options)
  way = options.pop(people.OPTION, '')
  head = f'{corpus.name} in {source}'
  try:
    root = [source] if corpus.takes_recordings else source
    unread = corpus.unread(root, **options)
    reading = corpus.read(root, **options)
    watched = bars.Bar(reading, desc='read', unit='clip', disable=not progress)
    # Names that may be one person are told below, with all the rest.
    settled = people.settled(iter(watched), way or 'apart')
    clips = footage.remark_copies(map(_with_empty_files, settled))
  except (OSError, ValueError) as error:
    reason = cells.printable(str(error)).replace('\n', '\n  ')
    text = f'{cells.in_line(head)}\n\nIt cannot be used: {reason}'
    return Report(text, usable=False)
  clips = clip_cache.examine_clips(
    clips, recipe or Recipe(), workers=workers, progress=progress
  )
  found = reading.found if isinstance(reading, Reading) else None
  published = None
  # The HTNet release holds parts of three databases under their own names.
  if clips and clips[0].corpus.startswith(corpus.name):
    published = RELEASE_COUNTS.get(clips[0].corpus)
  parts = [
    [head, *_places(source, found), *(f'  {line}' for line in unread)],
    _table(clips, published),
    [_apexes(clips)],
    _differences(clips, published, found and found.tree and found.tree.kind),
    clip_counts.listed(
      'cannot be used', [(c.identity, c.problem) for c in clips]
    ),
    clip_counts.listed('can be used, but', _told(clips, 'remarks')),
    clip_counts.listed('with notes', _told(clips, 'notes'), many=1),
    _protocols(clips),
  ]
  usable = any(not clip.problem for clip in clips)
  if not usable:
    parts.append(['It cannot be used: no clip can.'])
  doubts = [] if way else people.doubts(clips)
  if doubts:
    parts.append(f'It cannot be used: {people.refusal(doubts)}'.split('\n'))
  text = '\n\n'.join(
    '\n'.join(map(cells.in_line, lines)) for lines in parts if lines
  )
  return Report(text, usable=usable and not doubts)


def _with_empty_files(clip: Clip) -> Clip:
  """Returns the clip; a warning tells of its frames that are empty files."""
  if clip.problem:
    return clip
  # A link that leads nowhere is no file; it is missing only if it is decoded.
  empty = [
    file.name
    for file in clip.frames
    if file.is_file() and not file.stat().st_size
  ]
  if not empty:
    return clip
  remark = f'{len(empty)} frames are empty files: {", ".join(empty[:5])}'
  return dataclasses.replace(clip, remarks=(*clip.remarks, remark))


def _places(root: pathlib.Path, found) -> list[str]:
  """Returns lines about the sheet and the frames that were read."""
  if found is None:
    return []

  def name(path: pathlib.Path) -> str:
    inside = path.is_relative_to(root) and path != root
    return str(path.relative_to(root) if inside else path)

  lines = []
  if found.table is not None:
    table = found.table
    lines.append(f'  labels  {name(table.path)}, sheet {table.title}')
    if table.unread:
      lines.append(f'  not read: {", ".join(table.unread)}')
  if found.tree is not None:
    lines.append(f'  frames  {name(found.tree.folder)} ({found.tree.kind})')
  lines += [
    f'  not read: {name(tree.folder)} ({tree.kind}, {len(tree.clips)} clips)'
    for tree in found.others
  ]
  return lines


def _table(clips: Sequence[Clip], published: ReleaseCounts | None) -> list[str]:
  """Returns a table of subjects, clips and emotions."""
  usable = [clip for clip in clips if not clip.problem]
  rows = [('', 'found', 'usable', 'published' if published else '')]
  for name, expected, here, good in _counts(clips, usable, published):
    rows.append((name, str(here), str(good), ' or '.join(expected)))
  width = max(len(row[0]) for row in rows) + 2
  return [
    f'  {first:<{width}}' + ''.join(f'{cell:>12}' for cell in others).rstrip()
    for first, *others in rows
  ]


def _counts(
  clips: Sequence[Clip], usable: Sequence[Clip], published: ReleaseCounts | None
) -> Iterator[tuple[str, tuple[str, ...], int, int]]:
  """Yields rows: name, published numbers, number found, number usable."""
  people = [
    len({clip.subject for clip in some} - {UNKNOWN}) for some in (clips, usable)
  ]
  yield 'subjects', _ways(published and published.subjects), *people
  yield 'clips', _ways(published and published.clips), len(clips), len(usable)
  words = [
    collections.Counter(clip.emotion.lower() for clip in some)
    for some in (clips, usable)
  ]
  known = published.emotions if published else {}
  for word in dict.fromkeys([*known, *words[0]]):
    expected = known.get(word, 0 if known else None)
    yield word, _ways(expected), words[0][word], words[1][word]


def _ways(count) -> tuple[str, ...]:
  """Returns the numbers of a count as text; () if nobody published any."""
  if count is None:
    return ()
  return tuple(map(str, count if isinstance(count, tuple) else (count,)))


def _apexes(clips: Sequence[Clip]) -> str:
  sources = collections.Counter(
    clip.apex_source or 'unknown' for clip in clips if not clip.problem
  )
  return 'apex: ' + (
    ', '.join(f'{n} {_APEXES.get(k, k)}' for k, n in sources.items()) or 'none'
  )


def _differences(
  clips: Sequence[Clip], published: ReleaseCounts | None, kind: str | None
) -> list[str]:
  """Returns lines about counts that differ from the published ones."""
  if published is None:
    return []
  lines = [
    f'  {name}: {here} found, {" or ".join(expected)} published'
    for name, expected, here, _ in _counts(clips, clips, published)
    if expected and str(here) not in expected
  ]
  names = {clip.name for clip in clips}
  lines += [
    f'  {name} is missing: the {kind} release never had it'
    for name in published.gaps.get(kind or '', ())
    if name not in names
  ]
  return ['Not as published:', *lines] if lines else []


def _told(clips: Sequence[Clip], level: str) -> list[tuple[str, str]]:
  """Returns pairs of a usable clip and one of its remarks or notes."""
  return [
    (clip.identity, words)
    for clip in clips
    if not clip.problem
    for words in getattr(clip, level)
  ]


def _protocols(clips: Sequence[Clip]) -> list[str]:
  """Returns lines with the counts of the usable clips in each protocol."""
  lines = []
  for corpus in dict.fromkeys(clip.corpus for clip in clips):
    own = [clip for clip in clips if clip.corpus == corpus]
    usable = [clip for clip in own if not clip.problem]
    skipped = [
      {
        'identity': clip.identity,
        'reason': clip.problem,
        'emotion': clip.emotion,
        'by_choice': clip.by_choice,
      }
      for clip in own
      if clip.problem
    ]
    examples = {
      key: np.array([getattr(clip, field) for clip in usable], np.str_)
      for key, field in (
        ('corpus', 'corpus'),
        ('subject', 'subject'),
        ('clip', 'name'),
        ('emotion', 'emotion'),
      )
    }
    for protocol in PROTOCOLS.values():
      if corpus not in protocol.expected:
        continue
      alone = dataclasses.replace(
        protocol, expected={corpus: protocol.expected[corpus]}
      )
      try:
        notes = labelling.apply(alone, examples, skipped=skipped).notes
      except ValueError as error:
        notes = [f'{protocol.name}: {error}']
      lines += [f'  {notes[0]}', *(f'    {note}' for note in notes[1:])]
  return ['Protocols, as far as these clips go:', *lines] if lines else []
