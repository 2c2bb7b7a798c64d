"""The verb that says what motions in recordings are most like."""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

from mejax.cli.verb import add_spotter
from mejax.cli.verb import add_trust
from mejax.cli.verb import add_verb
from mejax.cli.verb import read_spotter

_OUT = 'predicted'


def add_predict(verbs) -> None:
  verb = add_verb(
    verbs,
    'predict',
    _predict,
    text='Say what the motions in recordings are most like.',
    example='  mejax predict clip.mp4\n'
    '  mejax predict recordings/ --model models/mine --out mine\n'
    '  mejax predict clip.mp4 --onset 12 --apex 20 --offset 31 --out one\n'
    '  mejax predict --camera 0\n\n'
    'Without --model, the model that ships is used, which was trained on\n'
    'generated faces only. Movements are spotted, unless --whole or frames\n'
    'are given; a recording of less than a second is one movement.\n'
    'predictions.csv has onset, apex and offset, the calibrated probability\n'
    'of each class, the size of the motion and of the face, and warnings.\n'
    'index.html shows a timeline and each movement. A recording that cannot\n'
    'be used has a row that says why. The same command goes on where it\n'
    'stopped. Results of other options in the folder are not replaced: choose\n'
    'another --out for them. --camera shows in a window how the face moves,\n'
    'and the last movement; Escape, q or Ctrl-C ends it, and nothing is kept\n'
    'unless --out is given.',
  )
  verb.add_argument(
    'recordings',
    nargs='*',
    type=pathlib.Path,
    metavar='PATH',
    help='video files, folders of frames, folders of these',
  )
  verb.add_argument(
    '--model',
    type=pathlib.Path,
    metavar='DIR',
    help='a folder of `mejax pack`, or a finished run (default: the model that'
    ' ships)',
  )
  verb.add_argument(
    '--out',
    type=pathlib.Path,
    metavar='DIR',
    help=f'folder of the results (default: {_OUT}; of a camera, none)',
  )
  verb.add_argument(
    '--whole',
    action='store_true',
    help='take each recording as one movement, from first to last frame',
  )
  for name in ('onset', 'apex', 'offset'):
    verb.add_argument(
      f'--{name}',
      type=int,
      metavar='N',
      help=f'number of the {name} frame, in a single recording',
    )
  verb.add_argument(
    '--abstain',
    type=float,
    default=0.0,
    metavar='P',
    help='give no answer below this probability (default: 0)',
  )
  verb.add_argument(
    '--labels',
    type=pathlib.Path,
    metavar='FILE',
    help='table with columns clip, subject and emotion, and corpus, onset, apex'
    ' and offset if known: each recording is one movement, predictions.csv is'
    ' one that `mejax score` takes, and people whom the model has seen are'
    ' refused',
  )
  verb.add_argument(
    '--leave_out_seen',
    action='store_true',
    help='leave out recordings of people whom the model has seen, instead',
  )
  verb.add_argument(
    '--annotate',
    action='store_true',
    help='write a copy of each video that shows what was found',
  )
  verb.add_argument(
    '--fps',
    type=float,
    metavar='F',
    help='frames a second; folders of frames have none',
  )
  verb.add_argument(
    '--which_face',
    default='largest',
    metavar='FACE',
    help='of several faces: largest, left, right, or a place in it in pixels,'
    ' as 412,230 (default: largest)',
  )
  verb.add_argument(
    '--no_pictures',
    action='store_true',
    help='make no pictures of faces; the page may then be shown to others',
  )
  add_spotter(verb)
  _add_camera(verb)
  add_trust(verb, 'the model')


def _add_camera(verb) -> None:
  verb.add_argument(
    '--camera',
    metavar='N',
    help='look at a camera while it runs: its number, the first is 0; or the'
    ' path of a video, which is looked at as if a camera showed it',
  )
  verb.add_argument(
    '--seconds',
    type=float,
    metavar='S',
    help='how long to look at a camera (default: until somebody ends it)',
  )
  verb.add_argument(
    '--no_window',
    action='store_true',
    help='of a camera, show nothing, and print each movement',
  )


def _predict(args: argparse.Namespace) -> None:
  if args.camera is not None:
    _watch(args)
    return
  from mejax.experiment.predicting import recordings
  from mejax.experiment.predicting import writing
  from mejax.pages import notice

  _check(args, False)
  args.out = args.out or pathlib.Path(_OUT)
  table = recordings.predict(
    args.recordings,
    whole=args.whole,
    onset=args.onset,
    apex=args.apex,
    offset=args.offset,
    labels=args.labels,
    leave_out_seen=args.leave_out_seen,
    **_options(args),
  )
  print(writing.summary(table))
  print(args.out / 'predictions.csv', args.out / 'index.html', sep='\n')
  if args.labels:
    classes = ','.join(name[2:] for name in table if name.startswith('p_'))
    print(
      f'Score: mejax score {args.out / "predictions.csv"} --option'
      f' classes={classes}'
    )
  print(notice.RESPONSIBLE_USE)


def _watch(args: argparse.Namespace) -> None:
  """Looks at a camera."""
  from mejax.experiment.predicting import live
  from mejax.experiment.predicting import window
  from mejax.experiment.predicting import writing
  from mejax.pages import notice

  _check(args, True)
  print(notice.RESPONSIBLE_USE, flush=True)
  show = None if args.no_window else window.open_window()
  table = live.watch(
    args.camera,
    seconds=args.seconds,
    show=show,
    tell=print,
    **_options(args),
  )
  print(writing.summary(table))
  if args.out:
    print(args.out / 'predictions.csv', args.out / 'index.html', sep='\n')


def _options(args: argparse.Namespace) -> dict[str, Any]:
  """Returns what files and a camera are looked at with."""
  return {
    'model': args.model,
    'out': args.out,
    'abstain': args.abstain,
    'fps': args.fps,
    'which_face': args.which_face,
    'pictures': not args.no_pictures,
    'annotate': args.annotate,
    'spotter': read_spotter(args),
    'trust_code': args.trust_code,
  }


def _check(args: argparse.Namespace, is_camera: bool) -> None:
  """Refuses flags that belong to the other kind of call."""
  files = ('whole', 'onset', 'apex', 'offset', 'labels', 'leave_out_seen')
  wrong = files if is_camera else ('seconds', 'no_window')
  given = {name: getattr(args, name) for name in wrong}
  # 0 is a number of a frame.
  named = [
    f'--{name}'
    for name, value in given.items()
    if value is not None and value is not False
  ]
  if is_camera and args.recordings:
    named.insert(0, 'recordings')
  if named:
    raise ValueError(
      f'{", ".join(named)} and --camera exclude each other'
      if is_camera
      else f'{", ".join(named)} belongs to --camera'
    )
  if not is_camera and not args.recordings:
    raise ValueError('name a recording, or --camera 0')
