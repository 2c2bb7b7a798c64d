"""Saves and restores the states of a run, through Orbax.

The only module that knows Orbax. A checkpoint is written beside the last one
and replaces it only when it is complete, so a kill at any moment leaves one
that can be restored. Orbax is given NumPy arrays, not those of the devices:
these are donated to the next call while the files are still being written.

    checkpoints/round_0/      the latest state of a round that is not finished
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
    with np.load(self._result) as file:
      return dict(file)

  def model(self) -> dict[str, Any] | None:
    """Returns the variables of the round's trials; None if not kept.

    `params`, and `collections` with all others, have trials on the leading
    axis.
    """
    return load_tree(self._model) if self._model.exists() else None

  def open(self) -> int:
    """Returns the step of the latest whole checkpoint; 0 if there is none."""
    options = ocp.CheckpointManagerOptions(
      max_to_keep=1, cleanup_tmp_directories=True
    )
    self._manager = ocp.CheckpointManager(self._running, options=options)
    return self._manager.latest_step() or 0

  def restore(self, step: int, like: PyTree) -> PyTree:
    """Returns the tree saved at `step`, as NumPy arrays shaped as `like`."""
    empty = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), like)
    return self._manager.restore(step, args=ocp.args.StandardRestore(empty))

  def save(self, step: int, tree: PyTree) -> None:
    """Starts to save NumPy arrays, which must not change afterwards."""
    self._manager.save(step, args=ocp.args.StandardSave(tree))

  def finish(
    self, arrays: dict[str, np.ndarray], model: dict[str, Any] | None
  ) -> None:
    """Writes the result, and the model if one is given; drops the rest."""
    self._manager.wait_until_finished()
    self._manager.close()
    if model is not None:
      save_tree(self._model, model)
    # Last, because it is the file that says that the round is finished.
    with files.writing(self._result, 'wb') as file:
      np.savez(file, **arrays)
    shutil.rmtree(self._running, ignore_errors=True)


def save_tree(path: pathlib.Path, tree: PyTree) -> None:
  """Writes nested dicts of NumPy arrays as a folder; replaces an old one."""
  with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(path.absolute(), tree, force=True)


def load_tree(path: pathlib.Path) -> PyTree:
  """Returns the NumPy arrays of a folder that `save_tree` wrote."""
  with ocp.StandardCheckpointer() as checkpointer:
    return checkpointer.restore(path.absolute())
