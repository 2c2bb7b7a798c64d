"""Which reader reads what, with which options."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import difflib
import importlib
import inspect
import itertools
import pathlib
import re
from typing import Any

from mejax.corpora import CORPORA
from mejax.corpora.clip import Clip

VIDEO = 'video'


def reader(corpus: str) -> Callable[..., Iterator[Clip]]:
  """The function that reads a corpus.

  Raises:
    ValueError: the corpus is unknown.
  """
  if corpus not in CORPORA:
    plain = re.sub('[^a-z0-9]', '', corpus.lower().replace('ii', '2'))
    near = difflib.get_close_matches(plain, CORPORA, n=1)
    raise ValueError(
      f'unknown corpus {corpus!r}; known: {", ".join(CORPORA)}'
      + (f'; do you mean {near[0]}?' if near else '')
    )
  return importlib.import_module(CORPORA[corpus]).read


def check_options(corpus: str, options: Mapping[str, Any]) -> None:
  """Refuses options that the reader of a corpus does not have."""
  # Those that take a word or a path; switches and functions are not for users.
  known = [
    p.name
    for p in inspect.signature(reader(corpus)).parameters.values()
    if p.kind == p.KEYWORD_ONLY and re.search('str|Path', p.annotation)
  ]
  for name in options:
    if name not in known:
      raise ValueError(
        f'{corpus} has no option {name!r}; it has {", ".join(known) or "none"}'
      )


def read(
  corpora: Sequence[str],
  sources: Sequence[str | pathlib.Path],
  options: Mapping[str, Any],
) -> Iterator[Clip]:
  """Clips of some corpora, one corpus after the other.

  Args:
    corpora: their names.
    sources: where each lies; for `video` alone, every recording or folder.
    options: of one corpus `{option: value}`, of several
      `{'corpus.option': value}`.

  Raises:
    FileNotFoundError: a source is not there.
    ValueError: unknown corpus or option, or there is not one source for each.
  """
  if len(set(corpora)) < len(corpora):
    raise ValueError(f'{" ".join(corpora)}: a corpus is named twice')
  own = {corpus: _own(corpus, corpora, options) for corpus in corpora}
  for corpus in corpora:
    check_options(corpus, own[corpus])
  if list(corpora) == [VIDEO]:
    return reader(VIDEO)([pathlib.Path(s) for s in sources], **own[VIDEO])
  if len(sources) != len(corpora):
    raise ValueError(
      f'corpora: {", ".join(corpora)}; sources: '
      f'{", ".join(map(str, sources))}; expected one source for each corpus, in'
      ' the same order'
    )
  readings = []
  for corpus, place in zip(corpora, map(pathlib.Path, sources), strict=True):
    if not place.exists():
      raise FileNotFoundError(f'{place} is not there; expected {corpus} in it')
    root = [place] if corpus == VIDEO else place
    readings.append(reader(corpus)(root, **own[corpus]))
  return itertools.chain.from_iterable(readings)


def _own(
  corpus: str, corpora: Sequence[str], options: Mapping[str, Any]
) -> dict[str, Any]:
  """The options of one corpus."""
  if len(corpora) == 1:
    return {k.removeprefix(f'{corpus}.'): v for k, v in options.items()}
  for name in options:
    if name.partition('.')[0] not in corpora or '.' not in name:
      raise ValueError(
        f'option {name!r}: of several corpora name the one that is meant, as in'
        f' {corpora[0]}.{name.rpartition(".")[2]}=...'
      )
  return {
    k.partition('.')[2]: v
    for k, v in options.items()
    if k.partition('.')[0] == corpus
  }
