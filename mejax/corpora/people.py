"""Decides who is who, for all readers and for arrays.

A person under two names would be tested by a model that was trained on them.
So names of one corpus that differ only in what people write differently (`01`,
`1`, `sub1`, `Sub_01`) are refused with the list, unless an option says that
they are one person (`join`) or several (`apart`).
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import decimal
import numbers
import re
import unicodedata

from jaxtyping import Shaped
import numpy as np

from mejax.corpora import cells
from mejax.corpora import footage
from mejax.corpora import frames
from mejax.corpora.clip import UNKNOWN
from mejax.corpora.clip import Clip

# The option of every corpus, and its values.
OPTION = 'people'
WAYS = ('join', 'apart')

# Corpora that show people of another one, under the same names.
SAME_PEOPLE = {
  'smic_vis': 'smic',
  'smic_nir': 'smic',
  'samm_long': 'samm',
  'casme3_long': 'casme3',
  'casme3_c_long': 'casme3_c',
}

# `S` and `p` count as prefixes only of numbers: Shan and Han are two people.
_PREFIX = re.compile(
  r'((subject|subj|participant|patient|proband|person|child|user|pat|sub|vp|pt)'
  r'[\s_.:=#(-]*)?'
  r'((sp[\s_.-]*no|n°|id|no|nr|sp|s|p)[\s_.:=#(-]*|[#(+]\s*)?(?=\d)|'
  r'(subject|subj|participant|person|sub)[\s_.:#-]+(?=.)'
)
# Spreadsheets and pandas write a whole number in these ways.
_WHOLE = re.compile(r'(\d+)(\.0*|,0{1,2})')
_EXPONENT = re.compile(r'([1-9]\d*(?:\.\d+)?)e(\+?\d{1,2})')
_THOUSANDS = re.compile(r'(?<=\d) (?=\d{3}(?!\d))')
# Accents on Latin letters. In other scripts such signs make other letters.
_ACCENTS = re.compile('(?<=[a-z])[\u0300-\u036f]+')
# Letters that stand for digits by a slip, in names of these and digits alone.
_SLIPS = re.compile(r'[oil\d]*\d[oil\d]*')
_DIGITS = str.maketrans('oil', '011')
# Letters of other scripts that Unicode's table of confusables takes for Latin
# ones, in lower case; of Greek capitals, which look more alike, those.
_LATIN = str.maketrans(
  'авекмнорстухіїѕјһԁԛԝӏαβεζηικμνορτυχı⁄',
  'abekmhopctyxiisjhdqwlabezhikmnoptyxi/',
)


def folded(name: str) -> str:
  """Returns a word without case, accents, unseen signs, look-alike letters."""
  text = unicodedata.normalize('NFD', cells.visible(name).casefold())
  text = _ACCENTS.sub('', text.translate(_LATIN))
  return cells.visible(text)


def plain(name: str) -> str:
  """Returns what all usual spellings of a person's name have in common."""
  text = folded(name).strip(' _-.,;!@*\'"()[]{}<>')
  if exact := _EXPONENT.fullmatch(text):
    whole = decimal.Decimal(f'{exact[1]}e{exact[2]}')
    text = str(int(whole)) if whole == whole.to_integral_value() else text
  prefix = _PREFIX.match(text)
  text = text[prefix.end() :] if prefix else text
  if exact := _WHOLE.fullmatch(text):
    text = exact[1]
  if _SLIPS.fullmatch(text):
    text = text.translate(_DIGITS)
  text = _THOUSANDS.sub('', text)
  text = re.sub(r'(?<!\d)0+(?=\d)', '', text)
  text = re.sub(r'(?<!\d)\.|\.(?!\d)', '', text)
  return re.sub(r'[\s_-]', '', text) or name


def number(name: str) -> int | None:
  """Returns the number of a person who is called by one, e.g. 7 for `sub07`."""
  found = plain(name)
  return int(found) if re.fullmatch('[0-9]{1,9}', found) else None


def is_person(name: str) -> bool:
  """Returns whether a text can be a name: not blank, `nan` or `unknown`."""
  plain = cells.visible(name).casefold().strip(' <>()[]{}')
  return cells.is_word(name) and plain != UNKNOWN


def alike(names: Iterable[str]) -> list[list[str]]:
  """Returns the groups of different names that may be one person."""
  groups = {}
  for name in dict.fromkeys(names):
    groups.setdefault(plain(name), []).append(name)
  return [group for group in groups.values() if len(group) > 1]


def check_way(way: str) -> None:
  """Refuses an unknown value of the option.

  Raises:
    ValueError: `way` is neither one of `WAYS` nor ''.
  """
  if way and way not in WAYS:
    raise ValueError(f'{OPTION} is {way!r}; expected {" or ".join(WAYS)}')


def settled(clips: Iterable[Clip], way: str = '') -> Iterator[Clip]:
  """Yields the clips of some corpora with names that can be relied on.

  A clip gets a problem if it has no person, a name that is no UTF-8, the name
  of an earlier clip, or the frames of a clip of another person.

  Args:
    clips: as the readers yield them. All are read before the first is yielded:
      the last may tell that the first is somebody else's too.
    way: what happens to names that may be one person: '' refuses them after the
      last clip, `join` gives all of them the first spelling, `apart` keeps
      them.

  Raises:
    ValueError: there are such names, and `way` is ''.
  """
  clips = list(map(_checked, clips))
  yield from footage.settled(_named(clips, way))
  if not way and (lines := doubts(clips)):
    raise ValueError(refusal(lines))


