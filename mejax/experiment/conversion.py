"""Converts PyTorch checkpoints of an original model to mejax.

A conversion writes a folder

    model.json   describes the model and the source of its weights
    params/      its parameters and other variables

or, from several files, a folder with one of these folders for each file, under
the name of the file: one model for each held-out group. `saved.read_models`
reads both.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import hashlib
import json
import os
import pathlib
from typing import Any

from mejax import files as files_lib
from mejax import limits
from mejax import models
from mejax.experiment import workdir as workdir_lib
from mejax.models import convert as convert_lib
from mejax.models import originals
from mejax.training import checkpoint

SCHEMA_VERSION = 1
_AGAIN = 'Delete the folder and convert the models again.'


def convert(
  name: str,
  files: Sequence[str | os.PathLike],
  out: str | os.PathLike,
  *,
  preset: str | None = None,
  fields: Mapping[str, Any] | None = None,
) -> pathlib.Path:
  """Converts PyTorch checkpoints of an original model to mejax.

  The folder appears whole or not at all. The same call a second time does
  nothing.

  Args:
    name: a name of `originals.ORIGINALS`.
    files: one `.pth` file, or one for each subject that was held out.
    out: the folder to write; see the docstring of this module.
    preset: preset of the mejax model; the published one by default.
    fields: fields of the mejax model that differ from the preset's.

  Returns:
    The folder.

  Raises:
    ValueError: a file does not fit the model, two files have the same name, or
      the folder holds something else.
    OSError: a file cannot be read.
  """
  files, out = [pathlib.Path(file) for file in files], pathlib.Path(out)
  stems = [file.stem for file in files]
  if twice := {stem for stem in stems if stems.count(stem) > 1}:
    raise ValueError(
      f'several files are named {", ".join(sorted(twice))}; the name says who'
      ' was held out, so each file needs another name.'
    )
  if name not in originals.ORIGINALS:
    known = ', '.join(originals.ORIGINALS)
    raise ValueError(f'{name!r} cannot be converted; {known} can.')
  wanted = {
    '' if len(files) == 1 else file.stem: _describe(name, file, preset, fields)
    for file in files
  }
  if out.exists():
    if read_descriptions(out) == wanted:
      print(f'{out} holds these weights already.')
      return out
    files_lib.refuse_other(
      out,
      read_descriptions(out),
      wanted,
      what='something else',
      hint='Name another folder.',
    )
  unused: dict[str, None] = {}
  with files_lib.replacing(out) as part:
    for (folder, description), file in zip(wanted.items(), files, strict=True):
      converted = convert_lib.from_pth(
        name, file, preset=preset, **(fields or {})
      )
      _write(part / folder, description, converted)
      unused |= dict.fromkeys(converted.unused)
  if unused:
    print(f'Left out, because the model never reads them: {", ".join(unused)}')
  print(f'{len(files)} model(s) of {name} in {out}')
  return out


def _write(folder, description, converted) -> None:
  folder.mkdir(exist_ok=True)
  checkpoint.save_tree(folder / 'params', converted.variables)
  workdir_lib.write_json(folder / 'model.json', description)


def _describe(name, file, preset, fields) -> dict[str, Any]:
  """Returns the content of model.json, equal for equal weights and models."""
  original, fields = originals.ORIGINALS[name], dict(fields or {})
  preset = preset or original.preset
  num_classes = models.make(name, preset, **fields).num_classes
  numbers = tuple(map(str, range(num_classes)))
  config, classes = next(
    (
      form for form in original.published.items() if len(form[1]) == num_classes
    ),
    (next(iter(original.published)), numbers),
  )
  with limits.open_file(file) as content:
    digest = hashlib.file_digest(content, 'sha256').hexdigest()
  description = {
    'schema_version': SCHEMA_VERSION,
    'model': name,
    'preset': preset,
    'fields': fields,
    'num_classes': num_classes,
    'classes': classes,
    'config': config,
    'caution': original.caution,
    'source': {'file': file.name, 'sha256': digest},
  }
  return json.loads(json.dumps(description))


def read_descriptions(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
  """Reads the model.json of each model in a folder; a single one is ''."""
  if (folder / 'model.json').exists():
    return {'': files_lib.read_json(folder / 'model.json', hint=_AGAIN)}
  return {
    path.parent.name: files_lib.read_json(path, hint=_AGAIN)
    for path in sorted(folder.glob('*/model.json'))
  }
