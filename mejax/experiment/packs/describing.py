"""Describes a saved model: what it reads and says, whom it saw, its scores."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import json
import pathlib
from typing import Any

import numpy as np

import mejax
from mejax.evaluation import selection
from mejax.evaluation import temperature
from mejax.experiment import unit_scores
from mejax.experiment.packs import card
from mejax.experiment.packs import packed_files
from mejax.experiment.packs import recipes
from mejax.experiment.packs import seen as seen_lib
from mejax.experiment.packs.saved import Saved


def describe(
  run: pathlib.Path,
  saved: Saved,
  members: Sequence[Mapping[str, Any]],
  *,
  record: selection.Record,
  numbers: Mapping[str, Any],
  told: Mapping[str, Any],
  licences: Sequence[str],
  recipe: Mapping[str, Any] | None,
) -> dict[str, Any]:
  """Returns the content of `model.json`, but for the digests of files.

  Args:
    run: workdir of the run.
    saved: its models.
    members: seed of each model that is packed, and whether it is `everybody`.
    record: held-out logits, on which the temperature is fitted.
    numbers: the content of `metrics.json`.
    told: the content of `run.json`.
    licences: terms of the giver.
    recipe: metadata of a dataset in place of those of the run's.

  Raises:
    ValueError: no seed has finite predictions, or a file is another model's.
  """
  return {
    'kind': packed_files.KIND,
    'schema_version': packed_files.SCHEMA_VERSION,
    'classes': list(saved.classes),
    'inputs': told['inputs'],
    'config': json.loads(saved.config.to_json_best_effort()),
    'recipe': recipes.told(recipe or told.get('dataset', {})),
    'members': list(members),
    'epoch': saved.epoch,
    **_calibrate(record),
    **_units(run, saved, members),
    'seen': _seen(saved, record).to_json(),
    'data': _describe_data(told, saved, record),
    'scores': _scores(numbers, saved),
    'not_for': list(card.NOT_FOR),
    'licences': _licences(licences, told, record),
    'versions': {**told.get('versions', {}), 'mejax_pack': mejax.__version__},
  }


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
