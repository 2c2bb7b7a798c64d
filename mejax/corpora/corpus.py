"""Declares what a corpus is, finds one by its name, and reads several."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import difflib
import itertools
import pathlib
import re
from typing import Any

from mejax import own_code
from mejax.corpora import CORPORA
from mejax.corpora import LONG_VIDEOS
from mejax.corpora import footage
from mejax.corpora import people
from mejax.corpora.clip import Clip

Watch = Callable[[Iterator[Clip]], Iterable[Clip]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corpus:
  """A corpus as the rest of mejax sees it.

  Attributes:
    name: a plain word; datasets are named after it by default.
    read: function of (root, **options) that yields the clips. A clip that
      cannot be used is yielded with the reason in its `problem`.
    options: keywords of `read` that a user may set, each a word or a path;
      every corpus also takes `people`, see `people.settled`.
    takes_recordings: whether `read` takes a list of files and folders as root.
    unread: function of root and the options of `read` that returns a line for
      each kind of file that is passed over.
  """

  name: str
  read: Callable[..., Iterator[Clip]]
  options: tuple[str, ...] = ()
  takes_recordings: bool = False
  unread: Callable[..., list[str]] = lambda root, **options: []

  def check_options(self, options: Mapping[str, Any]) -> None:
    """Refuses options that the reader does not have.

    Raises:
      ValueError: an option is unknown; the message lists the known ones.
    """
    for option in options:
      if option not in (*self.options, people.OPTION):
        known = ', '.join((*self.options, people.OPTION))
        raise ValueError(
          f'{self.name} has no option {option!r}; it has {known}'
        )
    people.check_way(options.get(people.OPTION, ''))

  def clips(
    self, root: Any, options: Mapping[str, Any], *, watch: Watch = iter
  ) -> Iterator[Clip]:
    """Reads the clips, with names that can be relied on.

    Args:
      root: as `read` takes it.
      options: those of `read`, and `people`.
      watch: passes on the clips while they are read, as a bar of progress does.

    Raises:
      ValueError: see `people.settled`; further errors are those of `read`.
    """
    options = dict(options)
    way = options.pop(people.OPTION, '')
    return people.settled(watch(self.read(root, **options)), way)


def find_corpus(spec: str) -> Corpus:
  """Returns the corpus with a name.

  Args:
    spec: a name of `mejax.corpora.CORPORA`, or `package.module:name` for a
      `Corpus` of your own.

  Raises:
    ValueError: there is no such corpus.
  """
  if spec in LONG_VIDEOS:
    raise ValueError(
      f'{spec} holds long videos, not clips: `mejax check {spec} DIR` reads it'
    )
  if ':' not in spec and spec not in CORPORA:
    plain = re.sub('[^a-z0-9]', '', spec.lower().replace('ii', '2'))
    near = difflib.get_close_matches(plain, CORPORA, n=1)
    raise ValueError(
      f'unknown corpus {spec!r}; known: {", ".join(CORPORA)}'
      + (f'; do you mean {near[0]}?' if near else '')
      + '; your own is named as package.module:name'
    )
  own = f'{CORPORA[spec]}:CORPUS' if spec in CORPORA else spec
  found = own_code.load(own, 'corpus')
  if not isinstance(found, Corpus):
    raise ValueError(
      f'{spec} is {type(found).__name__}; expected a mejax.corpora.corpus.'
      'Corpus, as in CORPUS = Corpus(name=..., read=...)'
    )
  return found


def read_corpora(
  corpora: Sequence[Corpus],
  places: Sequence[str | pathlib.Path],
  options: Mapping[str, Any],
  *,
  watch: Watch = iter,
) -> Iterator[Clip]:
  """Reads the clips of several corpora, one corpus after the other.

  Args:
    corpora: the corpora to read.
    places: where each corpus lies; for recordings alone, all of their paths.
    options: for one corpus `{option: value}`, for several
      `{'corpus.option': value}`.
    watch: as `Corpus.clips` takes it.

  Returns:
    The clips with names that can be relied on, see `people.settled`.

  Raises:
    FileNotFoundError: a place does not exist.
    ValueError: an option is unknown, a corpus is given twice, or the numbers of
      corpora and places differ; after the last clip, if names of one corpus may
      be one person.
  """
  names = [corpus.name for corpus in corpora]
  if len(set(names)) < len(names):
    raise ValueError(f'{" ".join(names)}: a corpus is named twice')
  own = {name: _options_of(name, names, options) for name in names}
  for corpus in corpora:
    corpus.check_options(own[corpus.name])
  if len(corpora) == 1 and corpora[0].takes_recordings:
    root = [pathlib.Path(p) for p in places]
    return corpora[0].clips(root, own[names[0]], watch=watch)
  if len(places) != len(corpora):
    raise ValueError(
      f'corpora: {", ".join(names)}; sources: {", ".join(map(str, places))}; '
      'expected one source for each corpus, in the same order'
    )
  readings = []
  for corpus, place in zip(corpora, map(pathlib.Path, places), strict=True):
    if not place.exists():
      raise FileNotFoundError(
        f'{place} is not there; expected {corpus.name} in it'
      )
    root = [place] if corpus.takes_recordings else place
    readings.append(corpus.clips(root, own[corpus.name], watch=watch))
  # A recording of two corpora has two people, too.
  return footage.settled(itertools.chain.from_iterable(readings))


def unread(
  corpora: Sequence[Corpus],
  places: Sequence[str | pathlib.Path],
  options: Mapping[str, Any],
) -> list[str]:
  """Returns a line for each kind of file that `read_corpora` passes over."""
  names = [corpus.name for corpus in corpora]
  lines = []
  for corpus, place in zip(corpora, map(pathlib.Path, places), strict=False):
    own = _options_of(corpus.name, names, options)
    own.pop(people.OPTION, '')
    root = place
    if corpus.takes_recordings:
      alone = len(corpora) == 1
      root = list(map(pathlib.Path, places)) if alone else [place]
    lines += corpus.unread(root, **own)
  return lines


def _options_of(
  name: str, names: Sequence[str], options: Mapping[str, Any]
) -> dict[str, Any]:
  """Selects the options of one corpus from those of all."""
  if len(names) == 1:
    return {k.removeprefix(f'{name}.'): v for k, v in options.items()}
  for option in options:
    if option.partition('.')[0] not in names or '.' not in option:
      raise ValueError(
        f'option {option!r}: with several corpora name the one that is meant,'
        f' as in {names[0]}.{option.rpartition(".")[2]}=...'
      )
  return {
    k.partition('.')[2]: v
    for k, v in options.items()
    if k.partition('.')[0] == name
  }
