"""Applies a protocol: chooses examples, labels them and groups them."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from jaxtyping import Bool
from jaxtyping import Int
import numpy as np

from mejax.corpora import people as people_lib
from mejax.datasets.protocols import Protocol


@dataclasses.dataclass(frozen=True)
class Selection:
  """The examples that count.

  Attributes:
    indices: their rows among the examples.
    labels: index into `classes`.
    classes: those of the protocol, or of the examples if the protocol has none.
    groups: `corpus/subject`, or `corpus`; a group is held out as a whole.
    parts: a mask for each database, if there is more than one.
    notes: sentences with the counts and every deviation from the protocol.
  """

  indices: Int[np.ndarray, ' m']
  labels: Int[np.ndarray, ' m']
  classes: tuple[str, ...]
  groups: np.ndarray
  parts: dict[str, Bool[np.ndarray, ' m']]
  notes: list[str]


def apply(
  protocol: Protocol,
  examples: Mapping[str, np.ndarray],
  *,
  skipped: Sequence[Mapping[str, Any]] = (),
) -> Selection:
  """Chooses examples and labels them.

  Args:
    protocol: decides which examples count.
    examples: corpus, subject, clip, emotion str[n], as `load_examples` returns
      them.
    skipped: the clips that a dataset's metadata lists as skipped: identity,
      reason, if known the emotion, and `by_choice` if an option of the reader
      left it out. If a count is not the protocol's, the notes list them.

  Raises:
    ValueError: no example counts, `class_of` returns a class that the protocol
      does not have, or the examples have only one class.
  """
  if not protocol.classes:
    protocol = _with_classes(protocol, examples)
  names, excluded, uncounted = _classes_of(protocol, examples)
  indices = np.flatnonzero([name is not None for name in names])
  labels = [protocol.classes.index(names[i]) for i in indices]
  own = examples['corpus'][indices]
  masks = {name: own == name for name in dict.fromkeys(own.tolist())}
  people = np.strings.add(
    np.strings.add(own, '/'), examples['subject'][indices]
  )
  selection = Selection(
    indices=indices,
    labels=np.array(labels, np.int32),
    classes=protocol.classes,
    groups=people if protocol.left_out == 'subject' else own,
    parts=masks if len(masks) > 1 else {},
    notes=[],
  )
  counts = {
    name: np.bincount(
      selection.labels[mask], minlength=len(protocol.classes)
    ).tolist()
    for name, mask in masks.items()
  }
  selection.notes.append(_counts_note(protocol, counts, selection.groups))
  # What a database's authors count, whether or not it was left out by choice.
  whole = _with_left_out(protocol, counts, skipped)
  differences = _differences(protocol, whole)
  selection.notes.extend(differences)
  if differences:
    selection.notes.extend(_not_there(protocol, skipped))
  if whole != counts:
    selection.notes.append(_left_out_note(protocol, counts, whole))
  if protocol.left_out == 'subject':
    selection.notes.extend(_doubts(own, examples['subject'][indices]))
  if uncounted:
    kinds = ', '.join(f'{n} {kind}' for kind, n in uncounted.items())
    selection.notes.append(f'not counted: {kinds}')
  if excluded:
    clips = ', '.join(
      f'{name} ({protocol.excluded[name]})' for name in excluded
    )
    selection.notes.append(f'excluded: {clips}')
  return selection


def _with_classes(
  protocol: Protocol, examples: Mapping[str, np.ndarray]
) -> Protocol:
  """Returns the protocol with the classes of the examples, sorted."""
  pairs = zip(
    examples['corpus'].tolist(), examples['emotion'].tolist(), strict=True
  )
  found = {protocol.class_of(*pair) for pair in pairs} - {None}
  if len(found) == 1:
    raise ValueError(
      f'all examples that count in protocol {protocol.name!r} are of class '
      f'{found.pop()!r}; expected two classes or more'
    )
  return dataclasses.replace(protocol, classes=tuple(sorted(found)))


def _classes_of(
  protocol: Protocol, examples: Mapping[str, np.ndarray]
) -> tuple[list[str | None], list[str], collections.Counter[str]]:
  """Returns each example's class, excluded clips, and a count of the others."""
  names, excluded, uncounted = [], [], collections.Counter()
  columns = (
    examples[key].tolist() for key in ('corpus', 'subject', 'clip', 'emotion')
  )
  for corpus, subject, clip, emotion in zip(*columns, strict=True):
    name = protocol.class_of(corpus, emotion)
    identity = f'{corpus}/{subject}/{clip}'
    if name is None:
      uncounted[f'{corpus} {emotion}'] += 1
    elif identity in protocol.excluded:
      excluded.append(identity)
      name = None
    elif name not in protocol.classes:
      raise ValueError(
        f'class_of of protocol {protocol.name!r} gives {name!r} for '
        f'{corpus} {emotion}; its classes are {protocol.classes}'
      )
    names.append(name)
  if all(name is None for name in names):
    raise ValueError(
      f'no example counts in protocol {protocol.name!r}; there are '
      f'{", ".join(sorted(uncounted) + excluded) or "none"}. Choose another'
      ' --config.protocol: own makes every emotion of the data a class, and a'
      ' CSV file with the columns corpus, emotion, class says which'
    )
  return names, excluded, uncounted


