"""Saves and restores the states of a run, through Orbax.

Only this module uses Orbax. A checkpoint is written beside the previous one and
replaces the one before that only when it is complete, so that one can be
restored after a kill at any moment. Orbax gets NumPy arrays, not arrays on the
devices, because those are donated to the next call while the files are still
being written.

    checkpoints/round_0/      the latest states of a round that is not finished
    checkpoints/round_0.npz   logits and losses of a finished round
    checkpoints/round_0_model parameters of its trials, if they are kept

Orbax does not notice a flipped bit, so the digest of the arrays is stored with
them and compared whenever they are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
import contextlib
import functools
import hashlib
import logging
import math
import os
import pathlib
import shutil
from typing import Any

import jax
from jaxtyping import PyTree
import numpy as np
import orbax.checkpoint as ocp
import tqdm

from mejax import files
from mejax import limits

# The latest checkpoints of a round that are kept. The second is there in case
# the first is damaged, as a power failure may leave it.
_KEPT = 2
# Beside them there may be one that is being written.
MOST_AT_ONCE = _KEPT + 1
# Where Orbax keeps the digest: in the metadata of a checkpoint.
_DIGEST = 'sha256_of_arrays'
_AGAIN = (
  'It may be deleted: the `mejax train` command that began the run trains this'
  ' round again, with the same numbers.'
)

# What Orbax raises, its threads have logged before, each with a traceback.
logging.getLogger('absl').addFilter(
  lambda record: not (record.exc_info and 'orbax' in record.pathname)
)


class Round:
  """The files of one round of trials.

  Args:
    workdir: folder of the run.
    number: of the round.
    owner: digest of what the files belong to; '' if that is not known.
  """

  def __init__(self, workdir: pathlib.Path, number: int, owner: str = ''):
    self._owner = owner
    folder = workdir.absolute() / 'checkpoints'
    folder.mkdir(parents=True, exist_ok=True)
    self._running = folder / f'round_{number}'
    self._model = folder / f'round_{number}_model'
    self._result = folder / f'round_{number}.npz'
    self._manager: ocp.CheckpointManager | None = None

  def locked(self) -> contextlib.AbstractContextManager[None]:
    """Locks the round, which several processes may be asked to train."""
    return files.locked(
      self._result.with_suffix('.lock'),
      remove=True,
      notice=f'Another process is at {self._result}; this one waits for it.',
    )

  def result(self) -> dict[str, np.ndarray] | None:
    """Returns the arrays of a finished round; None if it is not finished.

    Raises:
      ValueError: the file is damaged.
    """
    if not self._result.exists():
      return None
    shutil.rmtree(self._running, ignore_errors=True)
    arrays = files.read_npz(self._result, hint=_AGAIN)
    _check_owner(self._result, arrays.pop(files.OWNER, None), self._owner)
    return arrays

  def model(self) -> dict[str, Any] | None:
    """Returns the variables of the round's trials; None if not kept.

    These are `params`, and `collections` with all other variables. Trials are
    on the leading axis.

    Raises:
      ValueError: they are damaged.
    """
    if not self._model.exists():
      return None
    return load_tree(
      self._model,
      hint='The models are made again, with the same numbers, if you delete it,'
      f' {self._result} and record.npz of the run, and repeat the `mejax train`'
      ' command that began the run.',
      owner=self._owner,
    )

  def open(self) -> bool:
    """Opens the checkpoints; returns whether there are any."""
    options = ocp.CheckpointManagerOptions(
      max_to_keep=_KEPT, cleanup_tmp_directories=True
    )
    self._manager = ocp.CheckpointManager(
      self._running,
      options=options,
      # By it the manager reads what arrays claim.
      item_handlers=ocp.StandardCheckpointHandler(),
    )
    return bool(self._manager.all_steps())

  def restore(self, like: PyTree) -> tuple[int, PyTree]:
    """Returns the latest sound step, and its tree as NumPy arrays.

    A damaged checkpoint is told and removed, because the one before it, or the
    start of the round, leads to the same numbers.

    Args:
      like: shapes and types of the tree.

    Returns:
      0 and None if the round has to begin at its start.
    """
    empty = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), like)
    for step in sorted(self._manager.all_steps(), reverse=True):
      path = self._running / str(step)
      self._refuse_other(step)
      hint = (
        'It is removed; training goes on from the checkpoint before it, or from'
        ' the start of the round.'
      )
      try:
        with files.reading(path, hint=hint):
          return step, self._load(step, empty)
      except (FileNotFoundError, ValueError) as error:
        tqdm.tqdm.write(str(error))
        shutil.rmtree(path)
        self._manager.reload()
    return 0, None

  def _refuse_other(self, step: int) -> None:
    try:
      metadata = self._manager.metadata(step).custom_metadata
    except Exception:
      return  # It is damaged, which `restore` will tell.
    if metadata is not None:
      path = self._running / str(step)
      _check_owner(path, metadata.get(files.OWNER), self._owner)

  def _load(self, step: int, empty: PyTree) -> PyTree:
    arrays = self._manager.item_metadata(step)
    _check_claims(self._running / str(step), arrays)
    tree = self._manager.restore(step, args=ocp.args.StandardRestore(empty))
    _check(self._running, tree, self._manager.metadata(step).custom_metadata)
    return tree

  def save(self, step: int, tree: PyTree) -> None:
    """Starts to save NumPy arrays, which must not be changed afterwards.

    Raises:
      OSError: they, or the ones before them, cannot be written.
    """
    with _writing(self._running):
      self._manager.save(
        step,
        args=ocp.args.StandardSave(tree),
        custom_metadata={_DIGEST: digest(tree), **self._own()},
      )

  def _own(self) -> dict[str, str]:
    return {files.OWNER: self._owner} if self._owner else {}

  def close(self) -> None:
    """Waits until the checkpoint is written; errors are those of `save`."""
    with _writing(self._running):
      self._manager.wait_until_finished()
      self._manager.close()

  def finish(
    self, arrays: dict[str, np.ndarray], model: dict[str, Any] | None
  ) -> None:
    """Writes the result, and the model if given; removes the checkpoints."""
    self.close()
    if model is not None:
      save_tree(self._model, model, owner=self._owner)
    # The result comes last, because its file marks the round as finished.
    with files.writing(self._result, 'wb') as file:
      np.savez(file, **arrays, **self._own())
    shutil.rmtree(self._running, ignore_errors=True)


def save_tree(path: pathlib.Path, tree: PyTree, *, owner: str = '') -> None:
  """Writes nested dicts of NumPy arrays to a folder; replaces an old one.

  Args:
    path: the folder.
    tree: the arrays.
    owner: as in `Round`.

  Raises:
    OSError: they cannot be written.
  """
  with _writing(path), ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(
      path.absolute(),
      tree,
      force=True,
      custom_metadata={_DIGEST: digest(tree)}
      | ({files.OWNER: owner} if owner else {}),
    )


def load_tree(path: pathlib.Path, *, hint: str = '', owner: str = '') -> PyTree:
  """Returns the NumPy arrays of a folder that `save_tree` wrote.

  Args:
    path: the folder.
    hint: what to do if it is damaged.
    owner: as in `Round`.

  Raises:
    ValueError: it is damaged, or another's.
  """
  path = path.absolute()
  with files.reading(path, hint=hint):
    with ocp.StandardCheckpointer() as checkpointer:
      metadata = checkpointer.metadata(path)
      _check_claims(path, metadata.item_metadata)
      tree = checkpointer.restore(path)
    _check(path, tree, metadata.custom_metadata)
  _check_owner(path, metadata.custom_metadata.get(files.OWNER), owner)
  return tree


def digest(tree: PyTree) -> str:
  """Returns a digest of the names, types, shapes and values of arrays.

  It takes about .7 seconds a gigabyte on one core, and uses all of them.
  """
  # sha256 runs outside of Python's lock.
  with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    leaves = pool.map(_digest_leaf, jax.tree_util.tree_leaves_with_path(tree))
    return hashlib.sha256(b''.join(sorted(leaves))).hexdigest()


def _digest_leaf(leaf: tuple[Any, np.ndarray]) -> bytes:
  # The kinds of containers are left out, because Orbax returns dicts for all.
  path, array = jax.tree_util.keystr(leaf[0], simple=True), np.asarray(leaf[1])
  head = repr((path, array.dtype.str, array.shape))
  found = hashlib.sha256(head.encode())
  found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
  return found.digest()


def _check_claims(path: pathlib.Path, arrays: PyTree) -> None:
  """Refuses arrays that claim far more than the files of a folder hold.

  If Orbax finds no memory for them, it ends the process.
  """
  if arrays is None:
    raise ValueError('its metadata cannot be read')
  claimed = 0
  for array in jax.tree.leaves(arrays):
    # An array is read in whole chunks, however small it is itself.
    chunk = array.storage.chunk_shape if array.storage else ()
    size = max(math.prod(array.shape), math.prod(chunk))
    claimed += size * np.dtype(array.dtype).itemsize
  held = sum(file.stat().st_size for file in path.rglob('*') if file.is_file())
  limits.check_claim(claimed, held)


def _check(path: pathlib.Path, tree: PyTree, metadata: Any) -> None:
  """Raises an error if arrays are not those that were saved."""
  if metadata is None:
    raise ValueError('its metadata cannot be read')
  if _DIGEST not in metadata:
    _remark_unchecked(path.parent)
  elif metadata[_DIGEST] != digest(tree):
    raise ValueError('its arrays are not those that were saved')


def _check_owner(path: pathlib.Path, found: Any, expected: str) -> None:
  """Raises an error if a file is another run's."""
  files.check_owner(
    path,
    found,
    expected,
    hint='Put it back to its own run; the `mejax train` command that began this'
    ' run trains the round again, with the same numbers, once it is away.',
  )


@functools.cache
def _remark_unchecked(folder: pathlib.Path) -> None:
  """Says once of a folder that its content cannot be checked."""
  tqdm.tqdm.write(
    f'{folder} was written by an older mejax, without digests: damage would not'
    ' be noticed.'
  )


@contextlib.contextmanager
def _writing(path: pathlib.Path) -> Iterator[None]:
  """Says in one sentence that a checkpoint cannot be written."""
  try:
    yield
  except MemoryError:
    raise
  except TimeoutError as error:
    if error.errno:  # It is a disk's.
      raise files.no_room(path, error) from error
    # Orbax waits by the clock of the machine, not by the time that passes.
    raise OSError(
      f'{path} was not written in time, as the clock of this machine tells it'
      f' ({error}). If the clock was set, or jumped, repeat the command: it'
      ' resumes from what is finished. If not, the disk is too slow.'
    ) from error
  # Orbax raises what its libraries raise: OSError, ValueError, XlaRuntimeError.
  except Exception as error:
    raise files.no_room(path, error) from error
