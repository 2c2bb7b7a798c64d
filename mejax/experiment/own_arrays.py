"""Runs leave-one-subject-out on a user's own arrays."""

from __future__ import annotations

from collections.abc import Sequence
import os
from typing import Any

from flax import linen as nn
import jax.numpy as jnp
import ml_collections
import numpy as np

from mejax.corpora import cells
from mejax.corpora import people as people_lib
from mejax.experiment import configuration
from mejax.experiment import running
from mejax.experiment import schema
from mejax.experiment.task import Task

# No database has more emotions, and each class costs memory in every trial.
_MOST_CLASSES = 1000
# What arrays do not have.
_OF_DATASETS = ('dataset', 'protocol', 'order', 'view')


def leave_one_subject_out(
  inputs: np.ndarray | Sequence,
  labels: np.ndarray | Sequence[int],
  subjects: np.ndarray | Sequence[str],
  *,
  workdir: str | os.PathLike,
  model: nn.Module | str = 'ststnet',
  class_names: Sequence[str] | None = None,
  config: ml_collections.ConfigDict | None = None,
  people: str = '',
  init: str | os.PathLike | None = None,
  leave_out_seen: bool = False,
  dry_run: bool = False,
  **changes: Any,
) -> dict[str, Any]:
  """Trains and evaluates a model, leaving out one subject at a time.

  Args:
    inputs: f32[n ...], model inputs, e.g. flow images.
    labels: i32[n], class of each example, 0..k-1.
    subjects: str[n], subject of each example; each subject is held out once.
    workdir: folder of the run; the same call resumes it.
    model: a Linen module, a name of `mejax.models.MODELS`, or
      `package.module:name`.
    class_names: the name of each class; its number by default.
    config: training settings; the shipped config `synthetic` by default, with
      40 epochs, 2 seeds, batches of 16 and a learning rate of 2e-3.
    people: what happens to subjects whose names may be one person, as `01` and
      `sub1`: '' refuses them, `join` makes one of them, `apart` keeps them.
    init: folder of the model that training starts from, see `running.train`.
    leave_out_seen: whether people whom that model has seen are left out.
    dry_run: only print what would be trained, on which devices and how long.
    **changes: single values of the config, with double underscores for dots:
      `num_seeds=3`, `setting__learning_rate=1e-3`.

  Returns:
    The content of `metrics.json`, see `evaluation.summary.metrics_json`. The
    score at the last epoch is `['selection']['last']['full']`, with the keys
    `uf1`, `uf1_ci` (95 % over people), `uf1_std` (over seeds), the same for
    `uar` and `accuracy`, `confusion`, `n` and `subjects`. Empty for a dry run.

  Raises:
    ValueError: a subject is blank or `nan`, or may be another subject; or the
      arrays cannot be the inputs, labels and subjects of examples.
  """
  inputs = _numbers(inputs)
  labels = _labels(labels, len(inputs))
  class_names = _class_names(class_names, labels)
  subjects = people_lib.settled_names(_names(subjects, len(inputs)), people)
  for key in changes:
    if key.partition('__')[0] in _OF_DATASETS:
      raise ValueError(f'{key} belongs to a dataset, and not to arrays.')
  config = configuration.load_config('synthetic') if config is None else config
  config = schema.fill(config)
  with config.unlocked():
    # No view is applied, and no face is mirrored, because it is not known what
    # the arrays mean.
    config.update(dict.fromkeys(_OF_DATASETS, '') | {'view': {'name': ''}})
    config.setting.mirror = 0.0
    config.model = {'name': model} if isinstance(model, str) else {}
  configuration.change(config, changes, separator='__')
  task = Task(
    inputs=inputs,
    labels=labels,
    corpus=np.full(len(labels), 'own'),
    subject=subjects,
    clip=np.array([str(i) for i in range(len(labels))]),
    class_names=class_names,
    protocol=f'{len(labels)} own examples of {len(np.unique(subjects))}'
    ' subjects, one subject left out at a time.',
    groups=subjects,
  )
  module = None if isinstance(model, str) else model
  return running.train(
    config,
    workdir=workdir,
    task=task,
    model=module,
    init=init,
    leave_out_seen=leave_out_seen,
    dry_run=dry_run,
  )


