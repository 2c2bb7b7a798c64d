"""Makes folds, which say which examples a trial trains on and holds out.

A fold is two vectors over the examples, never a copy of the data: the weight of
each example in training (0 = not in training) and whether it is held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import Shaped
import numpy as np


class Folds(NamedTuple):
  """Folds stacked on the leading axis.

  Attributes:
    train: weight of each example in training; 0 = never seen.
    test: whether an example is held out.
    outer: number of the outer fold; an inner fold has that of its outer fold.
    inner: -1 for an outer fold, else the number of the inner fold.
    names: names of the outer folds, indexed by `outer`.
  """

  train: Float[np.ndarray, 'f n']
  test: Bool[np.ndarray, 'f n']
  outer: Int[np.ndarray, ' f']
  inner: Int[np.ndarray, ' f']
  names: tuple[str, ...]


def leave_one_group_out(groups: Sequence[str] | np.ndarray) -> Folds:
  """Makes one fold for each group (subject or database), in sorted order."""
  groups = np.asarray(groups)
  names = np.unique(groups)
  if len(names) < 2:
    raise ValueError(
      f'Leaving one group out needs at least two groups; all {len(groups)}'
      f' examples belong to {names.tolist()}.'
    )
  test = groups == names[:, None]
  return Folds(
    train=(~test).astype(np.float32),
    test=test,
    outer=np.arange(len(names), dtype=np.int32),
    inner=np.full(len(names), -1, np.int32),
    names=tuple(names.tolist()),
  )


def left_out_together(
  groups: Sequence[str] | np.ndarray, num_folds: int
) -> Shaped[np.ndarray, ' n']:
  """Returns the fold that holds each example out: its group, or its part.

  Args:
    groups: subject (or database) of each example.
    num_folds: number of parts that the sorted groups are dealt to in turn; 0
      leaves each group out alone.

  Raises:
    ValueError: there are more folds than groups, or only one fold.
  """
  groups = np.asarray(groups)
  if not num_folds:
    return groups
  names, number = np.unique(groups, return_inverse=True)
  if not 2 <= num_folds <= len(names):
    raise ValueError(
      f'num_folds is {num_folds}; expected 2 to {len(names)}, the number of'
      ' people (or groups), or 0 to leave each out alone.'
    )
  digits = len(str(num_folds))
  return np.array(
    [f'part {i % num_folds + 1:0{digits}d} of {num_folds}' for i in number]
  )


def over_clips(
  labels: Int[np.ndarray, ' n'], num_folds: int
) -> Shaped[np.ndarray, ' n']:
  """Returns the fold that holds each example out, whoever is on it.

  The people of a fold are in training too, so a score in these folds is no
  estimate for new people. It shows how much of an honest score's gap to it is
  due to the person.

  Args:
    labels: class of each example; each class is dealt to the folds evenly.
    num_folds: number of folds.

  Raises:
    ValueError: there are more folds than examples, or only one fold.
  """
  if not 2 <= num_folds <= len(labels):
    raise ValueError(
      f'{num_folds} folds over clips; expected 2 to {len(labels)}, the number'
      ' of clips.'
    )
  # Random within each class, and always the same.
  tie = np.random.default_rng(0).permutation(len(labels))
  number = np.empty(len(labels), int)
  number[np.lexsort((tie, labels))] = np.arange(len(labels)) % num_folds
  digits = len(str(num_folds))
  return np.array([f'clips {i + 1:0{digits}d} of {num_folds}' for i in number])


def with_inner(
  folds: Folds, groups: Sequence[str] | np.ndarray, *, num_inner: int = 5
) -> Folds:
  """Adds inner folds: each outer fold's training groups, split once more.

  The held-out group of the outer fold is neither trained on nor held out in
  its inner folds, so it has no influence on an epoch that they choose.

  Raises:
    ValueError: an outer fold trains on fewer groups than `num_inner`.
  """
  from sklearn.model_selection import GroupKFold

  groups = np.asarray(groups)
  train, test, outer, inner = [], [], [], []
  for fold, weight in enumerate(folds.train):
    seen = np.flatnonzero(weight)
    num_groups = len(np.unique(groups[seen]))
    if num_groups < num_inner:
      raise ValueError(
        f'Fold {folds.names[fold]!r} trains on {num_groups} groups, which'
        f' cannot be split into {num_inner} inner folds. Lower inner_folds, or'
        ' do without inner folds.'
      )
    splits = GroupKFold(num_inner).split(seen, groups=groups[seen])
    for number, (fit, held_out) in enumerate(splits):
      train.append(np.zeros_like(weight))
      train[-1][seen[fit]] = weight[seen[fit]]
      test.append(np.zeros(len(groups), bool))
      test[-1][seen[held_out]] = True
      outer.append(folds.outer[fold])
      inner.append(number)
  return Folds(
    train=np.concatenate([folds.train, train]),
    test=np.concatenate([folds.test, test]),
    outer=np.concatenate([folds.outer, np.asarray(outer, np.int32)]),
    inner=np.concatenate([folds.inner, np.asarray(inner, np.int32)]),
    names=folds.names,
  )


def with_everybody(folds: Folds) -> Folds:
  """Adds a fold that trains on every example and holds out none.

  Its model is one to be used; the other folds say how good it may be.
  """
  every = np.ones((1, folds.train.shape[1]), np.float32)
  return Folds(
    train=np.concatenate([folds.train, every]),
    test=np.concatenate([folds.test, every == 0]),
    outer=np.append(folds.outer, np.int32(len(folds.names))),
    inner=np.append(folds.inner, np.int32(-1)),
    names=(*folds.names, 'everybody'),
  )


def held_out_index(test: Bool[np.ndarray, 'f n']) -> Int[np.ndarray, 'f h']:
  """Returns the positions of each fold's held-out examples, padded with -1."""
  index = np.full((len(test), max(1, test.sum(1).max())), -1, np.int32)
  for row, flags in zip(index, test, strict=True):
    held_out = np.flatnonzero(flags)
    row[: len(held_out)] = held_out
  return index
