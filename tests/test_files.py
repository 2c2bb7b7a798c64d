"""A file is there whole or not at all, whatever comes between."""

from __future__ import annotations

from concurrent import futures
import csv
import errno
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from mejax import files
from tests import child


def test_text_and_bytes_arrive_as_they_were_given(tmp_path):
  with files.writing(tmp_path / 'text') as file:
    file.write('größer\nund\r\nweiter')
  assert (tmp_path / 'text').read_bytes() == 'größer\nund\r\nweiter'.encode()
  with files.writing(str(tmp_path / 'bytes'), 'wb') as file:
    file.write(b'\x00\r\n\xff')
  assert (tmp_path / 'bytes').read_bytes() == b'\x00\r\n\xff'


def test_the_name_appears_only_with_the_last_byte(tmp_path):
  path = tmp_path / 'table.csv'
  with files.writing(path) as file:
    file.write('half')
    file.flush()
    assert not path.exists()
    # Nor does whoever looks for tables find the half of one.
    assert not list(tmp_path.glob('*.csv'))
    file.write(' and half')
  assert path.read_text() == 'half and half'
  assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('error', [RuntimeError, OSError, KeyboardInterrupt])
def test_a_failure_keeps_the_old_file_and_leaves_nothing(tmp_path, error):
  path = tmp_path / 'file'
  path.write_text('old')
  with pytest.raises(error), files.writing(path) as file:
    file.write('new')
    raise error
  assert path.read_text() == 'old'
  assert list(tmp_path.iterdir()) == [path]


def test_a_rename_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
  path = tmp_path / 'file'
  path.write_text('old')

  def failing(*_):
    raise OSError(errno.EIO, os.strerror(errno.EIO))

  monkeypatch.setattr(os, 'replace', failing)
  with pytest.raises(OSError, match='Input/output error'):
    with files.writing(path) as file:
      file.write('new')
  assert path.read_text() == 'old'
  assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_told(tmp_path):
  with pytest.raises(FileNotFoundError, match='missing/file'):
    with files.writing(tmp_path / 'missing/file'):
      raise AssertionError('it was opened')


