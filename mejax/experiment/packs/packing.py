"""Makes a saved model of a finished run: weights, a description, a card."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import os
import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np

from mejax.experiment import finished
from mejax.experiment import record as record_lib
from mejax.experiment import schema
from mejax.experiment.packs import card
from mejax.experiment.packs import describing
from mejax.experiment.packs import exporting
from mejax.experiment.packs import modules
from mejax.experiment.packs import packed
from mejax.experiment.packs import packed_files
from mejax.experiment.packs import saved as saved_lib
from mejax.experiment.packs.packed import Model
from mejax.experiment.packs.saved import Saved

MEMBERS = ('everybody', 'folds')


def pack(
  run: str | os.PathLike,
  out: str | os.PathLike,
  *,
  members: str = '',
  licences: Sequence[str] = (),
  notes: str = '',
  recipe: Mapping[str, Any] | None = None,
  trust_code: bool = False,
) -> Model:
  """Writes the models of a finished run as one saved model.

  The temperature is fitted on what the run says of the people that each of its
  models held out. An older model in the folder is replaced.

  Args:
    run: workdir of a finished run.
    out: the folder to write.
    members: `everybody`, the models of a run with `folds=all` that hold nobody
      out, one for each seed; or `folds`, the models of all folds and seeds. By
      default the former, if the run has them.
    licences: terms under which the model is given away, beside those that its
      data impose.
    notes: Markdown to add to the card, such as a table of further results.
    recipe: metadata of a dataset as the model shall read it, for a model that
      was trained on generated examples; by default those of the run's dataset.
    trust_code: whether code that the run's config names may be run.

  Returns:
    The model, read again.

  Raises:
    FileNotFoundError: the run is not finished.
    ValueError: a file of the run is damaged, it has no such members, its folds
      divide people, or the folder holds something else.
  """
  run = pathlib.Path(run)
  out = pathlib.Path(os.path.abspath(out))
  packed_files.check_out(out, kind=packed_files.KIND)
  for needed in ('record.npz', 'metrics.json', 'config.json', 'run.json'):
    if not (run / needed).exists():
      raise FileNotFoundError(
        f'{run} has no {needed}: it is not the workdir of a finished run.'
      )
  saved = saved_lib.read_models(run, trust_code=trust_code)
  record = record_lib.read_record(run)
  numbers = finished.read_numbers(run, record)
  told = schema.read_run(run)
  if 'inputs' not in told:
    raise ValueError(
      f'{run} was trained by an older mejax, which did not note what its inputs'
      ' are. Train it again, in another --workdir.'
    )
  if saved.generated and recipe is None:
    print(
      'NOTE: this model was trained on generated examples. Name by --recipe_of'
      ' the prepared dataset whose recipe makes the clips that it shall read.'
    )
  arrays, kept = _stack(saved, _members(saved, members))
  about = describing.describe(
    run,
    saved,
    kept,
    record=record,
    numbers=numbers,
    told=told,
    licences=licences,
    recipe=recipe,
  )
  _write(out, saved, about, arrays, notes)
  return packed.load_model(out, trust_code=trust_code)


def recipe_of(
  dataset: str | None, data_dir: str | os.PathLike
) -> dict[str, Any] | None:
  """Returns the metadata of a prepared dataset; None if none is named."""
  from mejax.datasets import load

  return load.read_metadata(dataset, data_dir) if dataset else None


def _members(saved: Saved, members: str) -> list[tuple[int, str, bool]]:
  """Returns seed and name of each member, and whether it held nobody out."""
  members = members or ('everybody' if saved.everybody else 'folds')
  if members not in MEMBERS:
    raise ValueError(
      f'members is {members!r}; expected one of {", ".join(MEMBERS)}.'
    )
  if members == 'folds':
    # A single model, as of generated people, has no name.
    names = saved.names or ('',)
    return [(seed, name, False) for seed in saved.seeds for name in names]
  if saved.everybody is None:
    raise ValueError(
      'this run has no model of everybody: train one with --config.folds=all.'
    )
  return [(seed, saved.everybody, True) for seed in saved.seeds]


def _stack(
  saved: Saved, names: Sequence[tuple[int, str, bool]]
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
  """Returns the arrays of all members that did not diverge, and who these are.

  Raises:
    ValueError: all of them diverged.
  """
  trees, kept = [], []
  for seed, name, everybody in names:
    tree = modules.flat(saved.load(seed, name))
    if all(np.isfinite(np.asarray(x, np.float32)).all() for x in tree.values()):
      trees.append(tree)
      kept.append({'seed': seed, 'everybody': everybody})
    else:
      print(f'{name}, seed {seed}, diverged and is left out.')
  if not trees:
    raise ValueError('every member has weights that are not finite.')
  stacked = {
    name: np.stack([np.asarray(tree[name]) for tree in trees])
    for name in trees[0]
  }
  return stacked, kept


def _write(out, saved, about, arrays, notes) -> None:
  """Writes the folder, whole or not at all."""
  module = modules.make_module(saved.config, about)
  shapes = modules.variable_shapes(module, about)
  if wrong := [
    name
    for name in sorted(shapes.keys() | arrays.keys())
    if name not in shapes
    or name not in arrays
    or shapes[name].shape != arrays[name].shape
  ]:
    raise ValueError(
      f'the weights of the run do not fit its model: {wrong[0]}.'
    )
  model = Model(out, module, {}, about, saved.config)

  def probabilities(weights, inputs):
    params = modules.unflat(weights)
    return jnp.exp(model.apply(params, inputs))

  told = about['inputs']
  exported = exporting.export(
    probabilities, shapes, shape=told['shape'], dtype=told['dtype']
  )
  packed_files.write(
    out,
    about,
    arrays,
    exported,
    lambda about: card.render(out.name, about, notes),
  )
