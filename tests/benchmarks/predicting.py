"""Measures `mejax predict`: clips a second, time and memory of long videos.

    python -m tests.benchmarks.predicting render clips --number 100
    python -m tests.benchmarks.predicting render minute.avi --seconds 60
    python -m tests.benchmarks.predicting measure clips --whole
    python -m tests.benchmarks.predicting measure minute.avi
    python -m tests.benchmarks.predicting watch minute.avi

`render` writes videos of rendered faces; the second one is a recording with
three short movements a minute, which goes forth and back after a minute. With
`--copies 10` each clip is there ten times under other names: nothing that is
kept of one is taken for another. `watch` looks at a video as if a camera showed
it, and draws all that a window would show.
"""

from __future__ import annotations

import argparse
import itertools
import pathlib
import resource
import shutil
import tempfile
import time

import cv2
import numpy as np
import pandas as pd

import mejax
from mejax.corpora import synthetic
from mejax.corpora.faces import long_takes
from mejax.corpora.faces.script import Script
from mejax.experiment.predicting import live

_SCRIPT = Script(micro=3, macro=1, blinks=12, gaze=10, drift=1.0, noise=1.0)
_MINUTE = 60


def write(path: pathlib.Path, images, fps: float) -> None:
  writer = None
  for image in images:
    if writer is None:
      code = cv2.VideoWriter_fourcc(*'MJPG')
      writer = cv2.VideoWriter(str(path), code, fps, image.shape[1::-1])
    writer.write(image[..., ::-1])
  writer.release()


def render_clips(out: pathlib.Path, number: int, copies: int) -> None:
  out.mkdir(parents=True, exist_ok=True)
  people = max(number // 9, 1)
  with tempfile.TemporaryDirectory() as folder:
    each = -(-number // people)
    synthetic.write(folder, num_subjects=people, clips_per_subject=each)
    table = pd.read_csv(f'{folder}/labels.csv')
    for _, row in table.head(number).iterrows():
      place = pathlib.Path(folder) / row['subject'] / row['clip']
      files = sorted(place.glob('img*.png'), key=lambda p: int(p.stem[3:]))
      name = f'{row["subject"]}-{row["clip"]}-{row["emotion"]}.avi'
      write(out / name, (cv2.imread(str(f))[..., ::-1] for f in files), 100)
      for i in range(1, copies):
        shutil.copy(out / name, out / f'copy{i}-{name}')


def render_long(out: pathlib.Path, seconds: int, size: int) -> None:
  take = long_takes.play(
    _SCRIPT, seed=1000, seconds=min(seconds, _MINUTE), fps=30.0, size=size
  )
  images = list(take.frames(np.random.default_rng(0)))
  there_and_back = itertools.cycle(images + images[-2:0:-1])
  write(out, itertools.islice(there_and_back, 30 * seconds), 30)


def watch(path: pathlib.Path) -> None:
  times = []

  def show(picture: np.ndarray, at: float) -> bool:
    del picture, at
    times.append(time.perf_counter())
    return True

  table = live.watch(path, show=show)
  steps = np.diff(times)
  memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  print(
    f'{len(times)} frames, {table["onset"].notna().sum()} movements; a frame '
    f'takes {1000 * np.median(steps):.0f} ms in the middle, '
    f'{1000 * steps.mean():.0f} on average; {memory:.0f} MB'
  )


def measure(path: pathlib.Path, whole: bool, pictures: bool) -> None:
  with tempfile.TemporaryDirectory() as out:
    start = time.perf_counter()
    table = mejax.predict(path, out=out, whole=whole, pictures=pictures)
    taken = time.perf_counter() - start
  memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  said = table[table['probability'].notna()]
  print(
    f'{len(table)} rows, {len(said)} answers in {taken:.1f} s, '
    f'{len(table) / taken:.2f} a second; {memory:.0f} MB'
  )
  truth = [name.rpartition('-')[2] for name in said['file']]
  if set(truth) <= {'negative', 'positive', 'surprise'}:
    print(f'{np.mean(said["most_like"] == truth):.3f} of them are right')


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument('what', choices=('render', 'measure', 'watch'))
  parser.add_argument('path', type=pathlib.Path)
  parser.add_argument('--number', type=int, default=100)
  parser.add_argument('--copies', type=int, default=1)
  parser.add_argument('--seconds', type=int)
  parser.add_argument('--size', type=int, default=160)
  parser.add_argument('--whole', action='store_true')
  parser.add_argument('--no_pictures', action='store_true')
  args = parser.parse_args()
  if args.what == 'measure':
    measure(args.path, args.whole, not args.no_pictures)
  elif args.what == 'watch':
    watch(args.path)
  elif args.seconds:
    render_long(args.path, args.seconds, args.size)
  else:
    render_clips(args.path, args.number, args.copies)


if __name__ == '__main__':
  main()
