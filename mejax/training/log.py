"""Writes the logs of a training: JSON lines and TensorBoard files."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import json
import math
import pathlib
import shutil
import time
from typing import Any

from mejax import files

NAME, BOARD = 'log.jsonl', 'tensorboard'


class Log:
  """Writes `log.jsonl` and the TensorBoard files of a round.

  A round that is resumed at `window` repeats all evaluations from that window
  on, so their old lines are removed first.
  """

  def __init__(
    self, workdir: pathlib.Path, *, number: int, window: int, eval_every: int
  ):
    self._path = path = workdir / NAME
    text = path.read_text(errors='replace') if path.exists() else ''
    with files.writing(path) as file:
      file.writelines(
        line + '\n'
        for line in text.splitlines()
        if _comes_before(line, number, window)
      )
    self._file = path.open('a')
    self._round, self._eval_every = number, eval_every
    self._board = _Board(
      workdir / BOARD / f'round_{number}', first=window * eval_every + 1
    )

  def write(self, window: int, scalars: dict[str, float]) -> None:
    """Logs the numbers of one evaluation.

    Raises:
      OSError: they cannot be written.
    """
    epoch = (window + 1) * self._eval_every
    entry = {'round': self._round, 'window': window, 'epoch': epoch, **scalars}
    # JSON has no nan, which the loss of trainings that all diverged is.
    entry = {k: v if math.isfinite(v) else None for k, v in entry.items()}
    with files.hinting(self._path):
      self._file.write(json.dumps(entry) + '\n')
      self._file.flush()
    with files.hinting(self._path.with_name(BOARD)):
      self._board.write(epoch, scalars)

  def close(self) -> None:
    """Ends the log; what could not be written has been told."""
    for each in (self._file, self._board):
      with contextlib.suppress(OSError):
        each.close()


class _Board:
  """Writes scalars for TensorBoard, at once.

  `tensorboardX.SummaryWriter` leaves that to a thread. It ends at the first
  error, such as a full disk or a clock that goes back by a month, and after ten
  more scalars the training would wait for it without end.

  Args:
    folder: of the files; each writer adds one.
    first: TensorBoard drops what older files say of this epoch and later ones.
  """

  def __init__(self, folder: pathlib.Path, *, first: int):
    # Imported here, because it imports PyTorch, which takes seconds.
    from tensorboardX import event_file_writer
    from tensorboardX.proto import event_pb2
    from tensorboardX.proto import summary_pb2

    folder.mkdir(parents=True, exist_ok=True)
    # Their names tell the second, which a clock may show twice.
    number = len(list(folder.iterdir()))
    self._writer = event_file_writer.EventsWriter(
      str(folder / 'events'), f'.{number}'
    )
    self._event, self._summary = event_pb2.Event, summary_pb2.Summary
    log = event_pb2.SessionLog
    self._add(first, session_log=log(status=log.START))

  def write(self, epoch: int, scalars: dict[str, float]) -> None:
    values = [
      self._summary.Value(tag=name, simple_value=value)
      for name, value in scalars.items()
    ]
    self._add(epoch, summary=self._summary(value=values))
    self._writer.flush()

  def _add(self, epoch: int, **what: Any) -> None:
    self._writer.write_event(
      self._event(wall_time=time.time(), step=epoch, **what)
    )

  def close(self) -> None:
    self._writer.close()


def collect(folder: pathlib.Path, workdir: pathlib.Path) -> None:
  """Moves the logs of a round that another process has trained to its run.

  What lies there already of the same evaluations is replaced. Called again, as
  after a kill, it goes on.
  """
  path = workdir / NAME
  new = [*_entries(folder / NAME)]
  places = {place for place, _ in new}
  kept = [each for each in _entries(path) if each[0] not in places]
  if new:
    with files.writing(path) as file:
      file.writelines(line + '\n' for _, line in sorted(kept + new))
  for board in sorted(folder.glob(f'{BOARD}/*/*')):
    there = workdir / BOARD / board.parent.name / board.name
    there.parent.mkdir(parents=True, exist_ok=True)
    while there.exists():  # Two of one second have one name.
      there = there.with_name(f'{there.name}.more')
    shutil.move(board, there)
  shutil.rmtree(folder)


def _entries(path: pathlib.Path) -> Iterator[tuple[tuple[int, int], str]]:
  """Yields round and window of the lines of a log, and the line."""
  text = path.read_text(errors='replace') if path.exists() else ''
  for line in text.splitlines():
    try:
      entry = json.loads(line)
      yield (int(entry['round']), int(entry['window'])), line
    except (ValueError, TypeError, KeyError):
      pass  # A kill cut the line short, or a disk damaged it.


def _comes_before(line: str, number: int, window: int) -> bool:
  try:
    entry = json.loads(line)
    found = int(entry['round']), int(entry['window'])
    return found[0] != number or found[1] < window
  except (ValueError, TypeError, KeyError):
    return False  # A kill cut the line short, or a disk damaged it.
