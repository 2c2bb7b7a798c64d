"""Which clips count, the class of each, and who is left out together.

A protocol is a row of `PROTOCOLS`; a user's own is another `Protocol`.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Mapping
import dataclasses

from jaxtyping import Bool
from jaxtyping import Int
import numpy as np


@dataclasses.dataclass(frozen=True)
class Protocol:
  """A way to turn clips into a classification task.

  Attributes:
    name: as in the table.
    sentence: the protocol in one sentence, for reports.
    classes: names of the classes, in the order of the labels.
    class_of: (corpus, emotion) to the name of a class, or None where the clip
      does not count.
    expected: clips per corpus and class, where the protocol fixes them.
  """

  name: str
  sentence: str
  classes: tuple[str, ...]
  class_of: Callable[[str, str], str | None]
  expected: Mapping[str, Mapping[str, int]] = dataclasses.field(
    default_factory=dict
  )


@dataclasses.dataclass(frozen=True)
class Selection:
  """The examples that count.

  Attributes:
    indices: their rows among the examples.
    labels: index into the protocol's classes.
    groups: `corpus/subject`, left out together.
    parts: for each database a mask, if there is more than one.
    notes: sentences with the counts and with all that is amiss.
  """

  indices: Int[np.ndarray, ' m']
  labels: Int[np.ndarray, ' m']
  groups: np.ndarray
  parts: dict[str, Bool[np.ndarray, ' m']]
  notes: list[str]


def apply(protocol: Protocol, examples: Mapping[str, np.ndarray]) -> Selection:
  """Chooses examples and labels them.

  Args:
    protocol: what counts.
    examples: corpus, subject, emotion str[n], as `load` gives them.

  Raises:
    ValueError: no example counts, or `class_of` gives a class that the protocol
      does not have.
  """
  corpus, emotion = examples['corpus'].tolist(), examples['emotion'].tolist()
  names = [
    protocol.class_of(*pair) for pair in zip(corpus, emotion, strict=True)
  ]
  _check_names(protocol, names, corpus, emotion)
  indices = np.flatnonzero([name is not None for name in names])
  labels = [protocol.classes.index(names[i]) for i in indices]
  own = examples['corpus'][indices]
  masks = {name: own == name for name in dict.fromkeys(own.tolist())}
  selection = Selection(
    indices=indices,
    labels=np.array(labels, np.int32),
    groups=np.strings.add(
      np.strings.add(own, '/'), examples['subject'][indices]
    ),
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
  left_out = collections.Counter(
    f'{c} {e}'
    for c, e, name in zip(corpus, emotion, names, strict=True)
    if name is None
  )
  if left_out:
    kinds = ', '.join(f'{n} {kind}' for kind, n in left_out.items())
    selection.notes.append(f'not counted: {kinds}')
  return selection


def _check_names(protocol: Protocol, names, corpus, emotion):
  strange = {n for n in names if n is not None} - set(protocol.classes)
  if strange:
    raise ValueError(
      f'class_of of protocol {protocol.name!r} gives {sorted(strange)}; its '
      f'classes are {protocol.classes}'
    )
  if all(name is None for name in names):
    found = sorted({f'{c} {e}' for c, e in zip(corpus, emotion, strict=True)})
    raise ValueError(
      f'no example counts in protocol {protocol.name!r}; there are '
      f'{", ".join(found) or "none"}'
    )


def _counts_note(
  protocol: Protocol, counts: Mapping[str, list[int]], groups: np.ndarray
) -> str:
  totals = {name: sum(numbers) for name, numbers in counts.items()}
  classes = [sum(column) for column in zip(*counts.values(), strict=True)]
  return (
    f'{protocol.name}: {sum(totals.values())} clips = '
    + ' + '.join(f'{n} {name}' for name, n in totals.items())
    + f'; {len(np.unique(groups))} subjects; '
    + ', '.join(
      f'{n} {k}' for k, n in zip(protocol.classes, classes, strict=True)
    )
  )


def _differences(
  protocol: Protocol, counts: Mapping[str, list[int]]
) -> list[str]:
  """What is short of the protocol's own counts, or beyond them."""
  notes = []
  for corpus, expected in protocol.expected.items():
    if corpus not in counts:
      notes.append(f'{corpus} is absent: {sum(expected.values())} clips short')
      continue
    notes += [
      f'{corpus} {name}: {number} clips, expected {expected[name]}'
      for name, number in zip(protocol.classes, counts[corpus], strict=True)
      if number != expected[name]
    ]
  if protocol.expected:
    notes += [
      f'{corpus} is not expected: {sum(numbers)} clips'
      for corpus, numbers in counts.items()
      if corpus not in protocol.expected
    ]
  return notes


# Emotions as the sheets write them, in lower case. CASME II's others, sadness
# and fear and SAMM's other do not count; SAMM's sadness and fear do.
_MEGC2019 = {
  'smic': {'negative': 'negative', 'positive': 'positive'},
  'casme2': {
    'disgust': 'negative',
    'repression': 'negative',
    'happiness': 'positive',
  },
  'samm': {
    'anger': 'negative',
    'contempt': 'negative',
    'disgust': 'negative',
    'fear': 'negative',
    'sadness': 'negative',
    'happiness': 'positive',
  },
}
_THREE_CLASSES = ('negative', 'positive', 'surprise')


def _megc2019_class(corpus: str, emotion: str) -> str | None:
  if corpus not in _MEGC2019:
    return None
  # The HTNet release has the three classes in place of the emotions.
  ready = {name: name for name in _THREE_CLASSES}
  return (ready | _MEGC2019[corpus]).get(emotion.lower())


def _three_classes(corpus: str, emotion: str) -> str | None:
  del corpus
  return emotion if emotion in _THREE_CLASSES else None


PROTOCOLS = {
  p.name: p
  for p in (
    Protocol(
      name='megc2019',
      sentence=(
        'MEGC 2019 composite: 442 clips of SMIC-HS, CASME II and SAMM, three '
        'classes, one of 68 subjects left out at a time.'
      ),
      classes=_THREE_CLASSES,
      class_of=_megc2019_class,
      expected={
        'smic': {'negative': 70, 'positive': 51, 'surprise': 43},
        'casme2': {'negative': 88, 'positive': 32, 'surprise': 25},
        'samm': {'negative': 92, 'positive': 26, 'surprise': 15},
      },
    ),
    Protocol(
      name='synthetic',
      sentence=(
        'Synthetic faces, three classes, one subject left out at a time.'
      ),
      classes=_THREE_CLASSES,
      class_of=_three_classes,
    ),
  )
}
