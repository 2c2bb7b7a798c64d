"""The command line: `mejax VERB`; each verb calls one function of the library.

  data.py            check, render, prepare, inspect
  recipe_options.py  flags on how frames become examples
  learning.py        demo, train, pretrain, convert, pack, evaluate
  search.py          sweep
  forecasting.py     forecast
  engine.py          flags on who trains: this process, or a cluster
  scores.py          report, score
  spotting.py        film, spot, score_spotting
  predicting.py      predict
  verb.py            parts that all verbs share
  overview.py        verbs by task, completion in a shell
  terminal.py        what is printed is safe; bars of progress in a file
  pulse.py           a line of the terminal that always moves

A verb imports its modules when it runs, so that `mejax --help` is instant.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import contextlib
import io
import os
import pathlib
import shlex
import signal
import sys
import threading
import traceback
from typing import NoReturn

import mejax
from mejax import own_code
from mejax import signals
from mejax.cli import data
from mejax.cli import forecasting
from mejax.cli import learning
from mejax.cli import overview
from mejax.cli import predicting
from mejax.cli import scores
from mejax.cli import search
from mejax.cli import spotting
from mejax.cli import terminal

# Codes above it say that a signal ended the process.
_SIGNALLED = 128
_PYTHON = os.path.dirname(os.__file__)  # Where its own modules lie.
_HERE = pathlib.Path(mejax.__file__).parent


def run() -> NoReturn:
  """Runs the verb of the command line, and ends the process."""
  _fill_up_streams()
  code = main()
  code = _flush() or code
  if code > _SIGNALLED:
    # JAX sets a timer of a minute while it looks for a TPU. If the signal came
    # before JAX could cancel it, Python would wait for it.
    for thread in threading.enumerate():
      if isinstance(thread, threading.Timer):
        thread.cancel()
  sys.exit(code)


def _fill_up_streams() -> None:
  """Opens the input and outputs that this process was started without.

  Otherwise the next file that is opened, such as a result, takes the number of
  one of them, and what libraries print is written into it.
  """
  for number in (0, 1, 2):
    try:
      os.fstat(number)
    except OSError:
      os.open(os.devnull, os.O_RDWR)


def _flush() -> int:
  """Writes what is printed; returns the exit code of an output nobody reads."""
  code = 0
  for stream in filter(None, (sys.stdout, sys.stderr)):
    try:
      stream.flush()
    except BrokenPipeError:
      # Otherwise Python tries again, and prints a traceback.
      os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
      code = _SIGNALLED + signal.SIGPIPE
  return code


def main(argv: Sequence[str] | None = None) -> int:
  """Runs one verb and returns the exit code.

  The codes are 0 for success, 1 for a check that found nothing to use, 2 for
  bad input, 130 for Ctrl-C, 143 for SIGTERM, 129 for a closed terminal and 141
  for an output that nobody reads any more.
  """
  argv = list(sys.argv[1:] if argv is None else argv)
  parser = _parser()
  args, rest = parser.parse_known_args(argv)
  takes = args.verb in ('train', 'pretrain', 'sweep', 'forecast', 'evaluate')
  args.overrides = [a for a in rest if takes and a.startswith('--config.')]
  if unknown := [a for a in rest if a not in args.overrides]:
    parser.error(
      f'`mejax {args.verb}` does not know {" ".join(unknown)};'
      f' see `mejax {args.verb} --help`.'
    )
  # A name of a file that is no UTF-8, or that a terminal cannot show, must not
  # be the end of a message.
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
      stream.reconfigure(errors='backslashreplace')
  with terminal.guarded(f'mejax {args.verb}'):
    return _run(args, argv)


def _run(args: argparse.Namespace, argv: Sequence[str]) -> int:
  """Calls the function of a verb and returns the exit code."""
  try:
    # `package.module:name` may be a file in the current folder.
    own_code.look_in(_current_folder())
    with signals.raising():
      return args.call(args) or 0
  except KeyboardInterrupt:
    _say_how_to_go_on('Interrupted', args, argv)
    return 130
  except signals.Terminated as ending:
    _say_how_to_go_on(f'Ended by {ending.name}', args, argv)
    return ending.code
  except Exception as error:
    text = str(error) if _is_expected(error) else _explain(error)
    if args.debug or not text:
      raise
    # A name in the message may hold what only a bar of progress may print, or
    # a line break, after which it would look like a message of its own.
    message = f'mejax {args.verb}: {text}'.replace('\n', '\n  ')
    with contextlib.suppress(signals.Terminated):
      print(terminal.plain(message), file=sys.stderr)
    return 2


def _current_folder() -> str:
  try:
    return os.getcwd()
  except FileNotFoundError:
    raise FileNotFoundError(
      'the current folder was deleted; go to another one, by `cd`.'
    ) from None


def _say_how_to_go_on(
  what: str, args: argparse.Namespace, argv: Sequence[str]
) -> None:
  said = '. The same command goes on from here:\n  '
  said += shlex.join(['mejax', *argv])
  if args.verb == 'forecast' or getattr(args, 'dry_run', False):
    said = '; nothing was trained, and nothing is left to go on with.'
  # A terminal that was closed takes no message.
  with contextlib.suppress(OSError, signals.Terminated):
    print(f'\n{what}{said}', file=sys.stderr, flush=True)


def _is_expected(error: Exception) -> bool:
  """Returns whether the message alone tells the user what to do.

  That is so for files that are missing or unreadable, and for a ValueError that
  mejax, a config or a space raised itself. A ValueError from another library is
  a bug, for which the traceback is shown.
  """
  if isinstance(error, OSError):
    return True
  last = traceback.extract_tb(error.__traceback__)[-1]
  place = pathlib.Path(last.filename).absolute()
  ours = place.is_relative_to(_HERE) or last.name in ('get_config', 'get_space')
  return isinstance(error, ValueError) and ours


def _explain(error: Exception) -> str:
  """Returns a sentence for an error that this machine causes; '' for a bug."""
  if isinstance(error, MemoryError):
    return f'there is not enough memory ({error or "no more is known"}).'
  line = str(error).partition('\n')[0]
  if isinstance(error, RuntimeError) and 'initialize backend' in line:
    return f'JAX cannot start: {line}.'
  # A broken installation, little memory, or a variable that JAX reads.
  places = [each.filename for each in traceback.extract_tb(error.__traceback__)]
  begins = any(place.startswith('<frozen importlib') for place in places)
  # Debian calls the folder of libraries dist-packages.
  is_library = [
    '-packages' in place
    for place in places
    if '-packages' in place or not place.startswith((_PYTHON, '<'))
  ]
  if begins and is_library[-1]:
    if isinstance(error, ImportError | ValueError):
      return f'a library cannot be imported: {line}.'
  return ''


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='mejax',
    description='Facial micro-expression recognition in JAX: every fold of a '
    'leave-one-subject-out experiment in one program, reported honestly.',
    epilog='Start with `mejax demo`; `mejax VERB --help` teaches a verb.',
    formatter_class=overview.ByTask,
  )
  parser.add_argument(
    '--version', action='version', version=f'mejax {mejax.__version__}'
  )
  parser.add_argument(
    '--completion',
    action=overview.Completion,
    choices=overview.SHELLS,
    metavar='SHELL',
    help=f'print the completion for {", ".join(overview.SHELLS)}',
  )
  verbs = parser.add_subparsers(
    title='verbs', dest='verb', metavar='VERB', required=True
  )
  learning.add_demo(verbs)
  data.add_render(verbs)
  spotting.add_film(verbs)
  data.add_check(verbs)
  data.add_prepare(verbs)
  data.add_inspect(verbs)
  spotting.add_spot(verbs)
  spotting.add_score_spotting(verbs)
  predicting.add_predict(verbs)
  learning.add_train(verbs)
  forecasting.add_forecast(verbs)
  learning.add_pretrain(verbs)
  search.add_sweep(verbs)
  learning.add_convert(verbs)
  learning.add_pack(verbs)
  learning.add_evaluate(verbs)
  scores.add_report(verbs)
  scores.add_score(verbs)
  return parser
