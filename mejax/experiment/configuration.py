"""Loads a config: `--config NAME:variant --config.key=value` -> ConfigDict."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import difflib
import inspect
import pathlib
import shlex
from typing import Any

from absl import flags
import ml_collections
from ml_collections import config_flags

import mejax
from mejax import files
from mejax import own_code
from mejax.experiment import bounds
from mejax.experiment import own_files
from mejax.experiment import schema
from mejax.training import setting as setting_lib

SHIPPED = pathlib.Path(mejax.__file__).parent / 'configs'
# Lists every value of a config, and is not an experiment itself.
DEFAULT = SHIPPED / 'default.py'

# For `mejax train --help`, because `cli` does not import `training`.
describe_numbers = setting_lib.describe_numbers


def list_configs() -> list[str]:
  """Returns the names of the configs that ship with mejax."""
  paths = SHIPPED.glob('[!_]*.py')
  return sorted(path.stem for path in paths if path != DEFAULT)


def load_config(
  spec: str, overrides: Sequence[str] = ()
) -> ml_collections.ConfigDict:
  """Loads a config and changes single values of it.

  Args:
    spec: name of a shipped config or path of a Python file that has
      `get_config(arg='')`, each with an optional `:arg`: `htnet_regions:small`,
      `my/config.py:wide`; or the `config.json` of a run or of results.
    overrides: `key=value` with the dotted key of a single value, e.g.
      `num_seeds=5`, `setting.learning_rate=3e-4`, `selection=last,inner` or
      `grid.mirror=0,0.5`; a leading `--config.` is allowed. Any field of the
      model and any option of the view can be set, even if the config does not
      list it; a field that holds a function is set by the function's name. A
      new `model.name` or `view.name` drops the options of the old one.

  Returns:
    The config, locked: a key that it does not have can be neither set nor read.
    Values that the file does not set come from `configs/default.py`.

  Raises:
    ValueError: the config, variant or key is unknown, or a value has the wrong
      type or is out of its bounds; the message lists the valid names.
  """
  name, _, arg = spec.partition(':')
  if name.lower().endswith('.json'):
    return override(_read_json(_find(name), overrides), overrides)
  module = own_files.load(
    _find(name), function='get_config', what='config', shipped=SHIPPED
  )
  variants = getattr(module, 'VARIANTS', (arg,))
  if arg and arg not in variants:
    raise ValueError(
      f'Config {name!r} has no variant {arg!r}. It has: '
      + (', '.join(f'{name}:{variant}' for variant in variants) or 'none.')
    )
  path = pathlib.Path(module.__file__)
  with own_files.running(path, function='get_config', what='config'):
    config = module.get_config(arg) if arg else module.get_config()
  if not isinstance(config, ml_collections.ConfigDict):
    raise ValueError(
      f'get_config() of {module.__file__} returned a {type(config).__name__};'
      ' it must return an ml_collections.ConfigDict.'
    )
  return override(config, overrides)


def load_shipped(spec: str) -> ml_collections.ConfigDict:
  """Loads a config that ships with mejax, named in a file that may be strange.

  Raises:
    ValueError: the name is that of no such config; a file is not run.
  """
  if spec.partition(':')[0] not in list_configs():
    raise ValueError(
      f'{spec!r} is no config that ships with mejax. Give a --config yourself.'
    )
  return load_config(spec)


def _find(name: str) -> pathlib.Path:
  """Returns the file of a config; a shipped name comes first."""
  if name in list_configs():
    return SHIPPED / f'{name}.py'
  path = pathlib.Path(name).expanduser()
  shipped = ', '.join(_closest(name, list_configs()))
  if name == 'default' or (path.is_file() and path.samefile(DEFAULT)):
    raise ValueError(
      f'{name!r} is no experiment: it lists every value of a config with its'
      f' default, and each config sets what differs. The configs that ship are'
      f' {shipped}.'
    )
  if path.is_file():
    return path
  raise ValueError(
    f'No config {name!r}: it is neither a file nor one of the configs that'
    f' ship with mejax, which are {shipped}.'
  )


def _read_json(
  path: pathlib.Path, overrides: Sequence[str]
) -> ml_collections.ConfigDict:
  """Reads the config of a run or a search.

  It may be a stranger's, so it runs no code.
  """
  content = files.read_json(path, hint='Give another --config.')
  content.pop(schema.SEARCH, None)
  given = own_code.names_in(list(overrides))
  own_code.refuse_strange(
    content,
    where=path,
    given=given,
    hint='If you know this code and trust it, name it yourself: add'
    f' {shlex.join(own_code.flags_in(content))}.',
  )
  with files.reading(path, hint='Give another --config.'):
    schema.check(content)
    schema.check_names(content)
  return from_json(content)


def from_json(content: Mapping[str, Any]) -> ml_collections.ConfigDict:
  """Returns the complete config of JSON values; lists become tuples."""
  return schema.fill(ml_collections.ConfigDict(_with_tuples(content)))


def _with_tuples(content: Any) -> Any:
  """Returns JSON values with tuples for lists, as configs have them."""
  if isinstance(content, Mapping):
    return {key: _with_tuples(value) for key, value in content.items()}
  if isinstance(content, list):
    return tuple(_with_tuples(value) for value in content)
  return content


def named(spec: str | Any, table: Mapping[str, Any], what: str) -> Any:
  """Returns the object of a name in a table, or of `package.module:name`.

  Args:
    spec: the name; an object that is not a string is returned as it is.
    table: objects by their names.
    what: the kind of object, for messages.

  Raises:
    ValueError: the name is unknown, or cannot be imported.
  """
  if not isinstance(spec, str):
    return spec
  if spec in table:
    return table[spec]
  if ':' not in spec:
    raise ValueError(
      f'Unknown {what} {spec!r}. Known: {", ".join(sorted(table))}; write your'
      ' own as package.module:name.'
    )
  return own_code.load(spec, what)


def change(
  config: ml_collections.ConfigDict,
  values: Mapping[str, Any],
  *,
  separator: str = '.',
) -> None:
  """Sets values of a config in place, by dotted key.

  A new `model.name` or `view.name` drops the options of the old one.

  Args:
    config: the config.
    values: the new values, by key.
    separator: what keys have, here and in messages, in the place of dots.

  Raises:
    ValueError: the config does not have a key, or a value has the wrong type.
  """
  dotted = {key.replace(separator, '.'): key for key in values}
  _choose_parts(config, [(key, values[dotted[key]]) for key in dotted])
  for key, spelt in dotted.items():
    _list_option(config, key)
    _check_known(key, dict(leaves(config)), separator)
    try:
      config.update_from_flattened_dict({key: values[spelt]})
    except TypeError as error:
      raise ValueError(f'Bad value for {spelt}: {error}') from None


def override(
  config: ml_collections.ConfigDict, overrides: Sequence[str]
) -> ml_collections.ConfigDict:
  """Applies `key=value` strings, as in `load_config`, to a copy of a config."""
  config = schema.fill(config)
  for section in ('view', 'model', 'setting', 'grid'):
    if not isinstance(config[section], ml_collections.ConfigDict):
      raise ValueError(f'{section} is {config[section]!r}; expected a section.')
  split = [each.removeprefix('--config.').partition('=') for each in overrides]
  _choose_parts(config, [(key, value) for key, _, value in split])
  argv = ['mejax']
  for key, equals, value in split:
    _list_option(config, key)
    known = dict(leaves(config))
    _check_known(key, known)
    if not equals:
      raise ValueError(
        f'{key!r} sets nothing; write it as --config.{key}=VALUE.'
      )
    parts = [value]
    if isinstance(known[key], tuple) and not value.startswith('('):
      # ml_collections reads a tuple from a flag that is repeated.
      parts = [part.strip() for part in value.split(',') if part.strip()]
    argv += [f'--config.{key}={part}' for part in parts or ['()']]
  values = flags.FlagValues()
  config_flags.DEFINE_config_dict(
    'config', config, flag_values=values, sys_argv=argv
  )
  try:
    values(argv)
  except flags.Error as error:
    raise ValueError(f'Bad value for the config: {error}') from None
  config = values.config
  # Bad numbers are reported here, before JAX is imported, which takes seconds.
  bounds.check(config)
  return config


def _choose_parts(
  config: ml_collections.ConfigDict, values: Iterable[tuple[str, Any]]
) -> None:
  """Drops the options of a view or a model that another one replaces.

  This is done before all other values are set, because those are options of the
  new view or model.
  """
  for key, name in values:
    section, _, field = key.partition('.')
    if section in ('view', 'model') and field == 'name':
      if config[section].get('name', name) != name:
        config[section] = {'name': name}


def _list_option(config: ml_collections.ConfigDict, key: str) -> None:
  """Adds an option that the config does not list, so that it can be set."""
  section, _, name = key.partition('.')
  if section not in ('view', 'model') or name in config.get(section, name):
    return
  options = config[section]
  if 'name' not in options:
    return  # An object of the user's own is used as it is.
  known = (
    _model_fields(options) if section == 'model' else _view_options(options)
  )
  if name not in known:
    close = difflib.get_close_matches(name, known, n=1)
    raise ValueError(
      f'The {section} {options.name} has no field {name!r} to set.'
      + ''.join(f' Did you mean {other!r}?' for other in close)
      + f' Its fields: {", ".join(known)}.'
      + ' The data decide num_classes.' * (section == 'model')
    )
  with config.unlocked():
    options[name] = known[name]


def _view_options(options: ml_collections.ConfigDict) -> dict[str, Any]:
  """Returns all options of the config's view, with their defaults."""
  from mejax.datasets import views  # Takes a second, so only where needed.

  view = views.declared(named(options.name, views.VIEWS, 'view'))
  parameters = inspect.signature(view.make).parameters.values()
  return {
    parameter.name: _settable(parameter.default)
    for parameter in parameters
    # Arguments without a default come from the data, not from a config.
    if parameter.default is not parameter.empty
  }


