"""Helpers for the verbs of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import pathlib


def add_verb(
  verbs,
  name: str,
  call,
  *,
  text: str,
  example: str,
  more: Callable[[], str] | None = None,
):
  """Adds a verb with its one-line description and an example to copy.

  Args:
    verbs: the subparsers of `argparse` to which the verb is added.
    name: the verb.
    call: the function that carries it out.
    text: one line of description.
    example: commands to copy, and notes on them.
    more: returns the rest of the help, if that needs slow imports; it is called
      only when somebody asks for help.
  """
  verb = verbs.add_parser(
    name,
    help=text,
    description=text,
    epilog='example:\n' + example,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
    add_help=False,
  )
  verb.add_argument(
    '-h',
    '--help',
    action=_Help,
    nargs=0,
    const=more,
    help='show this help and exit',
  )
  verb.set_defaults(call=call)
  verb.add_argument(
    '--debug', action='store_true', help='show where an error came from'
  )
  return verb


class _Help(argparse.Action):
  """Prints the help of a verb, with the part that `more` returns."""

  def __call__(self, parser, namespace, values, option_string=None):
    del namespace, values, option_string
    if self.const:
      parser.epilog += self.const()
    parser.print_help()
    parser.exit()


def add_folder(verb, flag: str, text: str, default: str | None = None) -> None:
  verb.add_argument(
    flag,
    type=pathlib.Path,
    metavar='DIR',
    default=default and pathlib.Path(default),
    required=default is None,
    help=text + (f' (default: {default})' if default else ''),
  )


def add_trust(verb, whose: str) -> None:
  verb.add_argument(
    '--trust_code',
    action='store_true',
    help=f'run code that only {whose} names, as package.module:name; needed for'
    ' runs with a model or view of your own, and unwise for runs of strangers',
  )


def add_spotter(verb) -> None:
  """Adds the flags that choose a network in place of the usual spotter."""
  one = verb.add_mutually_exclusive_group()
  one.add_argument(
    '--network',
    action='store_true',
    help='spot by the network that ships, in place of spotting without'
    ' training: it was trained on rendered people, and is about as good on'
    ' others; its scores are probabilities',
  )
  one.add_argument(
    '--spotter',
    type=pathlib.Path,
    metavar='DIR',
    help='the same by a network of your own: a run of `mejax train --config'
    ' spotter --config.folds=all`, or a folder that `mejax pack` made of it',
  )


def read_spotter(args: argparse.Namespace):
  """Returns the network that `add_spotter` chose; None for none."""
  if not args.network and args.spotter is None:
    return None
  from mejax.experiment.spotting import trained

  return trained.read(args.spotter)


def pair(text: str) -> tuple[str, str]:
  key, equals, value = text.partition('=')
  if not (key and equals):
    raise argparse.ArgumentTypeError(f'{text!r} is not like KEY=VALUE')
  return key, value
