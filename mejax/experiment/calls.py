"""Keeps a folder of results for one call, so that no other replaces them.

A call is described beside its results. The same call goes on, or writes them
anew; one with other options is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import json
import os
import pathlib
from typing import Any

from mejax import files
from mejax.corpora import recordings as recordings_lib

FILE = 'call.json'
_HINT = 'Repeat that call, or choose another --out.'


def paths_of(recordings: recordings_lib.Paths) -> list[str]:
  """Returns the recordings of a call as JSON values, in any working folder."""
  paths = recordings_lib.listed(recordings)
  return sorted(os.path.realpath(path) for path in paths)


def check(
  out: pathlib.Path, asked: Mapping[str, Any], results: Sequence[str]
) -> None:
  """Refuses a folder that holds the results of another call.

  Args:
    out: the folder; it need not exist.
    asked: the options of this call, as JSON values.
    results: names of the files that would be replaced.

  Raises:
    ValueError: it does; the message lists every option that differs.
    OSError: nothing can be written there.
  """
  files.check_writable(out, flag='--out')
  if (out / FILE).exists():
    there = files.read_json(out / FILE, hint=f'Delete it. {_HINT}')
    files.refuse_other(
      out, there, asked, what='a call with other options', hint=_HINT
    )
  elif strange := [name for name in results if (out / name).exists()]:
    raise ValueError(
      f'{out} holds {" and ".join(strange)} of something else, which would be'
      ' replaced. Choose another --out.'
    )


def note(out: pathlib.Path, asked: Mapping[str, Any]) -> None:
  """Notes whose results a folder holds."""
  with files.writing(out / FILE) as file:
    json.dump(asked, file, indent=2)
