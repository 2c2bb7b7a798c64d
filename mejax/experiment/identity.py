"""Describes a user's own objects, so that a run recognises them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import inspect
from typing import Any

from flax import linen as nn


def describe(thing: Any) -> Any:
  """Describes an object by JSON values that are the same in every process.

  Functions and classes are described by their name and a hash of their source.
  A run is therefore not resumed, nor its result shown, with a function that has
  changed since.
  """
  if isinstance(thing, str | int | float | bool | None):
    return thing
  if isinstance(thing, dict):
    return {str(key): describe(value) for key, value in thing.items()}
  if isinstance(thing, list | tuple):
    return [describe(value) for value in thing]
  if isinstance(thing, functools.partial):
    parts = [thing.func, thing.args, thing.keywords]
    return {'partial': describe(parts)}
  if isinstance(thing, nn.Module):
    fields = {
      field.name: describe(getattr(thing, field.name))
      for field in dataclasses.fields(thing)
      if field.name not in ('parent', 'name')
    }
    return {'module': describe(type(thing)), **fields}
  if inspect.isfunction(thing) or inspect.isclass(thing):
    name = f'{thing.__module__}:{thing.__qualname__}'
    return f'{name} {hashlib.sha256(_source(thing)).hexdigest()[:12]}'
  if dataclasses.is_dataclass(thing):
    fields = [
      (field.name, getattr(thing, field.name))
      for field in dataclasses.fields(thing)
    ]
    return {'instance': describe([type(thing), dict(fields)])}
  return repr(thing)


def _source(thing: Any) -> bytes:
  with contextlib.suppress(OSError, TypeError):
    # Code of `exec` has no file, but for Python 3.13 that of `python -c`.
    if inspect.getfile(thing) != '<string>':
      return inspect.getsource(thing).encode()
  # Without a text, as at a prompt, the compiled code stands in for it.
  functions = vars(thing).values() if inspect.isclass(thing) else [thing]
  codes = [f.__code__ for f in functions if inspect.isfunction(f)]
  return b''.join(c.co_code + repr(c.co_names).encode() for c in codes)
