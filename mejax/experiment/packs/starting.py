"""Starts a training from the weights of another model, and says whose."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools
import json
import os
from typing import Any

from flax import linen as nn
import jax
from jaxtyping import PyTree
import ml_collections
import numpy as np

from mejax import own_code
from mejax.experiment.packs import modules
from mejax.experiment.packs import saved as saved_lib
from mejax.experiment.packs import seen as seen_lib
from mejax.experiment.packs.saved import Saved
from mejax.experiment.task import Task
from mejax.training import checkpoint

_HINT = 'With --leave_out_seen, the others are trained on and held out.'


@dataclasses.dataclass(frozen=True, eq=False)
class Start:
  """The model that a training starts from.

  Attributes:
    folder: where it lies.
    saved: the model.
    variables: its variables, those of the first member.
  """

  folder: str
  saved: Saved
  variables: Mapping[str, PyTree]

  @property
  def seen(self) -> seen_lib.Seen:
    """Whom it has seen."""
    return self.saved.seen

  @functools.cached_property
  def digest(self) -> str:
    """A digest of its variables."""
    return checkpoint.digest(self.variables)

  @property
  def sentence(self) -> str:
    """Says it beside the numbers of the training."""
    count = len(self.seen.people)
    who = f'it saw {count} other people' if count else 'it saw no real person'
    if self.seen.unknown:
      who = 'nobody knows whom it saw'
    return f'Training started from the model {self.digest[:8]}; {who}.'


def read(
  folder: str | os.PathLike, *, config: ml_collections.ConfigDict
) -> Start:
  """Reads a saved model, or a converted one, to start a training from.

  Args:
    folder: the folder of the model.
    config: the config of the training; code that it names may be run.

  Raises:
    ValueError: it is neither, or several models, each of other people.
  """
  given = own_code.names_in(json.loads(config.to_json_best_effort()))
  saved = saved_lib.read_models(folder, given=given)
  if saved.names is not None:
    raise ValueError(
      f'{folder} holds {len(saved.names)} models, each of other people. Name'
      ' one: of a run what `mejax pack` makes of it, of converted weights the'
      ' folder of one file.'
    )
  variables = saved.load(saved.seeds[0], '')
  if saved.packed:
    variables = jax.tree.map(lambda x: x[0], variables)
  return Start(os.fspath(folder), saved, jax.tree.map(np.asarray, variables))


def note(
  config: ml_collections.ConfigDict, start: Start | None
) -> ml_collections.ConfigDict:
  """Returns a config that says which model its training starts from.

  Raises:
    ValueError: it says already that it is another one.
  """
  digest = start.digest if start else ''
  if config.init not in ('', digest):
    found = f'the one in {start.folder} is {digest[:8]}' if start else 'none is'
    raise ValueError(
      f'training starts from the model {config.init[:8]}, and {found} given.'
      ' Name the folder of that model by --init.'
    )
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.init = digest
  return config


def leave_out(
  start: Start,
  task: Task,
  view: ml_collections.ConfigDict | None,
  *,
  leave_out_seen: bool,
) -> Task:
  """Returns the clips of people whom the model has not seen.

  Args:
    start: the model.
    task: all clips.
    view: see `packed.Model.check_clips`.
    leave_out_seen: see `seen.leave_out`.

  Raises:
    ValueError: see `seen.leave_out`; or the clips are not made as the model
      needs them.
  """
  if start.saved.packed:
    start.saved.packed.check_clips(task, view)
  return seen_lib.leave_out(
    task,
    start.seen,
    whose=f'the model in {start.folder}',
    leave_out_seen=leave_out_seen,
    hint=_HINT,
  )


def fit(start: Start, module: nn.Module, task: Task) -> dict[str, PyTree]:
  """Returns the variables that the trials of a model begin with.

  The last layer, `head`, is drawn anew if the classes differ.

  Returns:
    `params` and `collections`, as `training.placement.make_init` takes them.

  Raises:
    ValueError: the models differ in more than that.
  """
  inputs = task.inputs
  own = modules.shapes_of(module, inputs.shape[1:], inputs.dtype)
  theirs = modules.flat(start.variables)
  if start.saved.classes != tuple(task.class_names):
    print('The classes are not those of the model: its last layer is drawn.')
    own, theirs = (
      {k: v for k, v in each.items() if not k.startswith('params/head/')}
      for each in (own, theirs)
    )
  for name in sorted(own.keys() | theirs.keys()):
    shapes = [
      f'{x[name].dtype}{list(x[name].shape)}' if name in x else 'absent'
      for x in (theirs, own)
    ]
    if shapes[0] != shapes[1]:
      raise ValueError(
        f'training cannot start from the model in {start.folder}, because it is'
        f' another one: {name} is {shapes[0]} there, {shapes[1]} here. Choose'
        ' the --config of that model.'
      )
  params, collections = {}, {}
  for name, array in theirs.items():
    kind, *inner, last = name.split('/')
    place = params if kind == 'params' else collections.setdefault(kind, {})
    for part in inner:
      place = place.setdefault(part, {})
    place[last] = array
  return {'params': params, 'collections': collections}


def describe(start: Start | None) -> dict[str, Any]:
  """Returns what `run.json` tells of the model; {} without one."""
  if start is None:
    return {}
  licences = []
  if start.saved.packed:
    licences = start.saved.packed.about['licences']
  elif start.seen.unknown:
    licences = ['the licence of the converted weights that it started from']
  return {'init': {**start.seen.to_json(), 'licences': licences}}
