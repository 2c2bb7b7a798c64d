"""Reads a prepared dataset as one dict of arrays."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import pathlib
import re
import shlex
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from mejax import files
from mejax import forms
from mejax.corpora import CORPORA
from mejax.datasets import builder

# What is read of dataset_info.json.
_INFO = {'splits': [{'filepathTemplate': str, 'shardLengths': [str]}]}
# What is read of metadata.json.
_METADATA = {
  'units': str,
  'strain': str,
  'flow': {'method': str},
  'levels': [forms.NUMBER],
  'size': int,
  'landmark_source': str,
  'clips': [str],
  'skipped?': [{'identity': str, 'reason': str, 'by_choice?': bool}],
  'warnings?': {str: [str]},
  'notes?': {str: [str]},
  'magnify?': {'method': str},
  'remove_head_motion?': bool,
  'mask_eyelids?': bool,
  'fps?': {str: forms.NUMBER},
  'counts?': {str: {str: int}},
  'units_shown?': {str: [int]},
  'versions?': {str: str},
}


def load_examples(
  name: str, data_dir: str | pathlib.Path
) -> dict[str, np.ndarray]:
  """Reads all examples of a dataset, in the order of its corpora.

  Args:
    name: of the dataset, e.g. `htnet_release` or `casme2_samm`.
    data_dir: the folder given to `mejax prepare`.

  Returns:
    flow f32[n, a, h, w, 3] as (u, v, strain); landmarks f32[n, 5, 2] in pixels
    of the flow image, from the centre of its first pixel; emotion, corpus,
    subject, clip, apex_source str[n]. Datasets made from frames also have the
    aligned onset and apex u8[n, h, w, 3], amplified u8[n, a, h, w, 3],
    onset_number, apex_number, offset_number i32[n]; with neighbours K,
    onset_frames u8[n, K + 1, h, w, 3] and apex_frames u8[n, 2 K + 1, h, w, 3].
    htnet_release has crop_points i32[n, 5, 2]; synthetic has true_flow and
    expression_flow f32[n, h, w, 2] in the aligned face.

  Raises:
    FileNotFoundError: the dataset is not prepared.
    ValueError: it was prepared in another schema version, or is damaged.
  """
  source = _source(name, data_dir, whole=True)
  with files.reading(dataset_folder(name, data_dir), hint=_again(name)):
    rows = source.__getitems__(range(len(source)))
  metadata = read_metadata(name, data_dir)
  folder = dataset_folder(name, data_dir)
  for row, clip in zip(rows, metadata['clips'], strict=True):
    _refuse_other_clip(row, clip, folder, name)
    _refuse_other_levels(row, metadata, folder, name)
  with files.reading(folder, hint=_again(name)):
    return {key: _column([row[key] for row in rows]) for key in rows[0]}


class Examples(Sequence):
  """The examples of a dataset, each read when it is asked for.

  Arguments and errors are those of `load_examples`. An example has the keys of
  `load_examples`, without the axis n; its texts are str.
  """

  def __init__(self, name: str, data_dir: str | pathlib.Path):
    self._source = _source(name, data_dir, whole=False)
    self._folder, self._name = dataset_folder(name, data_dir), name
    self._metadata = read_metadata(name, data_dir)
    self._clips = self._metadata['clips']

  def __len__(self) -> int:
    return len(self._source)

  def __getitem__(self, index: int) -> builder.Example:
    place = range(len(self))[index]
    with files.reading(self._folder, hint=_again(self._name)):
      row = self._source[place]
    _refuse_other_clip(row, self._clips[place], self._folder, self._name)
    _refuse_other_levels(row, self._metadata, self._folder, self._name)
    return {
      key: value.decode() if isinstance(value, bytes) else value
      for key, value in row.items()
    }

  def identities(self) -> list[str]:
    """Returns `corpus/subject/clip` of every example, without reading any."""
    return list(self._clips)


def read_metadata(name: str, data_dir: str | pathlib.Path) -> dict[str, Any]:
  """Reads how a dataset was made.

  Arguments and errors are those of `load_examples`.
  """
  folder = dataset_folder(name, data_dir)
  values = files.read_json(folder / builder.METADATA, hint=_again(name))
  version = values.get('schema_version')
  if version != builder.SCHEMA_VERSION:
    raise _other_version(name, data_dir, version)
  with files.reading(folder / builder.METADATA, hint=_again(name)):
    forms.check(values, _METADATA)
    if not values['levels'] or values['size'] < 1:
      raise ValueError('it has no level, or a size below 1')
  _refuse_damaged(folder, name, only=builder.METADATA)
  if 'remarks' in values:  # Until 0.2.0 warnings and notes were one.
    values['warnings'] = values.pop('remarks')
  return values


def _source(name: str, data_dir: str | pathlib.Path, *, whole: bool):
  """Opens a dataset; with `whole`, all its examples are checked before."""
  clips = read_metadata(name, data_dir)['clips']
  folder = dataset_folder(name, data_dir)
  _refuse_strange_features(folder, name)
  _refuse_other_length(folder, name, len(clips))
  _refuse_damaged(folder, name, only='' if whole else '.json')
  with files.reading(folder, hint=_again(name)):
    tfds_builder = tfds.builder_from_directory(folder)
    return tfds_builder.as_data_source(split=builder.SPLIT)


def _again(name: str) -> str:
  return (
    'The folder may be deleted: the `mejax prepare` command that made the'
    f' dataset {name!r} makes it again.'
  )


def _refuse_other_length(folder: pathlib.Path, name: str, number: int) -> None:
  """Refuses files that do not hold as many examples as there are clips.

  TFDS reads as many as `dataset_info.json` says, from where it says.
  """
  path = folder / 'dataset_info.json'
  content = files.read_json(path, hint=_again(name))
  with files.reading(path, hint=_again(name)):
    forms.check(content, _INFO)
    shards = [int(n) for s in content['splits'] for n in s['shardLengths']]
    if sum(shards) != number or min(shards, default=1) < 1:
      raise ValueError(
        f'it counts {sum(shards)} examples, metadata.json {number} clips'
      )
    if any('/' in s['filepathTemplate'] for s in content['splits']):
      raise ValueError('it names files of another folder')
  for file in folder.iterdir():
    with files.reading(file, hint=_again(name)):
      pass  # Which refuses a pipe; TFDS opens files by their names.


def _refuse_other_clip(
  row: dict[str, Any], clip: str, folder: pathlib.Path, name: str
) -> None:
  """Refuses an example of another clip than metadata.json has in its place."""
  parts = (row[key] for key in ('corpus', 'subject', 'clip'))
  found = b'/'.join(parts).decode()
  if found != clip:
    raise ValueError(
      f'{folder / "metadata.json"} is damaged (it lists {clip} in the place of'
      f' {found}). {_again(name)}'
    )


def _refuse_other_levels(
  row: dict[str, Any],
  metadata: dict[str, Any],
  folder: pathlib.Path,
  name: str,
) -> None:
  """Refuses an example that has not as many levels as the metadata."""
  levels = metadata['levels']
  if len(row['flow']) != len(levels):
    raise ValueError(
      f'{folder / builder.METADATA} is damaged (it has {len(levels)} levels,'
      f' the examples have {len(row["flow"])}). {_again(name)}'
    )


def _refuse_damaged(folder: pathlib.Path, name: str, *, only: str) -> None:
  """Compares those files with their digests whose names end in `only`."""
  digests = folder / builder.DIGESTS
  if not digests.exists():  # Datasets of mejax 0.2 and older have none.
    return
  for file, digest in files.read_json(digests, hint=_again(name)).items():
    path = folder / pathlib.Path(file).name
    if path.name.endswith(only):
      with files.reading(path, hint=_again(name)):
        if builder.digest(path) != digest:
          raise ValueError(f'it is not as {digests.name} says')


def _refuse_strange_features(folder: pathlib.Path, name: str) -> None:
  """Refuses features that mejax does not write; TFDS imports what is named."""

  def classes(content: Any) -> Iterator[str]:
    if isinstance(content, list):
      for value in content:
        yield from classes(value)
    elif isinstance(content, dict):
      for key, value in content.items():
        is_class = key in ('pythonClassName', 'python_class_name', 'type')
        yield from [str(value)] if is_class else classes(value)

  file = folder / 'features.json'
  known = {
    f'{each.__module__}.{each.__qualname__}'
    for each in (
      tfds.features.FeaturesDict, tfds.features.Tensor, tfds.features.Text,
    )
  }  # fmt: skip
  if strange := set(classes(files.read_json(file, hint=_again(name)))) - known:
    raise ValueError(
      f'{file} names code that no dataset of mejax needs:'
      f' {", ".join(sorted(strange))}. It was not run. Prepare the dataset'
      ' again, and distrust the other files of this folder.'
    )


def dataset_folder(name: str, data_dir: str | pathlib.Path) -> pathlib.Path:
  """Finds the folder of a dataset.

  Arguments and errors are those of `load_examples`.
  """
  if not re.fullmatch(r'\w+', name):
    # It may come from the config of somebody's run, and lead anywhere.
    raise ValueError(f'{name!r} is no name of a dataset: letters, digits, _')
  parent = pathlib.Path(data_dir) / builder.NAME / name
  folder = parent / builder.VERSION
  if folder.is_dir():
    return folder
  others = [p.name for p in parent.glob('*') if re.match(r'\d+\.', p.name)]
  if others:
    raise _other_version(name, data_dir, ', '.join(sorted(others)))
  raise FileNotFoundError(
    f'dataset {name!r} is not prepared in {data_dir}; prepare it with\n'
    f'  {prepare_command(name, data_dir)}'
  )


def prepare_command(
  name: str, data_dir: str | pathlib.Path, *, corpora: Sequence[str] = ()
) -> str:
  """Returns the command that makes a dataset.

  Args:
    name: of the dataset.
    data_dir: home of the prepared datasets.
    corpora: what it was made of, if that is known. The folder of each is called
      YOUR_CORPUS, by its name.
  """
  # In shell words, because the names may come from the files of a stranger.
  corpora = list(map(str, corpora)) or [name] * (name in CORPORA)
  sources = shlex.join(f'YOUR_{corpus.upper()}' for corpus in corpora)
  named = [] if corpora == [name] else ['--name', name]
  return (
    f'mejax prepare {shlex.join(corpora) or "CORPUS ..."}'
    f' --source {sources or "YOUR_CORPUS ..."} '
    + shlex.join([*named, '--data_dir', str(data_dir)])
  )


def _other_version(
  name: str, data_dir: str | pathlib.Path, found: object
) -> ValueError:
  return ValueError(
    f'dataset {name!r} in {data_dir} has schema version {found}, this mejax '
    f'reads {builder.SCHEMA_VERSION}; prepare it again with\n'
    f'  {prepare_command(name, data_dir)} --overwrite'
  )


def _column(values: list) -> np.ndarray:
  if isinstance(values[0], bytes):
    return np.array([v.decode() for v in values], dtype=np.str_)
  return np.stack(values)
