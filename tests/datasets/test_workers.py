"""The processes that decode frames."""

from __future__ import annotations

import os

from mejax.datasets import workers


def test_code_in_the_current_folder_is_not_run(tmp_path, monkeypatch):
  for name in ('mejax', 'multiprocessing', 'signal'):
    (tmp_path / name).mkdir()
    code = "open('ran', 'w'); raise SystemExit(3)"
    (tmp_path / name / '__init__.py').write_text(code)
  monkeypatch.chdir(tmp_path)
  with workers.Decoders(1) as decoders:
    assert decoders._send(os.getpid).result() != os.getpid()
    assert decoders._send(os.getcwd).result() == str(tmp_path)
  assert not (tmp_path / 'ran').exists()
  assert 'PYTHONSAFEPATH' not in os.environ
