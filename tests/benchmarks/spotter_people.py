"""How a trained spotter does on rendered people that it never saw.

  mejax film FILM --people 13 --seconds 30 --seed 7000
  python -m tests.benchmarks.spotter_people FILM --spotter RUN

Prints what it spots and what is spotted without training, both with the
thresholds that they ship with, for all people and for thirds of them by the
colour of the skin, the width of the face and the depth of its folds, with 95 %
intervals over people. Without --spotter the network that ships is asked.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import pathlib

import numpy as np

from mejax.evaluation import bootstrap
from mejax.evaluation.spotting import budget
from mejax.evaluation.spotting import scores
from mejax.evaluation.spotting.events import Video
from mejax.experiment.packs import seen as seen_lib
from mejax.experiment.spotting import comparing
from mejax.experiment.spotting import filming
from mejax.experiment.spotting import signal_sets
from mejax.experiment.spotting import trained as trained_lib
from mejax.motion.spotting import candidates
from tests.benchmarks import rendered_people

_HEAD = (
  '| people | number | truths | network: F1 (95 %) | false a minute |'
  ' without training: F1 (95 %) | false a minute | difference |'
)


def row(name: str, pair: Sequence[Sequence[Video]]) -> str:
  """Returns what both spotters find in recordings, as a row of a table."""
  people = {video.subject for video in pair[0]}
  cells = []
  for videos in pair:
    found = scores.score(videos)['overall']
    cells += [
      f'{found.tally.f1:.3f} ({found.low:.3f} to {found.high:.3f})',
      f'{found.false_alarms_a_minute:.2f}',
    ]
  gain = budget.compare(*pair)
  cells.append(bootstrap.describe_difference((gain.f1, gain.low, gain.high)))
  words = [name, str(len(people)), str(found.tally.truths), *cells]
  return f'| {" | ".join(words)} |'


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument('film', type=pathlib.Path)
  parser.add_argument('--spotter', type=pathlib.Path)
  args = parser.parse_args()
  recordings = signal_sets.read(args.film)
  trained = trained_lib.read(args.spotter)
  subject = np.array([one.video.subject for one in recordings])
  seen = seen_lib.from_json(trained.told['seen']).people
  known = np.isin(
    seen_lib.people_of(np.full(len(subject), filming.CORPUS), subject), [*seen]
  )
  if known.any():
    raise ValueError(f'it has seen {sorted(set(subject[known].tolist()))}')
  pair = [
    [comparing.video_of(one, spot(one.tracks)) for one in recordings]
    for spot in (trained.spot, candidates.spot)
  ]
  minutes = sum(video.minutes for video in pair[0])
  print(f'{len(recordings)} recordings, {minutes:.0f} minutes\n')
  print(_HEAD, '|---' * 8 + '|', sep='\n')
  for kind in ('micro', 'macro'):
    own = [[video.of_type(kind) for video in videos] for videos in pair]
    print(row(f'all, {kind}', own))
  print(row('all', pair))
  looks = {
    name: filming.play(
      'calm', int(name.removeprefix('p')), seconds=5, fps=30, size=160
    ).person.face.looks
    for name in sorted(set(subject.tolist()))
  }
  for name, mask in rendered_people.thirds(looks, subject).items():
    rows = np.flatnonzero(mask)
    print(row(name, [[videos[i] for i in rows] for videos in pair]))


if __name__ == '__main__':
  main()
