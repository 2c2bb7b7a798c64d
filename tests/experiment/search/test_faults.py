"""A search on a full disk, and under a clock that jumps."""

from __future__ import annotations

import itertools
import json
import pathlib
import time

import pytest

from mejax.experiment.search import journal
from mejax.training import log
from tests import full_disk
from tests.experiment.search import small_search

pytestmark = pytest.mark.unoptimised


def sweep(workdir):
  """Two rounds, so that the journal outgrows the results of each."""
  small_search.sweep(workdir, num_settings=6, round_size=3)


@pytest.fixture(scope='module')
def done(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('search') / 'run'
  sweep(workdir)
  return workdir


def trials_of(workdir: pathlib.Path) -> list[dict]:
  """What the journal tells of trials, without times and names."""
  lines = (workdir / journal.NAME).read_text().splitlines()
  return [
    {key: line[key] for key in ('study_id', 'params', 'values', 'user_attrs')}
    for line in map(json.loads, lines)
    if 'params' in line
  ]


def test_a_disk_that_is_full_for_the_journal_tears_a_line_that_is_mended(
  done, tmp_path, capsys
):
  workdir = tmp_path / 'run'
  size = (done / journal.NAME).stat().st_size
  others = [path.stat().st_size for path in (done / 'units').glob('*.npz')]
  # In the middle of the last trial.
  limit = size - 50
  assert max(others) < limit
  with full_disk.no_larger_file_than(limit):
    with pytest.raises(OSError, match='journal.log cannot be written.*\nMake'):
      sweep(workdir)
  torn = (workdir / journal.NAME).read_bytes()
  assert len(torn) == limit and not torn.endswith(b'\n')
  units = {path.name for path in (workdir / 'units').glob('*.npz')}
  assert units and not (workdir / 'search.json').exists()
  sweep(workdir)
  assert 'ended in a torn line' in capsys.readouterr().out
  assert small_search.results(workdir) == small_search.results(done)
  assert trials_of(workdir) == trials_of(done)


def test_a_unit_that_cannot_be_written_is_named_and_trained_again(
  done, tmp_path
):
  workdir = tmp_path / 'run'
  (largest,) = sorted(
    (done / 'units').glob('*.npz'), key=lambda path: path.stat().st_size
  )[-1:]
  with full_disk.no_larger_file_than(largest.stat().st_size - 1):
    with pytest.raises(OSError, match=r'cannot be written to: .*\nMake room'):
      sweep(workdir)
  assert not list(workdir.rglob('*.partial'))
  assert not (workdir / 'search.json').exists()
  sweep(workdir)
  assert small_search.results(workdir) == small_search.results(done)


# Ahead by a day, back by a year, and right again.
JUMPS = (86400.0, -86400.0 * 365, 0.0)


def test_a_clock_that_jumps_within_each_training_changes_nothing(
  done, tmp_path, monkeypatch
):
  clock, jumps, off, written = time.time, itertools.cycle(JUMPS), [0.0], []
  write = log.Log.write

  def jumping(*args):
    off[0] = next(jumps)
    written.append(write(*args))

  monkeypatch.setattr(log.Log, 'write', jumping)
  monkeypatch.setattr(time, 'time', lambda: clock() + off[0])
  sweep(tmp_path / 'run')
  monkeypatch.undo()
  assert len(written) > 10
  assert small_search.results(tmp_path / 'run') == small_search.results(done)
  # As the next command does when the clock is right again.
  sweep(tmp_path / 'run')
  assert trials_of(tmp_path / 'run') == trials_of(done)


def test_a_clock_that_jumps_while_a_model_is_saved_is_named_and_costs_only_that(
  done, tmp_path, monkeypatch
):
  """Orbax waits by the clock of the wall, and takes a jump for a time-out."""
  clock, jumps = time.time, itertools.cycle(JUMPS)
  monkeypatch.setattr(time, 'time', lambda: clock() + next(jumps))
  with pytest.raises(OSError, match='model was not written in time') as raised:
    sweep(tmp_path / 'run')
  assert 'If the clock was set, or jumped, repeat' in str(raised.value)
  assert 'Make room' not in str(raised.value)
  monkeypatch.undo()
  units = {path.name for path in (tmp_path / 'run/units').glob('*.npz')}
  assert units
  sweep(tmp_path / 'run')
  assert small_search.results(tmp_path / 'run') == small_search.results(done)
