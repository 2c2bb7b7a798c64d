"""Applies the rules that choose which evaluation of each training counts.

A record holds the held-out logits of every trial at every evaluation. For every
seed and every outer fold a rule picks one evaluation of the fold's outer trial,
and the logits of these evaluations are pooled over the folds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Float
from jaxtyping import Int32
from jaxtyping import Integer
import numpy as np

from mejax import forms
from mejax.evaluation import metrics

Record = Mapping[str, np.ndarray | np.generic]

RECORD_VERSION = 1
WARNING = 'test-selected, not an estimate'
BOTH_SIDES = 'the same people in training and test, not an estimate'

# Kind of type and axes of each array: t trials, e evaluations, h clips that a
# trial holds out, k outputs, n clips, f folds, c classes.
_ARRAYS = {
  'schema_version': ('iu', ''),
  'logits': ('f', 'tehk'),
  'index': ('iu', 'th'),
  'fold': ('iu', 't'),
  'inner': ('i', 't'),
  'seed': ('iu', 't'),
  'setting': ('iu', 't'),
  'epochs': ('iu', 'e'),
  'train_loss': ('f', 'te'),
  'labels': ('iu', 'n'),
  'groups': ('U', 'n'),
  'corpus': ('U', 'n'),
  'subject': ('U', 'n'),
  'clip': ('U', 'n'),
  'fold_names': ('U', 'f'),
  'class_names': ('U', 'c'),
}
# For each array of positions, the axis on which they lie, and the least.
_POSITIONS = {'index': ('n', -1), 'fold': ('f', 0), 'labels': ('c', 0)}


class Rule(NamedTuple):
  """A selection rule.

  Attributes:
    sentence: how the rule chooses the epoch.
    honest: whether it chooses without the held-out examples.
  """

  sentence: str
  honest: bool


RULES = {
  'last': Rule('The last epoch, a budget fixed beforehand.', True),
  'inner': Rule(
    'Per outer fold, the epoch with the best pooled UF1 on inner folds made '
    'of training subjects only.',
    True,
  ),
  'oracle': Rule(
    'Per held-out subject, the epoch with the best accuracy on that very '
    f'subject (as the released HTNet code): {WARNING}.',
    False,
  ),
  'oracle_f1': Rule(
    'Per held-out subject, the epoch with the best F1 on that very subject '
    f'(as the released MMNet code): {WARNING}.',
    False,
  ),
}


class Selected(NamedTuple):
  """The evaluations that a rule picked.

  Attributes:
    logits: held-out logits of every example, for each seed.
    epochs: epochs completed at the evaluation picked for each seed and fold;
      -1 for a fold that holds out nothing.
    seeds: the seed of each row.
  """

  logits: Float[np.ndarray, 's n k']
  epochs: Int32[np.ndarray, 's f']
  seeds: Int32[np.ndarray, ' s']


def select(record: Record, rule: str, *, setting: int = 0) -> Selected:
  """Applies a rule of `RULES` to a record.

  Ties go to the later epoch. For `oracle` and `oracle_f1` the released code
  does the same; for `inner` it means that the last epoch is chosen if the inner
  folds do not favour another.

  Raises:
    ValueError: the rule or setting is unknown, there are no inner trials for
      `inner`, or an example was not held out exactly once by each seed.
  """
  check(record)
  if rule not in RULES:
    raise ValueError(f'selection rule {rule!r}, expected one of {list(RULES)}')
  if setting not in record['setting']:
    known = np.unique(record['setting']).tolist()
    raise ValueError(f'setting {setting} is not in the record, it has {known}')
  if rule == 'inner' and not (record['inner'] >= 0).any():
    raise ValueError(
      "rule 'inner' needs inner trials, the record has none: train with inner "
      f'folds, or use one of {rules_of(record)}'
    )
  seeds = np.unique(record['seed'][record['setting'] == setting])
  outer = (record['inner'] < 0) & (record['setting'] == setting)
  num_examples, num_outputs = len(record['labels']), record['logits'].shape[-1]
  dtype = np.result_type(record['logits'], np.float32)
  logits = np.zeros((len(seeds), num_examples, num_outputs), dtype)
  epochs = np.full((len(seeds), len(record['fold_names'])), -1, np.int32)
  times = np.zeros((len(seeds), num_examples), int)
  for trial in np.flatnonzero(outer).tolist():
    row = np.searchsorted(seeds, record['seed'][trial])
    held_out = record['index'][trial] >= 0
    index = record['index'][trial][held_out]
    if not index.size:
      continue
    chosen = _choose(record, rule, trial)
    logits[row, index] = record['logits'][trial, chosen][held_out]
    epochs[row, record['fold'][trial]] = record['epochs'][chosen]
    times[row, index] += 1
  _check_once(record, times, seeds)
  return Selected(logits, epochs, seeds.astype(np.int32))


def rules_of(record: Record) -> list[str]:
  """Returns the rules that fit a record; `inner` needs inner trials."""
  has_inner = bool((record['inner'] >= 0).any())
  return [rule for rule in RULES if rule != 'inner' or has_inner]


def predictions(
  logits: Float[np.ndarray, '*b k'],
) -> Integer[np.ndarray, '*b']:
  """Returns the class of the largest logit; a logit that is nan never wins."""
  return np.where(np.isnan(logits), -np.inf, logits).argmax(-1)


def probabilities(
  logits: Float[np.ndarray, '*b k'],
) -> Float[np.ndarray, '*b k']:
  """Returns the softmax in float64; a logit that is nan gets 0.

  Without any logit above minus infinity, all classes are equally probable.
  """
  # A softmax of clipped logits is that of infinite ones in the limit.
  logits = np.where(np.isnan(logits), -np.inf, logits).astype(np.float64)
  logits = np.clip(logits, -1e300, 1e300)
  share = np.exp(logits - logits.max(-1, keepdims=True))
  return share / share.sum(-1, keepdims=True)


def check(record: Record) -> None:
  """Raises a ValueError if this is not a sound record of a known version."""
  version = int(record.get('schema_version', RECORD_VERSION))
  if version != RECORD_VERSION:
    raise ValueError(
      f'record of version {version}, this mejax reads {RECORD_VERSION}: use '
      'the version of mejax that wrote it, or train again'
    )
  arrays = {name: np.asarray(array) for name, array in record.items()}
  sizes = forms.check_arrays(arrays, _ARRAYS)
  if sizes['c'] > sizes['k'] or sizes['f'] > sizes['t']:
    raise ValueError(
      f'class_names or fold_names of the record are {sizes["c"]} and'
      f' {sizes["f"]}, which does not fit its other arrays'
    )
  for name, (axis, least) in _POSITIONS.items():
    array = np.asarray(record[name])
    if array.size and not least <= array.min() <= array.max() < sizes[axis]:
      raise ValueError(
        f'{name} of the record holds {array.min()} to {array.max()}; expected'
        f' {least} to {sizes[axis] - 1}'
      )


def held_out_by(record: Record) -> Integer[np.ndarray, ' n']:
  """Returns the outer fold that holds each example out; -1 if none does."""
  outer = record['inner'] < 0
  index, fold = record['index'][outer], record['fold'][outer]
  found = np.full(len(record['labels']), -1)
  found[index[index >= 0]] = np.broadcast_to(fold[:, None], index.shape)[
    index >= 0
  ]
  return found


def divides_people(record: Record) -> bool:
  """Returns whether a model was trained on people that it holds out.

  That is so if several folds share the examples of a group, as in folds over
  clips.
  """
  pairs = np.stack(
    [np.unique(record['groups'], return_inverse=True)[1], held_out_by(record)]
  )
  return bool(np.unique(pairs, axis=1).shape[1] > pairs[0].max() + 1)


def trial_confusion(record: Record, trial: int) -> Integer[np.ndarray, 'e k o']:
  """Counts a trial's held-out examples, a matrix for each evaluation."""
  index = record['index'][trial]
  truth = np.where(index >= 0, record['labels'][index], -1)
  return metrics.confusion(
    truth,
    predictions(record['logits'][trial]),
    num_classes=len(record['class_names']),
    num_outputs=record['logits'].shape[-1],
  )