def _model_fields(options: ml_collections.ConfigDict) -> dict[str, Any]:
  """Returns all fields of the config's model that a config may set.

  Each has its present value, from the preset or the class of the model.
  """
  from mejax import models  # Takes seconds, so only where it is needed.

  # Names of functions are left out: `resolve.make_model` resolves them, and a
  # model cannot read a name.
  given = {
    name: value
    for name, value in options.items()
    if name == 'preset' or not isinstance(value, str)
  }
  model = models.make(options.name, num_classes=2, **given)
  fields = {
    each.name: _settable(getattr(model, each.name))
    for each in dataclasses.fields(model)
    # The data decide num_classes; the other two belong to Linen.
    if each.name not in ('num_classes', 'parent', 'name')
  }
  return fields | ({'preset': ''} if options.name in models.MODELS else {})


def _settable(value: Any) -> Any:
  """Returns a value that a config can hold in place of this one."""
  if callable(value):
    return ''  # A config holds the name of a function.
  if value is None:
    return ml_collections.config_dict.placeholder(object)  # Of any type.
  return value


def _check_known(
  key: str, known: Mapping[str, Any], separator: str = '.'
) -> None:
  if key not in known:
    # `setting` and `grid` have the same names; `setting` is meant more often.
    names = sorted(known, key=lambda name: name.startswith('grid.'))
    closest = _closest(key, names)[:5]
    key, names = key.replace('.', separator), ', '.join(closest)
    raise ValueError(
      f'The config has no value {key!r} to set. The closest names are'
      f' {names.replace(".", separator)}.'
    )


def leaves(
  config: ml_collections.ConfigDict, prefix: str = ''
) -> Iterator[tuple[str, object]]:
  """Yields the dotted name and value of everything that is not a section."""
  for key, value in config.items():
    if isinstance(value, ml_collections.ConfigDict):
      yield from leaves(value, f'{prefix}{key}.')
    else:
      yield f'{prefix}{key}', value


def _closest(word: str, known: Sequence[str]) -> list[str]:
  """Sorts `known`, the most similar to `word` first."""

  def similarity(other: str) -> float:
    # The most frequent slip is to forget the section (`learning_rate`).
    last = other.rpartition('.')[2]
    return max(
      difflib.SequenceMatcher(None, word, name).ratio()
      for name in (other, last)
    )

  return sorted(known, key=similarity, reverse=True)
