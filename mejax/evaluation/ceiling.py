"""Measures what no model reaches on these data, and what may hold them back.

There are three measures: the clips on which all models agree against the label,
the score for fewer training people, and the score if people may be on both
sides. The last two take predictions of a classifier that is quick to fit.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Any

from jaxtyping import Integer
from jaxtyping import Shaped
import numpy as np

from mejax.evaluation import selection
from mejax.evaluation import summary

# Of the training people, beside all of them.
SHARES = (0.25, 0.5, 0.75)
DRAWS = 3


def agreement(
  record: selection.Record,
  answers: Mapping[str, Integer[np.ndarray, ' n']],
) -> dict[str, Any]:
  """Finds the clips on which all models agree against the label.

  Args:
    record: labels and identities of the clips.
    answers: the class that each model gives each clip, by its name.

  Returns:
    `models`, their names; `n`, all clips; `missed`, the number of clips that no
    model gets right; `clips`, those on which all give the same wrong class,
    each with `corpus`, `subject`, `clip`, `label` and `answer`; `pairs`, how
    many of these there are of each `corpus`, `label` and `answer`, the most
    frequent first.
  """
  given = np.stack(list(answers.values()))
  wrong = (given != record['labels']).all(0)
  same = wrong & (given == given[0]).all(0)
  classes = record['class_names'].tolist()
  # Spare outputs of a network stand for no class.
  classes += [f'spare {k}' for k in range(len(classes), given.max() + 1)]
  clips = []
  for i in np.flatnonzero(same).tolist():
    one = {key: str(record[key][i]) for key in ('corpus', 'subject', 'clip')}
    label, answer = record['labels'][i], given[0, i]
    clips.append(one | {'label': classes[label], 'answer': classes[answer]})
  clips.sort(key=lambda one: (one['corpus'], one['subject'], one['clip']))
  pairs = collections.Counter(
    (one['corpus'], one['label'], one['answer']) for one in clips
  )
  return {
    'models': list(answers),
    'n': len(record['labels']),
    'missed': int(wrong.sum()),
    'clips': clips,
    'pairs': [
      {'corpus': corpus, 'label': label, 'answer': answer, 'clips': count}
      for (corpus, label, answer), count in pairs.most_common()
    ],
  }


def folds_of(
  left_out: Shaped[np.ndarray, ' n'],
  groups: Shaped[np.ndarray, ' n'],
  share: float = 1.0,
  *,
  draw: int = 0,
) -> list[tuple[Integer[np.ndarray, ' t'], Integer[np.ndarray, ' h']]]:
  """Returns training and held-out positions of each fold.

  Args:
    left_out: the fold that holds each example out.
    groups: the person of each example.
    share: of the training people of each fold that stay, at random; at least
      one does. In one draw a larger share has all people of a smaller one.
    draw: number of the draw.
  """
  folds = []
  for number, name in enumerate(np.unique(left_out)):
    test = left_out == name
    people = np.unique(groups[~test])
    order = np.random.default_rng([draw, number]).permutation(len(people))
    kept = people[order[: _people(share, len(people))]]
    train = ~test & np.isin(groups, kept)
    folds.append((np.flatnonzero(train), np.flatnonzero(test)))
  return folds


def _people(share: float, number: int) -> int:
  return max(1, round(share * number))


def curve_json(
  record: selection.Record,
  predictions: Mapping[float, Integer[np.ndarray, 'd n']],
) -> list[dict[str, Any]]:
  """Returns the score for each share of the training people.

  Args:
    record: labels, people and folds.
    predictions: by share; a row for each draw of people.

  Returns:
    For each share `share`, the mean number of `people` in training, the number
    of `draws`, and `entry`, see `summary.metrics_json`; draws take the place of
    seeds.
  """
  every = np.ones(len(record['labels']), bool)
  held_by = selection.held_out_by(record)
  counts = [
    len(np.unique(record['groups'][held_by != fold]))
    for fold in np.unique(held_by)
  ]
  return [
    {
      'share': share,
      'people': float(np.mean([_people(share, n) for n in counts])),
      'draws': len(found),
      'entry': summary.numbers_of(record, found, every),
    }
    for share, found in predictions.items()
  ]
