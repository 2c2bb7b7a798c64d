"""Writes the commands that make data, a run and its table again."""

from __future__ import annotations

from collections.abc import Mapping
import shlex
from typing import Any


def of_run(
  config: Mapping[str, Any],
  metadata: Mapping[str, Any],
  *,
  config_path: str,
  workdir: str,
) -> list[str]:
  """Returns the commands that prepare the data and train the run.

  Args:
    config: the whole config of the run.
    metadata: of its dataset.
    config_path: where it lies, as `config.json`.
    workdir: folder of the new run.

  Returns:
    The commands; none for a run on arrays in Python.
  """
  dataset = config.get('dataset', '')
  if not dataset:
    return []
  from mejax.datasets import load
  from mejax.datasets import recipe_options

  prepare = [
    load.prepare_command(dataset, 'data'),
    *map(shlex.quote, recipe_options.options_of(metadata)),
  ]
  train = (
    f'mejax train --config {shlex.quote(config_path)} --data_dir data'
    f' --workdir {shlex.quote(workdir)}'
  )
  if config.get('init'):
    # Its folder is not known, but the digest in the config tells another one.
    train += ' --init MODEL --leave_out_seen'
  return [' '.join(prepare), train]
