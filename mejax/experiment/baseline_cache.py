"""Fits the baselines of data and folds once, and keeps them in the data folder.

Every run on the same clips, labels and folds reads them from there, whatever
its model and view are: `DATA_DIR/baselines/KEY.npz`. The key is a digest of all
that the baselines depend on. The files may be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import hashlib
import importlib.metadata
import json
import pathlib

from jaxtyping import Shaped
import numpy as np

from mejax import files
from mejax.evaluation import baselines as baselines_lib
from mejax.evaluation import ceiling
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.task import Task

FOLDER = 'baselines'
_KEY = 'key'
_AGAIN = 'The baselines are computed again.'


def read_or_fit(
  task: Task,
  left_out: Shaped[np.ndarray, ' n'],
  *,
  names: Sequence[str] = baselines_lib.BASELINES,
  share: float = 1.0,
  draw: int = 0,
) -> dict[str, np.ndarray]:
  """Returns the baselines of data and folds; see `evaluation.baselines`.

  They are read from the data folder, or computed and kept there. Without a data
  folder, or if it is read-only, they are only computed. A damaged file is
  reported and made again.

  Args:
    task: the clips, their labels and their data folder.
    left_out: the fold that holds each clip out.
    names: the baselines.
    share: of the training people of each fold, see `ceiling.folds_of`.
    draw: which people these are.
  """
  options = {'names': tuple(names), 'share': share, 'draw': draw}
  if task.home is None:
    return _fit(task, left_out, **options)
  key = identify(task, left_out, **options)
  path = pathlib.Path(task.home) / FOLDER / f'{key}.npz'
  try:
    if path.exists():
      return _read(path, key, task, names)
  except (OSError, ValueError) as error:
    print(error)
  found = _fit(task, left_out, **options)
  _keep(path, key, found)
  return found


def of_run(
  workdir: pathlib.Path, task: Task, left_out: Shaped[np.ndarray, ' n']
) -> dict[str, np.ndarray]:
  """Returns the baselines in the folder of a run on these data and folds.

  Those of an older recipe, or none, are replaced by those of `read_or_fit`;
  nothing is written.
  """
  found = workdir_lib.read_baselines(workdir)
  if found.get(baselines_lib.RECIPE_KEY) == baselines_lib.RECIPE:
    return found
  return read_or_fit(task, left_out)


def identify(
  task: Task,
  left_out: Shaped[np.ndarray, ' n'],
  *,
  names: Sequence[str] = baselines_lib.BASELINES,
  share: float = 1.0,
  draw: int = 0,
) -> str:
  """Returns a digest of all that baselines depend on.

  These are the recipe, the version of scikit-learn, the classes and labels that
  a protocol gives the clips, the folds, which people are trained on, and the
  arrays that baselines read, which are the same for every view. Arguments are
  those of `read_or_fit`.
  """
  inputs = task.seen_by_baselines
  facts = {
    'recipe': baselines_lib.RECIPE,
    'scikit_learn': importlib.metadata.version('scikit-learn'),
    'classes': task.class_names,
    'labels': task.labels.tolist(),
    'folds': left_out.tolist(),
    'names': names,
    'people': [share, draw, task.groups.tolist()] if share < 1 else [],
    'u_channel': task.baseline_u_channel,
    'shape': inputs.shape,
    'dtype': str(inputs.dtype),
  }
  digest = hashlib.sha256(json.dumps(facts).encode())
  digest.update(np.ascontiguousarray(inputs))
  return digest.hexdigest()[:32]


def _fit(task: Task, left_out, *, names, share, draw) -> dict[str, np.ndarray]:
  return baselines_lib.baselines(
    task.seen_by_baselines,
    task.labels,
    folds=ceiling.folds_of(left_out, task.groups, share, draw=draw),
    u_channel=task.baseline_u_channel,
    num_classes=len(task.class_names),
    names=names,
  )


def _read(
  path: pathlib.Path, key: str, task: Task, names: Sequence[str]
) -> dict[str, np.ndarray]:
  """Reads a file of the data folder.

  Raises:
    ValueError: it is damaged, or belongs to other data.
  """
  found = files.read_npz(path, hint=_AGAIN)
  with files.reading(path, hint=_AGAIN):
    if found.pop(_KEY) != key:
      raise ValueError('it belongs to other data')
    _check(found, task, names)
  return found


def _check(
  found: Mapping[str, np.ndarray], task: Task, names: Sequence[str]
) -> None:
  """Refuses arrays that are not those of baselines of a task."""
  size, classes = len(task.labels), len(task.class_names)
  predictions = baselines_lib.predictions_of(found)
  if set(predictions) != set(names):
    raise ValueError(f'it holds {", ".join(predictions) or "no baselines"}')
  for name, array in predictions.items():
    if array.shape != (size,) or array.min() < 0:
      raise ValueError(f'{name} does not fit the {size} clips')
  baselines_lib.check(found, classes)


def _keep(path: pathlib.Path, key: str, found: Mapping[str, np.ndarray]):
  """Writes a file into the data folder, or says why that is not possible."""
  try:
    files.refuse_way_out(path, path.parents[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    workdir_lib.save_npz(path, {**found, _KEY: np.array(key)})
  except (OSError, ValueError) as error:
    print(f'The baselines are not kept for other runs: {error}')
