"""Checks a database: which parts are there, missing or wrong."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import pathlib
import re

import numpy as np
import tqdm

from mejax.corpora import cells
from mejax.corpora import decode
from mejax.corpora import isolated
from mejax.corpora import people
from mejax.corpora.clip import UNKNOWN
from mejax.corpora.clip import Clip
from mejax.corpora.corpus import find_corpus
from mejax.corpora.database import Reading
from mejax.corpora.release_counts import RELEASE_COUNTS
from mejax.corpora.release_counts import ReleaseCounts
from mejax.datasets import labelling
from mejax.datasets.protocols import PROTOCOLS

# If more clips than this share a remark, one line stands for all of them.
_MANY = 5
_LINES = 40


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
  progress: bool = True,
) -> Report:
  """Checks the labels, the file names, and the frames at onset and apex.

  Args:
    corpus: a name of `mejax.corpora.CORPORA`, or `package.module:name`.
    source: where the database lies.
    options: further options of its reader, e.g. `{'images': 'cropped'}`.
    progress: whether to show a bar.

  Raises:
    FileNotFoundError: `source` is no folder.
    ValueError: the corpus or an option is unknown.
  """
  options = dict(options or {})
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
    reading = corpus.read(root, **options)
    clips = [
      _looked_at(clip)
      for clip in tqdm.tqdm(
        # Names that may be one person are told below, with all the rest.
        people.settled(reading, way or 'apart'),
        desc='check',
        unit='clip',
        disable=not progress,
      )
    ]
  except (OSError, ValueError) as error:
    text = f'{head}\n\nIt cannot be used: {error}'
    return Report(cells.printable(text), usable=False)
  found = reading.found if isinstance(reading, Reading) else None
  published = None
  # The HTNet release holds parts of three databases under their own names.
  if clips and clips[0].corpus.startswith(corpus.name):
    published = RELEASE_COUNTS.get(clips[0].corpus)
  parts = [
    [head, *_places(source, found)],
    _table(clips, published),
    [_apexes(clips)],
    _differences(clips, published, found and found.tree and found.tree.kind),
    _listed('cannot be used', [(c.identity, c.problem) for c in clips]),
    _listed(
      'can be used, but',
      [
        (c.identity, remark)
        for c in clips
        if not c.problem
        for remark in c.remarks
      ],
    ),
    _protocols(clips),
  ]
  usable = any(not clip.problem for clip in clips)
  if not usable:
    parts.append(['It cannot be used: no clip can.'])
  doubts = [] if way else people.doubts(clips)
  if doubts:
    parts.append([f'It cannot be used: {people.refusal(doubts)}'])
  text = '\n\n'.join('\n'.join(lines) for lines in parts if lines)
  return Report(cells.printable(text), usable=usable and not doubts)


def _looked_at(clip: Clip) -> Clip:
  """Returns the clip, with a problem if its onset or apex cannot be decoded.

  The other frames are only checked for empty files.
  """
  if clip.problem or not (clip.frames or clip.video):
    return clip
  # A link that leads nowhere is no file; it is missing only if it is decoded.
  empty = [
    file.name
    for file in clip.frames
    if file.is_file() and not file.stat().st_size
  ]
  if empty:
    remark = f'{len(empty)} frames are empty files: {", ".join(empty[:5])}'
    clip = dataclasses.replace(clip, remarks=(*clip.remarks, remark))
  try:
    isolated.call(decode.attempt, clip, (clip.onset, clip.apex))
  except ValueError as error:
    return dataclasses.replace(clip, problem=str(error))
  return clip


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
  rows = [('', 'found', 'usable', 'published')]
  for name, expected, here, good in _counts(clips, usable, published):
    rows.append((name, str(here), str(good), ' or '.join(expected)))
  width = max(len(row[0]) for row in rows) + 2
  return [
    f'  {first:<{width}}' + ''.join(f'{cell:>12}' for cell in others)
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
    ', '.join(f'{n} {source}' for source, n in sources.items()) or 'none'
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


def _listed(what: str, remarks: Sequence[tuple[str, str]]) -> list[str]:
  """Returns a line for each remark, or one line if many clips share it."""
  remarks = [(clip, remark) for clip, remark in remarks if remark]
  if not remarks:
    return []
  kinds = collections.defaultdict(list)
  for clip, remark in remarks:
    kinds[re.sub(r'\d+', '#', remark)].append((clip, remark))
  lines = []
  for own in kinds.values():
    if len(own) > _MANY:
      clip, remark = own[0]
      lines.append(f'  {len(own)} clips, such as {clip}: {remark}')
    else:
      lines += [f'  {clip}: {remark}' for clip, remark in own]
  if len(lines) > _LINES:
    lines[_LINES:] = [f'  and {len(lines) - _LINES} more']
  number = len({clip for clip, _ in remarks})
  return [f'{number} {"clip" if number == 1 else "clips"} {what}:', *lines]


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