def _choose(record, rule, trial) -> int:
  """Returns the evaluation that a rule picks for an outer trial."""
  num_evaluations = len(record['epochs'])
  if rule == 'last':
    return num_evaluations - 1
  if rule == 'oracle':
    score = metrics.accuracy_of(trial_confusion(record, trial))
  elif rule == 'oracle_f1':
    score = metrics.uf1_of(trial_confusion(record, trial))
  else:
    score = metrics.uf1_of(_pooled_inner(record, trial))
  # Rounded, so that equal scores summed in another order are a tie.
  score = np.round(score, 9)
  return int(np.flatnonzero(score == score.max())[-1])


def _pooled_inner(record, trial):
  """Pools confusion matrices [e, k, o] over the inner trials of a trial."""
  inner = record['inner'] >= 0
  for name in ('fold', 'seed', 'setting'):
    inner = inner & (record[name] == record[name][trial])
  if not inner.any():
    raise ValueError(
      f"rule 'inner': fold {record['fold_names'][record['fold'][trial]]}, seed "
      f'{record["seed"][trial]} has no inner trials'
    )
  return sum(trial_confusion(record, t) for t in np.flatnonzero(inner).tolist())


def _check_once(record, times, seeds):
  for wrong, what in ((times < 1, 'no trial'), (times > 1, 'several trials')):
    if wrong.any():
      row, example = np.argwhere(wrong)[0]
      name = '/'.join(
        record[key][example] for key in ('corpus', 'subject', 'clip')
      )
      raise ValueError(
        f'{wrong.sum()} examples were held out by {what}, the first is {name} '
        f'with seed {seeds[row]}: each must be held out once by each seed'
      )
