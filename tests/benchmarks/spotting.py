"""Measures spotting on rendered recordings, and finds its thresholds.

    python -m tests.benchmarks.spotting film neutral acted --first 2000
    python -m tests.benchmarks.spotting calibrate --first 2000
    python -m tests.benchmarks.spotting report neutral acted --first 1000
    python -m tests.benchmarks.spotting memory --seconds 600

`film` renders and follows recordings, and keeps the signals in a folder;
`calibrate` prints the thresholds that leave so many false alarms a minute in
the recordings without an expression; `report` scores those of `mejax.motion` on
other people, and the floors beside them. The signals of a minute at 160 pixels
take some 15 seconds, all else takes less than one.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import pathlib
import resource
import time

import cv2
import numpy as np

from mejax.corpora.faces import long_takes
from mejax.corpora.faces.script import Script
from mejax.evaluation.spotting import floors
from mejax.evaluation.spotting import scores
from mejax.evaluation.spotting.events import Event
from mejax.evaluation.spotting.events import Video
from mejax.motion import detection
from mejax.motion.spotting import candidates
from mejax.motion.spotting import published
from mejax.motion.spotting import tracks as tracks_lib
from mejax.motion.spotting.tracks import Tracks

NEUTRAL = Script(
  blinks=17, gaze=20, speech=0.15, drift=2.0, turns=2, light=0.05
)
QUIET = Script(micro=4)
# What is in addition to four micro-expressions in half a minute.
FACTORS = {
  'blinks': {'blinks': 17.0},
  'gaze': {'gaze': 20.0},
  'speech': {'speech': 0.3},
  'drift': {'drift': 3.0},
  'turns': {'turns': 4.0},
  'nods': {'nods': 4.0},
  'light': {'light': 0.15},
  'noise': {'noise': 4.0},
  'lost': {'lost': 20},
}
SCRIPTS = {
  'neutral': NEUTRAL,
  'acted': dataclasses.replace(NEUTRAL, micro=3, macro=3),
  'quiet': QUIET,
  **{
    name: dataclasses.replace(QUIET, **values)
    for name, values in FACTORS.items()
  },
}
# Half a micro-expression in frames at 30 frames a second, for the floors.
_HALF, _K = 6, 12


def tracks_of(name: str, seed: int, args) -> tuple[Tracks, dict]:
  """Returns signals and curves of a recording; renders what is not kept."""
  kind = f'{args.seconds}_{args.fps}_{args.size}'
  path = args.keep / f'{name}_{seed}_{kind}.npz'
  if not path.exists():
    take = long_takes.play(
      SCRIPTS[name],
      seed=seed,
      seconds=args.seconds,
      fps=args.fps,
      size=args.size,
    )
    greys, spent = {}, 0.0
    frames = take.numbered(np.random.default_rng([seed, 99]))

    def watched():
      nonlocal spent
      while True:
        start = time.process_time()
        pair = next(frames, None)
        spent += time.process_time() - start
        if pair is None:
          return
        if args.floors:
          greys[pair[0]] = cv2.cvtColor(pair[1], cv2.COLOR_RGB2GRAY)
        yield pair

    start = time.process_time()
    tracks = tracks_lib.track(
      watched(), fps=args.fps, detector=detection.detect
    )
    taken = time.process_time() - start - spent
    curves = {'seconds': taken}
    if args.floors:
      pictures = list(greys.values())
      curves['difference'] = published.frame_difference(pictures)
      curves['mdmd'] = published.main_directional(pictures, k=_K)
    args.keep.mkdir(parents=True, exist_ok=True)
    np.savez(path, **dataclasses.asdict(tracks), **curves)
    print(path.name, f'{taken:.1f} s', flush=True)
  with np.load(path) as stored:
    values = dict(stored)
  own = {field.name for field in dataclasses.fields(Tracks)}
  tracks = Tracks(**{k: v for k, v in values.items() if k in own})
  tracks = dataclasses.replace(
    tracks, fps=float(tracks.fps), eyes=float(tracks.eyes)
  )
  return tracks, {k: v for k, v in values.items() if k not in own}


def video_of(name: str, seed: int, args, thresholds=None) -> Video:
  """Returns a recording with its truths, and what is spotted in it."""
  tracks, _ = tracks_of(name, seed, args)
  take = long_takes.play(
    SCRIPTS[name],
    seed=seed,
    seconds=args.seconds,
    fps=args.fps,
    size=args.size,
  )
  found = candidates.spot(tracks, thresholds=thresholds)
  return Video(
    subject=str(seed),
    name=name,
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


def calibrate(args) -> None:
  """Prints the threshold of each type for a budget of false alarms."""
  low = dict.fromkeys(candidates.THRESHOLDS, 4.0)
  videos = [video_of('neutral', seed, args, low) for seed in args.seeds]
  for video in videos:
    if video.truths:
      raise AssertionError('a recording without expressions has some')
  minutes = sum(video.minutes for video in videos)
  for kind in candidates.THRESHOLDS:
    own = [e.score for v in videos for e in v.of_type(kind).candidates]
    own.sort(reverse=True)
    place = int(args.budget * minutes)
    found = own[place] if place < len(own) else 0.0
    print(f'{kind}: {found:.1f} leaves {args.budget} a minute in {minutes:.0f}')
    print('  ', *(f'{score:.1f}' for score in own[: 2 * place + 6]))


def line(name: str, videos: list[Video]) -> None:
  """Prints a row of the table."""
  found = scores.score(videos)
  words = [f'{name:12}']
  for kind in ('micro', 'macro'):
    one = found[kind]
    if one.tally.truths or kind == 'micro':
      low, high = scores.over_people(
        [v.subject for v in videos],
        np.array([scores.tally(v.of_type(kind)) for v in videos]),
        lambda sums: sums[..., 0, 0] / np.maximum(sums[..., 0, 2], 1),
      )
      words.append(
        f'{kind}: found {one.tally.hits}/{one.tally.truths} '
        f'[{low:.2f}, {high:.2f}], F1 {one.tally.f1:.2f} '
        f'[{one.low:.2f}, {one.high:.2f}], '
        f'false {one.false_alarms_a_minute:.2f}/min'
      )
  errors = scores.errors([video.of_type('micro') for video in videos])
  if errors.apex.size:
    # A frame of thirty a second lasts 33 milliseconds.
    words += [
      f'{name} {np.abs(values).mean():.0f} ms, within a frame '
      f'{(np.abs(values) < 34).mean():.2f}'
      for name, values in (('apex', errors.apex), ('onset', errors.onset))
    ]
  print('; '.join(words), flush=True)


def false_alarms(name: str, videos: list[Video]) -> None:
  """Prints false micro-expressions a minute with an interval over people."""
  counts = np.array(
    [[len(v.of_type('micro').candidates), v.minutes] for v in videos]
  )
  low, high = scores.over_people(
    [v.subject for v in videos],
    counts,
    lambda sums: sums[..., 0, 0] / sums[..., 0, 1],
  )
  print(
    f'{name:12} false micro-expressions a minute '
    f'{counts[:, 0].sum() / counts[:, 1].sum():.2f} [{low:.2f}, {high:.2f}]',
    flush=True,
  )


def with_floors(videos: list[Video], args) -> None:
  """Prints the floors for micro-expressions over all videos."""
  curves = {
    (video.subject, video.name): tracks_of(
      video.name, int(video.subject), args
    )[1]
    for video in videos
  }

  def curve(video, name):
    return curves[video.subject, video.name][name]

  every = {
    'nothing': floors.nothing,
    'every 10 s': lambda v: floors.every(
      v, seconds=10, half=_HALF, kind='micro'
    ),
    'largest': lambda v: floors.largest_peak(
      v, curve(v, 'difference'), half=_HALF, kind='micro'
    ),
    'difference': lambda v: floors.relative_peaks(
      v, curve(v, 'difference'), half=_HALF, kind='micro'
    ),
    'mdmd': lambda v: floors.main_directional(
      v, curve(v, 'mdmd'), k=_K, shortest=7, longest=16, kind='micro'
    ),
  }
  own = [video.of_type('micro') for video in videos]
  for name, floor in every.items():
    line(name, floors.put_in(own, floor))
  print(f'{"random":12} micro: F1 {floors.random_f1(videos, kind="micro"):.3f}')


def memory(args) -> None:
  """Prints time and memory of a recording that repeats ten seconds."""
  take = long_takes.play(
    NEUTRAL, seed=args.first, seconds=10, fps=args.fps, size=args.size
  )
  images = list(take.frames(np.random.default_rng(0)))
  images += images[::-1]
  number = round(args.seconds * args.fps)
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  start = time.process_time()
  tracks = tracks_lib.track(
    ((i, images[i % len(images)]) for i in range(number)),
    fps=args.fps,
    detector=detection.detect,
  )
  candidates.spot(tracks)
  taken = time.process_time() - start
  after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  print(
    f'{args.seconds / 60:.1f} minutes: {60 * taken / args.seconds:.1f} s of '
    f'computing a minute, {(after - before) / 1024:.0f} MB more memory, '
    f'{sum(v.nbytes for v in vars(tracks).values() if hasattr(v, "nbytes"))} '
    'bytes of signals'
  )


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('do', choices=['film', 'calibrate', 'report', 'memory'])
  parser.add_argument('names', nargs='*', choices=[*SCRIPTS, []])
  parser.add_argument('--first', type=int, default=1000)
  parser.add_argument('--people', type=int, default=10)
  parser.add_argument('--seconds', type=float, default=60.0)
  parser.add_argument('--fps', type=float, default=30.0)
  parser.add_argument('--size', type=int, default=160)
  parser.add_argument('--budget', type=float, default=0.5)
  parser.add_argument('--floors', action='store_true')
  parser.add_argument('--keep', type=pathlib.Path, default='spotting_tracks')
  parser.add_argument('--within', type=float, default=float('inf'))
  args = parser.parse_intermixed_args()
  args.seeds = range(args.first, args.first + args.people)
  if args.do in ('calibrate', 'memory'):
    (calibrate if args.do == 'calibrate' else memory)(args)
    return
  start = time.monotonic()
  if args.do == 'film':
    for seed, name in itertools.product(args.seeds, args.names):
      if time.monotonic() - start < args.within:
        tracks_of(name, seed, args)
    return
  videos = {
    name: [video_of(name, seed, args) for seed in args.seeds]
    for name in args.names
  }
  for name, some in videos.items():
    line(name, some) if name != 'neutral' else false_alarms(name, some)
  if {'neutral', 'acted'} <= set(videos):
    both = videos['neutral'] + videos['acted']
    line('both', both)
    if args.floors:
      with_floors(both, args)


if __name__ == '__main__':
  main()
