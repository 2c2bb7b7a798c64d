"""The verb that spots expressions in long recordings."""

from __future__ import annotations

import argparse
import pathlib

from mejax.cli.verb import add_folder
from mejax.cli.verb import add_verb


def add_spot(verbs) -> None:
  verb = add_verb(
    verbs,
    'spot',
    _spot,
    text='Find where in long recordings something small happened.',
    example='  mejax spot interview.mp4 --out spotted\n'
    '  mejax spot recordings/ --out spotted --fps 200\n\n'
    'No onset is needed, and no training. candidates.csv has onset, apex and\n'
    'offset in frames and seconds, the score in units of the noise of the\n'
    'recording, the regions that moved, and what happened beside it: blink,\n'
    'head, speech, light, cut. index.html shows a timeline.',
  )
  verb.add_argument(
    'recordings',
    nargs='+',
    type=pathlib.Path,
    metavar='PATH',
    help='video files, folders of frames, folders of these',
  )
  add_folder(verb, '--out', 'folder of candidates.csv and index.html')
  verb.add_argument(
    '--fps',
    type=float,
    metavar='F',
    help='frames a second; needed for folders of frames',
  )
  verb.add_argument(
    '--rise',
    type=float,
    metavar='S',
    help='call a movement micro if it rises within S seconds, however long it'
    ' lasts (default: if it lasts .5 s at most)',
  )
  for kind in ('micro', 'macro'):
    verb.add_argument(
      f'--{kind}_threshold',
      type=float,
      metavar='Z',
      help=f'score from which a {kind}-expression is listed',
    )


def _spot(args: argparse.Namespace) -> None:
  from mejax.experiment import spotting

  asked = {'micro': args.micro_threshold, 'macro': args.macro_threshold}
  rule = {} if args.rise is None else {'part': 'rise', 'seconds': args.rise}
  rows, paths = spotting.write(
    args.recordings,
    args.out,
    fps=args.fps,
    thresholds={k: v for k, v in asked.items() if v is not None},
    **rule,
  )
  for name, words in rows.attrs['remarks']:
    print(f'{name}: {words}')
  counts = rows['type'].value_counts()
  print(
    f'{counts.get("micro", 0)} candidates for micro-expressions, '
    f'{counts.get("macro", 0)} for macro-expressions'
  )
  print(*paths, sep='\n')
