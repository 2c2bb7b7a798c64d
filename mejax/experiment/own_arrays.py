"""Runs leave-one-subject-out on a user's own arrays."""

from __future__ import annotations

from collections.abc import Sequence
import os
from typing import Any

from flax import linen as nn
import ml_collections
import numpy as np

from mejax.corpora import people as people_lib
from mejax.experiment import configuration
from mejax.experiment import running
from mejax.experiment import schema
from mejax.experiment.task import Task


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
    config: training settings; the shipped config `synthetic` by default.
    people: what happens to subjects whose names may be one person, as `01` and
      `sub1`: '' refuses them, `join` makes one of them, `apart` keeps them.
    **changes: single values of the config, with double underscores for dots:
      `num_seeds=3`, `setting__learning_rate=1e-3`.

  Returns:
    The content of `metrics.json`.

  Raises:
    ValueError: a subject is blank or `nan`, or may be another subject.
  """
  labels, subjects = np.asarray(labels), np.asarray(subjects, dtype=str)
  subjects = people_lib.settled_names(subjects, people)
  if class_names is None:
    class_names = np.arange(labels.max() + 1)
  config = configuration.load_config('synthetic') if config is None else config
  config = schema.fill(config)
  with config.unlocked():
    # No view is applied, and no face is mirrored, because it is not known what
    # the arrays mean.
    config.update(dataset='', protocol='', order='', view={'name': ''})
    config.setting.mirror = 0.0
    config.model = {'name': model} if isinstance(model, str) else {}
  configuration.change(
    config, {key.replace('__', '.'): value for key, value in changes.items()}
  )
  task = Task(
    inputs=np.asarray(inputs, np.float32),
    labels=labels,
    corpus=np.full(len(labels), 'own'),
    subject=subjects,
    clip=np.array([str(i) for i in range(len(labels))]),
    class_names=tuple(str(name) for name in class_names),
    protocol=f'Leave one subject out over {len(labels)} own examples of'
    f' {len(np.unique(subjects))} subjects.',
    groups=subjects,
  )
  module = None if isinstance(model, str) else model
  return running.train(config, workdir=workdir, task=task, model=module)
