"""Keeps the signals of a recording, from which candidates come in a second."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import pathlib

import numpy as np

from mejax import files
from mejax import forms
from mejax.motion.spotting.tracks import Tracks

# Signals that an older program kept are made again.
FORMAT = 2
_MAKERS = '`mejax film` or `mejax score_spotting`, called again,'
_AGAIN = f'Delete it; {_MAKERS} makes it anew.'
_ARRAYS = {
  'numbers': ('f', 't'),
  'motion': ('f', 'trd'),
  'lids': ('f', 'td'),
  'head': ('f', 't'),
  'light': ('f', 't'),
  'shot': ('i', 't'),
  'fps': ('f', ''),
  'eyes': ('f', ''),
}


def read(path: pathlib.Path) -> Tracks:
  """Returns the signals in a file.

  Raises:
    FileNotFoundError: there is none.
    ValueError: the file is damaged, or of an older program.
  """
  if not path.exists():
    raise FileNotFoundError(f'{path} is missing: {_MAKERS} makes it')
  tracks, (version, _) = _read(path)
  if version != FORMAT:
    raise ValueError(
      f'{path} was written by another mejax: {_MAKERS} makes it anew'
    )
  return tracks


def kept(
  path: pathlib.Path, make: Callable[[], Tracks], *, source: str
) -> Tracks:
  """Returns the signals in a file, which is made if it is not there.

  Args:
    path: the file, `.npz`.
    make: follows the recording.
    source: what the signals are of; those of another one are made again.

  Raises:
    ValueError: the file is damaged.
  """
  if path.exists():
    tracks, told = _read(path)
    if told == (FORMAT, source):
      return tracks
  tracks = make()
  path.parent.mkdir(parents=True, exist_ok=True)
  values = {
    field.name: getattr(tracks, field.name)
    for field in dataclasses.fields(tracks)
  }
  with files.writing(path, 'wb') as file:
    np.savez(file, format=FORMAT, source=source, **values)
  return tracks


def _read(path: pathlib.Path) -> tuple[Tracks, tuple[int, str]]:
  values = files.read_npz(path, hint=_AGAIN)
  told = int(values.pop('format', 0)), str(values.pop('source', ''))
  with files.reading(path, hint=_AGAIN):
    forms.check_arrays(values, _ARRAYS)
  plain = {name: float(values[name]) for name in ('fps', 'eyes')}
  return Tracks(**{name: values[name] for name in _ARRAYS} | plain), told
