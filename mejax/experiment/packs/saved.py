"""Reads trained models: those of a run, converted ones, and saved ones."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import functools
import os
import pathlib
from typing import Any

from flax import linen as nn
import jax
from jaxtyping import PyTree
import ml_collections
import numpy as np

from mejax import files
from mejax import forms
from mejax import models
from mejax import own_code
from mejax.experiment import configuration
from mejax.experiment import conversion
from mejax.experiment import record as record_lib
from mejax.experiment import resolve
from mejax.experiment import schema
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import packed as packed_lib
from mejax.experiment.packs import packed_files
from mejax.experiment.packs import seen as seen_lib
from mejax.training import checkpoint
from mejax.training import folds as folds_lib

# The content of model.json.
_DESCRIPTION = {
  'schema_version': int,
  'model': str,
  'preset': (str, type(None)),
  'fields': dict,
  'classes': [str],
  'config': str,
  'caution': str,
}


@dataclasses.dataclass(frozen=True)
class Saved:
  """Trained models, and the config of their data.

  Attributes:
    model: the module that all of them share.
    load: returns the variables of the model of a seed and a name.
    seeds: the seeds that the models were trained with.
    names: name of each model: the group that it held out; None if one model
      serves all groups, and nobody knows which clips it has seen.
    config: names the dataset, protocol and view.
    classes: name of each output.
    epoch: number of epochs that they were trained; 0 if it is not known.
    test_mirror: weight of the mirrored clip in a prediction.
    caution: for converted models, how their authors chose the weights.
    generated: whether they have seen generated people only, so that anybody's
      clips are held out.
    parts: for a run that left people out in parts, the name of the part that
      held each group out.
    everybody: name of the model that held nobody out, if there is one.
    seen: whom all of the models have seen: those of a saved model, or of the
      model that the training of a run started from.
    units: names of the action units that the models tell.
    trained_on: for a run, its `inputs` and `dataset`, see `running.provenance`;
      empty if they are not known.
    packed: the saved model of `packing.pack`, if it is one; `load` is not
      called then.
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
  generated: bool = False
  parts: Mapping[str, str] = dataclasses.field(default_factory=dict)
  everybody: str | None = None
  seen: seen_lib.Seen = seen_lib.NOBODY
  units: tuple[str, ...] = ()
  trained_on: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  packed: packed_lib.Model | None = None


def read_models(
  folder: str | os.PathLike,
  model: nn.Module | None = None,
  *,
  given: Collection[str] = (),
  replaced: Collection[str] = (),
  trust_code: bool = False,
) -> Saved:
  """Reads the models of a finished run, converted ones, or a saved model.

  For a run these are the models of the outer folds with the first setting,
  after the last epoch.

  Args:
    folder: workdir of a run, or a folder that `conversion.convert` or
      `packing.pack` wrote.
    model: the module, for a run that was trained with your own.
    given: names of code, `package.module:name`, that you have given yourself.
    replaced: further keys of a run's config that you do not use.
    trust_code: whether all code that the files name may be imported and run.

  Raises:
    ValueError: the folder holds none of them, the run is not finished, it names
      code that is not trusted, or it was trained with your own module and
      `model` is missing. `load` raises it for a run that kept no models.
  """
  folder = pathlib.Path(folder)
  files.refuse_links(folder)
  if (folder / 'record.npz').exists():
    config = schema.read_run_config(
      folder,
      given=given,
      replaced=[*replaced, *(['model'] if model is not None else [])],
      trust_code=trust_code,
    )
    return _read_run(folder, config, model)
  if packed_files.is_model(folder):
    return _read_packed(folder, given=given, trust_code=trust_code)
  if descriptions := conversion.read_descriptions(folder):
    own_code.refuse_strange(
      list(descriptions.values()),
      where=folder / 'model.json',
      given=given,
      trust_code=trust_code,
    )
    return _read_converted(folder, descriptions)
  raise ValueError(
    f'{folder} holds neither a finished run (record.npz) nor converted models'
    ' (model.json, as `mejax convert` writes it) nor a saved model (as `mejax'
    ' pack` writes it).'
  )


def _read_packed(folder, *, given, trust_code) -> Saved:
  packed = packed_lib.load_model(folder, given=given, trust_code=trust_code)
  return Saved(
    model=packed.module,
    load=lambda seed, name: packed.params,
    seeds=(0,),
    names=None,
    config=packed.config,
    classes=packed.classes,
    epoch=packed.about['epoch'],
    generated=packed.about['data']['generated'],
    seen=packed.seen,
    units=packed.units,
    packed=packed,
  )


