"""Writes the commands that make data, a run and its table again."""

from __future__ import annotations

from collections.abc import Mapping
import shlex
from typing import Any

from mejax import own_code

# How the commands call what a run does not know.
_UNKNOWN = 'YOUR_'
_REPLACE = f'# Put your own in the place of words that begin with {_UNKNOWN}.'


def of_run(
  config: Mapping[str, Any],
  metadata: Mapping[str, Any],
  *,
  config_path: str,
  workdir: str,
  data_dir: str = 'data',
) -> list[str]:
  """Returns the commands that prepare the data and train the run.

  What the run does not know, such as the folder of the recordings, is called
  YOUR_SOMETHING, and a comment says so. Of what was handed over in Python, a
  comment stands in the place of the command.

  Args:
    config: the whole config of the run.
    metadata: of its dataset.
    config_path: where it lies, as `config.json`.
    workdir: folder of the new run.
    data_dir: home of the prepared datasets.

  Returns:
    The commands; none for a run on arrays in Python.
  """
  dataset = config.get('dataset', '')
  if not dataset:
    return []
  if 'rendered' in metadata:
    name = config['generated']['rendered']
    lines = [
      _prepare(name, metadata['rendered'], data_dir),
      _train('pretrain', config, config_path, workdir, data_dir),
    ]
  elif 'generator' in metadata:
    lines = [_train('pretrain', config, config_path, workdir)]
  else:
    lines = [
      _prepare(dataset, metadata, data_dir),
      _train('train', config, config_path, workdir, data_dir),
    ]
  if own := _handed_over(config):
    lines[-1] = (
      f'# Its {" and ".join(own)} came from Python: call'
      ' mejax.experiment.train with the same.'
    )
  return [_REPLACE] * (_UNKNOWN in ' '.join(lines)) + lines


def _prepare(dataset, metadata, data_dir) -> str:
  from mejax.datasets import load
  from mejax.datasets import recipe_options

  options = recipe_options.options_of(metadata)
  made = load.prepare_command(
    dataset, data_dir, corpora=list(metadata.get('corpora', ()))
  )
  return shlex.join([*shlex.split(made), *options])


def _train(verb, config, config_path, workdir, data_dir='') -> str:
  words = ['mejax', verb, '--config', config_path]
  words += ['--data_dir', data_dir] if data_dir else []
  words += ['--workdir', workdir]
  if config.get('init'):
    # Its folder is not known, but the digest in the config tells another one.
    words += ['--init', f'{_UNKNOWN}MODEL', '--leave_out_seen']
  return shlex.join([*words, *own_code.flags_in(config)])


def _handed_over(config) -> list[str]:
  """Lists what the config describes in the place of a name."""
  objects = [
    key
    for key in ('view', 'model')
    if key in config and 'name' not in getattr(config[key], 'keys', tuple)()
  ]
  return ['protocol'] * isinstance(config.get('protocol'), Mapping) + objects
