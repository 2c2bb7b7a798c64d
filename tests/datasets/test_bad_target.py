"""Where writing fails or a process dies, what is made stays and it goes on.

A disk that is full while a clip, and while the dataset is written; a target
that is read-only, or a file; a rename that fails; a clip's file that was cut
off; a process that is killed; processes that cannot start; Ctrl-C; a parent
that is killed; a second preparation.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import pathlib
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from mejax import cli
from mejax import files
from mejax.datasets import clip_cache
from mejax.datasets import load
from mejax.datasets import workers
from tests import child
from tests.datasets import bad_trees
from tests.datasets import fatal_worker


@pytest.fixture
def source(rendered, tmp_path):
  return bad_trees.write(tmp_path / 'db', rendered)


def _arguments(source, data_dir):
  places = ['--source', str(source), '--data_dir', str(data_dir)]
  how = ['--size', '32', '--flow', 'farneback', '--workers', '0']
  return ['prepare', 'casme2', *places, *how]


def _made(data_dir):
  return sorted((data_dir / 'mejax/.casme2.made').glob('*.npz'))


def _numbers_of_clips(data_dir):
  return len(load.load_examples('casme2', data_dir)['clip'])


def test_a_full_disk_keeps_the_clips_that_are_made(
  source, tmp_path, monkeypatch, capsys
):
  original, left = np.savez, iter(range(9))

  def savez(file, **arrays):
    if next(left) == 1:
      file.write(b'half of it')
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    original(file, **arrays)

  monkeypatch.setattr(np, 'savez', savez)
  assert cli.main(_arguments(source, tmp_path)) == 2
  message = capsys.readouterr().err
  assert re.search(
    r'casme2\.made/\w+\.npz cannot be written to: No space left', message
  )
  assert 'Make room' in message and 'repeat the command' in message
  assert len(_made(tmp_path)) == 1
  assert not list(_made(tmp_path)[0].parent.glob('*.partial'))
  written, write = [], clip_cache._write
  monkeypatch.setattr(
    clip_cache, '_write', lambda *args: written.append(write(*args))
  )
  assert cli.main(_arguments(source, tmp_path)) == 0
  assert len(written) == 2
  assert _numbers_of_clips(tmp_path) == 3


# No file may become larger; whoever writes one, Python or not, sees an error.
LIMITED = """
import resource, sys
from mejax import cli
from mejax.datasets import prepare
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
sys.exit(cli.main(sys.argv[2:]))
"""


def test_a_full_disk_while_the_dataset_is_written(source, tmp_path):
  assert cli.main(_arguments(source, tmp_path / 'whole')) == 0
  cache = tmp_path / 'other'
  sizes = [
    file.stat().st_size for file in (tmp_path / 'whole').rglob('*array_record*')
  ]
  limited = subprocess.run(
    [sys.executable, '-c', LIMITED, str(max(sizes) - 1000)]
    + _arguments(source, cache),
    capture_output=True,
    text=True,
    env=child.environment() | {'JAX_ENABLE_COMPILATION_CACHE': 'false'},
  )
  assert limited.returncode == 2, limited.stderr
  assert 'Traceback' not in limited.stderr
  assert 'mejax cannot be written to: ' in limited.stderr
  assert 'File too large' in limited.stderr
  assert 'repeat the command' in limited.stderr
  assert len(_made(cache)) == 3
  assert not list((cache / 'mejax').glob('*/.*.partial'))
  assert cli.main(_arguments(source, cache)) == 0
  assert _numbers_of_clips(cache) == 3


def test_a_target_that_is_read_only_is_told_before_the_work(
  source, tmp_path, monkeypatch, capsys
):
  data = tmp_path / 'data'
  data.mkdir()
  access = os.access
  # Root may write anywhere.
  monkeypatch.setattr(
    os, 'access', lambda path, mode: path != data and access(path, mode)
  )
  monkeypatch.setattr(clip_cache, 'digest_clips', None)  # The work.
  assert cli.main(_arguments(source, data)) == 2
  words = f'{data} cannot be written to; choose another --data_dir'
  assert words in capsys.readouterr().err


def test_a_dataset_that_is_there_needs_no_writing(
  source, tmp_path, monkeypatch, capsys
):
  assert cli.main(_arguments(source, tmp_path)) == 0
  monkeypatch.setattr(os, 'access', lambda *_: False)
  assert cli.main(_arguments(source, tmp_path)) == 0
  assert 'prepared already' in capsys.readouterr().out


def test_a_file_as_target_is_told(source, tmp_path, capsys):
  (tmp_path / 'data').write_text('')
  assert cli.main(_arguments(source, tmp_path / 'data')) == 2
  assert 'data is no folder; choose another' in capsys.readouterr().err


def test_a_rename_that_fails_keeps_the_old_dataset(
  source, tmp_path, monkeypatch, capsys
):
  assert cli.main(_arguments(source, tmp_path)) == 0
  rename = pathlib.Path.rename

  def failing(path, to):
    if path.name == f'.{to.name}.partial':
      raise OSError(errno.EIO, os.strerror(errno.EIO))
    return rename(path, to)

  monkeypatch.setattr(pathlib.Path, 'rename', failing)
  assert cli.main([*_arguments(source, tmp_path), '--overwrite']) == 2
  assert 'cannot be written to: Input/output error' in capsys.readouterr().err
  assert _numbers_of_clips(tmp_path) == 3


def test_a_clip_cut_off_when_power_failed_is_made_again(
  source, tmp_path, monkeypatch
):
  def failing(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  with monkeypatch.context() as patch:
    patch.setattr('mejax.datasets.builder.write', failing)
    assert cli.main(_arguments(source, tmp_path)) == 2
  first, second, _ = _made(tmp_path)
  first.write_bytes(first.read_bytes()[:-50])
  second.write_bytes(b'')
  assert cli.main(_arguments(source, tmp_path)) == 0
  assert _numbers_of_clips(tmp_path) == 3


def test_a_process_that_dies_costs_its_clip_only(
  source, tmp_path, monkeypatch, capsys
):
  monkeypatch.setenv('MEJAX_TEST_KILLED', str(tmp_path / 'killed'))
  monkeypatch.setattr(workers, '_stage', fatal_worker.stage)
  bad_trees.make('casme2', source, tmp_path, workers=2)
  examples, metadata = bad_trees.made(tmp_path)
  # What was killed once is tried again.
  assert (tmp_path / 'killed').exists()
  assert list(examples) == ['EP01_01', 'EP01_03']
  (skipped,) = metadata['skipped']
  assert skipped['identity'] == 'casme2/sub02/EP01_02'
  assert 'the process that decodes it died' in skipped['reason']
  assert 'fewer --workers' in capsys.readouterr().out


def test_processes_that_cannot_start_are_told(source, tmp_path, monkeypatch):
  monkeypatch.setattr(workers, '_start_worker', os.abort)
  with pytest.raises(OSError, match='__main__.*otherwise .* workers=0'):
    bad_trees.make('casme2', source, tmp_path, workers=1)


@pytest.mark.parametrize('workers', ['0', '2'])
def test_ctrl_c_keeps_what_is_made(
  source, tmp_path, monkeypatch, capsys, workers
):
  original = clip_cache._write

  def interrupted(path, arrays):
    if _made(tmp_path):
      raise KeyboardInterrupt
    original(path, arrays)

  with monkeypatch.context() as patch:
    patch.setattr(clip_cache, '_write', interrupted)
    command = [*_arguments(source, tmp_path)[:-1], workers]
    assert cli.main(command) == 130
  assert not multiprocessing.active_children()
  assert 'The same command goes on from here' in capsys.readouterr().err
  assert len(_made(tmp_path)) == 1
  assert cli.main(_arguments(source, tmp_path)) == 0
  assert _numbers_of_clips(tmp_path) == 3


def test_a_second_preparation_is_refused_until_the_first_is_gone(
  source, tmp_path, capsys
):
  lock = tmp_path / 'mejax/.casme2.lock'
  with files.locked(lock, refusal=''):
    assert cli.main(_arguments(source, tmp_path)) == 2
    told = capsys.readouterr().err
  assert f"another process makes the dataset 'casme2' in {tmp_path}" in told
  assert 'Wait for it' in told and not _made(tmp_path)
  # A process that was killed leaves its lock, which holds nobody up.
  assert lock.exists()
  assert cli.main(_arguments(source, tmp_path)) == 0
  assert not lock.exists()


# One of its decoders is idle when it dies, the other is not.
KILLED = """
import os, signal, time
from mejax.datasets import workers
with workers.Decoders(2) as decoders:
  started = [decoders._pool.submit(time.sleep, 1) for _ in range(2)]
  [each.result() for each in started]
  decoders._pool.submit(time.sleep, 600)
  print(*decoders._pool._processes, flush=True)
  os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_decoders_end_if_their_parent_is_killed():
  done = subprocess.run(
    [sys.executable, '-c', KILLED],
    stdout=subprocess.PIPE,
    text=True,
    env=child.environment(),
  )
  assert done.returncode == -signal.SIGKILL
  decoders = [int(word) for word in done.stdout.split()]
  assert len(decoders) == 2
  for each in decoders:
    assert child.ends(each), f'decoder {each} is still there'
