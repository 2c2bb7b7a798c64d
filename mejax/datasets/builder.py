"""Writes a dataset with TFDS, in the order of its clips, without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import hashlib
import io
import json
import pathlib
import shutil
import tempfile
from typing import Any

from absl import logging
import tensorflow_datasets as tfds
from tensorflow_datasets.core import writer
from tensorflow_datasets.proto import tf_example_pb2

from mejax import files

# Raise it when older datasets can no longer be read like new ones.
SCHEMA_VERSION = 2
VERSION = f'{SCHEMA_VERSION}.0.0'
NAME = 'mejax'
SPLIT = 'examples'
METADATA = 'metadata.json'
# Names the SHA-256 of every other file.
DIGESTS = 'digests.json'
# Examples per file. All of a file's examples are in memory while it is written.
SHARD = 64

Example = dict[str, Any]


@dataclasses.dataclass(kw_only=True)
class Config(tfds.core.BuilderConfig):
  """The content of one dataset.

  Attributes:
    number: number of examples.
    examples: function of (start, stop) that yields the examples at these
      positions.
    features: one example, whose arrays give the shapes and types of all.
    metadata: JSON values that are stored beside the examples.
  """

  number: int
  examples: Callable[[int, int], Iterator[Example]]
  features: Example
  metadata: dict[str, Any]


class SortedWriter(writer.ExampleWriter):
  """Writes equal examples as equal bytes.

  An example is a protocol buffer that holds a map from names to values. Its
  entries are serialized in the order of their hashes, which changes from one
  process to the next, so each example is serialized again in sorted order.
  """

  def write(self, path, examples):
    return super().write(path, ((key, _sorted(raw)) for key, raw in examples))


class _Info(tfds.core.DatasetInfo):
  """What TFDS tells of a dataset, from nowhere but its folder."""

  def initialize_from_bucket(self) -> None:
    """Overrides a search on the internet that leaves a temporary folder."""


class Builder(tfds.core.ShardBasedBuilder):
  """Builds one dataset per config; the examples keep the order of the clips.

  TFDS's usual builder holds all examples in memory before it writes them, and
  needs TensorFlow above one gigabyte. This one holds one shard at a time.
  """

  name = NAME
  VERSION = tfds.core.Version(VERSION)

  def _info(self) -> tfds.core.DatasetInfo:
    config = self.builder_config
    return _Info(
      builder=self,
      features=tfds.features.FeaturesDict(
        {k: _feature(v) for k, v in config.features.items()}
      ),
      metadata=tfds.core.MetadataDict(config.metadata),
      # TFDS would sort the examples by a hash of their keys. The metadata and
      # the results of a run rely on the order of the reader.
      disable_shuffling=True,
    )

  def _example_writer(self) -> SortedWriter:
    return SortedWriter(file_format=self.info.file_format)

  def _shard_iterators_per_split(self, dl_manager):
    del dl_manager  # Nothing is ever downloaded.
    config = self.builder_config
    # The key of an example is its position. The shards are cut at fixed
    # positions rather than by size, so that their bytes depend on the clips
    # alone.

    def shard(start):
      return lambda: enumerate(
        config.examples(start, min(start + SHARD, config.number)), start
      )

    return {SPLIT: [shard(i) for i in range(0, config.number, SHARD)]}


def write(config: Config, folder: pathlib.Path) -> None:
  """Writes the files of a dataset into a folder, which is made if absent."""
  folder.mkdir(parents=True, exist_ok=True)
  tfds.disable_progress_bar()  # The caller has one that knows the total.
  verbosity = logging.get_verbosity()
  # TFDS prints sizes even if it does not know them, and warns about configs
  # that the builder does not list.
  logging.set_verbosity(logging.ERROR)
  # TFDS makes further folders, NAME/CONFIG/VERSION and one for downloads.
  scratch = tempfile.TemporaryDirectory(prefix='.tfds', dir=folder)
  try:
    with scratch as home, contextlib.redirect_stdout(io.StringIO()):
      builder = Builder(
        config=config, data_dir=home, file_format='array_record'
      )
      builder.download_and_prepare()
      for file in pathlib.Path(builder.data_dir).iterdir():
        shutil.move(file, folder)
  finally:
    logging.set_verbosity(verbosity)
  digests = {path.name: digest(path) for path in sorted(folder.iterdir())}
  with files.writing(folder / DIGESTS) as file:
    file.write(json.dumps(digests, indent=2) + '\n')


def digest(path: pathlib.Path) -> str:
  """Returns the SHA-256 of a file."""
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def _sorted(raw: bytes) -> bytes:
  example = tf_example_pb2.Example.FromString(raw)
  return example.SerializeToString(deterministic=True)


def _feature(value: Any) -> tfds.features.FeatureConnector:
  if isinstance(value, str):
    return tfds.features.Text()
  # Stored as raw bytes: exact for every type, and fast to read.
  return tfds.features.Tensor(
    shape=value.shape, dtype=value.dtype.type, encoding='bytes'
  )
