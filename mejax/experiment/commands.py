"""Writes the commands that make data, a run and its table again."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import shlex
from typing import Any

from mejax import own_code

# How the commands call what a run does not know.
_UNKNOWN = 'YOUR_'
_REPLACE = f'# Put your own in the place of words that begin with {_UNKNOWN}.'
# The line of a training that no command repeats.
_ON_ARRAYS = '# The run was trained on arrays in Python, by experiment.train.'


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
  lines = _of_run(config, metadata, config_path, workdir, data_dir)
  return _explained(lines)


def of_evaluation(
  config: Mapping[str, Any],
  metadata: Mapping[str, Any],
  reading: Mapping[str, Any],
  evaluated: Mapping[str, Any],
  *,
  options: Sequence[str],
  config_path: str,
  workdir: str,
  data_dir: str = 'data',
) -> list[str]:
  """Returns the commands that train a run, and evaluate its models on data.

  Args:
    config, metadata: as in `of_run`.
    reading: values of a config in the place of those of the run: dataset,
      protocol and view of the evaluation.
    evaluated: metadata of that dataset.
    options: of `mejax evaluate`.
    config_path, workdir, data_dir: as in `of_run`.

  Returns:
    The commands; of a run on arrays in Python a comment says so.
  """
  lines = _of_run(config, metadata, config_path, workdir, data_dir)
  lines = lines or [_ON_ARRAYS]
  prepare = _prepare(reading['dataset'], evaluated, data_dir)
  lines += [prepare] * (prepare not in lines)
  words = ['mejax', 'evaluate', workdir, '--data_dir', data_dir, *options]
  changed = _flags(reading, config)
  own = own_code.flags_in({**config, **reading})
  lines.append(shlex.join([*words, *dict.fromkeys([*changed, *own])]))
  return _explained(lines)


def _flags(values, config, prefix='--config.') -> list[str]:
  """Lists the flags that give a config those values that it does not have."""
  flags = []
  # Another view, say, has the defaults of its own options, not those there.
  is_other = 'name' in values and values['name'] != config.get('name')
  for key, value in values.items():
    there = config.get(key)
    if isinstance(value, Mapping):
      there = there if isinstance(there, Mapping) else {}
      flags += _flags(value, there, f'{prefix}{key}.')
    elif value != there or is_other:
      if isinstance(value, list | tuple):
        value = ','.join(map(str, value))
      flags.append(f'{prefix}{key}={value}')
  return flags


def _explained(lines: list[str]) -> list[str]:
  return [_REPLACE] * (_UNKNOWN in ' '.join(lines)) + lines


def _of_run(config, metadata, config_path, workdir, data_dir) -> list[str]:
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
  return lines


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