def _array(name: str, values: Any) -> np.ndarray:
  """Returns an array of at least one row, of which nothing is masked.

  Raises:
    ValueError: it has no rows, masked values, or rows of several lengths.
  """
  if np.ma.isMaskedArray(values):
    # NumPy would take the values behind the mask.
    raise ValueError(
      f'{name} are a masked array; leave out the masked examples, or fill them'
    )
  try:
    array = np.asarray(values)
  except ValueError as error:
    raise ValueError(f'{name} are no array: {error}') from error
  if array.ndim == 0 or array.size == 0:
    raise ValueError(
      f'{name} have shape {array.shape}; expected one for each example'
    )
  return array


def _numbers(inputs: Any) -> np.ndarray:
  """Returns inputs as f32[n ...]."""
  inputs = _array('inputs', inputs)
  # NumPy does not count bfloat16 among the numbers.
  if inputs.dtype.kind not in 'biuf' and inputs.dtype != jnp.bfloat16:
    raise ValueError(f'inputs are {inputs.dtype}; expected real numbers')
  return inputs.astype(np.float32)


def _labels(labels: Any, number: int) -> np.ndarray:
  """Returns labels as whole numbers [n]."""
  labels = _array('labels', labels)
  if labels.dtype.kind not in 'iu':
    raise ValueError(
      f'labels are {labels.dtype}, as {labels.ravel().tolist()[0]!r}; expected '
      'whole numbers: the class of each example, counted from 0. Names become'
      ' numbers by `class_names, labels = np.unique(labels,'
      ' return_inverse=True)`'
    )
  if labels.shape != (number,):
    raise ValueError(
      f'labels have shape {labels.shape}; expected ({number},): one whole '
      'number for each input, and no one-hot rows'
    )
  return labels


def _class_names(names: Sequence[str] | None, labels: np.ndarray) -> tuple:
  """Returns the name of each class."""
  low, high = int(labels.min()), int(labels.max())
  if names is not None:
    if isinstance(names, str):
      raise ValueError(f'class_names is {names!r}; expected a list of names')
    names = tuple(str(name) for name in names)
    spelt: dict[str, str] = {}
    for name in names:
      if not cells.visible(name):
        raise ValueError(f'class_names has {name!r}, which is no name')
      first = spelt.setdefault(people_lib.folded(name), name)
      if first != name:
        raise ValueError(
          f'class_names has {ascii(first)} and {ascii(name)}; write two classes'
          ' in ways that differ'
        )
      if names.count(name) > 1:
        raise ValueError(f'class_names has {name!r} twice')
    high = len(names) - 1
  if high >= _MOST_CLASSES:
    raise ValueError(
      f'there are {high + 1} classes; expected at most {_MOST_CLASSES}: number '
      'them 0, 1, 2, ...'
    )
  if names is not None:
    return names
  empty = sorted(set(range(high + 1)) - set(labels.tolist()))
  if empty or low < 0:
    raise ValueError(
      f'labels are {low} to {high}, and no example has '
      f'{", ".join(map(str, empty[:5])) or "a class below 0"}; number the '
      'classes from 0 without a gap, or give class_names'
    )
  return tuple(map(str, range(high + 1)))


def _names(subjects: Any, number: int) -> np.ndarray:
  """Returns the subject of each example as a text [n]."""
  subjects = _array('subjects', subjects)
  if subjects.shape != (number,):
    raise ValueError(
      f'subjects have shape {subjects.shape}; expected ({number},): one for '
      'each input'
    )
  if subjects.dtype.kind not in 'OSUiuf':
    raise ValueError(
      f'subjects are {subjects.dtype}; expected names or numbers'
    )
  try:
    names = [x.decode() if isinstance(x, bytes) else str(x) for x in subjects]
  except UnicodeDecodeError as error:
    raise ValueError(f'a subject is no UTF-8: {error}') from error
  return np.array(names)
