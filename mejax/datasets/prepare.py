"""Clips to a dataset on disk."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from collections.abc import Sequence
import hashlib
import importlib.metadata
import pathlib
import shutil
import tempfile
from typing import Any
import zipfile

import cv2
import numpy as np
import tensorflow_datasets as tfds
import tqdm

import mejax
from mejax.corpora.clip import Clip
from mejax.datasets import builder
from mejax.datasets import load
from mejax.datasets import recipes

# What of the metadata says how a dataset was made, apart from the libraries.
PARAMETERS = (
  'units',
  'strain',
  'flow',
  'levels',
  'size',
  'landmark_source',
  'source_sha256',
)


def prepare(
  corpus: str,
  *,
  source: str | pathlib.Path,
  data_dir: str | pathlib.Path,
  landmarks: str | pathlib.Path | None = None,
  allow_missing: bool = False,
  size: int | None = None,
  overwrite: bool = False,
  progress: bool = True,
) -> pathlib.Path:
  """Makes the dataset of a corpus, or finds that it is there already.

  The dataset appears under its name only when it is whole. Doing it again
  gives the same bytes. One process at a time may prepare a corpus in a folder.

  Args:
    corpus: a name of `mejax.corpora.CORPORA`.
    source: where the corpus lies.
    data_dir: where datasets are kept.
    landmarks: face points, for `htnet_release`.
    allow_missing: go on without the clips that cannot be used.
    size: side of the flow image in pixels, for `synthetic`; 64 if not given.
    overwrite: replace a dataset that was made in another way.
    progress: show a bar.

  Returns:
    The folder of the dataset.

  Raises:
    FileNotFoundError: `source` or `landmarks` is not there, or is another
      thing.
    ValueError: an option that the corpus does not have, a sheet with faults,
      clips that cannot be used, or a dataset made in another way is there.
  """
  recipe = recipes.make_recipe(corpus, landmarks=landmarks, size=size)
  usable, skipped, digest = _inspect(
    recipe.read(pathlib.Path(source)), recipe, progress=progress
  )
  _check_skipped(skipped, usable, allow_missing=allow_missing)
  metadata = _metadata(corpus, recipe, usable, skipped, digest)
  data_dir = pathlib.Path(data_dir)
  folder = data_dir / builder.NAME / corpus / builder.VERSION
  if folder.is_dir() and not overwrite:
    _check_same(corpus, data_dir, metadata)
    print(f'{corpus} is prepared already in {folder}')
    return folder

  def examples():
    for clip in tqdm.tqdm(
      usable, desc=f'make {corpus}', unit='clip', disable=not progress
    ):
      yield recipe.example(clip, recipe.pixels(clip))

  first = recipe.example(usable[0], recipe.pixels(usable[0]))
  config = builder.Config(
    name=corpus, examples=examples, features=first, metadata=metadata
  )
  _write_whole(config, folder)
  print(_table(corpus, folder, usable, skipped))
  return folder


def _inspect(
  clips: Iterator[Clip], recipe: recipes.Recipe, *, progress: bool
) -> tuple[list[Clip], list[dict[str, str]], str]:
  """Usable clips, skipped ones with reasons, and a digest of all there is."""
  usable, skipped = [], []
  digest = hashlib.sha256()
  for clip in tqdm.tqdm(clips, desc='read', unit='clip', disable=not progress):
    problem = clip.problem
    if not problem:
      try:
        pixels = recipe.pixels(clip)
      except (OSError, ValueError, zipfile.BadZipFile) as error:
        problem = str(error)
    digest.update(
      repr(
        (clip.identity, clip.emotion, clip.apex_source, problem)
        + (clip.landmarks, clip.crop_points)
      ).encode()
    )
    if problem:
      skipped.append({'identity': clip.identity, 'reason': problem})
    else:
      usable.append(clip)
      for name in sorted(pixels):
        digest.update(pixels[name].tobytes())
  return usable, skipped, digest.hexdigest()


def _check_skipped(
  skipped: Sequence[dict[str, str]],
  usable: Sequence[Clip],
  *,
  allow_missing: bool,
):
  reasons = '\n'.join(f'  {s["identity"]}: {s["reason"]}' for s in skipped)
  total = len(skipped) + len(usable)
  if not usable:
    raise ValueError(f'none of {total} clips can be used:\n{reasons}')
  if skipped and not allow_missing:
    raise ValueError(
      f'{len(skipped)} of {total} clips cannot be used:\n{reasons}\n'
      'Mend them, or go on without them with --allow_missing.'
    )


def _metadata(
  corpus: str,
  recipe: recipes.Recipe,
  usable: Sequence[Clip],
  skipped: Sequence[dict[str, str]],
  digest: str,
) -> dict[str, Any]:
  """JSON values; nothing of the machine, so that a repeat has equal bytes."""
  counts = collections.defaultdict(collections.Counter)
  for clip in usable:
    counts[clip.corpus][clip.emotion] += 1
  return {
    'schema_version': builder.SCHEMA_VERSION,
    'corpus': corpus,
    **recipe.metadata,
    'source_sha256': digest,
    # Their versions can change the numbers or the files.
    'versions': {
      'mejax': mejax.__version__,
      'numpy': np.__version__,
      'opencv': cv2.__version__,
      'tensorflow_datasets': tfds.__version__,
      'array_record': importlib.metadata.version('array_record'),
    },
    'counts': {k: dict(v) for k, v in counts.items()},
    'skipped': list(skipped),
  }


def _check_same(corpus: str, data_dir: pathlib.Path, wanted: dict[str, Any]):
  found = load.metadata(corpus, data_dir)
  differences = [
    f'  {name}: {found[name]!r} there, {wanted[name]!r} asked for'
    for name in PARAMETERS
    if found[name] != wanted[name]
  ]
  if differences:
    raise ValueError(
      f'{corpus} is prepared already in {data_dir}, but in another way:\n'
      + '\n'.join(differences)
      + '\nReplace it with --overwrite, or choose another --data_dir.'
    )


def _write_whole(config: builder.Config, folder: pathlib.Path):
  """Writes into a folder beside `folder`, then renames it."""
  prefix = f'.{config.name}.incomplete.'
  folder.parent.mkdir(parents=True, exist_ok=True)
  for leftover in folder.parent.parent.glob(f'{prefix}*'):
    shutil.rmtree(leftover)  # Of a preparation that was killed.
  temporary = pathlib.Path(
    tempfile.mkdtemp(prefix=prefix, dir=folder.parent.parent)
  )
  try:
    made = builder.write(config, temporary)
    if folder.exists():
      folder.rename(temporary / 'replaced')
    made.rename(folder)
  finally:
    shutil.rmtree(temporary)


def _table(
  corpus: str,
  folder: pathlib.Path,
  usable: Sequence[Clip],
  skipped: Sequence[dict[str, str]],
) -> str:
  """What was made and what was not, and why."""
  emotions = list(dict.fromkeys(c.emotion for c in usable))
  rows = [['', 'subjects', 'clips', *emotions]]
  for database in dict.fromkeys(c.corpus for c in usable):
    own = [c for c in usable if c.corpus == database]
    counts = collections.Counter(c.emotion for c in own)
    subjects = len({c.subject for c in own})
    rows.append([database, subjects, len(own), *(counts[e] for e in emotions)])
  lines = [f'{corpus}: {len(usable)} clips in {folder}']
  for first, *others in rows:
    lines.append(f'  {first:<10}' + ''.join(f'{o:>10}' for o in others))
  lines.append(f'skipped: {len(skipped)}')
  lines += [f'  {s["identity"]}: {s["reason"]}' for s in skipped]
  return '\n'.join(lines)
