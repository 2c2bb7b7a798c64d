"""Writes the logs of a training: JSON lines and TensorBoard files."""

from __future__ import annotations

from collections.abc import Iterator
import json
import math
import pathlib
import shutil

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
    # Imported here, because it imports PyTorch, which takes seconds.
    import tensorboardX

    path = workdir / NAME
    text = path.read_text(errors='replace') if path.exists() else ''
    with files.writing(path) as file:
      file.writelines(
        line + '\n'
        for line in text.splitlines()
        if _comes_before(line, number, window)
      )
    self._file = path.open('a')
    self._round, self._eval_every = number, eval_every
    self._board = tensorboardX.SummaryWriter(
      str(workdir / BOARD / f'round_{number}'),
      purge_step=window * eval_every + 1,
    )

  def write(self, window: int, scalars: dict[str, float]) -> None:
    """Logs the numbers of one evaluation."""
    epoch = (window + 1) * self._eval_every
    entry = {'round': self._round, 'window': window, 'epoch': epoch, **scalars}
    # JSON has no nan, which the loss of trainings that all diverged is.
    entry = {k: v if math.isfinite(v) else None for k, v in entry.items()}
    self._file.write(json.dumps(entry) + '\n')
    self._file.flush()
    for name, value in scalars.items():
      self._board.add_scalar(name, value, epoch)

  def close(self) -> None:
    self._file.close()
    self._board.close()


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
