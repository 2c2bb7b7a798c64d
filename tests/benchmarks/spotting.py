"""Measures spotting on rendered recordings, and finds its thresholds.

    python -m tests.benchmarks.spotting film neutral nods --first 2000
    python -m tests.benchmarks.spotting calibrate --first 2000
    python -m tests.benchmarks.spotting report neutral acted --floors
    python -m tests.benchmarks.spotting recognise
    python -m tests.benchmarks.spotting memory --seconds 600

`film` renders and follows recordings, and keeps the signals in a folder, those
with what floors need (`--floors`) apart from those without; `calibrate` prints
the thresholds that leave so many false alarms a minute in the recordings
without an expression; `report` prints Markdown tables of what `mejax.motion`
and the network that ships spot in other people, and with `--floors` those of
spotters that know little, on the same recordings. A minute at 160 pixels takes
some 14 seconds of one core, and 5 more for the floors.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import pathlib
import re
import resource
import time

import cv2
import numpy as np

from mejax.configs import cnn
from mejax.corpora.faces import long_takes
from mejax.corpora.faces.long_takes import LongTake
from mejax.corpora.faces.script import Script
from mejax.evaluation.spotting import events as events_lib
from mejax.evaluation.spotting import floors
from mejax.evaluation.spotting import scores
from mejax.evaluation.spotting.events import Video
from mejax.experiment.spotting import comparing
from mejax.experiment.spotting import filming
from mejax.experiment.spotting import kept_tracks
from mejax.experiment.spotting import recognising
from mejax.experiment.spotting import trained
from mejax.motion import detection
from mejax.motion.spotting import candidates
from mejax.motion.spotting import published
from mejax.motion.spotting import tracks as tracks_lib
from mejax.motion.spotting.tracks import Tracks

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
  'cut': {'cut': True},
  'absence': {'away': 2.0},
}
SCRIPTS = {
  'quiet': QUIET,
  **{
    name: dataclasses.replace(QUIET, **values)
    for name, values in FACTORS.items()
  },
}
# What `mejax film` renders, in which all of that happens.
FILMED = {'neutral': 'calm', 'acted': 'acted'}
# Half a micro-expression in frames at 30 frames a second, for the floors.
_HALF, _K = 6, 12


def take_of(name: str, seed: int, args) -> LongTake:
  """Returns a recording of a person before it is rendered."""
  options = {'seconds': args.seconds, 'fps': args.fps, 'size': args.size}
  if name in FILMED:
    return filming.play(FILMED[name], seed, **options)
  return long_takes.play(SCRIPTS[name], seed=seed, **options)


def path_of(name: str, seed: int, args) -> pathlib.Path:
  """Returns where signals and curves are kept, as they are measured now."""
  kind = f'{args.seconds}_{args.fps}_{args.size}_{kept_tracks.FORMAT}'
  kind += '_floors' * args.floors
  return args.keep / f'{name}_{seed}_{kind}.npz'


def tracks_of(name: str, seed: int, args) -> tuple[Tracks, dict]:
  """Returns signals and curves of a recording; renders what is not kept."""
  path = path_of(name, seed, args)
  if not path.exists():
    take = take_of(name, seed, args)
    greys, spent = [], 0.0
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
          grey = cv2.cvtColor(pair[1], cv2.COLOR_RGB2GRAY)
          # A lost frame is shown as the one before it.
          greys.extend([grey] * (pair[0] + 1 - len(greys)))
        yield pair

    start = time.process_time()
    tracks = tracks_lib.track(
      watched(), fps=args.fps, detector=detection.detect
    )
    taken = time.process_time() - start - spent
    curves = {'seconds': taken}
    if args.floors:
      greys.extend(greys[-1:] * (take.num_frames - len(greys)))
      curves['difference'] = published.frame_difference(greys)
      curves['mdmd'] = published.main_directional(greys, k=_K)
    args.keep.mkdir(parents=True, exist_ok=True)
    np.savez(path, **dataclasses.asdict(tracks), **curves)
    print(path.name, f'{taken:.1f} s', flush=True)
  with np.load(path) as stored:
    values = dict(stored)
  own = {f.name: values.pop(f.name) for f in dataclasses.fields(Tracks)}
  plain = {name: float(own[name]) for name in ('fps', 'eyes')}
  return Tracks(**own | plain), values


def video_of(name: str, seed: int, args, spot=candidates.spot) -> Video:
  """Returns a recording with its truths, and what is spotted in it."""
  tracks, _ = tracks_of(name, seed, args)
  take = take_of(name, seed, args)
  return Video(
    subject=str(seed),
    name=name,
    num_frames=take.num_frames,
    fps=args.fps,
    truths=filming.truths_of(take),
    candidates=comparing.events_of(spot(tracks)),
  )


def calibrate(args) -> None:
  """Prints the threshold of each type for a budget of false alarms."""
  low = dict.fromkeys(candidates.THRESHOLDS, 4.0)
  spot = functools.partial(candidates.spot, thresholds=low)
  videos = [video_of('neutral', seed, args, spot) for seed in args.seeds]
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


def counts_of(videos: list[Video]) -> np.ndarray:
  """Returns hits, candidates and truths of each video, `[v, 3]`."""
  return np.array([scores.tally(video) for video in videos])


def with_interval(videos: list[Video], counts, statistic) -> str:
  """Says a number of all videos, and its interval over people."""
  low, high = scores.over_people([v.subject for v in videos], counts, statistic)
  value = float(statistic(counts.sum(0)[None]))
  return re.sub(r'\b0\.', '.', f'{value:.2f} [{low:.2f}, {high:.2f}]')


def alarms(videos: list[Video], counts) -> str:
  """Says the false alarms a minute."""
  false = counts[:, 1] - counts[:, 0]
  both = np.stack([false, [video.minutes for video in videos]], 1)
  return with_interval(
    videos, both, lambda sums: sums[..., 0, 0] / sums[..., 0, 1]
  )


def header(*names: str) -> None:
  print('\n|', ' | '.join(names), '|')
  print('|' + '---|' * len(names))


def rows(name: str, kind: str, videos: dict[str, list[Video]]) -> None:
  """Prints a row of each spotter: what it found, F1, and false alarms."""
  for spotter, some in videos.items():
    own = [video.of_type(kind) for video in some]
    counts, cells = counts_of(own), ['', '']
    hits, _, truths = counts.sum(0)
    if truths:
      cells = [f'{hits} of {truths}', with_interval(own, counts, scores.f1_of)]
    apex = np.abs(scores.errors(own).apex)
    # A frame of thirty a second lasts 33 milliseconds.
    near = f'{(apex < 34).sum()} of {apex.size}' if apex.size else ''
    people = len({video.subject for video in own})
    cells += [alarms(own, counts), near]
    print('|', ' | '.join([name, kind, str(people), spotter, *cells]), '|')


def beside(name: str, videos: list[Video], args) -> None:
  """Prints a row of the floors for micro-expressions on the same videos."""
  own = [video.of_type('micro') for video in videos]
  curves = {v: tracks_of(name, int(v.subject), args)[1] for v in own}
  spotters = {
    'nothing': floors.nothing,
    'largest': lambda v: floors.largest_peak(
      v, curves[v]['difference'], half=_HALF, kind='micro'
    ),
    'difference': lambda v: floors.relative_peaks(
      v, curves[v]['difference'], half=_HALF, kind='micro'
    ),
    'mdmd': lambda v: floors.main_directional(
      v, curves[v]['mdmd'], k=_K, shortest=7, longest=16, kind='micro'
    ),
  }
  counts = {
    'ours': counts_of(own),
    'random': floors.random_counts(own, kind='micro'),
    **{
      key: counts_of(floors.put_in(own, floor))
      for key, floor in spotters.items()
    },
  }
  has_truths = any(video.truths for video in own)
  cells = [
    with_interval(own, some, scores.f1_of) if has_truths else alarms(own, some)
    for some in counts.values()
  ]
  told = 'F1' if has_truths else 'false a minute'
  print('|', ' | '.join([name, told, *cells]), '|', flush=True)


def report(args) -> None:
  """Prints what was spotted in each kind of recording."""
  network = trained.read(trained.FOLDER)
  spotters = {'without training': candidates.spot, 'network': network.spot}
  videos = {
    name: {
      key: [video_of(name, seed, args, spot) for seed in args.seeds]
      for key, spot in spotters.items()
    }
    for name in args.names
  }
  header(
    'recordings', 'type', 'people', 'spotter', 'found', 'F1', 'false a minute',
    'apex within a frame',
  )  # fmt: skip
  for name, some in videos.items():
    for kind in events_lib.TYPES:
      rows(name, kind, some)
  if {'neutral', 'acted'} <= set(videos):
    both = {key: videos['neutral'][key] + videos['acted'][key]
            for key in spotters}  # fmt: skip
    for kind in events_lib.TYPES:
      rows('both', kind, both)
  if args.floors:
    header(
      'recordings', 'of', 'ours', 'random', 'nothing', 'largest', 'difference',
      'mdmd',
    )  # fmt: skip
    for name, some in videos.items():
      beside(name, some['without training'], args)


def recognise(args) -> None:
  """Prints the score of spotting and then recognising (STRS)."""
  videos = [
    video_of(name, seed, args) for seed in args.seeds for name in FILMED
  ]

  @functools.lru_cache(maxsize=1)
  def take(video):
    return take_of(video.name, int(video.subject), args)

  def read(video, numbers):
    noise = np.random.default_rng(1)
    return [take(video).frame(number, noise) for number in numbers]

  config = cnn.get_config()
  num_folds = min(4, args.people)
  config.update(num_folds=num_folds, num_epochs=20, eval_every=20, num_seeds=1)
  found = recognising.recognise(
    videos, read, config=config, workdir=args.keep / 'recogniser'
  )
  print(found.text)


def memory(args) -> None:
  """Prints time and memory of a recording that repeats ten seconds."""
  take = filming.play(
    'calm', args.first, seconds=10, fps=args.fps, size=args.size
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
  parser.add_argument(
    'do', choices=['film', 'calibrate', 'report', 'recognise', 'memory']
  )
  parser.add_argument('names', nargs='*', choices=[*FILMED, *SCRIPTS, []])
  parser.add_argument('--first', type=int, default=7000)
  parser.add_argument('--people', type=int, default=16)
  parser.add_argument('--seconds', type=float, default=60.0)
  parser.add_argument('--fps', type=float, default=30.0)
  parser.add_argument('--size', type=int, default=160)
  parser.add_argument('--budget', type=float, default=0.5)
  parser.add_argument('--floors', action='store_true')
  parser.add_argument('--keep', type=pathlib.Path, default='spotting_tracks')
  parser.add_argument('--within', type=float, default=float('inf'))
  args = parser.parse_intermixed_args()
  args.seeds = range(args.first, args.first + args.people)
  if args.do == 'film':
    start = time.monotonic()
    for seed, name in itertools.product(args.seeds, args.names):
      if time.monotonic() - start < args.within:
        tracks_of(name, seed, args)
    return
  {
    'calibrate': calibrate,
    'report': report,
    'recognise': recognise,
    'memory': memory,
  }[args.do](args)


if __name__ == '__main__':
  main()
