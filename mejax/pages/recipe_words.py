"""Says in the field's words how a dataset was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Method: what it is.
FLOWS = {
  'tvl1': 'TV-L1, with a smooth change of light fitted and taken out',
  'tvl1_plain': 'TV-L1 as published: a change of light counts as motion',
  'farneback': "Farnebäck's method (OpenCV)",
  'dis': 'DIS, dense inverse search (OpenCV)',
  'as released': 'as released',
}
AMPLIFICATIONS = {
  'linear': 'Eulerian, linear',
  'phase': 'Eulerian, by phase',
  'flow': 'by warping along the flow',
  'learned': 'MagNet',
}
# Option of a method: what it is, with its unit.
OPTIONS = {
  'attachment': 'weight of the data term (lambda)',
  'tightness': 'coupling (theta)',
  'step': 'time step (tau)',
  'blur': 'blur of both frames, px',
  'levels': 'pyramid scales',
  'warps': 'warps at each scale',
  'iterations': 'iterations',
  'light_fit': 'version of the fit of light',
  'pyramid_scale': 'ratio of pyramid scales',
  'window': 'averaging window, px',
  'poly_n': 'neighbourhood, px',
  'poly_sigma': 'its Gaussian, px',
  'preset': 'preset',
  'motion': 'longest expected motion, px',
  'smoothing': 'blur of the phase, px',
  'orientations': 'directions',
  'weights_sha256': 'SHA-256 of the weights',
}
# They say how the computer went about it, or what the method's name says too.
_SILENT = ('method', 'light', 'pairs_at_once')
STRAINS = {
  'shreve': 'norm of the strain tensor of the flow (Shreve 2011), px per px',
  'quarter_shear': 'norm of the strain tensor with half the weight of shear,'
  ' px per px',
  'magnitude': 'length of the flow, px (called strain in some published code)',
  'as released': 'as released',
}
_UNITS = {
  'pixel': 'onset to apex, in px of the aligned face',
  'minmax255': 'each channel of each clip stretched to 0 to 255: its length is'
  ' lost',
}
_CORPORA = {
  'video': 'own recordings (video)',
  'synthetic': 'rendered (synthetic)',
}
# Shown elsewhere on the page, or nowhere.
_ELSEWHERE = (
  'clips', 'counts', 'skipped', 'warnings', 'notes', 'schema_version', 'fps',
  'levels',
)  # fmt: skip


def rows(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
  """Returns pairs of a choice and its value, from the metadata of a dataset."""
  return [
    pair
    for key, value in metadata.items()
    if key not in _ELSEWHERE and (pair := _row(key, value, metadata))
  ]


def times(level: float) -> str:
  """Returns an amplification in words."""
  return 'as it is (×1)' if level == 1 else f'amplified ×{level:g}'


def _row(
  key: str, value: Any, metadata: Mapping[str, Any]
) -> tuple[str, str] | None:
  """Returns a choice and its value; None if there is nothing to say."""
  if key == 'corpora':
    return 'databases', ', '.join(_CORPORA.get(name, name) for name in value)
  if key == 'units':
    return 'motion', _UNITS.get(value, value)
  if key == 'strain':
    return 'strain', STRAINS.get(value, value)
  if key == 'flow':
    return 'optical flow', _method(value, FLOWS)
  if key == 'magnify':
    if value['method'] == 'none':
      return None
    levels = ', '.join(map(times, metadata['levels']))
    return 'amplification', f'{levels}; {_method(value, AMPLIFICATIONS)}'
  if key == 'size':
    return 'aligned face', f'{value} × {value} px'
  if key == 'neighbours':
    if not value:
      return None
    beside = f'{value} after the onset, {value} on each side of the apex'
    return 'further frames', beside
  if key in ('landmark_source', 'apex'):
    name = 'face points' if key == 'landmark_source' else 'apex'
    return name, value.partition(': ')[-1] or value
  if key == 'remove_head_motion':
    return 'motion of the whole face', 'taken out' if value else 'left in'
  if key == 'mask_eyelids':
    return 'motion of the eyelids', 'set to 0' if value else 'left in'
  if key == 'source_sha256':
    return 'digest of labels and frames (SHA-256)', str(value)
  return key.replace('_', ' '), _words(value)


def _method(about: Mapping[str, Any], names: Mapping[str, str]) -> str:
  """Returns a method with its options in brackets."""
  options = [
    f'{OPTIONS.get(key, key.replace("_", " "))} {_words(value)}'
    for key, value in about.items()
    if key not in _SILENT and value is not None
  ]
  words = names.get(about['method'], about['method'])
  return words + f' ({", ".join(options)})' * bool(options)


def _words(value: Any) -> str:
  if isinstance(value, Mapping):
    return ', '.join(
      f'{k.replace("_", " ")} {_words(v)}'
      for k, v in value.items()
      if v is not None
    )
  if isinstance(value, list):
    return ', '.join(map(_words, value))
  if value is None or isinstance(value, bool):
    return {True: 'yes', False: 'no', None: 'none'}[value]
  return f'{value:g}' if isinstance(value, float) else str(value)
