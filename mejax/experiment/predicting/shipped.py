"""Finds the model that ships with mejax.

It was trained on generated faces only, so that no licence of a database binds
it. The command that makes it stands in mejax/assets/README.md.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import tempfile

import mejax
from mejax.experiment.packs import packed
from mejax.experiment.packs.packed import Model

FOLDER = pathlib.Path(mejax.__file__).parent / 'assets' / 'recogniser'


def load(
  folder: str | os.PathLike | None = None, *, trust_code: bool = False
) -> Model:
  """Reads a saved model, those of a run, or the one that ships.

  Args:
    folder: what `mejax pack` wrote, or the workdir of a finished run, whose
      models are then used together: those of everybody, or of all folds.
    trust_code: whether code that the folder names may be run.

  Raises:
    FileNotFoundError, ValueError: see `packed.load_model`, `packing.pack`.
  """
  if folder is None:
    return packed.load_model(FOLDER)
  folder = pathlib.Path(folder)
  if not (folder / 'record.npz').exists():
    return packed.load_model(folder, trust_code=trust_code)
  from mejax.experiment.packs import packing

  with tempfile.TemporaryDirectory() as place:
    model = packing.pack(
      folder, pathlib.Path(place) / folder.name, trust_code=trust_code
    )
  return dataclasses.replace(model, folder=folder)  # For messages.
