"""What all verbs of the command line are made with."""

from __future__ import annotations

import argparse
import pathlib


def add_verb(verbs, name: str, call, *, text: str, example: str):
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


def add_folder(verb, flag: str, text: str, default: str | None = None) -> None:
  verb.add_argument(
    flag,
    type=pathlib.Path,
    metavar='DIR',
    default=default and pathlib.Path(default),
    required=default is None,
    help=text + (f' (default: {default})' if default else ''),
  )


def pair(text: str) -> tuple[str, str]:
  key, equals, value = text.partition('=')
  if not (key and equals):
    raise argparse.ArgumentTypeError(f'{text!r} is not like KEY=VALUE')
  return key, value
