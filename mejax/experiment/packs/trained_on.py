"""Compares clips with those that the models of a run were trained on.

A saved model refuses clips that were made otherwise. A run may be tried on
them, but its numbers say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mejax import files
from mejax.experiment import model_checks
from mejax.experiment.packs import modules
from mejax.experiment.packs import recipes
from mejax.experiment.packs.saved import Saved
from mejax.experiment.task import Clips

# What of a recipe generated pictures share with those of a database.
_GENERATED = ('units', 'levels', 'size', 'crop')


def compare(saved: Saved, clips: Clips) -> str:
  """Says how clips were made otherwise than those of the training.

  Args:
    saved: the models.
    clips: the clips that they shall be applied to.

  Returns:
    A warning; '' if nothing differs, or if one of both is not known.

  Raises:
    ValueError: the models cannot read inputs of that shape.
  """
  theirs = saved.trained_on.get('dataset')
  there, here = {}, {}
  if theirs and clips.dataset:
    there, here = recipes.of(theirs), recipes.of(clips.dataset)
  if there and saved.generated:
    there['crop'] = saved.config.generated.crop
    here['crop'] = _crop(clips.dataset)
    there, here = ({k: each[k] for k in _GENERATED} for each in (there, here))
  words = ('trained on', 'these have')
  lines = list(files.differences(there, here, words=words))
  if not _readable(saved, clips):
    came, told = clips.inputs.shape[1:], saved.trained_on['inputs']['shape']
    said = (
      f'these clips have inputs of shape {list(came)}; the models were trained'
      f' on {told} and cannot read others.'
    )
    hint = (
      'Prepare the dataset, and choose the view, like those of the training.'
    )
    raise ValueError('\n  '.join([said, *lines]) + f'\n{hint}')
  return f'clips made otherwise ({"; ".join(lines)})' if lines else ''


def _readable(saved: Saved, clips: Clips) -> bool:
  """Returns whether inputs of that shape need the same weights."""
  told = saved.trained_on.get('inputs')
  if not told or told['shape'] == list(clips.inputs.shape[1:]):
    return True
  model = model_checks.fill_levels(saved.model, told['levels'])
  needed = modules.shapes_of(model, told['shape'], told['dtype'])
  try:
    given = modules.shapes_of(model, clips.inputs.shape[1:], told['dtype'])
  except ValueError:  # Of models that check the shape themselves.
    return False
  return needed == given


def _crop(metadata: Mapping[str, Any]) -> str:
  """Returns what was cut out of the frames, as `generated.crop` calls it."""
  if metadata['units'] == 'minmax255':  # The images of the HTNet release.
    return 'released'
  source = metadata['landmark_source'].partition(':')[0]
  return 'that of the frames' if source == 'none' else 'aligned'
