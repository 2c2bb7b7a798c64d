"""What ends a process of its own does not end this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from mejax.corpora import isolated
from tests import child


def _crash():
  os.kill(os.getpid(), signal.SIGSEGV)


def _print_and(number):
  os.write(1, b'a library prints')
  return number + 1


def _refuse():
  raise OSError('no such place')


def test_a_function_runs_elsewhere_and_its_errors_come_back():
  assert isolated.call(os.getpid) != os.getpid()
  assert isolated.call(_print_and, 1) == 2
  with pytest.raises(ValueError, match='^no such place$'):
    isolated.call(_refuse)
  assert isolated.call(_print_and, 2) == 3


def test_a_crash_is_an_error_and_the_next_call_works():
  with pytest.raises(ValueError, match=r'process that decodes it died \(SIGS'):
    isolated.call(_crash)
  assert isolated.call(_print_and, 2) == 3


def test_a_process_that_cannot_start_is_no_fault_of_the_file(monkeypatch):
  monkeypatch.setattr(isolated, '_server', isolated._Server())
  monkeypatch.setattr(isolated, '_SERVE', 'raise SystemExit(3)')
  with pytest.raises(ValueError, match='that decodes it ended with code 3'):
    isolated.call(_print_and, 1)


KILLED = """
import os, signal
from mejax.corpora import isolated
print(isolated.call(os.getpid), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_process_ends_when_the_caller_is_killed():
  # A script without a guard around its main part, as notebooks are.
  done = subprocess.run(
    [sys.executable, '-c', KILLED],
    capture_output=True,
    text=True,
    env=child.environment(),
  )
  assert done.returncode == -signal.SIGKILL
  assert child.ends(int(done.stdout))


def test_code_in_the_current_folder_is_not_run(tmp_path, monkeypatch):
  for name in ('mejax', 'signal', 'pickle'):
    (tmp_path / name).mkdir()
    code = "open('ran', 'w'); raise SystemExit(3)"
    (tmp_path / name / '__init__.py').write_text(code)
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(isolated, '_server', isolated._Server())
  try:
    assert isolated.call(os.getcwd) == str(tmp_path)
  finally:
    isolated._server.stop()
  assert not (tmp_path / 'ran').exists()
