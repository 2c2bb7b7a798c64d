"""Keeps the signals of a recording, from which candidates come in a second."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import pathlib

import numpy as np

from mejax import files
from mejax.motion.spotting.tracks import Tracks

# Signals that an older program kept are made again.
_FORMAT = 1


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
    values = files.read_npz(path, hint='delete it, and it is made again')
    told = int(values.pop('format', 0)), str(values.pop('source', ''))
    if told == (_FORMAT, source):
      plain = {name: float(values.pop(name)) for name in ('fps', 'eyes')}
      return Tracks(**values, **plain)
  tracks = make()
  path.parent.mkdir(parents=True, exist_ok=True)
  values = {
    field.name: getattr(tracks, field.name)
    for field in dataclasses.fields(tracks)
  }
  with files.writing(path, 'wb') as file:
    np.savez(file, format=_FORMAT, source=source, **values)
  return tracks