def _named(clips: Iterable[Clip], way: str) -> Iterator[Clip]:
  """Yields the clips, each with a name of its own."""
  first, seen = {}, set()
  for clip in clips:
    if is_known(clip):
      subject = first.setdefault(
        (clip.corpus, plain(clip.subject)), clip.subject
      )
      if way == 'join' and subject != clip.subject:
        remark = f'{clip.subject} and {subject} are taken for one person'
        clip = dataclasses.replace(
          clip, subject=subject, remarks=(*clip.remarks, remark)
        )
    if clip.identity in seen and not clip.problem:
      clip = dataclasses.replace(
        clip, problem='another clip has this name: the first counts'
      )
    seen.add(clip.identity)
    yield clip


def settled_names(
  names: Shaped[np.ndarray, ' n'], way: str = ''
) -> Shaped[np.ndarray, ' n']:
  """Returns the person of each row of some arrays; see `settled`.

  Raises:
    ValueError: a name is nobody's; or names may be one person, and `way` is ''.
  """
  check_way(way)
  nobody = [i for i, name in enumerate(names) if not is_person(str(name))]
  if nobody:
    raise ValueError(
      f'subject {str(names[nobody[0]])!r}, at position {nobody[0]}, names '
      f'nobody; there are {len(nobody)} like it: name each person'
    )
  for i, name in enumerate(names.tolist()):
    if letter := cells.mixed_scripts(name):
      raise ValueError(
        f'subject {name!r}, at position {i}, has {letter} among Latin letters: '
        'write it in one script'
      )
  groups = alike(names.tolist())
  if groups and not way:
    lines = ', '.join(map(repr, groups[0]))
    raise ValueError(
      f'{lines} may be one person, who would be in training and test; there '
      f'are {len(groups)} such groups. Write each person in one way, or give '
      "people='join' or people='apart'"
    )
  if way == 'join':
    first = {name: group[0] for group in groups for name in group}
    names = np.array([first.get(name, name) for name in names.tolist()])
  return names


def is_known(clip: Clip) -> bool:
  """Returns whether a clip can be used, and its person is of any concern.

  Recordings without labels are subjects of their own, and never trained on.
  """
  return not clip.problem and clip.emotion != UNKNOWN


def doubts(clips: Iterable[Clip]) -> list[str]:
  """Returns a line for each group of names of a corpus that may be one person.

  Args:
    clips: only those count whose person is known.
  """
  names = {}
  for clip in filter(is_known, clips):
    names.setdefault(clip.corpus, []).append(clip.subject)
  return [
    f'{corpus}: {", ".join(map(repr, group))}'
    for corpus, own in names.items()
    for group in alike(own)
  ]


def refusal(lines: Iterable[str]) -> str:
  """Says what to do about names that may be one person."""
  return '\n  '.join(
    [
      'these names may be one person, who would then be in training and test:',
      *lines,
    ]
  ) + (
    f'\nWrite each person in one way, or say that they are one person (--option'
    f' {OPTION}=join) or several (--option {OPTION}=apart).'
  )


def _checked(clip: Clip) -> Clip:
  """Returns the clip with names that can be written, or with a problem."""
  changes = _without_wrong_numbers(clip)
  for field in ('corpus', 'subject', 'name', 'emotion'):
    text = getattr(clip, field)
    if not isinstance(text, str):
      changes |= {field: str(text)}
      problem = f'its {field} is {text!r}; expected a text'
    elif not cells.is_utf8(text):
      changes |= {field: cells.in_line(text)}
      problem = f'its {field} is not UTF-8: rename it'
    elif cells.has_control(text):
      # It could look like a line, or like a row, of its own.
      changes |= {field: cells.in_line(text)}
      problem = (
        f'its {field} has a line break or another control character: rename it'
      )
    else:
      # A cell of a sheet becomes a plain text.
      changes |= {field: str(text)}
      continue
    changes |= {'problem': clip.problem or problem}
  problem = changes.get('problem', clip.problem)
  if not problem and not is_person(changes['subject']):
    problem = f'its subject is {changes["subject"]!r}, which names nobody'
  # Without a label, the name is that of a file.
  if not problem and changes['emotion'] != UNKNOWN:
    problem = _of_two_scripts(changes)
  changes |= {'problem': cells.in_line(problem)}
  changes |= {
    level: tuple(map(cells.in_line, getattr(clip, level)))
    for level in ('remarks', 'notes')
  }
  return dataclasses.replace(clip, **changes)


def _of_two_scripts(names: Mapping[str, str]) -> str:
  """Names a word of letters of two scripts; '' if there is none."""
  for field in ('subject', 'emotion'):
    if letter := cells.mixed_scripts(names[field]):
      return (
        f'its {field} {names[field]!r} has {letter} among Latin letters: write '
        'it in one script'
      )
  return ''


def _without_wrong_numbers(clip: Clip) -> dict[str, str | None]:
  """Removes frame numbers that no dataset can hold, with a problem if any."""
  changes = {}
  for field in ('onset', 'apex', 'offset'):
    number = getattr(clip, field)
    if number is None:
      continue
    # NumPy's integers are numbers, too.
    if not isinstance(number, numbers.Integral) or abs(number) > frames.LARGEST:
      problem = (
        f'its {field} is {number!r}; expected a whole number up to '
        f'{frames.LARGEST}'
      )
      changes |= {field: None, 'problem': clip.problem or problem}
  return changes
