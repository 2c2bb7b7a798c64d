"""Measures spotting on rendered recordings, and finds its thresholds.

    python -m tests.benchmarks.spotting --first 1000 --people 12
    python -m tests.benchmarks.spotting --first 2000 --people 12 --calibrate

Each person is filmed for a minute without any expression and for a minute with
them. `--calibrate` prints the thresholds that give one false alarm of each type
a minute in the recordings without an expression; the other call uses those of
`mejax.motion.spotting`, on other people.
"""

from __future__ import annotations

import argparse
import dataclasses
import time

import numpy as np

from mejax.corpora.faces import long_takes
from mejax.evaluation.spotting import events as events_lib
from mejax.evaluation.spotting import floors
from mejax.evaluation.spotting import scores
from mejax.evaluation.spotting.events import Event
from mejax.evaluation.spotting.events import Video
from mejax.motion import detection
from mejax.motion import region_tracks
from mejax.motion import spotting

NEUTRAL = long_takes.Script(
  blinks=17, gaze=20, speech=0.15, drift=2.0, turns=2, light=0.05
)
ACTED = dataclasses.replace(NEUTRAL, micro=3, macro=3)
QUIET = long_takes.Script(micro=4)
FACTORS = {
  'nothing else': {},
  'blinks': {'blinks': 17.0},
  'gaze': {'gaze': 20.0},
  'speech': {'speech': 0.3},
  'drift': {'drift': 3.0},
  'turns': {'turns': 3.0},
  'light': {'light': 0.15},
  'noise 3': {'noise': 3.0},
}


def film(script, seed: int, args, thresholds) -> tuple[Video, float]:
  """Renders and spots a recording; returns it and the seconds of spotting."""
  take = long_takes.play(
    script, seed=seed, seconds=args.seconds, fps=args.fps, size=args.size
  )
  frames = list(enumerate(take.frames(np.random.default_rng([seed, 99]))))
  start = time.time()
  tracks = region_tracks.track(frames, fps=args.fps, detector=detection.detect)
  found = spotting.spot(tracks, thresholds=thresholds)
  taken = time.time() - start
  video = Video(
    subject=str(seed),
    name='a',
    num_frames=take.num_frames,
    fps=args.fps,
    truths=tuple(
      Event(onset=e.onset, apex=e.apex, offset=e.offset, type=e.type)
      for e in take.events
    ),
    candidates=tuple(
      Event(
        onset=c.onset, apex=c.apex, offset=c.offset, type=c.type, score=c.score
      )
      for c in found
    ),
  )
  return video, taken


def report(name: str, videos: list[Video]) -> None:
  found = scores.score(videos)
  micro, macro = found['micro'], found['macro']
  apex = np.abs(scores.errors(videos).apex)
  print(
    f'{name:14} micro recall {micro.tally.recall:.2f} F1 {micro.tally.f1:.2f} '
    f'[{micro.low:.2f}, {micro.high:.2f}] '
    f'false {micro.false_alarms_a_minute:.2f}/min; '
    f'macro recall {macro.tally.recall:.2f} F1 {macro.tally.f1:.2f} '
    f'false {macro.false_alarms_a_minute:.2f}/min; apex error '
    f'{apex.mean() if apex.size else float("nan"):.0f} ms',
    flush=True,
  )


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--first', type=int, default=1000)
  parser.add_argument('--people', type=int, default=6)
  parser.add_argument('--seconds', type=float, default=60.0)
  parser.add_argument('--fps', type=float, default=30.0)
  parser.add_argument('--size', type=int, default=192)
  parser.add_argument('--calibrate', action='store_true')
  parser.add_argument('--factors', action='store_true')
  args = parser.parse_args()
  seeds = range(args.first, args.first + args.people)
  if args.factors:
    for name, values in FACTORS.items():
      script = dataclasses.replace(QUIET, **values)
      report(name, [film(script, seed, args, None)[0] for seed in seeds])
    return
  low = {'micro': 4.0, 'macro': 4.0} if args.calibrate else None
  pairs = [film(NEUTRAL, seed, args, low) for seed in seeds]
  neutral = [video for video, _ in pairs]
  taken = sum(seconds for _, seconds in pairs)
  minutes = sum(video.minutes for video in neutral)
  print(f'{taken / minutes:.1f} s of computing a minute of video')
  if args.calibrate:
    for kind in events_lib.TYPES:
      own = [
        event.score for v in neutral for event in v.of_type(kind).candidates
      ]
      own.sort(reverse=True)
      at = int(minutes)
      print(kind, f'{own[at] if at < len(own) else 0:.1f}', len(own), own[:20])
    return
  report('neutral', neutral)
  acted = [film(ACTED, seed, args, None)[0] for seed in seeds]
  report('acted', acted)
  report('both', neutral + acted)
  every = floors.put_in(
    neutral + acted,
    lambda video: floors.every(video, seconds=10, half=6, kind='micro'),
  )
  report('every 10 s', every)


if __name__ == '__main__':
  main()
