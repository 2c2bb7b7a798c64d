"""Scores a trained spotter and the one without training on the same people.

Each has thresholds of its own in each fold: those that leave a budget of false
alarms among the people of the other folds.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any
from typing import NamedTuple

from mejax.evaluation import bootstrap
from mejax.evaluation.spotting import budget
from mejax.evaluation.spotting import events as events_lib
from mejax.evaluation.spotting import scores
from mejax.evaluation.spotting import tables
from mejax.evaluation.spotting.events import Event
from mejax.evaluation.spotting.events import Video
from mejax.experiment.spotting.signal_sets import Recorded
from mejax.motion.spotting import candidates as candidates_lib
from mejax.motion.spotting import curves as curves_lib
from mejax.motion.spotting.candidates import Candidate

NETWORK, UNTRAINED, SHIPPED = 'network', 'untrained', 'untrained, as shipped'
# Scores from which on the spotter without training lists what the budget may
# choose from; lower ones are noise.
_LOW = 5.0

Thresholds = Mapping[str, float]


class Fold(NamedTuple):
  """A fold, as recordings.

  Attributes:
    number: its number.
    held_out, others: positions of the recordings.
  """

  number: int
  held_out: list[int]
  others: list[int]


class Compared(NamedTuple):
  """The videos with the candidates of each spotter, and how that was decided.

  Attributes:
    videos: for each spotter, all recordings in one order.
    thresholds: for each spotter with any, those of each fold.
  """

  videos: dict[str, list[Video]]
  thresholds: dict[str, list[Thresholds]]


def compare(
  recordings: Sequence[Recorded],
  folds: Sequence[Fold],
  network: Callable[[int, Fold, bool, Thresholds], list[Candidate]],
  *,
  a_minute: float | int,
) -> Compared:
  """Spots in every recording while its people are held out.

  Args:
    recordings: with truths and signals.
    folds: each recording is held out in one of them.
    network: spots in a recording, with the network of a fold, or, if the third
      argument is True, with one of its inner folds that has not seen it.
    a_minute: false alarms of each type a minute that thresholds may leave.
  """
  low = {kind: _LOW for kind in events_lib.TYPES}
  plain = [
    video_of(one, candidates_lib.spot(one.tracks, thresholds=low))
    for one in recordings
  ]
  least = dict.fromkeys(events_lib.TYPES, curves_lib.LEAST)
  videos = {name: {} for name in (NETWORK, UNTRAINED, SHIPPED)}
  thresholds = {NETWORK: [], UNTRAINED: []}
  for fold in folds:
    seen = {
      NETWORK: [
        video_of(recordings[i], network(i, fold, True, least))
        for i in fold.others
      ],
      UNTRAINED: [plain[i] for i in fold.others],
    }
    chosen = {name: choose(some, a_minute) for name, some in seen.items()}
    for name, own in chosen.items():
      thresholds[name].append(own)
    for i in fold.held_out:
      one = recordings[i]
      found = {
        NETWORK: network(i, fold, False, chosen[NETWORK]),
        UNTRAINED: candidates_lib.spot(
          one.tracks, thresholds=chosen[UNTRAINED]
        ),
        SHIPPED: candidates_lib.spot(one.tracks),
      }
      for name, candidates in found.items():
        videos[name][i] = video_of(one, candidates)
  return Compared(
    {name: [own[i] for i in sorted(own)] for name, own in videos.items()},
    thresholds,
  )


def choose(videos: Sequence[Video], a_minute: float | int) -> Thresholds:
  """Returns the threshold of each type that leaves so many false alarms."""
  return {
    kind: budget.choose_threshold(
      [video.of_type(kind) for video in videos], a_minute=a_minute
    )
    for kind in events_lib.TYPES
  }


def video_of(recorded: Recorded, found: Sequence[Candidate]) -> Video:
  """Returns a recording with candidates."""
  return dataclasses.replace(recorded.video, candidates=events_of(found))


def events_of(found: Sequence[Candidate]) -> tuple[Event, ...]:
  """Returns candidates as the evaluation takes them."""
  return tuple(
    Event(
      onset=one.onset,
      apex=one.apex,
      offset=one.offset,
      type=one.type,
      score=one.score,
    )
    for one in found
  )


def report(
  compared: Compared, *, sentence: str, a_minute: float | int
) -> tuple[str, dict[str, Any]]:
  """Returns a table as text, and its numbers."""
  scored = {name: scores.score(v) for name, v in compared.videos.items()}
  rows = [
    ('type', 'spotter', 'F1', '95 % interval', 'hits', 'candidates', 'truths',
     'false/min', 'false/min in others'),
  ]  # fmt: skip
  videos = compared.videos[NETWORK]
  numbers: dict[str, Any] = {
    'protocol': sentence,
    'recordings': len(videos),
    'people': len({video.subject for video in videos}),
    'minutes': sum(video.minutes for video in videos),
    'budget': a_minute,
    'scores': {},
    'paired': {},
  }
  lines = []
  for kind in (*events_lib.TYPES, 'overall'):
    for name, found in scored.items():
      one = found[kind]
      rows.append(
        (
          kind,
          name,
          f'{one.tally.f1:.3f}',
          f'[{one.low:.3f}, {one.high:.3f}]',
          *map(str, one.tally),
          f'{one.false_alarms_a_minute:.2f}',
          f'{one.false_alarms_in_empty:.2f}',
        )
      )
      numbers['scores'].setdefault(name, {})[kind] = {
        'f1': one.tally.f1,
        'interval': [one.low, one.high],
        **one.tally._asdict(),
        'false_alarms_a_minute': one.false_alarms_a_minute,
      }
    for other in (UNTRAINED, SHIPPED):
      gain = _difference(compared, kind, other)
      numbers['paired'].setdefault(other, {})[kind] = dataclasses.asdict(gain)
      lines.append(
        f'{kind}: F1 of the network minus that of the spotter {other}: '
        + bootstrap.describe_difference((gain.f1, gain.low, gain.high))
      )
  for name, folds in compared.thresholds.items():
    words = ', '.join(
      f'{kind} {min(own):.3g} to {max(own):.3g}'
      for kind in events_lib.TYPES
      for own in [[fold[kind] for fold in folds]]
    )
    lines.append(f'thresholds, {name}: {words}')
  head = (
    f'{sentence}\n{len(videos)} videos of {numbers["people"]} people, '
    f'{numbers["minutes"]:.1f} minutes. '
    f'Thresholds leave {a_minute:g} false alarms of each type a '
    'minute among the training people; those as shipped were chosen on other '
    'rendered people.'
  )
  return '\n\n'.join([head, tables.aligned(rows), '\n'.join(lines)]), numbers


def _difference(compared: Compared, kind: str, other: str) -> budget.Difference:
  pair = [
    [v if kind == 'overall' else v.of_type(kind) for v in compared.videos[name]]
    for name in (NETWORK, other)
  ]
  return budget.compare(*pair)
