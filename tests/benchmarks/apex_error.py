"""Measures the error of apex spotting on rendered clips.

  python -m tests.benchmarks.apex_error [--clips N] [--size PIXELS]

The clips are of the synthetic corpus at two difficulties, 100 frames a second,
with head drift, changing light, blinks, gaze and twitches. The truth is the
frame with the strongest expression; the error is absolute, in frames and in
milliseconds.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
import time

import numpy as np

from mejax.corpora import synthetic
from mejax.corpora.decode import decode
from mejax.motion import apex

DIFFICULTIES = (0.5, 0.8)
SUBJECTS = 12
WAYS = {
  'midpoint': None,
  'difference': {'method': 'difference'},
  'difference, eyes too': {'method': 'difference', 'mask_eyes': False},
  'flow': {'method': 'flow'},
  'flow, eyes too': {'method': 'flow', 'mask_eyes': False},
}


def clip_errors(clip, seconds: dict[str, list[float]]) -> dict[str, int]:
  """Returns the absolute error in frames of each way of spotting.

  Appends the time that each took per frame to `seconds`.
  """
  frames = np.stack(decode(clip, clip.frame_numbers))
  points = np.array(clip.landmarks, np.float32)
  truth = clip.apex - clip.onset
  errors = {}
  for name, options in WAYS.items():
    start = time.perf_counter()
    found = (len(frames) - 1) // 2
    if options is not None:
      spotted = apex.spot(frames, points=points, fps=clip.fps, **options)
      found = spotted.index
    errors[name] = abs(found - truth)
    seconds[name].append((time.perf_counter() - start) / len(frames))
  return errors


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument('--clips', type=int, default=48, help='per difficulty')
  parser.add_argument('--size', type=int, default=128)
  parser.add_argument('--seed', type=int, default=7)
  args = parser.parse_args()
  seconds = {name: [] for name in WAYS}
  for difficulty in DIFFICULTIES:
    with tempfile.TemporaryDirectory() as folder:
      root = synthetic.write(
        pathlib.Path(folder) / 'corpus',
        num_subjects=SUBJECTS,
        clips_per_subject=max(1, args.clips // SUBJECTS),
        size=args.size,
        difficulty=difficulty,
        seed=args.seed,
        progress=False,
      )
      rows = [clip_errors(clip, seconds) for clip in synthetic.read(root)]
    print(f'difficulty {difficulty}, {len(rows)} clips, {args.size} pixels')
    print(f'  {"":22}{"mean":>8}{"median":>8}{"worst":>8}{"mean ms":>9}')
    for name in WAYS:
      errors = np.array([row[name] for row in rows])
      print(
        f'  {name:22}{errors.mean():8.2f}{np.median(errors):8.1f}'
        f'{errors.max():8d}{errors.mean() * 1000 / synthetic.FPS:9.1f}'
      )
  print('milliseconds per frame:')
  for name, times in seconds.items():
    print(f'  {name:22}{1000 * np.median(times):8.2f}')


if __name__ == '__main__':
  main()
