"""Writes the scores of spotting as text: one row for each kind of count."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from mejax.evaluation.spotting import events as events_lib
from mejax.evaluation.spotting import floors
from mejax.evaluation.spotting import matching
from mejax.evaluation.spotting import scores
from mejax.evaluation.spotting import strs
from mejax.evaluation.spotting.events import Video
from mejax.evaluation.spotting.scores import Spotting

_HEADER = (
  'type', 'F1', '95 % interval', 'precision', 'recall', 'hits', 'candidates',
  'truths', 'false/min', 'F1 with event', 'false/min in others',
)  # fmt: skip
# Classes of events that are to be spotted but not told apart.
_NOT_ANALYSED = ('others', 'other')
# Half of an event in seconds, for the floors.
_FLOOR_HALF = {events_lib.MICRO: 0.25, events_lib.MACRO: 0.6}


def report(videos: Sequence[Video]) -> str:
  """Returns all that is to be said of candidates in a database.

  The F1 of all videos is first; beside it stands that of the videos with an
  event of the type, which much published code reports.
  """
  parts = [
    _counts(videos),
    _table(scores.score(videos)),
    _errors(videos),
    _floors(videos),
    _published(videos),
    _strs(videos),
  ]
  return '\n\n'.join(part for part in parts if part)


def _counts(videos: Sequence[Video]) -> str:
  people = len({video.subject for video in videos})
  minutes = sum(video.minutes for video in videos)
  empty = sum(not video.truths for video in videos)
  return (
    f'{len(videos)} videos of {people} people, {minutes:.1f} minutes; {empty} '
    'have no event, and count'
  )


def _table(found: dict[str, Spotting]) -> str:
  rows = [_HEADER]
  for name, one in found.items():
    tally = one.tally
    rows.append(
      (
        name.replace('_', ' '),
        _share(tally.f1),
        f'[{_share(one.low)}, {_share(one.high)}]',
        _share(tally.precision),
        _share(tally.recall),
        str(tally.hits),
        str(tally.candidates),
        str(tally.truths),
        f'{one.false_alarms_a_minute:.2f}',
        _share(one.with_event.f1),
        f'{one.false_alarms_in_empty:.2f}',
      )
    )
  return aligned(rows)


def _errors(videos: Sequence[Video]) -> str:
  found = scores.errors(videos)
  if not found.onset.size:
    return ''
  words = ', '.join(
    f'{name} {np.median(values):+.0f} ({np.abs(values).mean():.0f})'
    for name, values in found._asdict().items()
    if values.size
  )
  return f'Median error of the hits in ms (mean of its size): {words}'


def _floors(videos: Sequence[Video]) -> str:
  rows = [('floor', *events_lib.TYPES)]
  every = ['an event every 10 s']
  random = ['as many at random places']
  for kind, half in _FLOOR_HALF.items():
    # Only events of this type are candidates, so those of the other are lost.
    spread = floors.put_in(
      [video.of_type(kind) for video in videos],
      lambda video, kind=kind, half=half: floors.every(
        video, seconds=10, half=half * video.fps, kind=kind
      ),
    )
    every.append(_share(scores.score(spread)[kind].tally.f1))
    random.append(_share(floors.random_f1(videos, kind=kind, draws=50)))
  return aligned([*rows, tuple(every), tuple(random)])


def _published(videos: Sequence[Video]) -> str:
  rows = [('F1 by another rule', *events_lib.TYPES, 'overall')]
  for rule in matching.RULES:
    found = scores.score(videos, rule=rule)
    rows.append(
      (
        rule.replace('_', ' '),
        *(_share(found[name].tally.f1) for name in rows[0][1:]),
      )
    )
  for least in (0.3, 0.7):
    found = scores.score(videos, least=least)
    rows.append(
      (
        f'IoU {least}',
        *(_share(found[name].tally.f1) for name in rows[0][1:]),
      )
    )
  return aligned(rows)


def _strs(videos: Sequence[Video]) -> str:
  """Scores the classes of micro-expressions, if the candidates have any."""
  labels = [
    {event.label.lower() for v in videos for event in part(v.of_type('micro'))}
    for part in (lambda v: v.truths, lambda v: v.candidates)
  ]
  classes = sorted(labels[0] & labels[1] - {'', *_NOT_ANALYSED})
  if not classes:
    return ''
  found = strs.score([_lower(video) for video in videos], classes=classes)
  return (
    f'STRS {_share(found.strs)} [{_share(found.low)}, {_share(found.high)}]: '
    f'F1 of spotting {_share(found.spotting.f1)}, of analysis '
    f'{_share(found.analysis)} over {", ".join(classes)}; it rests on '
    f'{found.analysed} events'
  )


def _lower(video: Video) -> Video:
  truths, candidates = (
    tuple(dataclasses.replace(e, label=e.label.lower()) for e in some)
    for some in (video.truths, video.candidates)
  )
  return dataclasses.replace(video, truths=truths, candidates=candidates)


def _share(value: float) -> str:
  return f'{value:.4f}'


def aligned(rows: Sequence[Sequence[str]]) -> str:
  """Returns rows with columns of one width, the first one to the left."""
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return '\n'.join(
    '  '.join(
      [row[0].ljust(widths[0])]
      + [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
    )
    for row in rows
  )
