"""Knows whom a model has seen, so that it is never tested on them.

People and clips stand in the files of a model as digests of their names: enough
to recognise them, for whoever has the data.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from jaxtyping import Bool
from jaxtyping import Shaped
import numpy as np

from mejax.corpora import corpus_names
from mejax.corpora import people as people_lib
from mejax.experiment import results
from mejax.experiment.task import Task

FORM = {'people': [str], 'clips': [str], 'unknown': bool}
_MOST_NAMED = 5
UNKNOWN = (
  'nobody knows whom the converted weights have seen, so this is no held-out'
  ' result'
)


@dataclasses.dataclass(frozen=True)
class Seen:
  """Whom a model has seen.

  Attributes:
    people: digest of each person, see `people_of`.
    clips: digest of each clip, see `results.digests`.
    unknown: whether there are others, of whom nothing is known.
  """

  people: frozenset[str] = frozenset()
  clips: frozenset[str] = frozenset()
  unknown: bool = False

  def __or__(self, other: Seen) -> Seen:
    return Seen(
      self.people | other.people,
      self.clips | other.clips,
      self.unknown or other.unknown,
    )

  def to_json(self) -> dict[str, Any]:
    """Returns JSON values, from which `from_json` makes the same object."""
    return {
      'people': sorted(self.people),
      'clips': sorted(self.clips),
      'unknown': self.unknown,
    }


NOBODY = Seen()


def from_json(content: Mapping[str, Any]) -> Seen:
  """Returns what `to_json` described; its form is `FORM`."""
  return Seen(
    frozenset(content['people']),
    frozenset(content['clips']),
    content['unknown'],
  )


def of(
  corpus: Shaped[np.ndarray, ' n'],
  subject: Shaped[np.ndarray, ' n'],
  clip: Shaped[np.ndarray, ' n'],
) -> Seen:
  """Returns what a model has seen that was trained on these clips."""
  return Seen(
    frozenset(people_of(corpus, subject).tolist()),
    frozenset(results.digests(corpus, subject, clip).tolist()),
  )


def people_of(
  corpus: Shaped[np.ndarray, ' n'], subject: Shaped[np.ndarray, ' n']
) -> Shaped[np.ndarray, ' n']:
  """Returns a digest of the person of each clip.

  It is the same for all usual spellings of a name and of a corpus, and for
  corpora that show the same people.
  """
  pairs = zip(corpus.tolist(), subject.tolist(), strict=True)
  return np.array([person(each, name) for each, name in pairs], str)


def person(corpus: str, subject: str) -> str:
  """Returns the digest of a person, see `people_of`."""
  corpus = corpus_names.common(corpus)
  return results.digest(
    people_lib.SAME_PEOPLE.get(corpus, corpus), people_lib.plain(subject)
  )


def leave_out(
  task: Task, seen: Seen, *, whose: str, leave_out_seen: bool, hint: str
) -> Task:
  """Returns the clips of a task whose people a model has not seen.

  Args:
    task: the clips.
    seen: whom the model has seen.
    whose: the model, as the message names it.
    leave_out_seen: whether seen people are left out; otherwise a task with any
      of them is refused.
    hint: a sentence on what to do about a refusal.

  Raises:
    ValueError: the model has seen people of the task who are not left out, or
      too many to leave two groups.
  """
  is_seen = np.isin(
    people_of(task.corpus, task.subject), np.array([*seen.people], str)
  )
  if not is_seen.any():
    return task
  people = np.unique(task.people).tolist()
  known = np.unique(task.people[is_seen]).tolist()
  clips = np.isin(
    results.digests(task.corpus, task.subject, task.clip),
    np.array([*seen.clips], str),
  )
  more = len(known) - _MOST_NAMED
  named = ', '.join(known[:_MOST_NAMED]) + f' and {more} more' * (more > 0)
  said = (
    f'{whose} has seen {len(known)} of the {len(people)} people of these data'
    f' ({named}), with {clips.sum()} of their clips here.'
  )
  if not leave_out_seen:
    raise ValueError(
      f'{said} What it says of them is no result for people whom it has not'
      f' seen. {hint}'
    )
  left = _subset(task, ~is_seen)
  if len(np.unique(left.groups)) < 2:
    raise ValueError(
      f'{said} Without them there are {len(people) - len(known)} people, in'
      f' {len(np.unique(left.groups))} groups; two are needed at least.'
    )
  note = (
    f'{len(known)} of {len(people)} people were left out, because'
    f' {whose} has seen them.'
  )
  print(note)
  return dataclasses.replace(left, protocol=f'{task.protocol} {note}'.strip())


def _subset(task: Task, keep: Bool[np.ndarray, ' n']) -> Task:
  """Returns some clips of a task."""
  arrays = ('inputs', 'corpus', 'subject', 'clip', 'labels', 'groups')
  own = task.baseline_inputs
  return dataclasses.replace(
    task,
    **{name: getattr(task, name)[keep] for name in arrays},
    extra={name: array[keep] for name, array in task.extra.items()},
    baseline_inputs=None if own is None else own[keep],
  )
