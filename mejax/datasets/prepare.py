"""Databases on disk to a dataset that training reads."""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import hashlib
import importlib.metadata
import json
import pathlib
import re
import shutil
import tempfile
from typing import Any

import cv2
import jax
import numpy as np
import tensorflow_datasets as tfds
import tqdm

import mejax
from mejax.corpora.clip import Clip
from mejax.datasets import builder
from mejax.datasets import load
from mejax.datasets import making
from mejax.datasets import ready_made
from mejax.datasets import sources
from mejax.datasets import target
from mejax.datasets.recipe import Recipe

# What of the metadata does not say how a dataset was made.
_RESULTS = (
  'schema_version', 'versions', 'clips', 'counts', 'skipped', 'remarks',
)  # fmt: skip
# What names labels and frames in the metadata.
_SOURCE = 'source_sha256'

Path = str | pathlib.Path
Arrays = dict[str, Any]


def prepare(
  corpora: str | Sequence[str],
  *,
  source: Path | Sequence[Path],
  data_dir: Path,
  name: str | None = None,
  recipe: Recipe | None = None,
  options: Mapping[str, Any] | None = None,
  allow_missing: bool = False,
  overwrite: bool = False,
  workers: int | None = None,
  progress: bool = True,
) -> pathlib.Path:
  """Makes the dataset of one or more corpora, or finds that it is there.

  The dataset appears under its name only when it is whole. Doing it again gives
  the same bytes, and a call that was interrupted is carried on by the same
  call: clips that were made are kept. A clip that cannot be used is left out
  and named. One process at a time may make a dataset.

  Args:
    corpora: names of `mejax.corpora.CORPORA`.
    source: where each corpus lies, in the same order; for `video` alone, every
      recording or folder of recordings.
    data_dir: where datasets are kept.
    name: of the dataset; the names of the corpora, joined by `_`, if not given.
    recipe: how frames become examples; the defaults of `Recipe` if not given.
      `htnet_release` takes none: it is ready-made flow.
    options: what readers take beside, e.g. `{'images': 'cropped'}`; of several
      corpora with the name in front, `{'smic.camera': 'VIS'}`.
    allow_missing: take `htnet_release` without the clips that cannot be used.
    overwrite: replace a dataset that was made in another way.
    workers: processes that decode frames; 0 for none; one a core if None.
    progress: show bars.

  Returns:
    The folder of the dataset.

  Raises:
    FileNotFoundError: a source is not there, or is another thing.
    ValueError: an option that a corpus does not have, a sheet with faults, no
      clip that can be used, or a dataset made in another way is there.
    OSError: the target cannot be written to.
  """
  corpora = [corpora] if isinstance(corpora, str) else list(corpora)
  for corpus in corpora:
    sources.reader(corpus)  # Refuses one that is unknown.
  name = name or '_'.join(corpora)
  if not re.fullmatch(r'[A-Za-z]\w*', name):
    raise ValueError(
      f'name is {name!r}; expected a letter, then letters, digits and _'
    )
  if workers is not None and workers < 0:
    raise ValueError(f'workers is {workers}; expected 0 or more')
  root = pathlib.Path(data_dir) / builder.NAME
  folder = root / name / builder.VERSION
  if overwrite or not folder.is_dir():
    target.check(root)
  is_ready_made = ready_made.NAME in corpora
  places = [source] if isinstance(source, Path) else list(source)
  options = dict(options or {})
  if is_ready_made:
    if len(corpora) + len(places) > 2 or recipe is not None:
      raise ValueError(
        f'{ready_made.NAME} is ready-made flow of 28 pixels: prepare it alone, '
        'and leave away levels, magnify, flow, size, neighbours, faces, apex'
      )
    reading = ready_made.read(places[0], options)
  else:
    reading = sources.read(corpora, places, options)
  recipe = recipe or Recipe()
  clips = list(
    tqdm.tqdm(reading, desc='read', unit='clip', disable=not progress)
  )
  if is_ready_made:
    clips, digests = ready_made.look(clips, progress=progress)
    _check_missing(clips, allow_missing=allow_missing)
    parameters = ready_made.metadata(places[0], options)
  else:
    digests = making.digests(_usable(clips), recipe, progress=progress)
    parameters = recipe.metadata()
  metadata = {
    'schema_version': builder.SCHEMA_VERSION,
    'corpora': corpora,
    **parameters,
    _SOURCE: _sha256(clips, digests),
    'versions': _versions(),
  }
  if folder.is_dir() and not overwrite:
    _check_same(name, data_dir, metadata)
    print(f'{name} is prepared already in {folder}')
    return folder
  cache = root / f'.{name}.made'
  arrays_of = ready_made.arrays
  if not is_ready_made:
    made_by = [parameters, metadata['versions']]
    keys = {
      clip.identity: _sha256([], [digest, json.dumps(made_by)])
      for clip, digest in zip(_usable(clips), digests, strict=True)
    }
    clips = making.make(
      clips, keys, recipe, cache, workers=workers, progress=progress
    )

    def arrays_of(clip):
      return making.load(cache, keys[clip.identity], recipe)

  usable = _usable(clips)
  if not usable:
    raise ValueError(_none_usable(clips))
  metadata |= _results(clips)
  with target.told(root):
    _write_whole(name, usable, arrays_of, metadata, folder, progress=progress)
  print(_table(name, folder, clips))
  if len(usable) == len(clips):
    shutil.rmtree(cache, ignore_errors=True)
  elif cache.is_dir():
    print(
      f'What was made is kept in {cache}, so that mending those clips and\n'
      'repeating the command with --overwrite takes little time.'
    )
  return folder


def _usable(clips: Sequence[Clip]) -> list[Clip]:
  return [clip for clip in clips if not clip.problem]