def _read_converted(folder, descriptions) -> Saved:
  for name, each in descriptions.items():
    path = folder / name / 'model.json'
    with files.reading(path, hint='Convert the models again.'):
      forms.check(each, _DESCRIPTION)
  first, *others = (
    {key: value for key, value in each.items() if key != 'source'}
    for each in descriptions.values()
  )
  if first['schema_version'] != conversion.SCHEMA_VERSION:
    raise ValueError(
      f'{folder} was written by a mejax with schema {first["schema_version"]};'
      f' this one reads {conversion.SCHEMA_VERSION}.'
    )
  if any(other != first for other in others):
    raise ValueError(
      f'the models in {folder} are not alike; convert them again.'
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
    config=configuration.load_shipped(first['config']),
    classes=tuple(first['classes']),
    caution=first['caution'],
    seen=seen_lib.Seen(unknown=True),
  )


def _read_run(workdir, config, model) -> Saved:
  if schema.SEARCH in config:
    raise ValueError(
      f'{workdir} is a search, in which each fold has settings of its own, so'
      ' it holds no models of one config. Train the config that you want by'
      ' `mejax train`.'
    )
  if config.folds_over == 'clips':
    raise ValueError(
      f'the folds of {workdir} are over clips: every model has seen other clips'
      ' of the people that it held out, so it is not applied to them.'
    )
  record = record_lib.read_record(workdir)
  classes = tuple(record['class_names'].tolist())
  if model is None:
    if 'name' not in config.model:
      raise ValueError(
        f'The model of {workdir} was handed over in Python, so its files do not'
        ' hold it. mejax.experiment.evaluate takes it as'
        ' model=...; for all else, train again and name the model, as in'
        " model='htnet', model__preset='tiny',"
        " model__attention_fn='my_module:my_function'."
      )
    model = resolve.make_model(config, len(classes))
  names = record['fold_names'].tolist()
  chosen = (record['inner'] < 0) & (
    record['setting'] == record['setting'].min()
  )
  trials = {
    (int(record['seed'][trial]), names[record['fold'][trial]]): trial
    for trial in np.flatnonzero(chosen).tolist()
  }
  run = schema.read_run(workdir)
  size = run['placement']['round_size']

  # Trials lie on disk by seed and fold, and `apply_folds` asks for them in that
  # order, so with one round in memory each is read about once.
  @functools.lru_cache(maxsize=1)
  def variables(number: int) -> dict[str, PyTree]:
    owner = workdir_lib.owner(workdir)
    tree = checkpoint.Round(workdir, number, owner).model()
    if tree is None:
      raise ValueError(
        f'{workdir} kept no models; train again with --config.keep_models=True.'
      )
    return {'params': tree['params'], **tree['collections']}

  def load(seed: int, name: str) -> PyTree:
    # Of generated people only one fold is trained, whose model serves all.
    number, row = divmod(trials[seed, name or names[0]], size)
    return jax.tree.map(lambda x: x[row], variables(number))

  seeds = tuple(sorted({seed for seed, _ in trials}))
  generated = 'generator' in run.get('dataset', {})
  held_out = np.unique(record['fold'][(record['index'] >= 0).any(1)])
  others = sorted(set(range(len(names))) - set(held_out.tolist()))
  return Saved(
    model,
    load,
    seeds,
    None if generated else tuple(names[fold] for fold in held_out.tolist()),
    config,
    classes,
    epoch=int(record['epochs'][-1]),
    test_mirror=resolve.make_settings(config)[0].test_mirror,
    generated=generated,
    parts={} if generated else _parts(record['groups'], config.num_folds),
    everybody=names[others[0]] if others else None,
    seen=seen_lib.from_json(run['init']) if 'init' in run else seen_lib.NOBODY,
    units=tuple(run.get('dataset', {}).get('action_units', ())),
    trained_on={k: run[k] for k in ('inputs', 'dataset') if k in run},
  )


def _parts(groups: np.ndarray, num_folds: int) -> dict[str, str]:
  """Returns, for each group, the part that held it out; {} without parts.

  The groups must be those of the run. With other people the parts would be
  dealt differently, and a model could be applied to people it was trained on.
  """
  if not num_folds:
    return {}
  parts = folds_lib.left_out_together(groups, num_folds)
  return dict(zip(groups.tolist(), parts.tolist(), strict=True))
