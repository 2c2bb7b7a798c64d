"""The command line: `mejax <verb>`, each verb a thin call.

A verb imports what it needs when it runs, so that `mejax --help` is instant.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
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
  is_train = args.verb == 'train'
  args.overrides = [a for a in rest if is_train and a.startswith('--config.')]
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
  from mejax.datasets import check

  report = check.check(args.corpus, args.source, options=dict(args.option))
  print(report.text)
  return 0 if report.usable else 1


def _prepare(args: argparse.Namespace) -> None:
  from mejax.datasets import prepare

  prepare.prepare(
    args.corpus,
    source=args.source,
    data_dir=args.data_dir,
    landmarks=args.landmarks,
    allow_missing=args.allow_missing,
    size=args.size,
    overwrite=args.overwrite,
  )


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
  _add_train(verbs)
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
    '  mejax check video clips --option labels=my.csv\n\n'
    'Exit code 1 if no clip of it can be used.',
  )
  verb.add_argument(
    'corpus',
    metavar='CORPUS',
    help='casme2, samm, smic, ...; data/README.md lists them',
  )
  verb.add_argument(
    'source',
    type=pathlib.Path,
    metavar='DIR',
    help='where the database lies; for `video` a folder of recordings or one',
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
    text='Turn a corpus on disk into a dataset that training reads.',
    example='  git clone https://github.com/wangzhifengharrison/HTNet\n'
    '  mejax prepare htnet_release --source HTNet --data_dir data',
  )
  verb.add_argument(
    'corpus', metavar='CORPUS', help='htnet_release or synthetic'
  )
  _add_folder(verb, '--source', 'the corpus as it lies on disk')
  _add_folder(verb, '--data_dir', 'where datasets are kept', 'data')
  verb.add_argument(
    '--landmarks',
    type=pathlib.Path,
    metavar='FILE',
    help='CSV of face points; without it all faces have the default points',
  )
  verb.add_argument(
    '--size', type=int, metavar='PIXELS', help='side of the flow images'
  )
  verb.add_argument(
    '--allow_missing',
    action='store_true',
    help='go on without the clips whose files are missing or broken',
  )
  verb.add_argument(
    '--overwrite',
    action='store_true',
    help='replace a dataset that was prepared in another way',
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
