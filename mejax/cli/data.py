"""The verbs that check databases, and make and show datasets."""

from __future__ import annotations

import argparse
import pathlib

from mejax.cli import recipe_options
from mejax.cli.verb import add_folder
from mejax.cli.verb import add_verb
from mejax.cli.verb import pair


def add_check(verbs) -> None:
  verb = add_verb(
    verbs,
    'check',
    _check,
    text='Check which parts of a database are there, missing or wrong.',
    example='  mejax check casme2 databases/CASME2\n'
    '  mejax check smic databases/SMIC --option camera=VIS\n'
    '  mejax check video clips --option labels=my.csv\n'
    '  mejax check --pipeline --flow tvl1 --levels 1,2,4\n\n'
    'The exit code is 1 if no clip can be used.',
  )
  verb.add_argument(
    'corpus',
    metavar='CORPUS',
    nargs='?',
    help='casme2, samm, smic, ... (data/README.md lists them), or'
    ' package.module:name of your own',
  )
  verb.add_argument(
    'source',
    type=pathlib.Path,
    metavar='DIR',
    nargs='?',
    help='folder of the database; for `video` a recording or a folder of them',
  )
  verb.add_argument(
    '--pipeline',
    action='store_true',
    help='check the preparation: render faces with known motion, and print the'
    ' errors of face points, apex, flow and amplification',
  )
  _add_option(verb)
  recipe_options.add_recipe(
    verb.add_argument_group('how frames would become examples')
  )


def _check(args: argparse.Namespace) -> int:
  if args.pipeline:
    from mejax.datasets import known_truth

    print(
      known_truth.measure_errors(
        recipe_options.recipe_of(args), source=args.source
      )
    )
    return 0
  if args.source is None:
    raise ValueError(
      'give a database and its folder, as in `mejax check casme2 DIR`, or'
      ' --pipeline'
    )
  from mejax import experiment
  from mejax.datasets import check

  experiment.keep_compiled_programs()
  report = check.check_corpus(
    args.corpus,
    args.source,
    options=dict(args.option),
    recipe=recipe_options.recipe_of(args),
  )
  print(report.text)
  return 0 if report.usable else 1


def add_render(verbs) -> None:
  verb = add_verb(
    verbs,
    'render',
    _render,
    text='Render faces with micro-expressions whose motion is known.',
    example='  mejax render faces --subjects 48 --clips 12 --seed 2\n'
    '  mejax prepare synthetic --source faces --faces given\n\n'
    'The same command writes the same bytes, and resumes where it was stopped.',
  )
  verb.add_argument(
    'folder', type=pathlib.Path, metavar='DIR', help='folder of the new corpus'
  )
  for name, kind, default, text in (
    ('subjects', int, 12, 'number of people'),
    ('clips', int, 9, 'clips of each person; the emotions take turns'),
    ('size', int, 128, 'width and height of the frames in pixels'),
    ('difficulty', float, 0.5, '0 to 1; at 1 no emotion can be recognised'),
    ('seed', int, 0, 'decides people, expressions and noise'),
  ):
    verb.add_argument(
      f'--{name}',
      type=kind,
      default=default,
      metavar='N' if kind is int else 'D',
      help=f'{text} (default: {default})',
    )
  verb.add_argument(
    '--expressiveness',
    type=recipe_options.levels_of,
    metavar='LOW,HIGH',
    help='multiply the expressions of each person by a factor between these, at'
    ' most 2; it is saved in truth.npz of the clips (default: no factor)',
  )
  verb.add_argument(
    '--ages',
    action='store_true',
    help='let people differ in age: lines of the forehead, slack lids, folds,'
    ' grey hair',
  )


def _render(args: argparse.Namespace) -> None:
  from mejax.corpora import synthetic

  synthetic.write(
    args.folder,
    num_subjects=args.subjects,
    clips_per_subject=args.clips,
    size=args.size,
    difficulty=args.difficulty,
    seed=args.seed,
    expressiveness=args.expressiveness,
    ages=args.ages,
  )
  print(
    f'{args.subjects * args.clips} clips of {args.subjects} people in '
    f'{args.folder}'
  )


