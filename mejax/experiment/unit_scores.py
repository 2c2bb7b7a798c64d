"""Scores what the models of a run tell of action units.

The thresholds of a model are chosen on those that it was trained on; the people
whom it held out are scored with them. `units.json` has both.
"""

from __future__ import annotations

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
# What is read of the file.
_FORM = {
  'names': [str],
  'mean': {str: (float, int, type(None))},
  'thresholds': {str: [forms.NUMBER]},
  'chosen': str,
}


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
  """Returns scores of all who were held out, and of each fold.

  Returns:
    The result of `evaluation.units.score`; `names` of the units, and for each
    fold their `thresholds`; `chosen`, how they were; and `parts`, the means
    over the units of each fold, if there are several.
  """
  saved = saved_lib.read_models(workdir, plan.model, trust_code=True)
  truth = plan.task.extra['units']
  numbers = map(str, range(truth.shape[1]))
  names = plan.task.dataset.get('action_units', list(numbers))
  shares = np.full(truth.shape, np.nan)
  limits, parts, thresholds = shares.copy(), {}, {}
  for row in np.flatnonzero(plan.folds.inner < 0).tolist():
    name = plan.folds.names[plan.folds.outer[row]]
    train, test = plan.folds.train[row] > 0, plan.folds.test[row]
    told = shares_of(saved, name, plan.task.inputs)
    chosen = units_lib.choose_thresholds(told[train], truth[train])
    thresholds[name] = chosen.tolist()
    if test.any():  # Everybody's model holds nobody out.
      shares[test], limits[test] = told[test], chosen
      parts[name] = {
        'examples': int(test.sum()),
        **units_lib.score(told[test], truth[test], names, chosen)['mean'],
      }
  held = np.isfinite(shares).all(1)
  return {
    **units_lib.score(shares[held], truth[held], names, limits[held]),
    'names': list(names),
    'thresholds': thresholds,
    'chosen': _CHOSEN,
    'parts': parts if len(parts) > 1 else {},
  }


def shares_of(
  saved: Saved, name: str, inputs: np.ndarray
) -> Float[np.ndarray, 'n u']:
  """Returns how likely each unit is shown: the mean over the seeds.

  Args:
    saved: the models.
    name: of the fold whose models are asked.
    inputs: [n ...], as the view made them.
  """

  @jax.jit
  def ask(variables, inputs):
    def one(x):
      batch = sample_lib.decode(x[None])
      _, out = saved.model.apply(variables, batch, train=False)
      return jax.nn.sigmoid(out['units'][0])

    return jax.lax.map(one, inputs, batch_size=_BATCH)

  told = [ask(saved.load(seed, name), inputs) for seed in saved.seeds]
  return np.mean([np.asarray(each, np.float64) for each in told], 0)


def read(workdir: pathlib.Path) -> dict[str, Any]:
  """Returns the result of `score`; {} if a run has no thresholds.

  Raises:
    ValueError: the file is damaged.
  """
  path, hint = workdir / FILE, 'Give its command again, which writes it anew.'
  if not path.exists():
    return {}
  numbers = files.read_json(path, hint=hint)
  if 'thresholds' not in numbers:  # Runs of mejax 0.2 have none.
    return {}
  with files.reading(path, hint=hint):
    forms.check(numbers, _FORM)
    count = len(numbers['names'])
    if any(len(each) != count for each in numbers['thresholds'].values()):
      raise ValueError('it has another number of thresholds than of names')
  return numbers
