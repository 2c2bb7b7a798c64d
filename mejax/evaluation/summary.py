"""Computes the numbers of a run for metrics.json."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from jaxtyping import Bool
from jaxtyping import Integer
import numpy as np

from mejax.evaluation import baselines as baselines_lib
from mejax.evaluation import best_baseline
from mejax.evaluation import bootstrap
from mejax.evaluation import entries as entries_lib
from mejax.evaluation import selection

# Schema 3 renamed the key `floors` to `baselines`.
SCHEMA_VERSION = 3
NOT_CHOSEN = (
  'not chosen: picking the best of these rows would be test selection'
)
# A last training loss above this share of the first is remarked.
_HARDLY = 0.9
# A model that is surely this much below the best baseline is remarked.
_FAR = 0.1
_ENOUGH_SEEDS = 5
# Trainings that a table names one by one.
_MOST_NAMED = 10


def metrics_json(
  record: selection.Record,
  baselines: Mapping[str, np.ndarray],
  *,
  protocol_sentence: str,
  rules: Sequence[str] | None = None,
  parts: Mapping[str, Bool[np.ndarray, ' n']] | None = None,
  settings: Sequence[Mapping[str, float]] = (),
) -> dict[str, Any]:
  """Returns every number of a run, as plain Python values.

  `selection` maps each rule, and `baselines` each baseline, to an entry for
  `full` (all examples) and for each part. An entry has `uf1` (the mean over
  seeds of the pooled UF1), `uf1_std` (its deviation over seeds), `uf1_ci` (its
  95 % interval over subjects) and `uf1_seeds`; the same for `uar`, `accuracy`
  and `mean_precision`; `confusion` (counts summed over seeds, truth in rows);
  and the numbers `n` of examples and of `subjects`.

  Entries of a rule that chooses on the test subject have a `warning`, and all
  entries have one if the folds divide a person. Entries of a baseline have
  `last_minus`: the UF1 of `last` minus that of the baseline, with its 95 %
  interval. Both are computed on the same resamples of subjects, because a
  difference may be clear even if the two intervals overlap. `best_baseline` is
  the name of the one with the highest UF1, None without any.

  If there are several seeds, `together` maps each honest rule to entries of the
  class with the largest mean probability over the seeds. They have
  `minus_best_baseline`: their UF1 minus that of the best baseline, with its
  95 % interval, computed as `last_minus` is.

  If the record has several settings, these are the numbers of the first, and
  `settings` lists the `selection` and the `values` of each, without choosing.
  `diverged` names fold, inner fold (-1 for none), seed, setting and first epoch
  of each training with held-out logits that are not finite.

  Args:
    record: see `selection`.
    baselines: the result of `baselines.baselines`; may be empty.
    protocol_sentence: sentence that says which examples count and how they are
      split.
    rules: names of `selection.RULES`; by default all that fit the record.
      `last` is always added, so that no oracle stands without an honest number.
    parts: the examples of each part, by its name; by default each corpus is a
      part if there are several.
    settings: the values of each setting by name, in the order of the settings.
  """
  selection.check(record)
  rules = selection.rules_of(record) if rules is None else list(rules)
  rules = list(dict.fromkeys(['last', *rules]))
  numbers = np.unique(record['setting']).tolist()
  masks = masks_of(record, parts)
  selected = {
    number: {rule: _entries(record, number, rule, masks) for rule in rules}
    for number in numbers
  }
  first, diverged = numbers[0], _diverged(record)
  chosen = record['setting'] == first
  last = selection.predictions(
    selection.select(record, 'last', setting=first).logits
  )
  said = baselines_lib.predictions_of(baselines)
  beside = {
    name: {
      part: _baseline(record, found[None], last, mask)
      for part, mask in masks.items()
    }
    for name, found in said.items()
  }
  # None without any baseline.
  best_name = best_baseline.find(beside)
  best = said.get(best_name)
  result = {
    'schema_version': SCHEMA_VERSION,
    'protocol': protocol_sentence,
    'num_seeds': len(np.unique(record['seed'][chosen])),
    'class_names': [str(name) for name in record['class_names']],
    'class_counts': {
      name: np.bincount(
        record['labels'][mask], minlength=len(record['class_names'])
      ).tolist()
      for name, mask in masks.items()
    },
    'rules': {rule: selection.RULES[rule].sentence for rule in rules},
    'selection': selected[first],
    'together': _together(record, first, rules, masks, best),
    'baselines': beside,
    'best_baseline': best_name,
    'baseline_remarks': [
      str(remark) for remark in baselines.get(baselines_lib.REMARKS, [])
    ],
    'trials_not_finite': len(diverged),
    'diverged': diverged,
  }
  if len(numbers) > 1:
    result['settings'] = [
      {
        'setting': number,
        'selection': entry,
        'together': _together(record, number, rules, masks, best),
      }
      | ({'values': dict(settings[number])} if settings else {})
      for number, entry in selected.items()
    ]
  return result


def warn(numbers: Mapping[str, Any], warning: str) -> None:
  """Adds a warning to every number of the models in `metrics_json`."""
  rows = [*numbers['selection'].values(), *numbers['together'].values()]
  for one in numbers.get('settings', []):
    rows += [*one['selection'].values(), *one['together'].values()]
  for entry in (entry for parts in rows for entry in parts.values()):
    every = dict.fromkeys([warning, entry.get('warning')])
    entry['warning'] = '; '.join(filter(None, every))


def warnings(numbers: Mapping[str, Any]) -> list[str]:
  """Returns the warnings of all rows of `metrics_json`, each once."""
  rows = [entries['full'] for entries in numbers['selection'].values()]
  found = [row['warning'] for row in rows if 'warning' in row]
  return list(dict.fromkeys(found))


def name_together(rule: str) -> str:
  """Returns the name of the row of all seeds together."""
  return 'seeds together' if rule == 'last' else f'{rule} together'


def differing_values(settings: Sequence[Mapping[str, Any]]) -> list[str]:
  """Returns the names of the values that differ between settings of a run."""
  every = [one.get('values', {}) for one in settings]
  return [
    name
    for name in every[0]
    if any(values[name] != every[0][name] for values in every)
  ]


def masks_of(
  record: selection.Record,
  parts: Mapping[str, Bool[np.ndarray, ' n']] | None = None,
) -> dict[str, Bool[np.ndarray, ' n']]:
  """Returns all examples as `full`, and those of each part; see `metrics_json`.

  Empty parts are left out.
  """
  masks = {'full': np.ones(len(record['labels']), bool)}
  masks.update(corpora(record) if parts is None else parts)
  return {name: mask for name, mask in masks.items() if mask.any()}


def corpora(
  record: selection.Record,
) -> dict[str, Bool[np.ndarray, ' n']]:
  """Returns the examples of each corpus; empty if there is only one."""
  names = np.unique(record['corpus'])
  if len(names) == 1:
    return {}
  return {str(name): record['corpus'] == name for name in names}


def _entries(record, setting, rule, masks):
  """Returns all numbers of a rule, for each part."""
  found = selection.select(record, rule, setting=setting)
  prediction = selection.predictions(found.logits)
  entries = {}
  for part, mask in masks.items():
    entries[part] = numbers_of(record, prediction, mask)
    if not selection.RULES[rule].honest:
      every = [selection.WARNING, entries[part].get('warning')]
      entries[part]['warning'] = '; '.join(filter(None, every))
  return entries


def _together(record, setting, rules, masks, best):
  """Returns the numbers of all seeds together, for each honest rule."""
  entries = {}
  for rule in rules:
    if not selection.RULES[rule].honest:
      continue
    found = selection.select(record, rule, setting=setting)
    if len(found.seeds) == 1:
      continue
    mean = selection.probabilities(found.logits).mean(0)
    prediction = selection.predictions(mean)[None]
    entries[rule] = {
      part: numbers_of(record, prediction, mask, best)
      for part, mask in masks.items()
    }
  return entries


def _baseline(record, prediction, last, mask):
  """Returns all numbers of a baseline, and the UF1 of `last` minus its own."""
  above = bootstrap.paired_difference(
    matrices(record, prediction, mask), matrices(record, last, mask)
  )
  return numbers_of(record, prediction, mask) | {'last_minus': list(above)}


def matrices(
  record: selection.Record,
  prediction: Integer[np.ndarray, 's n'],
  mask: Bool[np.ndarray, ' n'],
) -> Integer[np.ndarray, 's g k o']:
  """Returns a confusion matrix for each seed and group in `mask`."""
  return bootstrap.group_confusion(
    record['labels'][mask],
    prediction[:, mask],
    record['groups'][mask],
    num_classes=len(record['class_names']),
    num_outputs=record['logits'].shape[-1],
  )


def numbers_of(
  record: selection.Record,
  prediction: Integer[np.ndarray, 's n'],
  mask: Bool[np.ndarray, ' n'],
  best: Integer[np.ndarray, ' n'] | None = None,
) -> dict[str, Any]:
  """Returns the entry of `metrics_json` for predictions, on `mask` alone.

  With the predictions of the best baseline, it has `minus_best_baseline`.
  """
  counts = matrices(record, prediction, mask)
  entry = entries_lib.of_counts(counts)
  if best is not None:
    entry['minus_best_baseline'] = list(
      bootstrap.paired_difference(matrices(record, best[None], mask), counts)
    )
  if selection.divides_people(record):
    entry['warning'] = selection.BOTH_SIDES
  return entry


def _diverged(record: selection.Record) -> list[dict[str, Any]]:
  """Lists the trials with a held-out logit that is nan or infinite."""
  wrong = ~np.isfinite(record['logits']).all(-1)
  wrong &= record['index'][:, None, :] >= 0
  by_epoch = wrong.any(2)
  return [
    {
      'fold': str(record['fold_names'][record['fold'][trial]]),
      **{
        name: int(record[name][trial]) for name in ('inner', 'seed', 'setting')
      },
      'epoch': int(record['epochs'][by_epoch[trial].argmax()]),
    }
    for trial in np.flatnonzero(by_epoch.any(1)).tolist()
  ]


def describe_few_seeds(numbers: Mapping[str, Any]) -> list[str]:
  """Returns a warning of too few seeds; [] for none.

  Args:
    numbers: the result of `metrics_json`.
  """
  few = numbers['num_seeds'] < _ENOUGH_SEEDS
  return [f'Fewer than {_ENOUGH_SEEDS} seeds: too few to report.'] * few


def describe_training(
  record: selection.Record, numbers: Mapping[str, Any]
) -> list[str]:
  """Returns sentences on models that learned little; [] if they learned.

  Args:
    record: see `selection`; the outer folds of its first setting count.
    numbers: the result of `metrics_json`.
  """
  return [*_describe_loss(record), *_describe_far_below(numbers)]


def _describe_far_below(numbers: Mapping[str, Any]) -> list[str]:
  best = best_baseline.describe(numbers)
  if best is None:
    return []
  # The upper end of the interval: chance alone does not make it.
  *_, high = numbers['baselines'][numbers['best_baseline']]['full'][
    'last_minus'
  ]
  if not high < -_FAR:
    return []
  return [
    f'The models are far below {best["name"]}, so the inputs tell more than'
    ' they learned: suspect the learning rate, the number of epochs, and the'
    ' scale and order of the axes and channels of the inputs.'
  ]


def _describe_loss(record: selection.Record) -> list[str]:
  """Returns a sentence on a training loss that hardly fell."""
  chosen = (record['inner'] < 0) & (
    record['setting'] == record['setting'].min()
  )
  loss = np.asarray(record['train_loss'], float)[chosen].mean(0)
  if len(loss) < 2 or not loss[-1] > _HARDLY * loss[0]:
    return []  # Of nan nothing is known; `describe_diverged` tells the rest.
  return [
    f'The training loss hardly fell, from {loss[0]:.3f} to {loss[-1]:.3f}: the'
    ' models learned little. The scale of the inputs, the learning rate or the'
    ' number of epochs may not suit them.'
  ]


def describe_diverged(numbers: Mapping[str, Any]) -> list[str]:
  """Returns sentences on trainings that diverged; [] if none did.

  Args:
    numbers: the result of `metrics_json`.
  """
  diverged = numbers['diverged']
  if not diverged:
    return []
  lines = [
    f'{len(diverged)} training{"s" * (len(diverged) > 1)} diverged: held-out'
    ' logits are not finite. The scores contain them: what they predict without'
    f' any finite logit counts as {numbers["class_names"][0]}.'
  ]
  for one in diverged[:_MOST_NAMED]:
    inner = f', inner fold {one["inner"]}' if one['inner'] >= 0 else ''
    lines.append(
      f'fold {one["fold"]}{inner}, seed {one["seed"]}, setting'
      f' {one["setting"]}: by epoch {one["epoch"]}'
    )
  if len(diverged) > _MOST_NAMED:
    more = len(diverged) - _MOST_NAMED
    lines.append(f'and {more} more; metrics.json lists all')
  return lines