def _sha256(clips: Sequence[Clip], digests: Sequence[str]) -> str:
  """Names labels and contents."""
  found = hashlib.sha256()
  for clip in clips:
    found.update(repr((clip.identity, clip.emotion, clip.problem)).encode())
  for digest in digests:
    found.update(digest.encode())
  return found.hexdigest()


def _versions() -> dict[str, str]:
  """Of what can change the numbers or the files."""
  return {
    'mejax': mejax.__version__,
    'numpy': np.__version__,
    'opencv': cv2.__version__,
    'jax': jax.__version__,
    'backend': jax.default_backend(),
    'tensorflow_datasets': tfds.__version__,
    'array_record': importlib.metadata.version('array_record'),
  }


def _check_missing(clips: Sequence[Clip], *, allow_missing: bool) -> None:
  usable = _usable(clips)
  if not usable:
    raise ValueError(_none_usable(clips))
  if len(usable) < len(clips) and not allow_missing:
    raise ValueError(
      f'{len(clips) - len(usable)} of {len(clips)} clips cannot be used:\n'
      f'{_reasons(clips)}\n'
      'Mend them, or go on without them with --allow_missing.'
    )


def _none_usable(clips: Sequence[Clip]) -> str:
  return f'none of {len(clips)} clips can be used:\n{_reasons(clips)}'


def _reasons(clips: Sequence[Clip]) -> str:
  return '\n'.join(f'  {c.identity}: {c.problem}' for c in clips if c.problem)


def _check_same(name: str, data_dir: Path, wanted: dict[str, Any]) -> None:
  found = load.metadata(name, data_dir)
  differences = [
    f'  {key}: {found.get(key)!r} there, {value!r} asked for'
    for key, value in wanted.items()
    if key not in (*_RESULTS, _SOURCE) and found.get(key) != value
  ]
  if found.get(_SOURCE) != wanted[_SOURCE]:
    differences.append(f'  {_SOURCE}: other labels or frames than there were')
  if differences:
    raise ValueError(
      f'{name} is prepared already in {data_dir}, but in another way:\n'
      + '\n'.join(differences)
      + '\nReplace it with --overwrite, or choose another --name.'
    )


def _results(clips: Sequence[Clip]) -> dict[str, Any]:
  """What became of the clips; JSON values without a word of the machine."""
  counts = collections.defaultdict(collections.Counter)
  for clip in _usable(clips):
    counts[clip.corpus][clip.emotion] += 1
  return {
    'clips': [clip.identity for clip in _usable(clips)],
    'counts': {k: dict(v) for k, v in counts.items()},
    'skipped': [
      {
        'identity': clip.identity,
        'reason': clip.problem,
        'emotion': clip.emotion,
      }
      for clip in clips
      if clip.problem
    ],
    'remarks': {
      clip.identity: list(clip.remarks)
      for clip in _usable(clips)
      if clip.remarks
    },
  }


def _example(clip: Clip, arrays: Mapping[str, np.ndarray]) -> builder.Example:
  return {
    **arrays,
    'emotion': clip.emotion,
    'corpus': clip.corpus,
    'subject': clip.subject,
    'clip': clip.name,
    'apex_source': clip.apex_source,
  }


def _write_whole(
  name: str,
  clips: Sequence[Clip],
  arrays_of: Callable[[Clip], Arrays],
  metadata: dict[str, Any],
  folder: pathlib.Path,
  *,
  progress: bool,
) -> None:
  """Writes into a folder beside `folder`, then renames it."""

  bar = tqdm.tqdm(
    desc=f'write {name}', total=len(clips), unit='clip', disable=not progress
  )

  def examples(start: int, stop: int) -> Iterator[builder.Example]:
    for clip in clips[start:stop]:
      yield _example(clip, arrays_of(clip))
      bar.update()

  config = builder.Config(
    name=name,
    number=len(clips),
    examples=examples,
    features=_example(clips[0], arrays_of(clips[0])),
    metadata=metadata,
  )
  prefix = f'.{name}.incomplete.'
  folder.parent.mkdir(parents=True, exist_ok=True)
  for leftover in folder.parent.parent.glob(f'{prefix}*'):
    shutil.rmtree(leftover)  # Of a preparation that was killed.
  temporary = pathlib.Path(
    tempfile.mkdtemp(prefix=prefix, dir=folder.parent.parent)
  )
  try:
    with bar:
      made = builder.write(config, temporary)
    replaced = temporary / 'replaced'
    if folder.exists():
      folder.rename(replaced)
    try:
      made.rename(folder)
    except BaseException:
      if replaced.exists():
        replaced.rename(folder)
      raise
  finally:
    shutil.rmtree(temporary)


def _table(name: str, folder: pathlib.Path, clips: Sequence[Clip]) -> str:
  """What was made and what was not, and why."""
  usable = _usable(clips)
  emotions = list(dict.fromkeys(c.emotion for c in usable))
  rows = [['', 'subjects', 'clips', *emotions]]
  for database in dict.fromkeys(c.corpus for c in usable):
    own = [c for c in usable if c.corpus == database]
    counts = collections.Counter(c.emotion for c in own)
    subjects = len({c.subject for c in own})
    rows.append([database, subjects, len(own), *(counts[e] for e in emotions)])
  lines = [f'{name}: {len(usable)} clips in {folder}']
  for first, *others in rows:
    lines.append(f'  {first:<10}' + ''.join(f'{o:>10}' for o in others))
  remarked = sum(bool(c.remarks) for c in usable)
  if remarked:
    lines.append(f'with a remark: {remarked}; the metadata has them')
  lines.append(f'skipped: {len(clips) - len(usable)}')
  return '\n'.join(lines) + (f'\n{_reasons(clips)}').rstrip()
