"""The verbs on long recordings: film, spot, score_spotting."""

from __future__ import annotations

import argparse
import pathlib

from mejax.cli.verb import add_folder
from mejax.cli.verb import add_spotter
from mejax.cli.verb import add_verb
from mejax.cli.verb import read_spotter


def add_spot(verbs) -> None:
  verb = add_verb(
    verbs,
    'spot',
    _spot,
    text='Find where in long recordings something small happened.',
    example='  mejax spot interview.mp4\n'
    '  mejax spot recordings/ --out spotted_all --fps 200\n\n'
    'No onset is needed, and no training. candidates.csv has onset, apex and\n'
    'offset in frames and seconds, the score in units of the noise of the\n'
    'recording, the regions that moved, and what happened beside it: blink,\n'
    'head, speech, light, cut. index.html shows a timeline. Results of other\n'
    'options in the folder are not replaced: choose another --out for them.',
  )
  verb.add_argument(
    'recordings',
    nargs='+',
    type=pathlib.Path,
    metavar='PATH',
    help='video files, folders of frames, folders of these',
  )
  add_folder(verb, '--out', 'folder of the results', 'spotted')
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
  add_spotter(verb)
  verb.add_argument(
    '--no_pictures',
    action='store_true',
    help='make a page without faces, which may be shown to others',
  )


def _spot(args: argparse.Namespace) -> None:
  from mejax.experiment.spotting import recordings
  from mejax.pages import notice

  asked = {'micro': args.micro_threshold, 'macro': args.macro_threshold}
  rule = {} if args.rise is None else {'part': 'rise', 'seconds': args.rise}
  spotter = read_spotter(args)
  if spotter is not None:
    if rule:
      raise ValueError(
        '--rise tells types apart without training; a trained spotter tells'
        ' them as in its training recordings'
      )
    rule = {'spotter': spotter}
  rows, paths = recordings.write(
    args.recordings,
    args.out,
    pictures=not args.no_pictures,
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
  print(*paths, notice.RESPONSIBLE_USE, sep='\n')


def add_film(verbs) -> None:
  verb = add_verb(
    verbs,
    'film',
    _film,
    text='Render long recordings of made-up people as signals to spot in.',
    example='  mejax film data/rendered_long --people 16\n'
    '  mejax train --config spotter --data_dir data --workdir runs/spotter\n\n'
    'Each person has a recording in which nothing is expressed, and one with\n'
    'four micro- and four macro-expressions a minute. Only the signals that\n'
    '`mejax spot` measures are kept. A minute takes half a minute on a core.\n'
    'The same command goes on where it was stopped.',
  )
  verb.add_argument(
    'folder', type=pathlib.Path, metavar='DIR', help='folder of the signals'
  )
  for name, default, text in (
    ('people', 16, 'number of people'),
    ('seconds', 60, 'length of each recording'),
    ('fps', 30, 'frames a second'),
    ('size', 160, 'width and height of the frames in pixels'),
    ('seed', 0, 'number of the first person; each number is another person'),
  ):
    verb.add_argument(
      f'--{name}',
      type=int,
      default=default,
      metavar='N',
      help=f'{text} (default: {default})',
    )


def _film(args: argparse.Namespace) -> None:
  from mejax.experiment.spotting import filming

  videos = filming.film(
    args.folder,
    people=args.people,
    seconds=args.seconds,
    fps=args.fps,
    size=args.size,
    seed=args.seed,
  )
  print(
    f'{len(videos)} recordings of {args.people} people, '
    f'{sum(video.minutes for video in videos):.1f} minutes, in {args.folder}'
  )


def add_score_spotting(verbs) -> None:
  verb = add_verb(
    verbs,
    'score_spotting',
    _score_spotting,
    text='Score what is spotted in a database of long videos.',
    example='  mejax score_spotting casme2_long DIR --out scored\n'
    '  mejax score_spotting samm_long DIR --out scored --candidates my.csv\n\n'
    'Videos without an event count: what is spotted there is a false alarm.\n'
    'scores.txt has F1 over all videos with an interval over people, false\n'
    'alarms a minute, floors, and what other rules would count. A call that\n'
    'was interrupted goes on: the signals of each video are kept.',
  )
  verb.add_argument('corpus', metavar='CORPUS', help='casme2_long, ...')
  verb.add_argument(
    'source', type=pathlib.Path, metavar='DIR', help='folder of the database'
  )
  add_folder(verb, '--out', 'folder of scores.txt and candidates.csv')
  verb.add_argument(
    '--candidates',
    type=pathlib.Path,
    metavar='FILE',
    help='score these instead of spotting: a CSV of `mejax spot` or with a'
    ' header of the challenges, vid,pred_onset,pred_offset,type or'
    ' subject,video,onset,offset,emotion',
  )
  verb.add_argument(
    '--recogniser',
    default='',
    metavar='CONFIG',
    help='spot, then recognise: give candidates a class by a model of this'
    ' config, as cnn, trained on the true events of all other people; STRS'
    ' tells how good both are together',
  )
  verb.add_argument(
    '--images', default='', help='kind of frames, where a database has several'
  )


def _score_spotting(args: argparse.Namespace) -> None:
  from mejax.experiment.spotting import database

  scored = database.score(
    args.corpus,
    args.source,
    saved=args.candidates,
    out=args.out,
    images=args.images,
    recogniser=args.recogniser,
  )
  print(scored.text)
