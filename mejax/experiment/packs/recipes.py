"""Says by which recipe the clips of a dataset were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What changes the arrays that a view reads, and the meaning of a missing value.
_COMPARED = {
  'units': None,
  'strain': None,
  'flow': None,
  'levels': None,
  'magnify': {'method': 'none'},
  'size': None,
  'landmark_source': None,
  'remove_head_motion': False,
  'mask_eyelids': False,
}
# What else is told: which frames were taken, and how flow was generated.
_TOLD = ('apex', 'neighbours', 'generator')
KEYS = (*_COMPARED, *_TOLD)


def of(metadata: Mapping[str, Any]) -> dict[str, Any]:
  """Returns those parts of a dataset's metadata that must be the same."""
  return {key: metadata.get(key, missing) for key, missing in _COMPARED.items()}


def told(metadata: Mapping[str, Any]) -> dict[str, Any]:
  """Returns all that the metadata tell of the recipe; {} without metadata."""
  if not metadata:
    return {}
  more = {key: metadata[key] for key in _TOLD if key in metadata}
  return of(metadata) | more


def compared(recipe: Mapping[str, Any]) -> dict[str, Any]:
  """Returns those parts of `told` that must be the same."""
  return {key: value for key, value in recipe.items() if key in _COMPARED}
