"""Scores what the models of a run tell of action units.

The thresholds of a model are chosen on those that it was trained on; the people
whom it held out are scored with them. `units.json` has both.
"""

from __future__ import annotations

from collections.abc import Callable
import pathlib
from typing import Any

import jax
from jaxtyping import Float
import numpy as np

from mejax import files
from mejax import forms
from mejax.evaluation import units as units_lib
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import saved as saved_lib
from mejax.experiment.packs.saved import Saved
from mejax.experiment.planning import Plan
from mejax.training import sample as sample_lib

FILE = 'units.json'
_CHOSEN = (
  'The threshold of a unit has the best F1 on those whom the model was trained'
  ' on.'
)
_BATCH = 64
_ROWS = {str: {str: (float, int, type(None))}}
# What is read of the file. Runs of mejax 0.2 have no thresholds.
_FORM = {
  'units': _ROWS,
  'mean': {str: (float, int, type(None))},
  'parts?': _ROWS,
  'names?': [str],
  'thresholds?': {str: [forms.NUMBER]},
  'chosen?': str,
}
# The file of an evaluation of clips whose units are not known.
_AREAS = {'full': _ROWS}


def write(plan: Plan, workdir: pathlib.Path) -> None:
  """Prints and writes how well action units are told, if any are trained.

  Args:
    plan: of the run.
    workdir: of the run, whose models are kept.
  """
  if 'units' not in plan.trainer.in_use:
    return
  if not plan.options.keep_models:
    print(
      'The table of action units is left out, because it needs the trained'
      ' models: train with --config.keep_models=True.'
    )
    return
  numbers = score(plan, workdir)
  workdir_lib.write_json(workdir / FILE, numbers)
  print(units_lib.format_scores(numbers))
  if numbers['parts']:
    print(units_lib.format_parts(numbers['parts']))


def score(plan: Plan, workdir: pathlib.Path) -> dict[str, Any]:
  """Returns scores of all who were held out, and of each database.

  Returns:
    The result of `evaluation.units.score`; `names` of the units, and for each
    fold their `thresholds`; `chosen`, how they were; and `parts`, the means
    over the units of each database, if there are several.
  """
  saved = saved_lib.read_models(workdir, plan.model, trust_code=True)
  task, folds, ask = plan.task, plan.folds, _asking(saved)
  truth = task.extra['units']
  numbers = map(str, range(truth.shape[1]))
  names = task.dataset.get('action_units', list(numbers))
  shares = np.full(truth.shape, np.nan)
  limits, thresholds = shares.copy(), {}
  for row in np.flatnonzero(folds.inner < 0).tolist():
    name = folds.names[folds.outer[row]]
    told = ask(name, task.inputs)
    if told is None:
      print(f'{name}: its models diverged, and tell no action units.')
      continue
    train, test = folds.train[row] > 0, folds.test[row]
    chosen = units_lib.choose_thresholds(told[train], truth[train])
    thresholds[name] = chosen.tolist()
    # Everybody's model holds nobody out.
    shares[test], limits[test] = told[test], chosen
  held = np.isfinite(shares).all(1)

  def scored(rows):
    return units_lib.score(shares[rows], truth[rows], names, limits[rows])

  corpora = np.unique(task.corpus[held]).tolist()
  masks = {name: held & (task.corpus == name) for name in corpora}
  return {
    **scored(held),
    'names': list(names),
    'thresholds': thresholds,
    'chosen': _CHOSEN,
    'parts': {
      name: {'examples': int(mask.sum()), **scored(mask)['mean']}
      for name, mask in masks.items()
      if len(masks) > 1
    },
  }


def _asking(
  saved: Saved,
) -> Callable[[str, np.ndarray], Float[np.ndarray, 'n u'] | None]:
  """Returns a function that tells how likely each unit is shown.

  It takes the name of a fold and inputs [n ...], and returns the mean over the
  seeds that did not diverge; None if all did.
  """

  @jax.jit
  def ask(variables, inputs):
    def one(x):
      batch = sample_lib.decode(x[None])
      _, out = saved.model.apply(variables, batch, train=False)
      return jax.nn.sigmoid(out['units'][0])

    return jax.lax.map(one, inputs, batch_size=_BATCH)

  def mean(name, inputs):
    told = [ask(saved.load(seed, name), inputs) for seed in saved.seeds]
    told = [np.asarray(each, np.float64) for each in told]
    sound = [each for each in told if np.isfinite(each).all()]
    return np.mean(sound, 0) if sound else None

  return mean


def read(workdir: pathlib.Path) -> dict[str, Any]:
  """Returns the result of `score`; {} if a run has no thresholds.

  Raises:
    ValueError: the file is damaged.
  """
  numbers = read_table(workdir)
  return numbers if 'thresholds' in numbers else {}


def read_table(workdir: pathlib.Path) -> dict[str, Any]:
  """Returns what a folder says of action units; {} if it says nothing.

  Args:
    workdir: of a run, or the folder of an evaluation.

  Returns:
    The result of `score`; of an evaluation that of
    `evaluation.units.score_against_classes` for each part of the clips.

  Raises:
    ValueError: the file is damaged.
  """
  path, hint = workdir / FILE, 'Give its command again, which writes it anew.'
  if not path.exists():
    return {}
  numbers = files.read_json(path, hint=hint)
  with files.reading(path, hint=hint):
    forms.check(numbers, _FORM if 'mean' in numbers else _AREAS)
    chosen = numbers.get('thresholds', {})
    count = len(numbers.get('names', ()))
    if any(len(each) != count for each in chosen.values()):
      raise ValueError('it has another number of thresholds than of names')
  return numbers
