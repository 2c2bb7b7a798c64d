"""Protocols: which clips count, their classes, and who is held out together.

`PROTOCOLS` has those that ship with mejax. Your own is a CSV file, which
`protocol_file` reads, or an object of class `Protocol`.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses

from mejax.corpora.release_counts import Count
from mejax.datasets import emotions
from mejax.datasets import shown_units


@dataclasses.dataclass(frozen=True)
class Protocol:
  """A way to turn clips into a classification task.

  Attributes:
    name: as in the table.
    sentence: the protocol in one sentence, for reports.
    classes: names of the classes, in the order of the labels; () stands for
      the classes that the examples have, sorted.
    class_of: maps (corpus, emotion) to the name of a class, or to None if the
      clip does not count.
    expected: clips per corpus and class, if the protocol fixes them.
    excluded: single clips that do not count although their class does: from
      `corpus/subject/clip` to the reason.
    left_out: what is held out as a whole, `subject` or `corpus`.
    units: action units that are told beside the classes; clips do not count
      whose sheet has no list of them.
  """

  name: str
  sentence: str
  classes: tuple[str, ...]
  class_of: Callable[[str, str], str | None]
  expected: Mapping[str, Mapping[str, Count]] = dataclasses.field(
    default_factory=dict
  )
  excluded: Mapping[str, str] = dataclasses.field(default_factory=dict)
  left_out: str = 'subject'
  units: tuple[str, ...] = ()


def _of_one(
  corpus: str,
  name: str,
  title: str,
  groups: Mapping[str, tuple[str, ...]],
  expected: Mapping[str, Count],
) -> Protocol:
  """Returns a protocol of one database; `groups` are words for each class."""
  what = f'{len(groups)} classes, one subject left out at a time.'
  return Protocol(
    name=name,
    sentence=f'{title}: {what}',
    classes=tuple(groups),
    class_of=emotions.of_corpus(corpus, groups),
    expected={corpus: expected},
  )


def _alone(*words: str) -> dict[str, tuple[str, ...]]:
  """Returns groups in which each word is a class of its own."""
  return {word: (word,) for word in words}


_CASME3 = {
  'negative': ('disgust', 'fear', 'anger', 'sad'),
  'positive': ('happy',),
  'surprise': ('surprise',),
}
_CASME3_COUNTS = {'negative': 457, 'positive': 55, 'surprise': 187}
_EXTRA = 'surprise in the sheet of 2019 only'
# The clips of CASME II that the composite left out.
_EXCLUDED = {
  'casme2/sub04/EP12_01f': 'the sheet gives no apex',
  'casme2/sub05/EP09_05f': 'its apex is its onset',
  'casme2/sub24/EP07_01': _EXTRA,
  'casme2/sub24/EP07_04f': _EXTRA,
  'casme2/sub24/EP10_03': _EXTRA,
}

PROTOCOLS = {
  p.name: p
  for p in (
    Protocol(
      name='megc2019',
      sentence=(
        'MEGC 2019 composite: 442 clips of SMIC-HS, CASME II and SAMM, three '
        'classes, one of 68 subjects left out at a time.'
      ),
      classes=emotions.THREE,
      class_of=emotions.megc2019,
      expected={
        'smic': {'negative': 70, 'positive': 51, 'surprise': 43},
        'casme2': {'negative': 88, 'positive': 32, 'surprise': 25},
        'samm': {'negative': 92, 'positive': 26, 'surprise': 15},
      },
      excluded=_EXCLUDED,
    ),
    Protocol(
      name='cross-corpus',
      sentence=(
        'The three classes of MEGC 2019 over several databases, one database '
        'left out at a time.'
      ),
      classes=emotions.THREE,
      class_of=emotions.cross_corpus,
      excluded=_EXCLUDED,
      left_out='corpus',
    ),
    Protocol(
      name='cd6me',
      sentence=(
        'Twelve action units, and the three classes of MEGC 2019 or others, '
        'over CASME, CASME II, SAMM, CAS(ME)^3, MMEW and 4DME, one database '
        'left out at a time.'
      ),
      classes=(*emotions.THREE, 'others'),
      class_of=emotions.of_units,
      left_out='corpus',
      units=shown_units.MEB,
    ),
    _of_one(
      'casme2',
      'casme2-5',
      'CASME II',
      _alone('disgust', 'happiness', 'repression', 'surprise', 'others'),
      # A pair of numbers: in the sheet of 2014, and in that of 2019.
      {
        'disgust': 63,
        'happiness': 32,
        'repression': 27,
        'surprise': (25, 28),
        'others': 99,
      },
    ),
    _of_one(
      'casme2',
      'mmnet-3',
      'CASME II with the sheet of 2019',
      {
        'happiness': ('happiness',),
        'surprise': ('surprise',),
        'negative': ('disgust', 'repression', 'sadness', 'fear'),
      },
      {'happiness': 32, 'surprise': 28, 'negative': 96},
    ),
    _of_one(
      'samm',
      'samm-5',
      'SAMM',
      _alone('anger', 'other', 'happiness', 'surprise', 'contempt'),
      {
        'anger': 57,
        'other': 26,
        'happiness': 26,
        'surprise': 15,
        'contempt': 12,
      },
    ),
    _of_one(
      'mmew',
      'mmew-4',
      'MMEW',
      {
        **_alone('happiness', 'surprise', 'disgust'),
        # The authors' description calls others repression.
        'others': ('others', 'repression'),
      },
      {'happiness': 36, 'surprise': 89, 'disgust': 72, 'others': 66},
    ),
    _of_one('casme3', 'casme3-3', 'CAS(ME)^3 A', _CASME3, _CASME3_COUNTS),
    _of_one(
      'casme3',
      'casme3-4',
      'CAS(ME)^3 A',
      _CASME3 | _alone('others'),
      _CASME3_COUNTS | {'others': 161},
    ),
    _of_one(
      'casme3',
      'casme3-7',
      'CAS(ME)^3 A',
      _alone('disgust', 'surprise', 'others', 'fear', 'anger', 'sad', 'happy'),
      {
        'disgust': 250,
        'surprise': 187,
        'others': 161,
        'fear': 86,
        'anger': 64,
        'sad': 57,
        'happy': 55,
      },
    ),
    _of_one(
      'dfme',
      'dfme-7',
      'DFME',
      _alone(
        'happiness',
        'disgust',
        'contempt',
        'surprise',
        'fear',
        'anger',
        'sadness',
      ),  # fmt: skip
      {},
    ),
    Protocol(
      name='synthetic',
      sentence=(
        'Synthetic faces, three classes, one subject left out at a time.'
      ),
      classes=emotions.THREE,
      class_of=emotions.three,
    ),
    Protocol(
      name='own',
      sentence=(
        'Every emotion of the data is a class, one subject left out at a time.'
      ),
      classes=(),
      class_of=emotions.every,
    ),
  )
}
