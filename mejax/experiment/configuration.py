"""From `--config NAME:variant --config.key=value` to a locked ConfigDict."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import difflib
import importlib
import importlib.util
import pathlib
import types
from typing import Any

from absl import flags
import ml_collections
from ml_collections import config_flags

import mejax

SHIPPED = pathlib.Path(mejax.__file__).parent / 'configs'

# Numbers of `training.trial.Setting` that a config need not list. Named here,
# because a slip shall be told before the seconds that importing JAX takes.
OFF_UNLESS_SET = (
  'jitter',
  'mirror',
  'rotation',
  'shift',
  'scale_jitter',
  'region_dropout',
  'level_dropout',
  'balance',
  'mixup',
  'ema',
  'test_mirror',
)


def list_configs() -> list[str]:
  """Names of the configs that ship with mejax."""
  return sorted(path.stem for path in SHIPPED.glob('[!_]*.py'))


def load_config(
  spec: str, overrides: Sequence[str] = ()
) -> ml_collections.ConfigDict:
  """Loads a config and changes single values of it.

  Args:
    spec: name of a shipped config or path of a Python file that has
      `get_config(arg='')`, each with an optional `:arg`: `htnet_regions:small`,
      `my/config.py:wide`.
    overrides: `key=value` with the key of a leaf, e.g. `num_seeds=5` or
      `setting.learning_rate=3e-4` or `selection=last,inner`; a leading
      `--config.` is allowed.

  Returns:
    The config, locked: a key that it does not have can be neither set nor read,
    but those of `OFF_UNLESS_SET` can be set under `setting`, and fields of the
    model under `model`; a field that holds a function is set by its name.

  Raises:
    ValueError: unknown config, variant or key, or a value of the wrong type;
      the message lists what there is.
  """
  name, _, arg = spec.partition(':')
  module = _import_file(_find(name))
  variants = getattr(module, 'VARIANTS', (arg,))
  if arg and arg not in variants:
    raise ValueError(
      f'Config {name!r} has no variant {arg!r}. It has: '
      + (', '.join(f'{name}:{variant}' for variant in variants) or 'none.')
    )
  config = module.get_config(arg) if arg else module.get_config()
  if not isinstance(config, ml_collections.ConfigDict):
    raise ValueError(
      f'get_config() of {module.__file__} returned a {type(config).__name__};'
      ' it must return an ml_collections.ConfigDict.'
    )
  return override(config, overrides)


def _find(name: str) -> pathlib.Path:
  """The file that a config is called by; a shipped name comes first."""
  if name in list_configs():
    return SHIPPED / f'{name}.py'
  path = pathlib.Path(name).expanduser()
  if path.is_file():
    return path
  raise ValueError(
    f'No config {name!r}: it is neither a file nor one of the configs that'
    f' ship with mejax, which are {", ".join(_closest(name, list_configs()))}.'
  )


def _import_file(path: pathlib.Path) -> types.ModuleType:
  module_spec = importlib.util.spec_from_file_location(path.stem, path)
  if module_spec is None:
    raise ValueError(f'{path} is not a Python file; a config is one.')
  module = importlib.util.module_from_spec(module_spec)
  module_spec.loader.exec_module(module)
  if not hasattr(module, 'get_config'):
    raise ValueError(f'{path} is no config: it has no function get_config().')
  return module


def named(spec: str | Any, table: Mapping[str, Any], what: str) -> Any:
  """What `spec` names: an entry of `table` or `package.module:name`.

  Anything that is not a string is taken as the thing itself.
  """
  if not isinstance(spec, str):
    return spec
  if spec in table:
    return table[spec]
  module, colon, name = spec.partition(':')
  if not colon:
    raise ValueError(
      f'Unknown {what} {spec!r}. Known: {", ".join(sorted(table))}; your own'
      ' is named as package.module:name.'
    )
  try:
    return getattr(importlib.import_module(module), name)
  except (ImportError, AttributeError) as error:
    raise ValueError(f'{what} {spec!r} cannot be imported: {error}') from error


def change(
  config: ml_collections.ConfigDict, values: Mapping[str, Any]
) -> None:
  """Sets values of a config in place, by dotted key.

  Raises:
    ValueError: a key that the config does not have, or a value of another type.
  """
  for key, value in values.items():
    _list_unlisted(config, key)
    _check_known(key, dict(_leaves(config)))
    try:
      config.update_from_flattened_dict({key: value})
    except TypeError as error:
      raise ValueError(f'Bad value for {key}: {error}') from None


def override(
  config: ml_collections.ConfigDict, overrides: Sequence[str]
) -> ml_collections.ConfigDict:
  """Applies `key=value` strings, as in `load_config`, to a config."""
  argv = ['mejax']
  for each in overrides:
    key, equals, value = each.removeprefix('--config.').partition('=')
    _list_unlisted(config, key)
    known = dict(_leaves(config))
    _check_known(key, known)
    if not equals:
      raise ValueError(
        f'{each!r} sets nothing; write it as --config.{key}=VALUE.'
      )
    # A flag that is repeated is ml_collections' own way to write a tuple.
    is_list = isinstance(known[key], tuple) and not value.startswith('(')
    parts = value.split(',') if is_list else [value]
    argv += [f'--config.{key}={part}' for part in parts]
  values = flags.FlagValues()
  config_flags.DEFINE_config_dict(
    'config', config, flag_values=values, sys_argv=argv
  )
  try:
    values(argv)
  except flags.Error as error:
    raise ValueError(f'Bad value for the config: {error}') from None
  return values.config


def _list_unlisted(config: ml_collections.ConfigDict, key: str) -> None:
  """Lists what a config may leave out, with its default, so it can be set."""
  section, _, name = key.rpartition('.')
  if section not in ('setting', 'model') or name in config.get(section, name):
    return
  if section == 'model' and 'name' in config.model:
    default = _default(config.model, name)
  elif section == 'setting' and name in OFF_UNLESS_SET:
    default = 0.0
  else:
    return
  with config.unlocked():
    config[section][name] = default


def _default(options: ml_collections.ConfigDict, field: str) -> Any:
  """What a field of the config's model is where the config does not say."""
  from mejax import models  # Takes seconds, so only where it is needed.

  # Names of functions are left out: they mean nothing to a model as they are.
  given = {
    name: value
    for name, value in options.items()
    if name == 'preset' or not isinstance(value, str)
  }
  model = models.make(options.name, num_classes=2, **given)
  fields = {
    each.name: getattr(model, each.name)
    for each in dataclasses.fields(model)
    # Of the experiment and of Linen.
    if each.name not in ('num_classes', 'parent', 'name')
  }
  if options.name in models.MODELS:
    fields['preset'] = ''
  if field not in fields:
    close = difflib.get_close_matches(field, fields, n=1)
    raise ValueError(
      f'{type(model).__name__} has no field {field!r} to set.'
      + ''.join(f' Did you mean {name!r}?' for name in close)
      + f' Its fields: {", ".join(fields)}. The data decide num_classes.'
    )
  if callable(fields[field]):
    return ''  # Set by the name of another function.
  if fields[field] is None:
    return ml_collections.config_dict.placeholder(object)  # Of any type.
  return fields[field]


def _check_known(key: str, known: Mapping[str, Any]) -> None:
  if key not in known:
    raise ValueError(
      f'The config has no value {key!r} to set. Those it has, closest first:'
      f' {", ".join(_closest(key, list(known)))}.'
    )


def _leaves(
  config: ml_collections.ConfigDict, prefix: str = ''
) -> Iterator[tuple[str, object]]:
  """Dotted name and value of everything that is not a section."""
  for key, value in config.items():
    if isinstance(value, ml_collections.ConfigDict):
      yield from _leaves(value, f'{prefix}{key}.')
    else:
      yield f'{prefix}{key}', value


def _closest(word: str, known: Sequence[str]) -> list[str]:
  """All of `known`, the most similar to `word` first."""

  def similarity(other: str) -> float:
    # A forgotten section (`learning_rate`) is the most frequent slip.
    last = other.rpartition('.')[2]
    return max(
      difflib.SequenceMatcher(None, word, name).ratio()
      for name in (other, last)
    )

  return sorted(known, key=similarity, reverse=True)
