"""No benchmark calls a function in a way that the function no longer has.

Most take minutes or wait for data, so nobody runs them after each change. What
is checked are functions and classes of modules, not methods.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pathlib

import pytest

HERE = pathlib.Path(__file__).parent
NAMES = sorted(
  path.stem for path in HERE.glob('*.py') if 'test_' not in path.stem
)
OURS = ('mejax', 'tests')


def resolve(node: ast.expr, names: dict):
  """What a name of a module stands for; None if it is not ours."""
  if isinstance(node, ast.Name):
    return names.get(node.id)
  if isinstance(node, ast.Attribute):
    owner = resolve(node.value, names)
    if inspect.ismodule(owner) and owner.__name__.split('.')[0] in OURS:
      return getattr(owner, node.attr)
  return None


def bind(call: ast.Call, called) -> None:
  """Raises TypeError if the arguments do not fit; stars may hold any."""
  signature = inspect.signature(called)
  args = [each for each in call.args if not isinstance(each, ast.Starred)]
  words = {each.arg: each.value for each in call.keywords if each.arg}
  whole = len(args) == len(call.args) and len(words) == len(call.keywords)
  (signature.bind if whole else signature.bind_partial)(*args, **words)


def names_of(name: str, tree: ast.AST) -> dict:
  """The names of a benchmark, and those that its functions import."""
  names = dict(vars(importlib.import_module(f'tests.benchmarks.{name}')))
  for node in ast.walk(tree):
    if isinstance(node, ast.ImportFrom) and node.module.split('.')[0] in OURS:
      for each in node.names:
        module = importlib.import_module(node.module)
        if not hasattr(module, each.name):
          importlib.import_module(f'{node.module}.{each.name}')
        names[each.asname or each.name] = getattr(module, each.name)
  return names


@pytest.mark.parametrize('name', NAMES)
def test_the_calls_of_a_benchmark_fit_what_they_call(name):
  tree = ast.parse((HERE / f'{name}.py').read_text(encoding='utf-8'))
  try:
    names = names_of(name, tree)
  except ModuleNotFoundError as error:
    if error.name.split('.')[0] in OURS:
      raise
    pytest.skip(f'needs {error.name}')
  for node in ast.walk(tree):
    called = resolve(node.func, names) if isinstance(node, ast.Call) else None
    # What jax or functools has made of a function has its signature, too.
    if callable(called) and called.__module__.split('.')[0] in OURS:
      try:
        bind(node, called)
      except TypeError as error:
        pytest.fail(f'{name}.py, line {node.lineno}: {error}')


def test_a_call_that_does_not_fit_would_be_found():
  def called(one, *, two):
    del one, two

  good, bad, open_ = (
    ast.parse(text, mode='eval').body
    for text in ('f(1, two=2)', 'f(1, 2)', 'f(1, **x)')
  )
  bind(good, called)
  bind(open_, called)
  with pytest.raises(TypeError, match='too many positional'):
    bind(bad, called)
