"""Makes a saved model of a finished run: weights, people, scores, a card."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import json
import os
import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np

import mejax
from mejax.evaluation import selection
from mejax.evaluation import temperature
from mejax.experiment import finished
from mejax.experiment import record as record_lib
from mejax.experiment import schema
from mejax.experiment import unit_scores
from mejax.experiment.packs import card
from mejax.experiment.packs import exporting
from mejax.experiment.packs import packed
from mejax.experiment.packs import packed_files
from mejax.experiment.packs import recipes
from mejax.experiment.packs import saved as saved_lib
from mejax.experiment.packs import seen as seen_lib
from mejax.experiment.packs.packed import Model
from mejax.experiment.packs.saved import Saved

MEMBERS = ('everybody', 'folds')


def pack(
  run: str | os.PathLike,
  out: str | os.PathLike,
  *,
  members: str = '',
  licences: Sequence[str] = (),
  notes: str = '',
  recipe: Mapping[str, Any] | None = None,
  trust_code: bool = False,
) -> Model:
  """Writes the models of a finished run as one saved model.

  The temperature is fitted on what the run says of the people that each of its
  models held out. An older model in the folder is replaced.

  Args:
    run: workdir of a finished run.
    out: the folder to write.
    members: `everybody`, the models of a run with `folds=all` that hold nobody
      out, one for each seed; or `folds`, the models of all folds and seeds. By
      default the former, if the run has them.
    licences: terms under which the model is given away, beside those that its
      data impose.
    notes: Markdown to add to the card, such as a table of further results.
    recipe: metadata of a dataset as the model shall read it, for a model that
      was trained on generated examples; by default those of the run's dataset.
    trust_code: whether code that the run's config names may be run.

  Returns:
    The model, read again.

  Raises:
    FileNotFoundError: the run is not finished.
    ValueError: a file of the run is damaged, it has no such members, its folds
      divide people, or the folder holds something else.
  """
  run = pathlib.Path(run)
  out = pathlib.Path(os.path.abspath(out))
  packed_files.check_out(out)
  for needed in ('record.npz', 'metrics.json', 'config.json', 'run.json'):
    if not (run / needed).exists():
      raise FileNotFoundError(
        f'{run} has no {needed}: it is not the workdir of a finished run.'
      )
  saved = saved_lib.read_models(run, trust_code=trust_code)
  record = record_lib.read_record(run)
  numbers = finished.read_numbers(run, record)
  told = schema.read_run(run)
  if 'inputs' not in told:
    raise ValueError(
      f'{run} was trained by an older mejax, which did not note what its inputs'
      ' are. Train it again, in another --workdir.'
    )
  if saved.generated and recipe is None:
    print(
      'NOTE: this model was trained on generated examples. Name by --recipe_of'
      ' the prepared dataset whose recipe makes the clips that it shall read.'
    )
  arrays, kept = _stack(saved, _members(saved, members))
  about = {
    'kind': packed_files.KIND,
    'schema_version': packed_files.SCHEMA_VERSION,
    'classes': list(saved.classes),
    'inputs': told['inputs'],
    'config': json.loads(saved.config.to_json_best_effort()),
    'recipe': recipes.told(recipe or told.get('dataset', {})),
    'members': kept,
    'epoch': saved.epoch,
    **_calibrate(record),
    **_units(run, saved, kept),
    'seen': _seen(saved, record).to_json(),
    'data': _describe_data(told, saved, record),
    'scores': _scores(numbers, saved),
    'not_for': list(card.NOT_FOR),
    'licences': _licences(licences, told, record),
    'versions': {**told.get('versions', {}), 'mejax_pack': mejax.__version__},
  }
  _write(out, saved, about, arrays, notes)
  return packed.load_model(out, trust_code=trust_code)


def recipe_of(
  dataset: str | None, data_dir: str | os.PathLike
) -> dict[str, Any] | None:
  """Returns the metadata of a prepared dataset; None if none is named."""
  from mejax.datasets import load

  return load.read_metadata(dataset, data_dir) if dataset else None


def _members(saved: Saved, members: str) -> list[tuple[int, str, bool]]:
  """Returns seed and name of each member, and whether it held nobody out."""
  members = members or ('everybody' if saved.everybody else 'folds')
  if members not in MEMBERS:
    raise ValueError(
      f'members is {members!r}; expected one of {", ".join(MEMBERS)}.'
    )
  if members == 'folds':
    # A single model, as of generated people, has no name.
    names = saved.names or ('',)
    return [(seed, name, False) for seed in saved.seeds for name in names]
  if saved.everybody is None:
    raise ValueError(
      'this run has no model of everybody: train one with --config.folds=all.'
    )
  return [(seed, saved.everybody, True) for seed in saved.seeds]


def _stack(
  saved: Saved, names: Sequence[tuple[int, str, bool]]
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
  """Returns the arrays of all members that did not diverge, and who these are.

  Raises:
    ValueError: all of them diverged.
  """
  trees, kept = [], []
  for seed, name, everybody in names:
    tree = packed.flat(saved.load(seed, name))
    if all(np.isfinite(np.asarray(x, np.float32)).all() for x in tree.values()):
      trees.append(tree)
      kept.append({'seed': seed, 'everybody': everybody})
    else:
      print(f'{name}, seed {seed}, diverged and is left out.')
  if not trees:
    raise ValueError('every member has weights that are not finite.')
  stacked = {
    name: np.stack([np.asarray(tree[name]) for tree in trees])
    for name in trees[0]
  }
  return stacked, kept


def _calibrate(record: selection.Record) -> dict[str, Any]:
  """Fits the temperature on held-out predictions of all seeds together.

  A seed of which any fold diverged tells nothing of the others.
  """
  setting = int(record['setting'].min())
  logits = selection.select(record, 'last', setting=setting).logits
  # Spare outputs stand for no class.
  logits = logits[..., : len(record['class_names'])]
  sound = np.isfinite(logits).all((1, 2))
  if not sound.any():
    raise ValueError(
      'no seed has finite predictions for all held-out clips, from which the'
      ' temperature is fitted.'
    )
  pooled, labels = temperature.pooled(logits[sound]), record['labels']
  sharpness = temperature.sharpness(pooled, labels)
  return {
    'temperature': 1 / sharpness,
    'calibration': {
      'clips': len(labels),
      'loss_before': temperature.loss(pooled, labels),
      'loss': temperature.loss(sharpness * pooled, labels),
    },
  }


def _units(
  run: pathlib.Path, saved: Saved, kept: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
  """Returns the thresholds of action units, the mean of those of the folds."""
  count = getattr(saved.model, 'num_units', 0)
  numbers = unit_scores.read(run) if count else {}
  if not numbers:
    return {}
  chosen = numbers['thresholds']
  if len(numbers['names']) != count:
    raise ValueError(f'{run / unit_scores.FILE} is of another model.')
  if kept[0]['everybody']:
    chosen = {saved.everybody: chosen[saved.everybody]}
  told = {name: numbers[name] for name in ('names', 'mean', 'chosen')}
  told['thresholds'] = np.mean(list(chosen.values()), 0).tolist()
  return {'units': told}


def _seen(saved: Saved, record: selection.Record) -> seen_lib.Seen:
  # Generated people are nobody.
  if saved.generated:
    return saved.seen
  return saved.seen | seen_lib.of(
    *(record[key] for key in ('corpus', 'subject', 'clip'))
  )


def _licences(own: Sequence[str], told, record) -> list[str]:
  """Returns the terms of the giver, of the data and of the model before it."""
  inherited = told.get('init', {}).get('licences', [])
  found = [*own, *card.licences_of(record['corpus']), *inherited]
  return list(dict.fromkeys(found))


def _describe_data(told, saved: Saved, record) -> dict[str, Any]:
  people = seen_lib.people_of(record['corpus'], record['subject'])
  corpora = {}
  for name in np.unique(record['corpus']).tolist():
    mask = record['corpus'] == name
    corpora[name] = {
      'clips': int(mask.sum()),
      'people': len(np.unique(people[mask])),
    }
  return {
    'dataset': str(saved.config.dataset),
    'protocol': str(saved.config.protocol),
    'sha256': told['data_sha256'],
    'generated': saved.generated,
    'corpora': corpora,
  }


def _scores(numbers: Mapping[str, Any], saved: Saved) -> dict[str, Any]:
  """Returns those numbers of a run that its card tells."""
  keep = ('uf1', 'uf1_ci', 'uar', 'uar_ci', 'n', 'subjects', 'warning')

  def short(entries):
    return {
      part: {key: entry[key] for key in keep if key in entry}
      for part, entry in entries.items()
    }

  best = numbers['best_baseline']
  return {
    'protocol': numbers['protocol'],
    'rule': numbers['rules']['last'],
    'seeds': numbers['num_seeds'],
    'settings': len(numbers.get('settings', [0])),
    'epochs': saved.epoch,
    'last': short(numbers['selection']['last']),
    'together': short(numbers['together'].get('last', {})),
    'baselines': {
      name: short(entries)['full']
      | {'last_minus': entries['full']['last_minus']}
      for name, entries in numbers['baselines'].items()
    },
    'best_baseline': best or '',
  }


def _write(out, saved, about, arrays, notes) -> None:
  """Writes the folder, whole or not at all."""
  module = packed.make_module(saved.config, about)
  shapes = packed.variable_shapes(module, about)
  if wrong := [
    name
    for name in sorted(shapes.keys() | arrays.keys())
    if name not in shapes
    or name not in arrays
    or shapes[name].shape != arrays[name].shape
  ]:
    raise ValueError(
      f'the weights of the run do not fit its model: {wrong[0]}.'
    )
  model = Model(out, module, {}, about, saved.config)

  def probabilities(weights, inputs):
    params = packed.unflat(weights)
    return jnp.exp(model.apply(params, inputs))

  told = about['inputs']
  exported = exporting.export(
    probabilities, shapes, shape=told['shape'], dtype=told['dtype']
  )
  packed_files.write(
    out,
    about,
    arrays,
    exported,
    lambda about: card.render(out.name, about, notes),
  )
