"""Compares JSON values and arrays from anywhere with what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What `check` takes: a type or several; a list of one form, that of each item;
# {'key': form}, in which `key?` may be absent and others may be there too; or
# {str: form}, the form of all values.
Form = Any

NUMBER = (int, float)
_WORDS = {
  str: 'a text', int: 'an integer', float: 'a number', bool: 'true or false',
  type(None): 'null', dict: 'an object', list: 'a list',
}  # fmt: skip
_SHOWN = 60


def check(content: Any, form: Form, name: str = '') -> None:
  """Raises an error if JSON values do not have a form.

  Args:
    content: the values.
    form: see `Form`.
    name: what the message calls them; '' for the content of a file.

  Raises:
    ValueError: they differ; the message says where, what is there and what was
      expected.
  """
  if isinstance(form, list):
    _check_type(content, list, name)
    for i, value in enumerate(content):
      check(value, form[0], f'{name}[{i}]')
  elif isinstance(form, Mapping):
    _check_type(content, dict, name)
    if str in form:
      form = dict.fromkeys(content, form[str])
    for key, each in form.items():
      below = f'{name}.{key.removesuffix("?")}'.lstrip('.')
      if key.removesuffix('?') in content:
        check(content[key.removesuffix('?')], each, below)
      elif not key.endswith('?'):
        raise ValueError(f'{below} is missing')
  else:
    _check_type(content, form, name)


def check_arrays(
  arrays: Mapping[str, Any], form: Mapping[str, tuple[str, str]]
) -> dict[str, int]:
  """Raises an error if arrays do not have a form, or do not fit each other.

  Args:
    arrays: NumPy arrays by name; others may be there, too.
    form: for each name the kinds of types (`numpy.dtype.kind`) and a letter for
      each axis; axes of one letter have one size. A `name?` may be absent.

  Returns:
    The size of each letter.

  Raises:
    ValueError: an array is missing, or has another type or shape.
  """
  sizes: dict[str, int] = {}
  for key, (kinds, axes) in form.items():
    name = key.removesuffix('?')
    array = arrays.get(name)
    if array is None:
      if key == name:
        raise ValueError(f'{name} is missing')
      continue
    fits = array.ndim == len(axes) and array.dtype.kind in kinds
    if not fits or any(
      sizes.setdefault(axis, size) != size
      for axis, size in zip(axes, array.shape, strict=True)
    ):
      raise ValueError(
        f'{name} is {array.dtype}{list(array.shape)}, which does not fit the'
        ' other arrays'
      )
  return sizes


def _check_type(content: Any, kinds: Any, name: str) -> None:
  kinds = kinds if isinstance(kinds, tuple) else (kinds,)
  # In Python, true is an integer.
  if type(content) in kinds:
    return
  shown = repr(content)
  if len(shown) > _SHOWN:
    shown = f'{shown[:_SHOWN]}...'
  words = ' or '.join(dict.fromkeys(_WORDS[kind] for kind in kinds))
  raise ValueError(f'{name or "it"} is {shown}; expected {words}')
