"""The command line: `mejax <verb>`, each verb a thin call.

A verb imports what it needs when it runs, so that `mejax --help` is instant.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
import dataclasses
import os
import pathlib
import shlex
import sys
import traceback

import mejax

_HERE = pathlib.Path(mejax.__file__).parent


def main(argv: Sequence[str] | None = None) -> int:
  """Runs one verb and returns the exit code.

  0 done, 1 a check found nothing of use, 2 bad input, 130 Ctrl-C.
  """
  argv = list(sys.argv[1:] if argv is None else argv)
  parser = _parser()
  args, rest = parser.parse_known_args(argv)
  takes = args.verb in ('train', 'evaluate')
  args.overrides = [a for a in rest if takes and a.startswith('--config.')]
  if unknown := [a for a in rest if a not in args.overrides]:
    parser.error(
      f'`mejax {args.verb}` does not know {" ".join(unknown)};'
      f' see `mejax {args.verb} --help`.'
    )
  # For `package.module:name` of a file that lies where mejax is called.
  sys.path.append(os.getcwd())
  try:
    return args.call(args) or 0
  except KeyboardInterrupt:
    again = shlex.join(['mejax', *argv])
    print(
      f'\nInterrupted. The same command goes on from here:\n  {again}',
      file=sys.stderr,
    )
    return 130
  except Exception as error:
    if args.debug or not _is_expected(error):
      raise
    print(f'mejax {args.verb}: {error}', file=sys.stderr)
    return 2


def _is_expected(error: Exception) -> bool:
  """Whether the message alone tells the user what to do.

  True for files that are missing or not readable, and for a ValueError that
  mejax or a config raised itself. One from deeper down is a bug, and a bug
  shows where it happened.
  """
  if isinstance(error, OSError):
    return True
  last = traceback.extract_tb(error.__traceback__)[-1]
  place = pathlib.Path(last.filename).absolute()
  ours = place.is_relative_to(_HERE) or last.name == 'get_config'
  return isinstance(error, ValueError) and ours


def _demo(args: argparse.Namespace) -> None:
  from mejax import experiment

  experiment.demo(args.workdir, small=args.small)


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


def _prepare(args: argparse.Namespace) -> None:
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


def _recipe(args: argparse.Namespace):
  """The recipe that was asked for, or None if nothing was said of it."""
  from mejax.datasets import recipe

  chosen = {
    field.name: getattr(args, field.name)
    for field in dataclasses.fields(recipe.Recipe)
    if getattr(args, field.name) not in (None, False)
  }
  return recipe.Recipe(**chosen) if chosen else None


def _inspect(args: argparse.Namespace) -> None:
  from mejax.inspection import pages

  written = pages.inspect(
    args.dataset, args.data_dir, clips=args.clip, out=args.out
  )
  print(*written, sep='\n')


def _train(args: argparse.Namespace) -> None:
  from mejax import configuration

  # Before the seconds that importing JAX takes: a slip is told at once.
  config = configuration.load_config(args.config, args.overrides)
  from mejax import experiment

  experiment.train(
    config,
    data_dir=args.data_dir,
    workdir=args.workdir,
    dry_run=args.dry_run,
  )


def _convert(args: argparse.Namespace) -> None:
  from mejax import saved

  saved.convert(
    args.model,
    args.files,
    args.out,
    preset=args.preset,
    fields=dict(args.field),
  )


def _evaluate(args: argparse.Namespace) -> None:
  from mejax import configuration

  config = args.config and configuration.load_config(args.config)
  from mejax import apply

  apply.evaluate(
    args.source,
    data_dir=args.data_dir,
    config=config,
    overrides=args.overrides,
    out=args.out,
  )


def _report(args: argparse.Namespace) -> None:
  from mejax import experiment

  print(experiment.report(args.workdirs, out=args.out))


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='mejax',
    description='Facial micro-expression recognition in JAX: every fold of a '
    'leave-one-subject-out experiment in one program, reported honestly.',
    epilog='Start with `mejax demo`; `mejax VERB --help` teaches a verb.',
  )
  parser.add_argument(
    '--version', action='version', version=f'mejax {mejax.__version__}'
  )
  verbs = parser.add_subparsers(dest='verb', metavar='VERB', required=True)
  _add_demo(verbs)
  _add_check(verbs)
  _add_prepare(verbs)
  _add_inspect(verbs)
  _add_train(verbs)
  _add_convert(verbs)
  _add_evaluate(verbs)
  _add_report(verbs)
  return parser


def _add_verb(verbs, name: str, call, *, text: str, example: str):
  """One verb with its one-line description and an example to copy."""
  verb = verbs.add_parser(
    name,
    help=text,
    description=text,
    epilog='example:\n' + example,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  verb.set_defaults(call=call)
  verb.add_argument(
    '--debug', action='store_true', help='show where an error came from'
  )
  return verb


def _add_folder(verb, flag: str, text: str, default: str | None = None) -> None:
  verb.add_argument(
    flag,
    type=pathlib.Path,
    metavar='DIR',
    default=default and pathlib.Path(default),
    required=default is None,
    help=text + (f' (default: {default})' if default else ''),
  )


def _add_demo(verbs) -> None:
  verb = _add_verb(
    verbs,
    'demo',
    _demo,
    text='Render faces, prepare them, train every fold, write the report.',
    example='  mejax demo\n  then open runs/demo/run/report/index.html',
  )
  _add_folder(verb, '--workdir', 'where everything goes', 'runs/demo')
  verb.add_argument(
    '--small', action='store_true', help='fewer faces, shorter training'
  )


def _add_check(verbs) -> None:
  verb = _add_verb(
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
  verb.add_argument(
    '--option',
    type=_pair,
    action='append',
    default=[],
    metavar='KEY=VALUE',
    help='which part of it: images=cropped, sheet=2014 (a piece of the file '
    'name), camera=VIS (smic), part=C (casme3), labels=my.csv (video)',
  )
  _add_recipe(verb.add_argument_group('with --pipeline'))


def _pair(text: str) -> tuple[str, str]:
  key, equals, value = text.partition('=')
  if not (key and equals):
    raise argparse.ArgumentTypeError(f'{text!r} is not like KEY=VALUE')
  return key, value


def _add_prepare(verbs) -> None:
  verb = _add_verb(
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
  _add_folder(verb, '--data_dir', 'where datasets are kept', 'data')
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
  verb.add_argument(
    '--option',
    type=_pair,
    action='append',
    default=[],
    metavar='KEY=VALUE',
    help='which part of a database, as for `mejax check`; of several databases'
    ' CORPUS.KEY=VALUE',
  )
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
    help='take away the motion of the whole face',
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


def _add_inspect(verbs) -> None:
  verb = _add_verb(
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
  _add_folder(verb, '--data_dir', 'where datasets are kept', 'data')
  verb.add_argument(
    '--out',
    type=pathlib.Path,
    metavar='DIR',
    help='where the pages go (default: DATA_DIR/inspect/DATASET, so that'
    ' pictures of people stay with the data)',
  )


def _add_train(verbs) -> None:
  names = ', '.join(
    path.stem for path in sorted((_HERE / 'configs').glob('[!_]*.py'))
  )
  verb = _add_verb(
    verbs,
    'train',
    _train,
    text='Train all folds and seeds of a config together, and resume them.',
    example='  mejax train --config htnet_regions:small --data_dir data \\\n'
    '    --workdir runs/small --config.num_seeds=5\n\n'
    'The same command on the same workdir resumes. The head of a config file\n'
    'tells how long it takes and what to expect.',
  )
  verb.add_argument(
    '--config',
    required=True,
    metavar='NAME[:VARIANT]',
    help=f'a config that ships ({names}) or the path of your own; '
    '--config.KEY=VALUE changes one value of it',
  )
  _add_folder(verb, '--data_dir', 'where datasets are kept', 'data')
  _add_folder(verb, '--workdir', 'where this run is kept')
  verb.add_argument(
    '--dry_run',
    action='store_true',
    help='print trials, memory, placement and expected time; train nothing',
  )


def _add_convert(verbs) -> None:
  verb = _add_verb(
    verbs,
    'convert',
    _convert,
    text='Turn PyTorch weights of an original into models of mejax.',
    example='  mejax convert htnet weights/*.pth --out models/htnet\n'
    '  mejax evaluate models/htnet --data_dir data\n\n'
    'Several files are one model for each held-out subject, whose name the\n'
    'file has or ends with: s01.pth, fold_s01.pth. A lone file serves all.\n'
    "Needs PyTorch: pip install 'mejax[torch]'. Nothing but weights is read:\n"
    'a file that would run code is refused.',
  )
  verb.add_argument(
    'model', metavar='MODEL', help='whose weights: htnet, mmnet or ststnet'
  )
  verb.add_argument(
    'files', nargs='+', type=pathlib.Path, metavar='FILE', help='.pth files'
  )
  _add_folder(verb, '--out', 'where the models go; must not be there yet')
  verb.add_argument(
    '--preset', metavar='NAME', help='of our model (default: the published one)'
  )
  verb.add_argument(
    '--field',
    type=_field,
    action='append',
    default=[],
    metavar='KEY=VALUE',
    help='of the model where it differs: num_classes=7, "depths=(2, 2, 8)"',
  )


def _field(text: str) -> tuple[str, object]:
  key, value = _pair(text)
  try:
    return key, ast.literal_eval(value)
  except (ValueError, SyntaxError):
    raise argparse.ArgumentTypeError(
      f'{value!r} is neither a number nor a list of them'
    ) from None


def _add_evaluate(verbs) -> None:
  verb = _add_verb(
    verbs,
    'evaluate',
    _evaluate,
    text='Apply the models of a run, or converted ones, to the clips of those '
    'whom each of them did not see, and print the table.',
    example='  mejax evaluate runs/small --data_dir data\n'
    '  mejax evaluate models/htnet --config htnet_released --data_dir data\n\n'
    'A run is applied to its own data, converted models to those that the\n'
    'original was trained on; --config names others, --config.KEY=VALUE\n'
    'changes one value. Only a folder evaluate/ in RUN, or --out, is written.',
  )
  verb.add_argument(
    'source',
    type=pathlib.Path,
    metavar='RUN',
    help='a finished run, or a folder that `mejax convert` wrote',
  )
  _add_folder(verb, '--data_dir', 'where datasets are kept', 'data')
  verb.add_argument(
    '--config',
    metavar='NAME[:VARIANT]',
    help='whose dataset, protocol and view to take',
  )
  verb.add_argument(
    '--out', type=pathlib.Path, metavar='DIR', help='where the results go'
  )


def _add_report(verbs) -> None:
  verb = _add_verb(
    verbs,
    'report',
    _report,
    text='Render one or more runs as one HTML page, side by side.',
    example='  mejax report runs/small runs/ststnet',
  )
  verb.add_argument(
    'workdirs', nargs='+', type=pathlib.Path, metavar='RUN', help='workdirs'
  )
  verb.add_argument(
    '--out',
    type=pathlib.Path,
    metavar='DIR',
    help='where the page goes (default: report/ in the run; of several runs,'
    ' beside the first)',
  )
