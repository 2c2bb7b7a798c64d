"""Knows how the inputs of a saved model are made of the frames of a video.

The recipe is that of the data that the model was trained on, and the model
carries it. What cannot be made in the same way is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np

from mejax import files
from mejax.corpora.which_face import LARGEST
from mejax.corpora.which_face import WhichFace
from mejax.datasets import as_generated
from mejax.datasets import generated
from mejax.datasets.recipe import FLOWS
from mejax.datasets.recipe import Recipe
from mejax.datasets.views import View
from mejax.experiment import resolve
from mejax.experiment import task as task_lib
from mejax.experiment.packs import recipes
from mejax.experiment.packs.packed import Model
from mejax.experiment.task import Clips

Examples = Mapping[str, np.ndarray]
_GIVEN = 'its training took the face points of a database; here they are found'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Making:
  """How frames become the inputs of a model.

  Attributes:
    model: the model.
    recipe: how videos are prepared.
    view, options: what makes inputs of examples.
    generated: options of `as_generated.convert`, for a model of generated flow;
      empty for others.
    remarks: sentences on how this differs from the training.
  """

  model: Model
  recipe: Recipe
  view: View
  options: Mapping[str, Any]
  generated: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  remarks: tuple[str, ...] = ()

  def clips(self, examples: Examples) -> Clips:
    """Makes inputs of examples, as `datasets.prepare` would make them.

    Args:
      examples: arrays [n ...] by name: flow, landmarks, onset, apex, amplified
        and the numbers of frames.
    """
    count = len(examples['flow'])
    named = {
      name: np.full(count, '-') for name in ('corpus', 'subject', 'clip')
    }
    examples = {**examples, **named}
    metadata = self.recipe.describe()
    if self.generated:
      size, crop = self.generated['size'], self.generated['crop']
      side = examples['flow'].shape[2]
      examples |= {
        'flow': as_generated.convert(examples['flow'], **self.generated),
        'landmarks': as_generated.convert_points(
          examples['landmarks'], side=side, size=size, crop=crop
        ),
      }
      metadata |= {'size': size, 'units': self.generated['units']}
    return task_lib.make_clips(
      examples, metadata, view=self.view, options=self.options
    )

  def check(self, clips: Clips) -> None:
    """Refuses inputs that were not made as those of the training.

    Raises:
      ValueError: the message lists every difference.
    """
    # A recipe of generated pictures is none of videos, and which face is taken
    # is a matter of the recording.
    source = self.model.about['recipe']['landmark_source']
    made = (
      {} if self.generated else {**clips.dataset, 'landmark_source': source}
    )
    clips = dataclasses.replace(clips, dataset=made)
    self.model.check_clips(clips, self.model.config.view)


def making_of(model: Model, *, which_face: WhichFace = LARGEST) -> Making:
  """Returns how the inputs of a model are made.

  Raises:
    ValueError: the model does not say how its inputs were made, or mejax cannot
      make them of videos in the same way.
  """
  told = model.about['recipe']
  _refuse_own(model)
  # Nothing has a label here, so that any protocol will do.
  reading = resolve.find_reading(model.config, protocol=generated.PROTOCOL)
  common = {'model': model, **{k: reading[k] for k in ('view', 'options')}}
  method = told['flow']['method']
  if method not in FLOWS and model.about['data'].get('generated'):
    asked = model.config.generated
    if asked.version != generated.VERSION:
      raise ValueError(
        f'the model in {model.folder} was trained on flow of version'
        f' {asked.version} of the generator, and this mejax cuts faces as'
        f' version {generated.VERSION} does. Train it anew.'
      )
    options = {name: asked[name] for name in ('size', 'crop')}
    recipe = as_generated.recipe_of(**options, levels=asked.levels)
    recipe = dataclasses.replace(recipe, which_face=which_face)
    options['units'] = asked.units
    return Making(**common, recipe=recipe, generated=options)
  if method not in FLOWS or told['units'] != 'pixel':
    raise ValueError(
      f'the model in {model.folder} reads flow that was ready-made ({method}),'
      ' and nobody knows how to make the like of a video. Train one on frames,'
      ' which `mejax prepare` prepares.'
    )
  source = told['landmark_source'].partition(':')[0]
  remarks = (_GIVEN,) if source == 'given' else ()
  recipe = _recipe(told, source='mesh' if remarks else source)
  ours = recipes.of(recipe.describe())
  there = recipes.compared(told)
  for each in (ours, there):
    del each['landmark_source']
  files.refuse_other(
    model.folder,
    there,
    ours,
    what='a model for inputs that this mejax makes otherwise',
    hint='Prepare its data anew, and train on them.',
  )
  recipe = dataclasses.replace(recipe, which_face=which_face)
  return Making(**common, recipe=recipe, remarks=remarks)


def _refuse_own(model: Model) -> None:
  """Refuses a model of inputs that its owner made, not mejax."""
  if not model.about['recipe']:
    raise ValueError(
      f'the model in {model.folder} was trained on arrays, and does not say how'
      ' they were made of a video. Make such arrays yourself, and hand them to'
      ' mejax.experiment.load_model(FOLDER).predict(arrays), where FOLDER is'
      ' what `mejax pack` wrote. Or prepare videos by `mejax prepare`, and'
      ' train on these.'
    )
  if not getattr(model.config.view, 'name', ''):
    raise ValueError(
      f'the model in {model.folder} was trained with a view that was given as a'
      ' function, which it does not carry. Train it with the name of the view,'
      ' --config.view.name=package.module:name, and predict with --trust_code.'
    )


def _recipe(told: Mapping[str, Any], *, source: str) -> Recipe:
  magnify = told['magnify']['method']
  if magnify == 'learned':
    raise ValueError(
      'the model reads motion that was amplified by weights (MagNet), which it'
      ' does not carry. Train one on `--magnify flow`.'
    )
  return Recipe(
    levels=tuple(told['levels']),
    magnify='flow' if magnify == 'none' else magnify,
    flow=told['flow']['method'],
    strain=told['strain'],
    size=told['size'],
    neighbours=told.get('neighbours', 0),
    faces=source,
    apex=told.get('apex', 'annotated').partition(':')[0],
    remove_head_motion=told['remove_head_motion'],
    mask_eyelids=told['mask_eyelids'],
  )