KILLED = """
import os, signal, sys
from mejax import files
with files.writing(sys.argv[1]) as file:
  file.write('half of it')
  file.flush()
  os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_keeps_the_old_file_and_the_next_writing_clears_up(tmp_path):
  path = tmp_path / 'file'
  path.write_text('old')
  killed = subprocess.run(
    [sys.executable, '-c', KILLED, str(path)], env=child.environment()
  )
  assert killed.returncode == -signal.SIGKILL
  assert path.read_text() == 'old'
  assert len(list(tmp_path.iterdir())) == 2
  with files.writing(path) as file:
    file.write('new')
  assert path.read_text() == 'new'
  assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_take_turns(tmp_path):
  path, began = tmp_path / 'file', threading.Event()

  def write_second():
    began.set()
    with files.writing(path) as file:
      assert path.read_text() == 'first'
      file.write('2nd')

  with futures.ThreadPoolExecutor() as pool:
    with files.writing(path) as file:
      file.write('fi')
      second = pool.submit(write_second)
      began.wait()
      time.sleep(0.1)
      file.write('rst')
    second.result()
  assert path.read_text() == '2nd'
  assert list(tmp_path.iterdir()) == [path]


def test_a_second_writer_goes_on_when_the_first_fails(tmp_path):
  path, began = tmp_path / 'file', threading.Event()

  def write_second():
    began.set()
    with files.writing(path) as file:
      file.write('second')

  with futures.ThreadPoolExecutor() as pool:
    with pytest.raises(RuntimeError), files.writing(path) as file:
      second = pool.submit(write_second)
      began.wait()
      time.sleep(0.1)
      file.write('first, which is longer')
      raise RuntimeError
    second.result()
  assert path.read_text() == 'second'


@pytest.mark.parametrize('kind', ['symlink', 'hardlink', 'pipe'])
def test_what_lies_in_the_way_changes_no_other_file(tmp_path, kind):
  (tmp_path / 'thesis').write_text('years of work')
  for name in ('file.partial', '.lock'):
    if kind == 'pipe':
      os.mkfifo(tmp_path / name)
    else:
      make = os.symlink if kind == 'symlink' else os.link
      make(tmp_path / 'thesis', tmp_path / name)
  with files.writing(tmp_path / 'file') as file:
    file.write('new')
  with files.locked(tmp_path / '.lock', refusal='in use', remove=True):
    pass
  assert (tmp_path / 'file').read_text() == 'new'
  assert (tmp_path / 'thesis').read_text() == 'years of work'
  assert not (tmp_path / '.lock').exists()


def test_links_and_pipes_in_a_folder_are_refused(tmp_path):
  folder = tmp_path / 'run'
  (folder / 'report').mkdir(parents=True)
  files.refuse_links(folder)
  (folder / 'good').symlink_to('report')
  files.refuse_links(folder)
  (folder / 'report' / 'index.html').symlink_to(tmp_path / 'thesis')
  with pytest.raises(ValueError, match='index.html is a link to .*thesis'):
    files.refuse_links(folder)
  (folder / 'report' / 'index.html').unlink()
  os.mkfifo(folder / 'config.json')
  with pytest.raises(OSError, match='a pipe or a device'):
    files.refuse_links(folder)
  with pytest.raises(ValueError, match='config.json is damaged .*a pipe or a'):
    files.read_json(folder / 'config.json', hint='')
  with pytest.raises(ValueError, match='config.json is damaged .*a pipe or a'):
    files.read_npz(folder / 'config.json', hint='')


def _contents(folder):
  return {path.name: path.read_text() for path in folder.iterdir()}


def _write_model(folder, text):
  with files.replacing(folder) as partial:
    (partial / 'model').write_text(text)


@pytest.mark.parametrize('target', ['mine', 'nowhere', None])
def test_links_and_files_in_the_place_of_a_leftover_are_replaced(
  tmp_path, target
):
  (tmp_path / 'mine').mkdir()
  (tmp_path / 'mine/thesis.tex').write_text('precious')
  for name in ('.models.partial', '.models.replaced'):
    if target:
      (tmp_path / name).symlink_to(target)
    else:
      (tmp_path / name).write_text('x')
  (tmp_path / 'models').mkdir()
  with files.replacing(tmp_path / 'models') as partial:
    (partial / 'a').write_text('new')
  assert (tmp_path / 'models/a').read_text() == 'new'
  assert (tmp_path / 'mine/thesis.tex').read_text() == 'precious'
  assert sorted(x.name for x in tmp_path.iterdir()) == ['mine', 'models']


def test_a_folder_appears_and_is_replaced_whole(tmp_path):
  folder = tmp_path / 'above' / 'models'
  with files.replacing(folder) as partial:
    (partial / 'model').write_text('first')
    assert not folder.exists()
  assert _contents(folder) == {'model': 'first'}
  with files.replacing(folder) as partial:
    (partial / 'other').write_text('second')
    assert _contents(folder) == {'model': 'first'}
  assert _contents(folder) == {'other': 'second'}
  assert list(folder.parent.iterdir()) == [folder]


def test_two_that_replace_one_folder_take_turns(tmp_path):
  folder, order = tmp_path / 'models', []

  def second():
    with files.replacing(folder) as partial:
      order.append((folder / 'a').read_text())
      (partial / 'b').write_text('of the second')

  thread = threading.Thread(target=second)
  with files.replacing(folder) as partial:
    thread.start()
    (partial / 'a').write_text('of the first')
    time.sleep(0.2)
    assert order == []
  thread.join(10)
  assert order == ['of the first']
  assert [x.name for x in tmp_path.rglob('*')] == ['models', 'b']


@pytest.mark.parametrize('error', [RuntimeError, OSError, KeyboardInterrupt])
def test_a_folder_that_fails_leaves_the_old_one_alone(tmp_path, error):
  folder = tmp_path / 'models'
  _write_model(folder, 'old')
  with pytest.raises(error), files.replacing(folder) as partial:
    (partial / 'model').write_text('new')
    raise error
  assert _contents(folder) == {'model': 'old'}
  assert list(tmp_path.iterdir()) == [folder]


def test_a_kill_between_the_two_renames_is_undone(tmp_path):
  folder = tmp_path / 'models'
  _write_model(folder, 'old')
  folder.rename(tmp_path / '.models.replaced')
  (tmp_path / '.models.partial').mkdir()
  (tmp_path / '.models.partial/model').write_text('of a killed process')
  with pytest.raises(RuntimeError), files.replacing(folder):
    assert _contents(folder) == {'model': 'old'}
    raise RuntimeError
  assert _contents(folder) == {'model': 'old'}
  assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_of_something_else_is_refused_with_every_difference():
  there = {'size': 32, 'model': {'name': 'htnet', 'depth': 2}}
  asked = {'size': 64, 'model': {'name': 'htnet'}, 'seed': 0}
  with pytest.raises(ValueError) as error:
    files.refuse_other(
      'runs/a', there, asked, what='another run', hint='Name a new one.'
    )
  assert str(error.value).splitlines() == [
    'runs/a belongs to another run:',
    "  model.depth: there 2, asked for 'absent'",
    "  seed: there 'absent', asked for 0",
    '  size: there 32, asked for 64',
    'Name a new one.',
  ]
  files.refuse_other('runs/a', there, there, what='another run', hint='')


def test_write_errors_come_with_a_hint(tmp_path):
  with pytest.raises(OSError, match='No space left.*\n.*repeat the command'):
    with files.hinting(tmp_path):
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


FORMULAS = ['=1+1', '+x', '-x', '@x', "'=1", "''+", '\tx', '\rx']
ORDINARY = ['cr\rx', 'new\nline', 'a,b', '"q"', "'s", '', 'größer', 's-1']


@pytest.mark.parametrize('name', FORMULAS + ORDINARY)
def test_a_name_comes_back_from_a_table_and_is_no_formula(tmp_path, name):
  with files.writing(tmp_path / 't.csv') as file:
    writer = files.CsvWriter(file)
    writer.writerow([name, -1.5])
    writer.writerow(['end', -2])
  with (tmp_path / 't.csv').open(newline='', encoding='utf-8') as file:
    rows = list(csv.reader(file))
  assert [row[1] for row in rows] == ['-1.5', '-2']
  assert files.plain_cell(rows[0][0]) == name
  assert rows[0][0][:1] not in tuple('=+-@\t\r')
  assert (rows[0][0] == name) == (name in ORDINARY)


def test_a_flipped_bit_of_arrays_is_named_or_harmless(tmp_path):
  arrays = {'x': np.arange(60.0).reshape(3, 20), 'names': np.array(['a', 'b'])}
  np.savez(tmp_path / 'whole.npz', **arrays)
  whole, path = (tmp_path / 'whole.npz').read_bytes(), tmp_path / 'a.npz'
  for place in range(0, len(whole), 7):
    content = bytearray(whole)
    content[place] ^= 1 << place % 8
    path.write_bytes(bytes(content))
    try:
      found = files.read_npz(path, hint='Ask.')
    except ValueError as error:
      assert f'{path} is damaged' in str(error) and 'Ask.' in str(error)
    else:
      # The names of zip are not part of its digest.
      for each, array in zip(found.values(), arrays.values(), strict=True):
        np.testing.assert_array_equal(each, array)


@pytest.mark.parametrize(
  'content', [b'', b'{"a": ', b'[1]', b'\xff\xfe', b'PK']
)
def test_damaged_files_are_named_in_one_sentence(tmp_path, content):
  path = tmp_path / 'file'
  path.write_bytes(content)
  for read in (files.read_json, files.read_npz):
    with pytest.raises(ValueError, match='file is damaged .*Delete it'):
      read(path, hint='Delete it.')
    with pytest.raises(FileNotFoundError, match='none is missing. Delete it'):
      read(tmp_path / 'none', hint='Delete it.')


def test_a_full_disk_is_told_with_the_file(tmp_path):
  path = tmp_path / 'file'
  with pytest.raises(OSError, match='file cannot be written to: No space left'):
    with files.writing(path) as file:
      file.write('half')
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
  assert not list(tmp_path.iterdir())


def test_content_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
  calls = []
  sync, replace = os.fsync, os.replace
  monkeypatch.setattr(os, 'fsync', lambda n: calls.append('s') or sync(n))
  monkeypatch.setattr(
    os, 'replace', lambda *p: calls.append('r') or replace(*p)
  )
  with files.writing(tmp_path / 'file') as file:
    file.write('all')
  assert calls == ['s', 'r']
