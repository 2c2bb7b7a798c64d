"""Maps the databases' words for emotions to the classes of protocols.

Each function takes a corpus and the corpus's word for an emotion. It returns a
class, or None if the clip does not count.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping

from mejax.corpora import cells

THREE = ('negative', 'positive', 'surprise')

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

# The same for databases that are not in the composite. Repression is negative,
# as in CASME II, but in MMEW it is another name for others.
_FURTHER = {
  'anger': 'negative',
  'contempt': 'negative',
  'disgust': 'negative',
  'fear': 'negative',
  'sad': 'negative',
  'sadness': 'negative',
  'repression': 'negative',
  'happy': 'positive',
  'happiness': 'positive',
}
# SMIC's other cameras show the same clips again, so a fold that holds out one
# camera would train on its clips.
CROSS_CORPUS = (
  'casme', 'casme2', 'casme3', 'casme3_c', 'dfme', 'fourdme', 'mmew', 'samm',
  'smic',
)  # fmt: skip


def plain(emotion: str) -> str:
  """Returns a word as it is compared.

  Case, blanks, and what nobody sees are left out, see `cells.visible`.
  """
  return cells.visible(cells.visible(emotion).lower())


def megc2019(corpus: str, emotion: str) -> str | None:
  """Returns one of the three classes of the composite."""
  if corpus not in _MEGC2019:
    return None
  # The HTNet release has the three classes in place of the emotions.
  ready = {name: name for name in THREE}
  return (ready | _MEGC2019[corpus]).get(plain(emotion))


def three(corpus: str, emotion: str) -> str | None:
  """Returns the emotion if it is itself one of the three classes."""
  del corpus
  return emotion if emotion in THREE else None


def cross_corpus(corpus: str, emotion: str) -> str | None:
  """Returns one of the composite's classes, for further databases too.

  A clip with several emotions counts if all of them have the same class.
  """
  if corpus in _MEGC2019:
    return megc2019(corpus, emotion)
  if corpus not in CROSS_CORPUS:
    return None
  words = {name: name for name in THREE} | _FURTHER
  if corpus == 'mmew':
    del words['repression']
  found = {words.get(plain(word)) for word in emotion.split('+')}
  return found.pop() if len(found) == 1 else None


def of_units(corpus: str, emotion: str) -> str | None:
  """Returns one of the composite's classes or `others`, where units are coded.

  For the six databases that MEB joins to score action units.
  """
  if corpus not in ('casme', 'casme2', 'casme3', 'fourdme', 'mmew', 'samm'):
    return None
  return cross_corpus(corpus, emotion) or 'others'


def every(corpus: str, emotion: str) -> str | None:
  """Returns the corpus's own word in lower case, unless it is `unknown`."""
  del corpus
  word = plain(emotion)
  return None if word in ('', 'unknown') else word


def of_table(
  table: Mapping[tuple[str, str], str | None], corpus: str, emotion: str
) -> str | None:
  """Returns the class that a table gives to a corpus and its word."""
  return table.get((corpus, plain(emotion)))


def of_corpus(
  corpus: str, groups: Mapping[str, tuple[str, ...]]
) -> Callable[[str, str], str | None]:
  """Returns a function that gives the classes of one corpus.

  Args:
    corpus: the only corpus that counts.
    groups: the corpus's words for each class, in lower case.
  """
  words = {word: name for name, own in groups.items() for word in own}

  def class_of(own: str, emotion: str) -> str | None:
    return words.get(plain(emotion)) if own == corpus else None

  return class_of
