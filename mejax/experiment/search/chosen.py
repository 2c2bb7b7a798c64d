"""Trains what a search chose for each fold, and writes what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import math
import pathlib
from typing import Any
import warnings

import numpy as np
import optuna
import tqdm

from mejax import files
from mejax.evaluation import bootstrap
from mejax.evaluation import metrics
from mejax.evaluation import search
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.experiment import record as record_lib
from mejax.experiment import running
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.search import journal
from mejax.experiment.search import rounds
from mejax.experiment.search import units
from mejax.experiment.search.proposing import Candidate
from mejax.experiment.search.state import Search
from mejax.experiment.search.state import Tried
from mejax.pages import search as search_page
from mejax.training import loop

SCHEMA_VERSION = 1
NAME = 'search.json'
SEARCHED, OWN, UNNESTED = 'searched', 'as configured', 'un-nested best'
# Places of the settings in the record of all outer folds.
_SEARCHED, _OWN, _FIRST = range(3)

# What each fold has tried, and a candidate for each fold.
AllTried = Mapping[int, Sequence[Tried]]


def train(
  found: Search, tried: AllTried, chosen: Mapping[int, Tried], bar: tqdm.tqdm
) -> list[dict[str, Any]]:
  """Trains outer folds with what they chose, and without a search.

  If all folds tried the same settings, all of them are trained, for the number
  that a search without nested folds would report.

  Returns:
    The units.
  """
  picked = {fold: each.candidate for fold, each in chosen.items()}
  these = found.make_units(
    picked.items(),
    inner=False,
    label='chosen',
    keep_models=found.config.keep_models,
  )
  these += found.make_units(
    ((fold, None) for fold in picked), inner=False, label='config'
  )
  if found.options.shared:
    others = [
      (fold, each.candidate)
      for fold, own in tried.items()
      for each in own
      if each.candidate != picked[fold]
    ]
    these += found.make_units(others, inner=False, label='others')
  rounds.run_units(found, these, bar)
  return these


def report(
  found: Search,
  workdir: pathlib.Path,
  tried: AllTried,
  chosen: Mapping[int, Tried],
  outer: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
  """Writes the run of the chosen settings, and the numbers of the search."""
  record = _make_record(found, tried, chosen, outer)
  sentence = f'{found.plan.sentence} {_describe(found)}'
  _write_run(found, workdir, record, sentence)
  numbers = {
    'schema_version': SCHEMA_VERSION,
    files.OWNER: found.owner,
    'protocol': sentence,
    'space': found.space.name,
    'sampler': found.options.sampler,
    'num_settings': found.options.num_settings,
    'round_size': found.options.round_size,
    'halving': found.options.halving,
    'inner_folds': found.config.inner_folds,
    'num_seeds': found.config.num_seeds,
    **_scores(found, tried, record),
    'folds': [
      {
        'fold': found.fold_names[fold],
        'round': each.round,
        'index': each.index,
        'inner_uf1': each.score,
        'values': dict(each.candidate.values),
      }
      for fold, each in chosen.items()
    ],
    'chosen': [
      {'values': values, 'folds': count}
      for values, count in search.count_chosen(
        [dict(each.candidate.values) for each in chosen.values()]
      )
    ],
    'keys': _keys(found, tried),
    'trace': _trace(tried),
    'diverged': sum(each.diverged for own in tried.values() for each in own),
    'cost': _cost(found, tried, outer),
  }
  workdir_lib.write_json(workdir / NAME, numbers)
  seconds = sum(
    float(files.arrays(path, only=('seconds',))['seconds'])
    for path in found.folder.glob('*.npz')
  )
  page = workdir / 'search' / 'index.html'
  page.parent.mkdir(exist_ok=True)
  with files.writing(page) as file:
    file.write(search_page.render(numbers, name=workdir.name, seconds=seconds))
  print(search_page.format_numbers(numbers, seconds=seconds))
  print(f'Search: {page}')
  return numbers


def _describe(found: Search) -> str:
  options = found.options
  halved = (
    f', halved by {options.halving} after short trainings'
    if options.halving
    else ''
  )
  return (
    f'Each fold chose among {options.num_settings} settings'
    f' ({options.sampler}{halved}) by {found.config.inner_folds} inner folds of'
    ' its own training people.'
  )


def _make_record(found: Search, tried, chosen, outer) -> dict[str, np.ndarray]:
  """Returns the record of outer folds: searched, configured, every setting."""
  wanted: list[dict[int, Candidate | None]] = [
    {fold: each.candidate for fold, each in chosen.items()},
    dict.fromkeys(chosen),
  ]
  if found.options.shared:
    wanted += [
      {fold: own[i].candidate for fold, own in tried.items()}
      for i in range(len(tried[0]))
    ]
  results = _read(outer)
  rows = [
    (place, fold, seed, *result)
    for place, candidates in enumerate(wanted)
    for fold, candidate in candidates.items()
    for seed, result in results[
      fold, found.identify(candidate, inner=False)
    ].items()
  ]
  setting, fold, seed, index, logits, loss = zip(*rows, strict=True)
  count = len(rows)
  outcome = loop.Outcome(
    logits=np.stack(logits)[:, None],
    train_loss=np.array(loss, np.float32)[:, None],
    epochs=np.array([found.config.num_epochs], np.int32),
  )
  numbers = {
    'fold': np.array(fold, np.int32),
    'inner': np.full(count, -1, np.int32),
    'seed': np.array(seed, np.int32),
    'setting': np.array(setting, np.int32),
  }
  return record_lib.make_record(
    outcome, np.stack(index), numbers, found.plan.task, found.fold_names
  )


def _read(outer) -> dict[tuple[int, str], dict[int, tuple]]:
  """Returns index, logits and loss of each fold and setting, by seed."""
  results: dict[tuple[int, str], dict[int, tuple]] = {}
  for unit in outer:
    result = units.read(unit)
    names = [units.identify(unit['program'], x) for x in unit['settings']]
    numbers = (result[key].tolist() for key in ('fold', 'seed', 'setting'))
    for i, (fold, seed, setting) in enumerate(zip(*numbers, strict=True)):
      results.setdefault((fold, names[setting]), {})[seed] = tuple(
        result[key][i] for key in ('index', 'logits', 'train_loss')
      )
  return results


def _write_run(found: Search, workdir, record, sentence: str) -> None:
  """Writes the files of a finished run with the chosen settings."""
  rows = record['setting'] == _SEARCHED
  per_trial = ('logits', 'train_loss', 'index', 'fold', 'inner', 'seed')
  own = {
    key: array[rows] if key in (*per_trial, 'setting') else array
    for key, array in record.items()
  }
  told = {'protocol': sentence, 'rules': ['last'], 'settings': []}
  own |= record_lib.about(found.owner, told)
  workdir_lib.save_npz(workdir / 'record.npz', own)
  running.evaluate_record(found.plan, workdir)


def _scores(found: Search, tried, record) -> dict[str, Any]:
  """Returns the numbers of the held-out people."""
  masks = summary.masks_of(record)

  def predict(setting):
    logits = selection.select(record, 'last', setting=setting).logits
    return selection.predictions(logits)

  def entries(prediction, warning=''):
    found = {
      part: summary.numbers_of(record, prediction, mask)
      for part, mask in masks.items()
    }
    for entry in found.values() if warning else ():
      entry['warning'] = warning
    return found

  searched, own = predict(_SEARCHED), predict(_OWN)
  scores = {SEARCHED: entries(searched), OWN: entries(own)}
  matrices = [
    summary.matrices(record, each, masks['full']) for each in (own, searched)
  ]
  result = {
    'scores': scores,
    'minus_config': list(bootstrap.paired_difference(*matrices)),
    'unnested': None,
  }
  if found.options.shared:
    settings = [predict(_FIRST + i) for i in range(len(tried[0]))]
    counts = [summary.matrices(record, x, masks['full']) for x in settings]
    uf1 = [metrics.uf1_of(each.sum(1)).mean() for each in counts]
    first = search.best(uf1, 1)[0]
    scores[UNNESTED] = entries(settings[first], search.UNNESTED)
    result['unnested'] = {
      'values': dict(tried[0][first].candidate.values),
      'warning': search.UNNESTED,
    }
  return result


def _keys(found: Search, tried: AllTried) -> list[dict[str, Any]]:
  """Returns importance and marginal effects of each key of the space."""
  scores = rounds.first_scores(tried)
  difference = search.deviations(scores).ravel()
  every = [each.candidate for own in tried.values() for each in own]
  importance = _importance(found, every, difference)
  keys = dict.fromkeys(key for one in every for key in one.values)
  rows = []
  for key in keys:
    has = np.array([key in one.values for one in every])
    values = [one.values[key] for one in every if key in one.values]
    rows.append(
      {
        'key': key,
        'importance': importance.get(key),
        'effects': search.effects(values, difference[has]),
      }
    )
  return sorted(rows, key=lambda row: -(row['importance'] or 0.0))


def _importance(found: Search, every, difference) -> dict[str, float]:
  """Returns PED-ANOVA's importance of the keys that all groups have."""
  with journal.quiet():
    study = optuna.create_study(direction='maximize')
  study.add_trials(
    [
      optuna.create_trial(
        value=float(value),
        params=dict(one.values),
        distributions=dict(found.space.groups[one.group].distributions),
      )
      for one, value in zip(every, difference, strict=True)
    ]
  )
  if len({float(value) for value in difference}) < 2:
    return {}
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    found_importance = optuna.importance.get_param_importances(
      study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )
  return {
    key: float(value)
    for key, value in found_importance.items()
    if math.isfinite(value)
  }


def _trace(tried: AllTried) -> list[list[float]]:
  """Returns the best inner score of each fold after each of its settings."""
  whole = np.array(
    [[x.score if x.is_whole else 0.0 for x in own] for own in tried.values()]
  )
  return search.trace(whole).tolist()


def _cost(found: Search, tried: AllTried, outer) -> dict[str, int]:
  """Counts trainings and epochs, and the epochs of a search of whole ones."""
  each = found.config.inner_folds * found.config.num_seeds
  epochs, whole, count = 0, 0, 0
  for own in tried.values():
    for one in own:
      count += each * len(one.scores)
      epochs += each * sum(one.scores)
      whole += each * found.epochs(one.candidate.group)
  return {
    'trainings': count,
    'epochs': epochs,
    'epochs_without_halving': whole,
    'outer_trainings': sum(len(unit['trials']['fold']) for unit in outer),
  }
