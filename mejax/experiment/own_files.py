"""Imports Python files of which one function is called: configs and spaces."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import importlib.util
import pathlib
import traceback
import types

from mejax import own_code


def load(
  path: pathlib.Path, *, function: str, what: str, shipped: pathlib.Path
) -> types.ModuleType:
  """Imports a file, which runs its code.

  Args:
    path: the file.
    function: name of the function that it must have.
    what: the kind of file, for messages.
    shipped: the folder of those that ship with mejax.

  Raises:
    ValueError: it is no Python file, fails, or lacks the function.
  """
  spec = importlib.util.spec_from_file_location(path.stem, path)
  if spec is None:
    raise ValueError(f'{path} is not a Python file, as a {what} must be.')
  module = importlib.util.module_from_spec(spec)
  if path.parent != shipped:
    own_code.open_folders()  # A file of the user's may import code beside it.
  with running(path, function=function, what=what):
    spec.loader.exec_module(module)
  if not hasattr(module, function):
    raise ValueError(f'{path} is no {what}: it has no function {function}().')
  return module


@contextlib.contextmanager
def running(path: pathlib.Path, *, function: str, what: str) -> Iterator[None]:
  """Says in one sentence what is wrong with a file whose code fails.

  Raises:
    ValueError: the code raises an error, or ends the process.
  """
  try:
    yield
  except (Exception, SystemExit) as error:
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, ValueError) and frames[-1].name == function:
      raise  # Meant for the user.
    lines = [each.lineno for each in frames if each.filename == str(path)]
    line = getattr(error, 'lineno', None) or (lines or [None])[-1]
    where = f'line {line}: ' if line else ''
    raise ValueError(
      f'the {what} {path} fails: {where}{type(error).__name__}: {error}'
    ) from error
