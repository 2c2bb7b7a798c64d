"""Imports what somebody names as `package.module:name`, if he means it.

To import such a name runs code. Whoever types it, on the command line, in
Python or in a config file, wants that. A name that merely stands in a file of a
run or a dataset may be a stranger's, so whatever reads such a file first gives
its content to `refuse_strange`, which knows all names that `load` takes.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import importlib
import os
import re
import sys
from typing import Any

# What to do with code that may be a stranger's.
TRUST = (
  'If you know this code and trust it, add --trust_code; in Python,'
  ' trust_code=True.'
)
_OWN = re.compile(r'[\w.]+:\w+')
# Where those parts of mejax lie that a config can name.
_SHIPPED = re.compile(
  r'mejax\.(models(\.[^\W_]\w*)*|datasets\.(views|protocols)|evaluation\.selection'
  r'|training\.(optimizer|schedule)):[^\W_]\w*'
)
# Where the command line was called; `load` looks there too.
_folders: list[str] = []


def is_name(spec: Any) -> bool:
  """Returns whether a value is a name that `load` takes."""
  return isinstance(spec, str) and _OWN.fullmatch(spec) is not None


def load(spec: str, what: str) -> Any:
  """Imports the object of a name, which runs the code of its module.

  Args:
    spec: `package.module:name`.
    what: the kind of object, for messages.

  Raises:
    ValueError: it is no such name, or cannot be imported.
  """
  if not is_name(spec):
    raise ValueError(f'{what} {spec!r} is not like package.module:name.')
  module, _, name = spec.partition(':')
  open_folders()
  try:
    return getattr(importlib.import_module(module), name)
  except (ImportError, AttributeError) as error:
    raise ValueError(
      f'{what} {spec!r} cannot be imported: {error}. Run the command in the'
      ' folder of that module, or add the folder to PYTHONPATH.'
    ) from error


def look_in(folder: str | os.PathLike) -> None:
  """Lets `load` look in a folder, after all other places.

  The folder is opened only when somebody's code is imported. Until then a file
  in it, for example one with the name of an optional library, is not imported.
  """
  folder = os.path.abspath(folder)
  if folder not in _folders:
    _folders.append(folder)


def folders() -> list[str]:
  """Returns the folders of `look_in`, for a process that shall have them."""
  return list(_folders)


def open_folders() -> None:
  """Opens the folders of `look_in` for the code that is imported next."""
  sys.path.extend(each for each in _folders if each not in sys.path)


def refuse_strange(
  content: Any,
  *,
  where: str | os.PathLike,
  given: Collection[str] = (),
  trust_code: bool = False,
  hint: str = TRUST,
) -> None:
  """Refuses content of a file that names code, unless somebody consents.

  Names of the models, views, protocols, ... of mejax need no consent.

  Args:
    content: JSON values.
    where: the file.
    given: names that the user has given himself; see `names_in`.
    trust_code: whether the user trusts all names in the file.
    hint: what to do.

  Raises:
    ValueError: the content holds other names; the message lists them.
  """
  strange = [
    spec
    for spec in names_in(content)
    if spec not in given and not _SHIPPED.fullmatch(spec)
  ]
  if strange and not trust_code:
    refuse(strange, where=where, hint=hint)


def refuse(
  strange: Collection[str], *, where: str | os.PathLike, hint: str = TRUST
) -> None:
  """Raises the error that explains why code is not run, and how to run it."""
  raise ValueError(
    f'{where} names code, which would be imported and run:'
    f' {", ".join(strange)}. Nothing was imported, because a file from somebody'
    f' else can name anything. {hint}'
  )


def flags_in(config: Mapping[str, Any]) -> list[str]:
  """Lists `--config.key=value` for each value that names somebody's code.

  Args:
    config: JSON values of a config.
  """
  flags = []
  for key, value in config.items():
    if isinstance(value, Mapping):
      inner = flags_in(value)
      flags += [each.replace('.', f'.{key}.', 1) for each in inner]
    elif any(not _SHIPPED.fullmatch(name) for name in _walk(value)):
      text = value if isinstance(value, str) else ','.join(map(str, value))
      flags.append(f'--config.{key}={text}')
  return flags


def names_in(content: Any) -> list[str]:
  """Lists the names of code in JSON values, each once.

  A string `key=value`, as the command line takes it, counts for its value.
  """
  return list(dict.fromkeys(_walk(content)))


def _walk(content: Any) -> Iterator[str]:
  if isinstance(content, str):
    value = content.rpartition('=')[2]
    yield from (part for part in value.split(',') if is_name(part))
  elif isinstance(content, Mapping):
    for value in content.values():
      yield from _walk(value)
  elif isinstance(content, list | tuple):
    for value in content:
      yield from _walk(value)
