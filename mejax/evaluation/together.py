"""Scores several models together: the mean of their held-out probabilities.

Every model has equal weight. Weights that are chosen by held-out scores would
be chosen on the people that are scored.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import itertools
from typing import Any
from typing import NamedTuple

from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Integer
import numpy as np

from mejax.evaluation import baselines as baselines_lib
from mejax.evaluation import best_baseline
from mejax.evaluation import bootstrap
from mejax.evaluation import selection
from mejax.evaluation import summary

# Clips and people that a message names.
_MOST_NAMED = 3


class Member(NamedTuple):
  """A model, with what it says of each example that it held out.

  Attributes:
    name: name of the model, unlike that of any other member.
    probabilities: of each class; for several seeds their mean.
    seeds: number of seeds.
  """

  name: str
  probabilities: Float[np.ndarray, 'n k']
  seeds: int = 1


def member_of(
  name: str, record: selection.Record, like: selection.Record | None = None
) -> Member:
  """Makes a member of a run: its last epoch, the mean over its seeds.

  Args:
    name: name of the run.
    record: its record; of several settings, the first counts.
    like: a record of the same examples, which has them in the order of the
      result; by default they stay as they are.
  """
  found = selection.select(record, 'last', setting=int(record['setting'].min()))
  mean = selection.probabilities(found.logits).mean(0)
  if like is not None:
    mean = mean[_order_like(record, like)]
  return Member(name, mean, len(found.seeds))


def refuse_different(records: Mapping[str, selection.Record]) -> None:
  """Refuses runs that cannot be scored together.

  Args:
    records: the record of each run, by its name.

  Raises:
    ValueError: clips, classes, labels, people or folds of a run differ from
      those of the first; the message says which.
  """
  (first, reference), *others = records.items()
  for name, record in others:
    for line in _differences(reference, record, first, name):
      raise ValueError(f'{first} and {name} cannot be scored together: {line}')


def _order_like(record, reference) -> Integer[np.ndarray, ' n']:
  """Returns where a record has each example of another."""
  place = {name: i for i, name in enumerate(_identities(record))}
  return np.array([place[name] for name in _identities(reference)], int)


def _identities(record) -> list[tuple[str, str, str]]:
  """Returns corpus, subject and clip of each example."""
  names = (record[key].tolist() for key in ('corpus', 'subject', 'clip'))
  return list(zip(*names, strict=True))


def metrics_json(
  record: selection.Record,
  members: Sequence[Member],
  *,
  protocol: str,
  baselines: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Any]:
  """Returns every number of the members, alone and together.

  `members` lists `name`, `seeds` and the `entries` of each, for all examples
  and for each corpus, as `summary.metrics_json` has them; `together` has the
  entries of the class with the largest mean probability. `best` is the member
  with the highest UF1 of its own, and `minus_best` the UF1 of all together
  minus that of it, with its 95 % interval over the same resamples of people.
  `best_baseline` has `name` and `uf1` of the baseline with the highest UF1;
  then every entry has `minus_best_baseline`, the difference to it, but those of
  that baseline itself.

  Args:
    record: labels and people of the examples.
    members: probabilities in the order of the record.
    protocol: sentence on the examples and how they are split.
    baselines: the result of `baselines.baselines` on the folds of the record;
      None if there are none, and `best_baseline` is None.

  Raises:
    ValueError: there are fewer than two members, two have one name, or two are
      one model.
  """
  names = [member.name for member in members]
  if len(set(names)) < max(2, len(names)):
    raise ValueError(
      f'{", ".join(names)}: to be scored together, two or more different'
      ' models are needed.'
    )
  for one, two in itertools.combinations(members, 2):
    # The copy of a run, or a link to it.
    if np.array_equal(one.probabilities, two.probabilities):
      raise ValueError(
        f'{one.name} and {two.name} say exactly the same of every clip: they'
        ' are one model, which would be counted twice.'
      )
  outputs = max(member.probabilities.shape[1] for member in members)
  # Spare outputs of one model are classes that the others never predict.
  shares = [
    np.pad(each, ((0, 0), (0, outputs - each.shape[1])))
    for each in (member.probabilities for member in members)
  ]
  record = {**record, 'logits': np.zeros((*record['index'].shape, outputs))}
  masks = summary.masks_of(record)
  *alone, together = (
    selection.predictions(share)[None]
    for share in (*shares, np.mean(shares, axis=0))
  )

  reference, floor = _best_baseline(record, baselines or {}, masks['full'])

  def entries(prediction, beside):
    return {
      part: summary.numbers_of(record, prediction, mask, beside)
      for part, mask in masks.items()
    }

  rows = [
    entries(prediction, None if np.array_equal(prediction[0], floor) else floor)
    for prediction in alone
  ]
  best = max(range(len(rows)), key=lambda i: rows[i]['full']['uf1'])
  difference = bootstrap.paired_difference(
    *(
      summary.matrices(record, prediction, masks['full'])
      for prediction in (alone[best], together)
    )
  )
  return {
    'schema_version': summary.SCHEMA_VERSION,
    'protocol': protocol,
    'class_names': [str(name) for name in record['class_names']],
    'members': [
      {'name': member.name, 'seeds': member.seeds, 'entries': row}
      for member, row in zip(members, rows, strict=True)
    ],
    'together': entries(together, floor),
    'best': names[best],
    'minus_best': list(difference),
    'best_baseline': reference,
  }


def _best_baseline(
  record: selection.Record,
  baselines: Mapping[str, np.ndarray],
  mask: Bool[np.ndarray, ' n'],
) -> tuple[dict[str, Any] | None, Integer[np.ndarray, ' n'] | None]:
  """Returns name and UF1 of the best baseline, and what it predicts."""
  said = baselines_lib.predictions_of(baselines)
  found = {
    name: {'full': summary.numbers_of(record, prediction[None], mask)}
    for name, prediction in said.items()
  }
  best = best_baseline.find(found)
  if best is None:
    return None, None
  name = baselines_lib.NAMES.get(best, best)
  return {'name': name, 'uf1': found[best]['full']['uf1']}, said[best]


def warn(numbers: Mapping[str, Any], warnings: Sequence[str]) -> None:
  """Adds the warning of each member to its own numbers, and to those of all.

  Args:
    numbers: the result of `metrics_json`.
    warnings: those of the first members; '' for none.
  """
  for warning, member in zip(warnings, numbers['members'], strict=False):
    for entries in (member['entries'], numbers['together']) if warning else ():
      for entry in entries.values():
        every = dict.fromkeys([entry.get('warning'), warning])
        entry['warning'] = '; '.join(filter(None, every))


def _differences(reference, record, first, second) -> Iterator[str]:
  """Yields a sentence for each way in which two records differ."""
  ours, theirs = _identities(reference), _identities(record)
  for own, other, holder, lacking in (
    (ours, theirs, first, second), (theirs, ours, second, first),
  ):  # fmt: skip
    if missing := sorted(set(own) - set(other)):
      yield (
        f'{len(missing)} clips of {holder} are not in {lacking}:'
        f' {_listed("/".join(name) for name in missing)}.'
      )
  if len(set(ours)) < len(ours):
    yield 'some clips have the same name.'
  classes = [each['class_names'].tolist() for each in (reference, record)]
  if classes[0] != classes[1]:
    yield f'the classes are {classes[0]} and {classes[1]}.'
  order = _order_like(record, reference)
  labels = reference['labels'], record['labels'][order]
  for i in np.flatnonzero(labels[0] != labels[1])[:1].tolist():
    count = int((labels[0] != labels[1]).sum())
    shown = [classes[0][each[i]] for each in labels]
    yield (
      f'the labels of {count} clips differ; {"/".join(ours[i])} is {shown[0]}'
      f' in {first} and {shown[1]} in {second}.'
    )
  if not _is_same_partition(reference['groups'], record['groups'][order]):
    yield 'the people, over whom the intervals are taken, are not the same.'
  folds = selection.held_out_by(reference), selection.held_out_by(record)[order]
  if not _is_same_partition(*folds):
    count = [len(np.unique(each)) for each in folds]
    yield (
      f'the folds differ: {count[0]} in {first}, {count[1]} in {second}. A clip'
      ' must be held out together with the same clips by both.'
    )


def _is_same_partition(first, second) -> bool:
  """Returns whether two arrays divide the examples alike, by any names."""
  ours, theirs = (
    np.unique(each, return_inverse=True)[1] for each in (first, second)
  )
  both = np.unique(np.stack([ours, theirs]), axis=1).shape[1]
  return bool(ours.max() == theirs.max() == both - 1)


def _listed(names) -> str:
  names = list(names)
  more = len(names) - _MOST_NAMED
  end = f' and {more} more' if more > 0 else ''
  return ', '.join(names[:_MOST_NAMED]) + end
