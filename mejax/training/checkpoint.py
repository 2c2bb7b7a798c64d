"""Saving and restoring what a run has come to, through Orbax.

The only module that knows Orbax. A checkpoint is written beside the last one
and takes its place only when it is whole, so a kill at any moment leaves one
that can be restored.
"""

from __future__ import annotations

import pathlib

import jax
from jaxtyping import PyTree
import orbax.checkpoint as ocp


class Checkpoints:
  """The latest state of one round of trials, in one folder."""

  def __init__(self, folder: pathlib.Path):
    self._manager = ocp.CheckpointManager(
      folder.absolute(), options=ocp.CheckpointManagerOptions(max_to_keep=1)
    )

  @property
  def latest(self) -> int | None:
    """The step of the latest whole checkpoint; None if there is none."""
    return self._manager.latest_step()

  def save(self, step: int, tree: PyTree) -> None:
    """Starts to save; the arrays of `tree` must not be donated afterwards."""
    self._manager.save(step, args=ocp.args.StandardSave(tree))

  def restore(self, step: int, like: PyTree) -> PyTree:
    """The tree saved at `step`.

    Args:
      step: a step that was saved.
      like: a tree of arrays or shapes; its shardings say where to put it.
    """
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    return self._manager.restore(step, args=ocp.args.StandardRestore(abstract))

  def close(self) -> None:
    """Waits until everything is on disk."""
    self._manager.wait_until_finished()
    self._manager.close()