def _with_left_out(
  protocol: Protocol,
  counts: Mapping[str, list[int]],
  skipped: Sequence[Mapping[str, Any]],
) -> dict[str, list[int]]:
  """Returns the counts together with the clips that were left out by choice."""
  whole = {corpus: list(numbers) for corpus, numbers in counts.items()}
  for clip in skipped:
    corpus = clip['identity'].partition('/')[0]
    if not clip.get('by_choice') or clip['identity'] in protocol.excluded:
      continue
    name = protocol.class_of(corpus, clip['emotion'])
    if corpus in whole and name in protocol.classes:
      whole[corpus][protocol.classes.index(name)] += 1
  return whole


def _left_out_note(
  protocol: Protocol,
  counts: Mapping[str, list[int]],
  whole: Mapping[str, list[int]],
) -> str:
  numbers = {
    corpus: sum(whole[corpus]) - sum(counts[corpus]) for corpus in counts
  }
  labels = [sum(column) for column in zip(*whole.values(), strict=True)]
  return (
    'left out by choice: '
    + ', '.join(f'{n} {corpus}' for corpus, n in numbers.items() if n)
    + f'; with them {sum(labels)} clips: '
    + ', '.join(
      f'{n} {k}' for k, n in zip(protocol.classes, labels, strict=True)
    )
  )


def _doubts(corpora: np.ndarray, subjects: np.ndarray) -> list[str]:
  """Notes names of a database that may be one person.

  `prepare` refuses them, but older datasets may have them.
  """
  return [
    f'{corpus}: {", ".join(map(repr, group))} may be one person, who is then '
    'in training and test; see the option people of mejax prepare'
    for corpus in dict.fromkeys(corpora.tolist())
    for group in people_lib.alike(subjects[corpora == corpus].tolist())
  ]


def _counts_note(
  protocol: Protocol, counts: Mapping[str, list[int]], groups: np.ndarray
) -> str:
  totals = {name: sum(numbers) for name, numbers in counts.items()}
  labels = [sum(column) for column in zip(*counts.values(), strict=True)]
  people = 'subjects' if protocol.left_out == 'subject' else 'databases'
  return (
    f'{protocol.name}: {sum(totals.values())} clips = '
    + ' + '.join(f'{n} {name}' for name, n in totals.items())
    + f'; {len(np.unique(groups))} {people}; '
    + ', '.join(
      f'{n} {k}' for k, n in zip(protocol.classes, labels, strict=True)
    )
  )


def _differences(
  protocol: Protocol, counts: Mapping[str, list[int]]
) -> list[str]:
  """Notes which counts are below or above the protocol's own."""
  notes = []
  for corpus, expected in protocol.expected.items():
    ways = {k: n if isinstance(n, tuple) else (n,) for k, n in expected.items()}
    if corpus not in counts:
      short = sum(way[0] for way in ways.values())
      notes.append(f'{corpus} is absent: {short} clips short')
      continue
    notes += [
      f'{corpus} {name}: {number} clips, expected '
      + ' or '.join(map(str, ways[name]))
      for name, number in zip(protocol.classes, counts[corpus], strict=True)
      if number not in ways[name]
    ]
  if protocol.expected:
    notes += [
      f'{corpus} is not expected: {sum(numbers)} clips'
      for corpus, numbers in counts.items()
      if corpus not in protocol.expected
    ]
  return notes


def _not_there(
  protocol: Protocol, skipped: Sequence[Mapping[str, Any]]
) -> list[str]:
  """Notes the missing clips of the protocol's databases, by reason."""
  reasons = collections.defaultdict(list)
  for clip in skipped:
    corpus = clip['identity'].partition('/')[0]
    counts = corpus in protocol.expected and (
      'emotion' not in clip or protocol.class_of(corpus, clip['emotion'])
    )
    # Clips that were left out by choice have a note of their own.
    counts = counts and not clip.get('by_choice')
    if counts and clip['identity'] not in protocol.excluded:
      reasons[clip['reason']].append(clip['identity'])
  return [
    f'missing ({reason}): {", ".join(clips)}'
    for reason, clips in reasons.items()
  ]
