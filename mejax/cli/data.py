"""The verbs that look at databases and make datasets."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib

from mejax.cli.verb import add_folder
from mejax.cli.verb import add_verb
from mejax.cli.verb import pair


def add_check(verbs) -> None:
  verb = add_verb(
    verbs,
    'check',
    _check,
    text='Tell what of a database is there, what is missing, what is wrong.',
    example='  mejax check casme2 databases/CASME2\n'
    '  mejax check smic databases/SMIC --option camera=VIS\n'
    '  mejax check video clips --option labels=my.csv\n'
    '  mejax check --pipeline --flow tvl1 --levels 1,2,4\n\n'
    'Exit code 1 if no clip of it can be used.',
  )
  verb.add_argument(
    'corpus',
    metavar='CORPUS',
    nargs='?',
    help='casme2, samm, smic, ...; data/README.md lists them',
  )
  verb.add_argument(
    'source',
    type=pathlib.Path,
    metavar='DIR',
    nargs='?',
    help='where the database lies; for `video` a folder of recordings or one',
  )
  verb.add_argument(
    '--pipeline',
    action='store_true',
    help='check preparation itself: render faces of known motion, and tell how'
    ' far from the truth are face points, apex, flow and amplification',
  )
  _add_option(verb)
  _add_recipe(verb.add_argument_group('with --pipeline'))


def _check(args: argparse.Namespace) -> int:
  if args.pipeline:
    from mejax.datasets import known_truth

    print(known_truth.measure(_recipe(args), source=args.source))
    return 0
  if args.source is None:
    raise ValueError(
      'name a database and where it lies, as in `mejax check casme2 DIR`, or'
      ' ask for --pipeline'
    )
  from mejax.datasets import check

  report = check.check(args.corpus, args.source, options=dict(args.option))
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
    'The same command gives the same bytes, and goes on where it was stopped.',
  )
  verb.add_argument(
    'folder', type=pathlib.Path, metavar='DIR', help='where to write the corpus'
  )
  for name, kind, default, text in (
    ('subjects', int, 12, 'people'),
    ('clips', int, 9, 'clips of each; the emotions take turns'),
    ('size', int, 128, 'width and height of the frames in pixels'),
    ('difficulty', float, 0.5, '0 to 1; at 1 no emotion can be told'),
    ('seed', int, 0, 'decides people, expressions and noise'),
  ):
    verb.add_argument(
      f'--{name}',
      type=kind,
      default=default,
      metavar='N' if kind is int else 'D',
      help=f'{text} (default: {default})',
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
    'Faces are found and aligned once a clip; motion is amplified and\n'
    'measured from onset to apex. The same command goes on where it was\n'
    'stopped. A clip that cannot be used is left out and named.',
  )
  verb.add_argument(
    'corpora',
    nargs='+',
    metavar='CORPUS',
    help='casme2, samm, ... (data/README.md lists them), or `video` and then'
    ' your recordings: video files, folders of frames, folders of these',
  )
  verb.add_argument(
    '--source',
    nargs='+',
    default=[],
    type=pathlib.Path,
    metavar='DIR',
    help='where each corpus lies, in the same order',
  )
  add_folder(verb, '--data_dir', 'where datasets are kept', 'data')
  verb.add_argument(
    '--name', help='of the dataset (default: the corpora, joined by _)'
  )
  verb.add_argument(
    '--labels',
    type=pathlib.Path,
    metavar='FILE',
    help='video: CSV with clip, subject, emotion and, if known, onset, apex,'
    ' offset, fps',
  )
  verb.add_argument(
    '--landmarks',
    type=pathlib.Path,
    metavar='FILE',
    help='htnet_release: CSV of face points',
  )
  _add_option(verb)
  _add_recipe(verb.add_argument_group('how frames become examples'))
  verb.add_argument(
    '--workers',
    type=int,
    metavar='N',
    help='processes that decode frames (default: one a core; 0: none)',
  )
  verb.add_argument(
    '--allow_missing',
    action='store_true',
    help='htnet_release: go on without the images that are missing or broken',
  )
  verb.add_argument(
    '--overwrite',
    action='store_true',
    help='replace a dataset that was prepared in another way',
  )


def _prepare(args: argparse.Namespace) -> None:
  from mejax import devices
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
  devices.keep_compiled_programs()
  prepare.prepare(
    corpora,
    source=sources,
    data_dir=args.data_dir,
    name=args.name,
    recipe=_recipe(args),
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
    help='which part of a database: images=cropped, sheet=2014 (a piece of the'
    ' file name), camera=VIS (smic), part=C (casme3), labels=my.csv (video);'
    ' where several are prepared, CORPUS.KEY=VALUE',
  )


def _add_recipe(group) -> None:
  group.add_argument(
    '--levels',
    type=_levels,
    metavar='1,2,4',
    help='amplification factors; 1 is the motion as it is (default: 1)',
  )
  group.add_argument(
    '--magnify',
    metavar='METHOD',
    help='how motion is amplified: phase (default), linear, flow, learned',
  )
  group.add_argument(
    '--weights',
    type=pathlib.Path,
    metavar='FILE',
    help="for --magnify learned: weights of mejax's own training, or PyTorch's",
  )
  group.add_argument(
    '--flow',
    metavar='METHOD',
    help='how motion is measured: tvl1 (default), farneback, dis',
  )
  group.add_argument(
    '--strain',
    metavar='NAME',
    help='its definition: shreve (default), quarter_shear, magnitude',
  )
  group.add_argument(
    '--size',
    type=int,
    metavar='PIXELS',
    help='side of the aligned face (default: 128)',
  )
  group.add_argument(
    '--neighbours',
    type=int,
    metavar='K',
    help='also keep K frames after the onset and around the apex (default: 0)',
  )
  group.add_argument(
    '--faces',
    metavar='SOURCE',
    help='face points: mesh (default), yunet, given (by the corpus), none'
    ' (frames are cut and aligned already)',
  )
  group.add_argument(
    '--apex',
    metavar='SOURCE',
    help='annotated (default; spotted where the sheet has none), spotted,'
    ' midpoint (where the sheet has none)',
  )
  group.add_argument(
    '--remove_head_motion',
    action='store_true',
    help='take away the motion of the whole face, from frames and from flow',
  )
  group.add_argument(
    '--mask_eyelids',
    action='store_true',
    help='no motion about the eyes, where blinks are',
  )


def _levels(text: str) -> tuple[float, ...]:
  try:
    return tuple(float(level) for level in text.split(','))
  except ValueError:
    raise argparse.ArgumentTypeError(
      f'{text!r} is not like 1,2,4: numbers with commas between them'
    ) from None


def _recipe(args: argparse.Namespace):
  """The recipe that was asked for, or None if nothing was said of it."""
  from mejax.datasets import recipe

  chosen = {
    field.name: getattr(args, field.name)
    for field in dataclasses.fields(recipe.Recipe)
    if getattr(args, field.name) not in (None, False)
  }
  return recipe.Recipe(**chosen) if chosen else None


def add_inspect(verbs) -> None:
  verb = add_verb(
    verbs,
    'inspect',
    _inspect,
    text='Look at a dataset: every clip at a glance, or single clips closely.',
    example='  mejax inspect casme2\n'
    '  mejax inspect casme2 --clip casme2/sub01/EP02_01f sub03/EP07_04\n\n'
    'Without --clip: a page with a small picture of every clip, how far faces\n'
    'move, what was skipped and why, and how all was made. With --clip a page\n'
    'of each: frames, face points, amplified apexes, flow and strain of every\n'
    'level in one scale. The pages need no network; their paths are printed.',
  )
  verb.add_argument(
    'dataset', metavar='DATASET', help='its name, as given to `mejax prepare`'
  )
  verb.add_argument(
    '--clip',
    nargs='+',
    default=[],
    metavar='ID',
    help='corpus/subject/clip, or a part that only one clip has',
  )
  add_folder(verb, '--data_dir', 'where datasets are kept', 'data')
  verb.add_argument(
    '--out',
    type=pathlib.Path,
    metavar='DIR',
    help='where the pages go (default: DATA_DIR/inspect/DATASET, so that'
    ' pictures of people stay with the data)',
  )


def _inspect(args: argparse.Namespace) -> None:
  from mejax.experiment import inspecting

  written = inspecting.inspect(
    args.dataset, args.data_dir, clips=args.clip, out=args.out
  )
  print(*written, sep='\n')
