"""Saves and restores the states of a run, through Orbax.

Only this module uses Orbax. A checkpoint is written beside the previous one and
replaces it only when it is complete, so that one can be restored after a kill
at any moment. Orbax gets NumPy arrays, not arrays on the devices, because those
are donated to the next call while the files are still being written.

    checkpoints/round_0/      the latest states of a round that is not finished
    checkpoints/round_0.npz   logits and losses of a finished round
    checkpoints/round_0_model parameters of its trials, if they are kept
"""

from __future__ import annotations

import pathlib
import shutil
from typing import Any

import jax
from jaxtyping import PyTree
import numpy as np
import orbax.checkpoint as ocp

from mejax import files
from mejax import limits


class Round:
  """The files of one round of trials."""

  def __init__(self, workdir: pathlib.Path, number: int):
    folder = workdir.absolute() / 'checkpoints'
    folder.mkdir(parents=True, exist_ok=True)
    self._running = folder / f'round_{number}'
    self._model = folder / f'round_{number}_model'
    self._result = folder / f'round_{number}.npz'
    self._manager: ocp.CheckpointManager | None = None

  def result(self) -> dict[str, np.ndarray] | None:
    """Returns the arrays of a finished round; None if it is not finished."""
    if not self._result.exists():
      return None
    shutil.rmtree(self._running, ignore_errors=True)
    with limits.arrays(self._result) as file:
      return dict(file)

  def model(self) -> dict[str, Any] | None:
    """Returns the variables of the round's trials; None if not kept.

    These are `params`, and `collections` with all other variables. Trials are
    on the leading axis.
    """
    return load_tree(self._model) if self._model.exists() else None

  def open(self) -> int:
    """Opens the checkpoints; returns the latest whole step, 0 without one."""
    options = ocp.CheckpointManagerOptions(
      max_to_keep=1, cleanup_tmp_directories=True
    )
    self._manager = ocp.CheckpointManager(self._running, options=options)
    return self._manager.latest_step() or 0

  def restore(self, step: int, like: PyTree) -> PyTree:
    """Returns the tree saved at `step`, as NumPy arrays of `like`'s shapes."""
    empty = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), like)
    return self._manager.restore(step, args=ocp.args.StandardRestore(empty))

  def save(self, step: int, tree: PyTree) -> None:
    """Starts to save NumPy arrays, which must not be changed afterwards."""
    self._manager.save(step, args=ocp.args.StandardSave(tree))

  def finish(
    self, arrays: dict[str, np.ndarray], model: dict[str, Any] | None
  ) -> None:
    """Writes the result, and the model if given; removes the checkpoints."""
    self._manager.wait_until_finished()
    self._manager.close()
    if model is not None:
      save_tree(self._model, model)
    # The result comes last, because its file marks the round as finished.
    with files.writing(self._result, 'wb') as file:
      np.savez(file, **arrays)
    shutil.rmtree(self._running, ignore_errors=True)


def save_tree(path: pathlib.Path, tree: PyTree) -> None:
  """Writes nested dicts of NumPy arrays to a folder; replaces an old one."""
  with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(path.absolute(), tree, force=True)


def load_tree(path: pathlib.Path) -> PyTree:
  """Returns the NumPy arrays of a folder that `save_tree` wrote."""
  with ocp.StandardCheckpointer() as checkpointer:
    return checkpointer.restore(path.absolute())
