"""Folders of results: what a run said of each clip, without any label.

    command.txt        commands that make the data, the run and its table
    config.json        the whole config; `mejax train --config` takes it
    versions.json      schema, digests, libraries, and how the data were made
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
import shlex
from typing import Any

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
from mejax.experiment import commands
from mejax.experiment import record as record_lib
from mejax.experiment import schema
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import recipes

SCHEMA_VERSION = 1
FILES = ('command.txt', 'config.json', 'versions.json', 'probabilities.npz')
_DIGESTED = ('config.json', 'probabilities.npz')
_AGAIN = 'Get the folder again, or write it by `mejax report RUN --export DIR`.'
# What is told of the dataset. Its lists of clips are not: names tell emotions.
_TOLD = ('corpora', *recipes.KEYS, 'versions')
_DIGITS = 16
_VERSIONS = {'sha256': {str: str}, 'data_sha256': str, 'warning?': str}
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
  versions: Mapping[str, Any]
  class_names: tuple[str, ...]
  clip: Shaped[np.ndarray, ' n']
  fold: Int[np.ndarray, ' n']
  seeds: tuple[int, ...]
  epoch: int
  logits: Float[np.ndarray, 's n k']


def export(
  workdir: str | os.PathLike, folder: str | os.PathLike
) -> pathlib.Path:
  """Writes the results of a finished run into a folder of their own.

  Of a run with several settings, the results are those of the first. An older
  folder of results is replaced.

  Args:
    workdir: folder of the run.
    folder: the new folder.

  Returns:
    The folder.

  Raises:
    FileNotFoundError: the run is not finished.
    ValueError: a file of the run is damaged, or `folder` holds something else.
  """
  workdir, folder = pathlib.Path(workdir), pathlib.Path(folder)
  folder = pathlib.Path(os.path.abspath(folder))
  files.check_replaceable(
    folder, marker='versions.json', names=FILES, what='results'
  )
  files.check_writable(folder.parent, flag='--export')
  for needed in ('record.npz', 'config.json', 'run.json'):
    if not (workdir / needed).exists():
      raise FileNotFoundError(
        f'{workdir} has no {needed}: it is not the workdir of a finished run.'
      )
  run = schema.read_run(workdir)
  config = schema.complete(schema.read_config(workdir), run['schema_version'])
  if schema.SEARCH in config:
    raise ValueError(
      f'{workdir} is a search, in which each fold has settings of its own, so'
      ' no config gives its results again. Export a run of `mejax train`.'
    )
  record = record_lib.read_record(workdir)
  # Runs without it are older than any warning.
  has_told = 'told' in record
  told = record_lib.read_told(workdir, record) if has_told else {}
  arrays = _arrays(record)
  with files.replacing(folder) as partial:
    workdir_lib.save_npz(partial / 'probabilities.npz', arrays)
    workdir_lib.write_json(partial / 'config.json', config)
    dataset = run.get('dataset', {})
    versions = {
      'schema_version': SCHEMA_VERSION,
      'sha256': {name: _sha256(partial / name) for name in _DIGESTED},
      'data_sha256': run['data_sha256'],
      'versions': run.get('versions', {}),
      'backend': run.get('backend', ''),
      'numerics': run.get('numerics', {}),
      'dataset': {key: dataset[key] for key in _TOLD if key in dataset},
    }
    if warning := told.get('warning'):
      versions['warning'] = warning
    workdir_lib.write_json(partial / 'versions.json', versions)
    with files.writing(partial / 'command.txt') as file:
      file.write(_commands(config, dataset, folder.resolve().name))
  return folder


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
  versions = files.read_json(folder / 'versions.json', hint=_AGAIN)
  if versions.get('schema_version') != SCHEMA_VERSION:
    raise ValueError(
      f'{folder} has schema {versions.get("schema_version")}; this mejax reads'
      f' {SCHEMA_VERSION}.'
    )
  with files.reading(folder / 'versions.json', hint=_AGAIN):
    forms.check(versions, _VERSIONS)
  for name in _DIGESTED:
    with files.reading(folder / name, hint=_AGAIN):
      if _sha256(folder / name) != versions['sha256'][name]:
        raise ValueError('its digest is not that in versions.json')
  config = files.read_json(folder / 'config.json', hint=_AGAIN)
  own_code.refuse_strange(
    config, where=folder / 'config.json', trust_code=trust_code
  )
  with files.reading(folder / 'config.json', hint=_AGAIN):
    config = ml_collections.ConfigDict(
      schema.complete(config, workdir_lib.SCHEMA_VERSION)
    )
    bounds.check(config)
  path = folder / 'probabilities.npz'
  arrays = files.read_npz(path, hint=_AGAIN)
  with files.reading(path, hint=_AGAIN):
    return _checked(config, versions, arrays)


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


def _arrays(record: selection.Record) -> dict[str, np.ndarray]:
  """Returns the content of `probabilities.npz`."""
  setting = int(record['setting'].min())
  found = selection.select(record, 'last', setting=setting)
  clip = digests(record['corpus'], record['subject'], record['clip'])
  if len(np.unique(clip)) < len(clip):
    raise ValueError('two clips of this run have the same name')
  order = np.argsort(clip)
  # Folds are numbered as they come, because those of a run are in the order of
  # the names of people.
  held_by = selection.held_out_by(record)[order]
  first = np.unique(held_by, return_index=True)[1]
  fold = np.argsort(np.argsort(first))[
    np.unique(held_by, return_inverse=True)[1]
  ]
  return {
    'schema_version': np.array(SCHEMA_VERSION),
    'class_names': np.asarray(record['class_names']),
    'clip': clip[order],
    'fold': fold.astype(np.int32),
    'seeds': found.seeds,
    'epoch': record['epochs'][-1],
    **_exact_enough(found.logits[:, order]),
  }


def _exact_enough(
  logits: Float[np.ndarray, 's n k'],
) -> dict[str, np.ndarray]:
  """Returns probabilities in the smallest type that keeps all predictions.

  These are the predictions of every seed, and of all seeds together. If even
  float32 does not keep them, as when seeds are equally sure of different
  classes, the logits themselves are returned.
  """
  share = selection.probabilities(logits)
  share[~(logits > -np.inf).any(-1)] = np.nan
  for dtype in (np.float16, np.float32):
    kept = share.astype(dtype)
    if all(
      np.array_equal(ours, theirs)
      for ours, theirs in zip(
        _predictions(_logits(kept)), _predictions(logits), strict=True
      )
    ):
      return {'probabilities': kept}
  return {'logits': logits}


def _predictions(logits):
  """Returns the predictions of every seed, and those of all together."""
  mean = selection.probabilities(logits).mean(0)
  return selection.predictions(logits), selection.predictions(mean)


def _logits(probabilities) -> Float[np.ndarray, 's n k']:
  # A probability that is rounded to 0 has a finite logit, or the training would
  # count as diverged.
  return np.log(np.maximum(probabilities.astype(np.float64), 1e-12))


def _checked(config, versions, arrays) -> Result:
  """Makes a `Result`, or raises an error if its arrays do not fit."""
  sizes = forms.check_arrays(arrays, _ARRAYS)
  if arrays['schema_version'] != SCHEMA_VERSION:
    raise ValueError(f'it has schema {arrays["schema_version"]}')
  seeds, classes, clip = (arrays[k] for k in ('seeds', 'class_names', 'clip'))
  is_exact = 'logits' in arrays
  logits = arrays['logits'] if is_exact else _logits(arrays['probabilities'])
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
    versions=versions,
    class_names=tuple(str(name) for name in classes),
    clip=clip,
    fold=arrays['fold'],
    seeds=tuple(seeds.tolist()),
    epoch=int(arrays['epoch']),
    logits=logits,
  )


def _commands(
  config: Mapping[str, Any], metadata: Mapping[str, Any], name: str
) -> str:
  """Returns the content of `command.txt`."""
  place = f'results/{name}'
  lines = commands.of_run(
    config, metadata, config_path=f'{place}/config.json', workdir=f'runs/{name}'
  )
  if not lines:
    return (
      'The run was trained on arrays in Python, by'
      ' mejax.experiment.leave_one_subject_out or train(task=...).\n'
      'mejax.experiment.score(folder, task=...) prints its table.\n'
    )
  lines.append(f'mejax score {shlex.quote(place)} --data_dir data')
  return '\n'.join(lines) + '\n'


def _sha256(path: pathlib.Path) -> str:
  return hashlib.sha256(path.read_bytes()).hexdigest()