def add_prepare(verbs) -> None:
  verb = add_verb(
    verbs,
    'prepare',
    _prepare,
    text='Turn databases or your own recordings into a dataset of motion.',
    example='  mejax prepare htnet_release --source HTNet\n'
    '  mejax prepare casme2 samm smic --source DIR1 DIR2 DIR3 --levels 1,2,4\n'
    '  mejax prepare video clip1.mp4 clips/ --labels my.csv\n\n'
    'Faces are found and aligned once per clip; motion is amplified and\n'
    'measured from onset to apex. The same command resumes where it was\n'
    'stopped. Clips that cannot be used are left out and listed.',
  )
  verb.add_argument(
    'corpora',
    nargs='+',
    metavar='CORPUS',
    help='casme2, samm, ... (data/README.md lists them), package.module:name'
    ' of your own, or `video` and then your recordings: video files, folders'
    ' of frames, folders of these',
  )
  verb.add_argument(
    '--source',
    nargs='+',
    default=[],
    type=pathlib.Path,
    metavar='DIR',
    help='folder of each corpus, in the same order',
  )
  add_folder(verb, '--data_dir', 'folder of all datasets', 'data')
  verb.add_argument(
    '--name', help='name of the dataset (default: the corpora, joined by _)'
  )
  verb.add_argument(
    '--labels',
    type=pathlib.Path,
    metavar='FILE',
    help='for video: CSV file with the columns clip, subject, emotion and, if'
    ' known, onset, apex, offset, fps, which_face',
  )
  verb.add_argument(
    '--landmarks',
    type=pathlib.Path,
    metavar='FILE',
    help='for htnet_release: CSV file of face points',
  )
  _add_option(verb)
  recipe_options.add_recipe(
    verb.add_argument_group('how frames become examples')
  )
  verb.add_argument(
    '--workers',
    type=int,
    metavar='N',
    help='processes that decode frames (default: one per core; 0: none)',
  )
  verb.add_argument(
    '--allow_missing',
    action='store_true',
    help='for htnet_release: skip images that are missing or broken',
  )
  verb.add_argument(
    '--overwrite',
    action='store_true',
    help='replace a dataset that was prepared in another way',
  )


def _prepare(args: argparse.Namespace) -> None:
  from mejax import experiment
  from mejax.datasets import prepare

  corpora, sources = args.corpora, args.source
  if corpora[0] == 'video':
    corpora, sources = ['video'], [*corpora[1:], *sources]
  if not sources:
    raise ValueError(
      'no source: name where the recordings lie, as in `mejax prepare video'
      ' clips/`, or where each database lies, as in `mejax prepare casme2'
      ' --source DIR`'
    )
  options = dict(args.option)
  for name in ('labels', 'landmarks'):
    if (file := getattr(args, name)) is not None:
      options[name] = file
  experiment.keep_compiled_programs()
  prepare.prepare(
    corpora,
    source=sources,
    data_dir=args.data_dir,
    name=args.name,
    recipe=recipe_options.recipe_of(args),
    options=options,
    allow_missing=args.allow_missing,
    overwrite=args.overwrite,
    workers=args.workers,
  )


def _add_option(verb) -> None:
  verb.add_argument(
    '--option',
    type=pair,
    action='append',
    default=[],
    metavar='KEY=VALUE',
    help='which part of a database to use: images=cropped, sheet=2014 (a piece'
    ' of the file name), camera=VIS (smic), part=C (casme3), labels=my.csv'
    ' (video), encoding=gb18030 (of a CSV file), people=join or apart (names'
    ' that may be one person), apex_at_onset=middle (casme3); with several'
    ' databases, CORPUS.KEY=VALUE',
  )


def add_inspect(verbs) -> None:
  verb = add_verb(
    verbs,
    'inspect',
    _inspect,
    text='Write pages that show a dataset: all clips, or single ones closely.',
    example='  mejax inspect casme2\n'
    '  mejax inspect casme2 --clip casme2/sub01/EP02_01f sub03/EP07_04\n\n'
    'Without --clip, a page shows a small picture of every clip, how far\n'
    'faces move, which clips were skipped and why, and how the dataset was\n'
    'made.\n'
    'With --clip, a page for each clip shows frames, face points, amplified\n'
    'apexes, flow and strain of every level in one scale. The pages need no\n'
    'network; their paths are printed.',
  )
  verb.add_argument(
    'dataset', metavar='DATASET', help='name given to it by `mejax prepare`'
  )
  verb.add_argument(
    '--clip',
    nargs='+',
    default=[],
    metavar='ID',
    help='corpus/subject/clip, or a part that only one clip has',
  )
  add_folder(verb, '--data_dir', 'folder of all datasets', 'data')
  verb.add_argument(
    '--out',
    type=pathlib.Path,
    metavar='DIR',
    help='folder of the pages (default: DATA_DIR/inspect/DATASET, so that'
    ' pictures of people stay with the data)',
  )


def _inspect(args: argparse.Namespace) -> None:
  from mejax.experiment import inspecting

  written = inspecting.inspect(
    args.dataset, args.data_dir, clips=args.clip, out=args.out
  )
  print(*written, sep='\n')
