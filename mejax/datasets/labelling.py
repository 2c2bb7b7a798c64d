"""Applies a protocol: chooses examples, labels them and groups them."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from jaxtyping import Bool
from jaxtyping import Int
import numpy as np

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
  skipped: Sequence[Mapping[str, str]] = (),
) -> Selection:
  """Chooses examples and labels them.

  Args:
    protocol: decides which examples count.
    examples: corpus, subject, clip, emotion str[n], as `load_examples` returns
      them.
    skipped: the clips that a dataset's metadata lists as skipped: identity,
      reason and, if known, emotion. If a count is not the protocol's, the notes
      list them.

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
  selection.notes.extend(_differences(protocol, counts))
  if len(selection.notes) > 1:
    selection.notes.extend(_not_there(protocol, skipped))
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
  protocol: Protocol, skipped: Sequence[Mapping[str, str]]
) -> list[str]:
  """Notes the missing clips of the protocol's databases, by reason."""
  reasons = collections.defaultdict(list)
  for clip in skipped:
    corpus = clip['identity'].partition('/')[0]
    counts = corpus in protocol.expected and (
      'emotion' not in clip or protocol.class_of(corpus, clip['emotion'])
    )
    if counts and clip['identity'] not in protocol.excluded:
      reasons[clip['reason']].append(clip['identity'])
  return [
    f'missing ({reason}): {", ".join(clips)}'
    for reason, clips in reasons.items()
  ]
