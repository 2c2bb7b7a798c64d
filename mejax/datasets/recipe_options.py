"""Tells with which options of `mejax prepare` a dataset was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mejax.datasets.recipe import Recipe

# Keys of the metadata whose value is that of the option of the same name.
_PLAIN = ('flow', 'magnify', 'strain', 'size', 'neighbours')


def options_of(metadata: Mapping[str, Any]) -> list[str]:
  """Returns the options; those that have their default are left out.

  Args:
    metadata: of a dataset. What it does not tell has its default.
  """
  usual = Recipe().describe()
  source = metadata.get('landmark_source', usual['landmark_source'])
  # The release of HTNet has no recipe.
  if metadata.get('units') == 'minmax255':
    file = source.removeprefix('file ')
    return [] if file == source else ['--landmarks', file]
  options = []

  def add(name, value, default):
    if value != default:
      options.extend([f'--{name}', str(value)])

  levels = metadata.get('levels', usual['levels'])
  add('levels', ','.join(f'{level:g}' for level in levels), '1')
  for name in _PLAIN:
    value, default = metadata.get(name, usual[name]), usual[name]
    if isinstance(value, Mapping):
      value, default = value['method'], getattr(Recipe, name)
    if value != 'none':  # Nothing is amplified.
      add(name, value, default)
    if value == 'learned':
      options += ['--weights', 'YOUR_WEIGHTS']
  source, _, which = source.partition('; of several faces ')
  add('faces', source.partition(':')[0], Recipe.faces)
  add('which_face', which, '')
  apex = metadata.get('apex', usual['apex'])
  add('apex', apex.partition(':')[0], Recipe.apex)
  for name in ('remove_head_motion', 'mask_eyelids'):
    options += [f'--{name}'] * bool(metadata.get(name))
  return options
