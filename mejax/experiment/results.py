"""Folders of results: what a run said of each clip, without any label.

    command.txt        commands that make the data, the run and its table
    config.json        the whole config; `mejax train --config` takes it
    versions.json      schema, digests, libraries, and how the data were made;
                       `other_seeds`, where these differ for some of the seeds;
                       `evaluation`, where the models of the config were applied
                       to other data than those of their training: what these
                       were read by, and data and libraries of the training
    probabilities.npz  for each clip and seed the probability of each class; the
                       logits, if rounding would change a prediction

A clip is named by a digest of corpus, subject and clip, and clips are sorted by
it, because names and orders of some databases tell the emotion. Only the last
epoch is kept: one that was chosen on test subjects would tell what they show.
Whoever has the data can compute every honest number of the run again.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import hashlib
import os
import pathlib
from typing import Any
from typing import NamedTuple

from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import Shaped
import ml_collections
import numpy as np

from mejax import files
from mejax import forms
from mejax import own_code
from mejax.evaluation import selection
from mejax.experiment import bounds
from mejax.experiment import schema
from mejax.experiment import workdir as workdir_lib

SCHEMA_VERSION = 1
FILES = ('command.txt', 'config.json', 'versions.json', 'probabilities.npz')
DIGESTED = ('config.json', 'probabilities.npz')
AGAIN = 'Get the folder again, or write it by `mejax report RUN --export DIR`.'
_DIGITS = 16
_VERSIONS = {
  'sha256': {str: str}, 'data_sha256': str, 'warning?': str,
  'other_seeds?': [dict],
  'evaluation?': {'protocol': str, 'reading': dict},
}  # fmt: skip
# Kinds and axes of the arrays: s seeds, n clips, c named classes, k classes.
_ARRAYS = {
  'schema_version': ('iu', ''), 'class_names': ('U', 'c'), 'clip': ('U', 'n'),
  'fold': ('iu', 'n'), 'seeds': ('iu', 's'), 'epoch': ('iu', ''),
  'probabilities?': ('f', 'snk'), 'logits?': ('f', 'snk'),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Result:
  """What a folder of results holds.

  Attributes:
    config: the complete config of the run.
    reading: names dataset, protocol and view of the clips; `config` unless they
      are those of an evaluation.
    versions: the content of `versions.json`.
    class_names: name of each class.
    clip: digest of each clip, sorted; see `digests`.
    fold: number of the fold that held each clip out.
    seeds: seed of each training.
    epoch: the last epoch.
    logits: of each class; their softmax is the probability. They are not a
      number where no logit of a diverged training was finite.
  """

  config: ml_collections.ConfigDict
  reading: ml_collections.ConfigDict
  versions: Mapping[str, Any]
  class_names: tuple[str, ...]
  clip: Shaped[np.ndarray, ' n']
  fold: Int[np.ndarray, ' n']
  seeds: tuple[int, ...]
  epoch: int
  logits: Float[np.ndarray, 's n k']


class Content(NamedTuple):
  """What the files of a folder say.

  Attributes:
    config: the complete config, as JSON values.
    about: the content of `versions.json` without the digests of files.
    arrays: those of `probabilities.npz` but for what models said.
    logits: what they said, in the order of `seeds`.
    share: the same as probabilities; rounded, where an older file has no more.
  """

  config: dict[str, Any]
  about: dict[str, Any]
  arrays: dict[str, np.ndarray]
  logits: Float[np.ndarray, 's n k']
  share: Float[np.ndarray, 's n k']


def read(folder: str | os.PathLike, *, trust_code: bool = False) -> Result:
  """Reads a folder of results.

  Args:
    folder: the folder.
    trust_code: whether code that its config names may be imported and run.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: a file is damaged, of another schema, or names code.
  """
  folder = pathlib.Path(folder)
  if not folder.is_dir():
    raise FileNotFoundError(f'{folder} is no folder of results.')
  files.refuse_links(folder)
  versions = files.read_json(folder / 'versions.json', hint=AGAIN)
  if versions.get('schema_version') != SCHEMA_VERSION:
    raise ValueError(
      f'{folder} has schema {versions.get("schema_version")}; this mejax reads'
      f' {SCHEMA_VERSION}.'
    )
  with files.reading(folder / 'versions.json', hint=AGAIN):
    forms.check(versions, _VERSIONS)
  for name in DIGESTED:
    with files.reading(folder / name, hint=AGAIN):
      if sha256(folder / name) != versions['sha256'][name]:
        raise ValueError('its digest is not that in versions.json')
  config = files.read_json(folder / 'config.json', hint=AGAIN)
  reading = versions.get('evaluation', {}).get('reading', {})
  for name, content in (('config.json', config), ('versions.json', reading)):
    own_code.refuse_strange(content, where=folder / name, trust_code=trust_code)
  with files.reading(folder / 'config.json', hint=AGAIN):
    whole = _complete(config)
  with files.reading(folder / 'versions.json', hint=AGAIN):
    reading = _complete({**config, **reading})
  path = folder / 'probabilities.npz'
  arrays = files.read_npz(path, hint=AGAIN)
  with files.reading(path, hint=AGAIN):
    return _checked(whole, reading, versions, arrays)


def _complete(config: Mapping[str, Any]) -> ml_collections.ConfigDict:
  """Returns a config with all its values, or refuses one that is none."""
  whole = ml_collections.ConfigDict(
    schema.complete(config, workdir_lib.SCHEMA_VERSION)
  )
  bounds.check(whole)
  return whole


def digests(
  corpus: Shaped[np.ndarray, ' n'],
  subject: Shaped[np.ndarray, ' n'],
  clip: Shaped[np.ndarray, ' n'],
) -> Shaped[np.ndarray, ' n']:
  """Returns the name of each clip in a folder of results."""
  names = zip(corpus.tolist(), subject.tolist(), clip.tolist(), strict=True)
  return np.array([digest(*name) for name in names], f'<U{_DIGITS}')


def digest(*names: str) -> str:
  """Returns the first digits of the SHA-256 of names, joined by zero bytes."""
  return hashlib.sha256('\0'.join(names).encode()).hexdigest()[:_DIGITS]


def logits_of(
  probabilities: Float[np.ndarray, 's n k'],
) -> Float[np.ndarray, 's n k']:
  """Returns logits of which these are the probabilities, in float64."""
  # A probability that is rounded to 0 has a finite logit, or the training would
  # count as diverged.
  return np.log(np.maximum(probabilities.astype(np.float64), 1e-12))


def shares_of(logits: Float[np.ndarray, 's n k']) -> Float[np.ndarray, 's n k']:
  """Returns probabilities; those of a diverged training are no numbers."""
  share = selection.probabilities(logits)
  share[~(logits > -np.inf).any(-1)] = np.nan
  return share


def _checked(config, reading, versions, arrays) -> Result:
  """Makes a `Result`, or raises an error if its arrays do not fit."""
  sizes = forms.check_arrays(arrays, _ARRAYS)
  if arrays['schema_version'] != SCHEMA_VERSION:
    raise ValueError(f'it has schema {arrays["schema_version"]}')
  seeds, classes, clip = (arrays[k] for k in ('seeds', 'class_names', 'clip'))
  is_exact = 'logits' in arrays
  logits = arrays['logits'] if is_exact else logits_of(arrays['probabilities'])
  if not 0 < sizes['c'] <= sizes['k']:
    raise ValueError(f'{sizes["c"]} names of {sizes["k"]} classes')
  if not (sizes['s'] and sizes['n']):
    raise ValueError('it holds no clip, or no seed')
  if (np.sort(clip) != clip).any() or len(np.unique(clip)) < len(clip):
    raise ValueError('its clips are not sorted, or not different')
  if len(np.unique(seeds)) < len(seeds):
    raise ValueError(f'its seeds are {seeds.tolist()}')
  for name in ('fold', 'epoch'):
    if (arrays[name] < 0).any():
      raise ValueError(f'{name} holds numbers below 0')
  if not is_exact:
    share = arrays['probabilities'].astype(np.float64)
    # Those of a diverged training are no numbers.
    share = share[~np.isnan(share).all(-1)]
    whole = (share >= 0).all() and (np.abs(share.sum(-1) - 1) <= 0.01).all()
    if not whole:
      raise ValueError('its probabilities are below 0 or do not add up to 1')
  return Result(
    config=config,
    reading=reading,
    versions=versions,
    class_names=tuple(str(name) for name in classes),
    clip=clip,
    fold=arrays['fold'],
    seeds=tuple(seeds.tolist()),
    epoch=int(arrays['epoch']),
    logits=logits,
  )


def sha256(path: pathlib.Path) -> str:
  """Returns the digest of a file."""
  return hashlib.sha256(path.read_bytes()).hexdigest()
