"""Models that have learnt: those of a run, and weights of the originals.

A run keeps them in its `checkpoints/`. A conversion writes a folder

    model.json   what the model is, and where its weights come from
    params/      its parameters and other variables

or, from several files, a folder of such folders, each with the name of its
file: one model for each held-out group.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
from typing import Any

from flax import linen as nn
from jaxtyping import PyTree
import ml_collections
import numpy as np

from mejax import files as files_lib
from mejax import models
from mejax.experiment import configuration
from mejax.experiment import planning
from mejax.experiment import workdir as workdir_lib
from mejax.models import convert as convert_lib
from mejax.models import originals
from mejax.training import checkpoint
from mejax.training import folds as folds_lib

SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Saved:
  """Models that have learnt, and the data that they are meant for.

  Attributes:
    model: the module of all of them.
    load: from a seed and a name to the variables of a model.
    seeds: the seeds there are.
    names: for each model, whom it held out; None if one model serves all, of
      which nobody can say what it has seen.
    config: names the dataset, protocol and view.
    classes: a word for each output.
    epoch: epochs that they were trained; 0 if that is not known.
    test_mirror: share of the mirrored clip in a prediction.
    caution: of weights from elsewhere, how they were chosen.
    parts: of a run that left people out in parts, from each group to the name
      of the part that held it out.
  """

  model: nn.Module
  load: Callable[[int, str], PyTree]
  seeds: tuple[int, ...]
  names: tuple[str, ...] | None
  config: ml_collections.ConfigDict
  classes: tuple[str, ...]
  epoch: int = 0
  test_mirror: float = 0.0
  caution: str = ''
  parts: Mapping[str, str] = dataclasses.field(default_factory=dict)


def convert(
  name: str,
  files: Sequence[str | os.PathLike],
  out: str | os.PathLike,
  *,
  preset: str | None = None,
  fields: Mapping[str, Any] | None = None,
) -> pathlib.Path:
  """Writes weights of an original, in files of PyTorch, as ours.

  The folder appears whole or not at all. A second time nothing is done.

  Args:
    name: of `originals.ORIGINALS`.
    files: one `.pth` file, or one for each subject that was held out.
    out: the folder; see the head of this module.
    preset: of our model; the published one by default.
    fields: of our model, in place of the preset's.

  Returns:
    The folder.

  Raises:
    ValueError: a file does not fit, two files have one name, or the folder
      holds something else.
    OSError: a file cannot be read.
  """
  files, out = [pathlib.Path(file) for file in files], pathlib.Path(out)
  stems = [file.stem for file in files]
  if twice := {stem for stem in stems if stems.count(stem) > 1}:
    raise ValueError(
      f'several files are named {", ".join(sorted(twice))}; the name tells who'
      ' was held out, so each must have its own.'
    )
  if name not in originals.ORIGINALS:
    known = ', '.join(originals.ORIGINALS)
    raise ValueError(f'{name!r} cannot be converted; {known} can.')
  wanted = {
    '' if len(files) == 1 else file.stem: _describe(name, file, preset, fields)
    for file in files
  }
  if out.exists():
    if _descriptions(out) == wanted:
      print(f'{out} holds these weights already.')
      return out
    files_lib.refuse_other(
      out,
      _descriptions(out),
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
    print(f'Left out, the original never reads them: {", ".join(unused)}')
  print(f'{len(files)} model(s) of {name} in {out}')
  return out


def _write(folder, description, converted) -> None:
  folder.mkdir(parents=True, exist_ok=True)
  checkpoint.save_tree(folder / 'params', converted.variables)
  workdir_lib.write_json(folder / 'model.json', description)


def _describe(name, file, preset, fields) -> dict[str, Any]:
  """What model.json says; equal for equal weights of an equal model."""
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
  with file.open('rb') as content:
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


def _descriptions(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
  """The model.json of each model in a folder; of a lone one under ''."""
  if (folder / 'model.json').exists():
    return {'': json.loads((folder / 'model.json').read_text())}
  return {
    path.parent.name: json.loads(path.read_text())
    for path in sorted(folder.glob('*/model.json'))
  }


def read(folder: str | os.PathLike, model: nn.Module | None = None) -> Saved:
  """The models of a finished run, or of a folder that `convert` wrote.

  Of a run these are the models of the outer folds after their last epoch; of
  several settings those of the first.

  Args:
    folder: see the head of this module.
    model: the module of a run that was trained with an object of a user's own.

  Raises:
    ValueError: the folder holds neither, the run is not finished, or it kept
      no models.
  """
  folder = pathlib.Path(folder)
  if (folder / 'record.npz').exists():
    return _read_run(folder, model)
  if descriptions := _descriptions(folder):
    return _read_converted(folder, descriptions)
  raise ValueError(
    f'{folder} holds neither a finished run (record.npz) nor converted models'
    ' (model.json, as `mejax convert` writes it).'
  )


def _read_converted(folder, descriptions) -> Saved:
  first, *others = (
    {key: value for key, value in each.items() if key != 'source'}
    for each in descriptions.values()
  )
  if first['schema_version'] != SCHEMA_VERSION:
    raise ValueError(
      f'{folder} was written by a mejax with schema {first["schema_version"]};'
      f' this one reads {SCHEMA_VERSION}.'
    )
  if any(other != first for other in others):
    raise ValueError(
      f'the models in {folder} are not alike; convert them anew.'
    )

  @functools.lru_cache(maxsize=1)
  def load(name: str) -> PyTree:
    return checkpoint.load_tree(folder / name / 'params')

  alone = '' in descriptions
  return Saved(
    model=models.make(first['model'], first['preset'], **first['fields']),
    load=lambda seed, name: load('' if alone else name),
    seeds=(0,),
    names=None if alone else tuple(descriptions),
    config=configuration.load_config(first['config']),
    classes=tuple(first['classes']),
    caution=first['caution'],
  )


def _read_run(workdir, model) -> Saved:
  config = ml_collections.ConfigDict(
    json.loads((workdir / 'config.json').read_text())
  )
  record = workdir_lib.load_npz(workdir / 'record.npz')
  classes = tuple(record['class_names'].tolist())
  if model is None:
    if 'name' not in config.model:
      raise ValueError(
        f'{workdir} was trained with a model of your own. Call'
        ' mejax.experiment.evaluate with that model.'
      )
    model = planning.make_model(config, len(classes))
  names = record['fold_names'].tolist()
  chosen = (record['inner'] < 0) & (
    record['setting'] == record['setting'].min()
  )
  trials = {
    (int(record['seed'][trial]), names[record['fold'][trial]]): trial
    for trial in np.flatnonzero(chosen).tolist()
  }
  run = json.loads((workdir / 'run.json').read_text())
  size = run['placement']['round_size']

  # Trials come in the order of their seeds: a round is not read often.
  @functools.lru_cache(maxsize=1)
  def variables(number: int) -> dict[str, PyTree]:
    tree = checkpoint.Round(workdir, number).model()
    if tree is None:
      raise ValueError(
        f'{workdir} kept no models; train again with --config.keep_models=True.'
      )
    return {'params': tree['params'], **tree['collections']}

  def load(seed: int, name: str) -> PyTree:
    number, row = divmod(trials[seed, name], size)
    return _row(variables(number), row)

  seeds = tuple(sorted({seed for seed, _ in trials}))
  return Saved(
    model,
    load,
    seeds,
    tuple(names),
    config,
    classes,
    epoch=int(record['epochs'][-1]),
    test_mirror=planning.make_settings(config)[0].test_mirror,
    parts=_parts(record['groups'], config.get('num_folds', 0)),
  )


def _parts(groups: np.ndarray, num_folds: int) -> dict[str, str]:
  """Group -> the part that held it out; empty if each was left out alone.

  Of the people of the run: other data would be dealt in another way, and a part
  of the same name would have been trained on them.
  """
  if not num_folds:
    return {}
  parts = folds_lib.left_out_together(groups, num_folds)
  return dict(zip(groups.tolist(), parts.tolist(), strict=True))


def _row(tree: PyTree, row: int) -> PyTree:
  """Entry `row` of the leading axis of nested dicts of arrays."""
  if isinstance(tree, dict):
    return {key: _row(value, row) for key, value in tree.items()}
  return tree[row]


def match(groups: Sequence[str], names: Sequence[str]) -> dict[str, str]:
  """Group -> the name of the model that held it out.

  A name is that of the group or of its subject, or ends with it: `s01`,
  `fold_s01` and `smic_s01` all stand for smic/s01.

  Raises:
    ValueError: a group without a model, with several, or one of two with one.
  """
  found, problems = {}, []
  for group in groups:
    for word in (group, group.replace('/', '_'), group.rpartition('/')[2]):
      ending = re.compile(rf'(.*[^0-9A-Za-z])?{re.escape(word)}')
      fitting = [name for name in names if ending.fullmatch(name)]
      if fitting:
        break
    if len(fitting) == 1:
      found[group] = fitting[0]
    else:
      problems.append(f'{group}: {", ".join(fitting) or "none"}')
  for name in names:
    owners = [group for group in found if found[group] == name]
    if len(owners) > 1:
      problems.append(f'{", ".join(owners)}: the same, {name}')
  if problems:
    raise ValueError(
      'each group that is held out needs a model of its own, with the name of'
      ' its subject or a name that ends with it. Found were:\n  '
      + '\n  '.join(problems)
    )
  return found
