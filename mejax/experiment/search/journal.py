"""Writes the record of a search as Optuna's journal, one study for each fold.

`optuna.load_study` and `optuna-dashboard` read the file. mejax only writes it:
a search goes on from its units, and adds what the journal lacks. So there is
one writer, which holds the lock of the folder, and one line for each trial that
is finished.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import json
import pathlib

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal import JournalFileOpenLock

from mejax import files
from mejax import limits

NAME = 'journal.log'
# Seconds after which the lock of a writer that was killed counts as left over.
_GRACE = 10
_AGAIN = 'Delete it: the same command writes it again from the units.'


class Journal:
  """The journal of a search in a locked folder.

  Args:
    workdir: the folder.
    owner: digest of what the search belongs to.

  Raises:
    ValueError: the file is damaged, or belongs to another search.
  """

  def __init__(self, workdir: pathlib.Path, owner: str):
    # The lock of a relative path is not found again.
    self._path = (workdir / NAME).absolute()
    self._owner = owner
    limits.check_ordinary(self._path)
    lock = JournalFileOpenLock(str(self._path), grace_period=_GRACE)
    if self._path.exists():
      with _locked(lock):
        _cut_torn_line(self._path)
        _check_lines(self._path)
    backend = JournalFileBackend(str(self._path), lock_obj=lock)
    with files.reading(self._path, hint=_AGAIN), quiet():
      self._storage = JournalStorage(backend)
      studies = self._storage.get_all_studies()
    self._known = {study.study_name for study in studies}
    for study in studies:
      found = study.user_attrs.get(files.OWNER, owner)
      files.check_owner(self._path, found, owner, hint=_AGAIN)

  def tell(self, fold: str, trials: Sequence[optuna.trial.FrozenTrial]) -> None:
    """Adds the trials of a fold that the journal lacks.

    Args:
      fold: name of the fold and of its study.
      trials: all finished trials, in order.

    Raises:
      ValueError: the journal has others.
      OSError: it cannot be written.
    """
    with files.hinting(self._path), quiet():
      study = self._study(fold)
      there = study.get_trials(deepcopy=False)
      for old, new in zip(there, trials, strict=False):
        if _content(old) != _content(new):
          raise ValueError(
            f'{self._path} has another trial {old.number} of fold {fold} than'
            f' this search. {_AGAIN}'
          )
      for trial in trials[len(there) :]:
        study.add_trial(trial)

  def _study(self, fold: str) -> optuna.Study:
    """Returns the study of a fold; makes it once, as even a try is a line."""
    place = {'storage': self._storage, 'study_name': fold}
    if fold not in self._known:
      optuna.create_study(**place, direction='maximize')
      self._known.add(fold)
    study = optuna.load_study(**place)
    if files.OWNER not in study.user_attrs:  # A kill may have come between.
      study.set_user_attr(files.OWNER, self._owner)
    return study


def _content(trial: optuna.trial.FrozenTrial):
  return trial.params, trial.values, trial.state, trial.user_attrs


@contextlib.contextmanager
def _locked(lock: JournalFileOpenLock) -> Iterator[None]:
  lock.acquire()
  try:
    yield
  finally:
    lock.release()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Keeps Optuna from telling of every study that it makes."""
  before = optuna.logging.get_verbosity()
  optuna.logging.set_verbosity(optuna.logging.WARNING)
  try:
    yield
  finally:
    optuna.logging.set_verbosity(before)


def _cut_torn_line(path: pathlib.Path) -> None:
  """Removes a last line without an end, as a full disk or a power cut leaves.

  Otherwise the next line would be glued to it. The old file is kept.
  """
  content = path.read_bytes()
  whole, torn = (
    content[: content.rfind(b'\n') + 1],
    content.rpartition(b'\n')[2],
  )
  if not torn:
    return
  kept = path.with_name(f'{NAME}.torn')
  for target, data in ((kept, content), (path, whole)):
    with files.writing(target, 'wb') as file:
      file.write(data)
  print(
    f'{path} ended in a torn line of {len(torn)} bytes, which was cut off. The'
    f' file as it was is {kept.name}.'
  )


def _check_lines(path: pathlib.Path) -> None:
  with path.open('rb') as file:
    for number, line in enumerate(file, 1):
      try:
        json.loads(line)
      except ValueError:
        raise ValueError(
          f'{path} is damaged in line {number}. {_AGAIN}'
        ) from None
