"""The TFDS builder that writes examples, in their order, without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import io
import pathlib
from typing import Any

from absl import logging
import tensorflow_datasets as tfds
from tensorflow_datasets.core import writer
from tensorflow_datasets.proto import tf_example_pb2

# To be raised when an older dataset cannot be read as if it were new.
SCHEMA_VERSION = 2
VERSION = f'{SCHEMA_VERSION}.0.0'
NAME = 'mejax'
SPLIT = 'examples'
# Examples in a file, which are in memory while it is written.
SHARD = 64

Example = dict[str, Any]


@dataclasses.dataclass(kw_only=True)
class Config(tfds.core.BuilderConfig):
  """What one dataset holds.

  Attributes:
    number: how many examples there are.
    examples: gives the examples from one position up to another.
    features: an example; its arrays give the shapes and types of all.
    metadata: JSON values that are stored beside the examples.
  """

  number: int
  examples: Callable[[int, int], Iterator[Example]]
  features: Example
  metadata: dict[str, Any]


class SortedWriter(writer.ExampleWriter):
  """Writes the same examples as the same bytes.

  An example is a protocol buffer with a map in it, which TFDS writes in an
  order that changes from one process to the next.
  """

  def write(self, path, examples):
    return super().write(path, ((key, _sorted(raw)) for key, raw in examples))


class Builder(tfds.core.ShardBasedBuilder):
  """One config per dataset; order and bytes are those of the clips.

  TFDS's usual builder holds all examples in memory before it writes them, and
  beyond a gigabyte wants TensorFlow for that; this one a shard at a time.
  """

  name = NAME
  VERSION = tfds.core.Version(VERSION)

  def _info(self) -> tfds.core.DatasetInfo:
    config = self.builder_config
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(
        {k: _feature(v) for k, v in config.features.items()}
      ),
      metadata=tfds.core.MetadataDict(config.metadata),
      # Examples stay in the order of the reader, which makes runs repeatable.
      disable_shuffling=True,
    )

  def _example_writer(self) -> SortedWriter:
    return SortedWriter(file_format=self.info.file_format)

  def _shard_iterators_per_split(self, dl_manager):
    del dl_manager  # Nothing is ever downloaded.
    config = self.builder_config

    def shard(start):
      return lambda: enumerate(
        config.examples(start, min(start + SHARD, config.number)), start
      )

    return {SPLIT: [shard(i) for i in range(0, config.number, SHARD)]}


def write(config: Config, folder: pathlib.Path) -> pathlib.Path:
  """Writes a dataset below `folder` and returns where it is."""
  tfds.disable_progress_bar()  # The caller has one that knows the total.
  verbosity = logging.get_verbosity()
  # TFDS prints sizes that it does not know, and warns that it does not know
  # the config.
  logging.set_verbosity(logging.ERROR)
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      builder = Builder(
        config=config, data_dir=folder, file_format='array_record'
      )
      builder.download_and_prepare()
  finally:
    logging.set_verbosity(verbosity)
  return pathlib.Path(builder.data_dir)


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
