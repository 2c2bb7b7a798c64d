"""Databases on disk to a dataset that training reads."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import functools
import hashlib
import importlib.metadata
import pathlib
import re
import shutil
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
from mejax.datasets import material as material_lib
from mejax.datasets import outcome
from mejax.datasets import target
from mejax.datasets.material import ArraysOf
from mejax.datasets.material import Material
from mejax.datasets.recipe import Recipe

# What of the metadata does not say how a dataset was made.
_RESULTS = (
  'schema_version', 'versions', 'clips', 'counts', 'skipped', 'remarks',
)  # fmt: skip
# What names labels and frames in the metadata.
_SOURCE = 'source_sha256'

Path = str | pathlib.Path


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
  material = material_lib.of(
    corpora,
    source,
    options,
    recipe,
    allow_missing=allow_missing,
    workers=workers,
    progress=progress,
  )
  name = name or '_'.join(corpora)
  if not re.fullmatch(r'[A-Za-z]\w*', name):
    raise ValueError(
      f'name is {name!r}; expected a letter, then letters, digits and _'
    )
  root = pathlib.Path(data_dir) / builder.NAME
  folder = root / name / builder.VERSION
  is_there = folder.is_dir() and not overwrite
  if not is_there:
    target.check(root)
  reading = tqdm.tqdm(
    material.read(), desc='read', unit='clip', disable=not progress
  )
  clips, digests = material.look(list(reading))
  metadata = _metadata(corpora, material, clips, digests)
  if is_there:
    _check_same(name, data_dir, metadata)
    print(f'{name} is prepared already in {folder}')
    return folder
  cache = root / f'.{name}.made'
  clips, arrays_of = material.make(clips, digests, metadata['versions'], cache)
  outcome.check(clips)
  metadata |= outcome.metadata(clips)
  with target.told(root):
    _write(name, clips, arrays_of, metadata, folder, progress=progress)
  print(outcome.table(name, folder, clips))
  _clear(cache, clips)
  return folder


def _metadata(
  corpora: Sequence[str],
  material: Material,
  clips: Sequence[Clip],
  digests: Sequence[str],
) -> dict[str, Any]:
  """Says how a dataset is made, and of what."""
  return {
    'schema_version': builder.SCHEMA_VERSION,
    'corpora': corpora,
    **material.metadata(),
    _SOURCE: _sha256(clips, digests),
    'versions': _versions(),
  }


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


def _example(clip: Clip, arrays: Mapping[str, np.ndarray]) -> builder.Example:
  return {
    **arrays,
    'emotion': clip.emotion,
    'corpus': clip.corpus,
    'subject': clip.subject,
    'clip': clip.name,
    'apex_source': clip.apex_source,
  }


def _write(
  name: str,
  clips: Sequence[Clip],
  arrays_of: ArraysOf,
  metadata: dict[str, Any],
  folder: pathlib.Path,
  *,
  progress: bool,
) -> None:
  """Writes the examples of all clips that can be used, whole or not at all."""
  clips = outcome.usable(clips)
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
  with bar:
    target.replace(folder, functools.partial(builder.write, config))


def _clear(cache: pathlib.Path, clips: Sequence[Clip]) -> None:
  """Removes what was made of the clips, unless some are yet to be mended."""
  if len(outcome.usable(clips)) == len(clips):
    shutil.rmtree(cache, ignore_errors=True)
  elif cache.is_dir():
    print(
      f'What was made is kept in {cache}, so that mending those clips and\n'
      'repeating the command with --overwrite takes little time.'
    )
