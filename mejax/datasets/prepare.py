"""Prepares databases on disk as a dataset that training reads."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
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

import mejax
from mejax import bars
from mejax import files
from mejax.corpora import cells
from mejax.corpora.clip import Clip
from mejax.corpora.corpus import find_corpus
from mejax.datasets import builder
from mejax.datasets import clip_counts
from mejax.datasets import load
from mejax.datasets import sources
from mejax.datasets.recipe import Recipe

# Metadata that may differ between two datasets that were made in the same way.
_RESULTS = (
  'schema_version', 'versions', 'clips', 'counts', 'skipped', 'warnings',
  'notes', 'fps', 'units_shown',
)  # fmt: skip
# The metadata's key for the digest of labels and frames.
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
  """Makes the dataset of one or more corpora, unless it is there already.

  The dataset appears under its name only when it is whole. The same call gives
  the same bytes, and resumes a call that was interrupted: finished clips are
  kept. A clip that cannot be used is left out and listed. A second process that
  makes the same dataset meanwhile is refused.

  Args:
    corpora: names of `mejax.corpora.CORPORA`, or `package.module:name` of a
      `corpora.corpus.Corpus` of your own.
    source: where each corpus lies, in the same order; for `video` alone, every
      recording or folder of recordings.
    data_dir: where datasets are kept.
    name: the dataset's name; by default the names of the corpora, joined by
      `_`.
    recipe: how frames become examples; the defaults of `Recipe` if not given.
      `htnet_release` takes no recipe: it is ready-made flow.
    options: further options of the readers, e.g. `{'images': 'cropped'}`; with
      several corpora the key begins with the corpus, `{'smic.camera': 'VIS'}`.
    allow_missing: prepare `htnet_release` without the clips that cannot be
      used.
    overwrite: replace a dataset that was made in another way.
    workers: number of processes that decode frames; None stands for one per
      core; 0 decodes in this process, which a damaged file may then end.
    progress: whether to show bars.

  Returns:
    The folder of the dataset.

  Raises:
    FileNotFoundError: a source does not exist, or holds something else.
    ValueError: a corpus does not have an option, a sheet has faults, no clip
      can be used, the name belongs to a dataset made in another way, or another
      process makes it.
    OSError: `data_dir` cannot be written to.
  """
  corpora = [corpora] if isinstance(corpora, str) else list(corpora)
  data = sources.choose_source(
    corpora,
    source,
    options,
    recipe,
    allow_missing=allow_missing,
    workers=workers,
    progress=progress,
  )
  name = name or '_'.join(find_corpus(corpus).name for corpus in corpora)
  if not re.fullmatch(r'[A-Za-z]\w{,99}', name):
    raise ValueError(
      f'name is {name!r}; expected a letter, then at most 99 letters, digits'
      ' and _'
    )
  root = pathlib.Path(data_dir) / builder.NAME
  folder = root / name / builder.VERSION
  cache = root / f'.{name}.made'
  for path in (folder, cache):
    files.refuse_way_out(path, root)
  is_there = folder.is_dir() and not overwrite
  if not is_there:
    files.check_writable(root, flag='--data_dir')
  clips, digests = data.look_at(list(data.read_clips()))
  metadata = {
    'schema_version': builder.SCHEMA_VERSION,
    'corpora': corpora,
    **data.describe(),
    _SOURCE: _sha256(clips, digests),
    'versions': _versions(),
  }
  if is_there:
    _refuse_other(folder, load.read_metadata(name, data_dir), metadata)
    print(f'{name} is prepared already in {folder}')
    return folder
  for line in data.unread():
    print(cells.in_line(line))
  with files.locked(
    root / f'.{name}.lock',
    refusal=f'another process makes the dataset {name!r} in {data_dir}. Wait'
    ' for it, or choose another --name.',
    remove=True,
  ):
    clips, arrays_of = data.make_examples(
      clips, digests, metadata['versions'], cache
    )
    clip_counts.refuse_unusable(clips)
    metadata |= clip_counts.describe_clips(clips)
    with files.hinting(root):
      _write(name, clips, arrays_of, metadata, folder, progress=progress)
    print(clip_counts.format_counts(name, folder, clips))
    _clear(cache, clips)
  return folder


def _sha256(clips: Sequence[Clip], digests: Sequence[str]) -> str:
  """Returns a digest of the labels and files of all clips."""
  found = hashlib.sha256()
  for clip in clips:
    found.update(repr((clip.identity, clip.emotion, clip.problem)).encode())
  for digest in digests:
    found.update(digest.encode())
  return found.hexdigest()


def _versions() -> dict[str, str]:
  """Returns the versions of all libraries that can change the result."""
  return {
    'mejax': mejax.__version__,
    'numpy': np.__version__,
    'opencv': cv2.__version__,
    'jax': jax.__version__,
    'backend': jax.default_backend(),
    'tensorflow_datasets': tfds.__version__,
    'array_record': importlib.metadata.version('array_record'),
  }


def _refuse_other(
  folder: pathlib.Path, there: dict[str, Any], asked: dict[str, Any]
) -> None:
  """Refuses a folder whose dataset was made in another way."""
  ways = [key for key in asked if key not in _RESULTS]
  there = {key: there[key] for key in ways if key in there}
  asked = {key: asked[key] for key in ways}
  if there.get(_SOURCE) != asked[_SOURCE]:
    # Two digests would tell nobody anything.
    there[_SOURCE], asked[_SOURCE] = 'other labels or frames', 'these'
  files.refuse_other(
    folder,
    there,
    asked,
    what='a dataset that was prepared in another way',
    hint='Replace it with --overwrite, or choose another --name.',
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
  arrays_of: sources.ArraysOf,
  metadata: dict[str, Any],
  folder: pathlib.Path,
  *,
  progress: bool,
) -> None:
  """Writes the examples of all usable clips, whole or not at all."""
  clips = clip_counts.usable(clips)
  bar = bars.Bar(
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
  with bar, files.replacing(folder) as partial:
    builder.write(config, partial)


def _clear(cache: pathlib.Path, clips: Sequence[Clip]) -> None:
  """Removes the kept arrays, unless some clips may still be mended."""
  if len(clip_counts.usable(clips)) == len(clips):
    shutil.rmtree(cache, ignore_errors=True)
  elif cache.is_dir():
    print(
      f'The finished clips are kept in {cache}: if you mend skipped clips,\n'
      'the same command with --overwrite makes only those.'
    )
