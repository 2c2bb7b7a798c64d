"""Jobs of a batch system: what is submitted, and that lost ones come again."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from mejax import cli
from mejax.experiment.engine import placing
from mejax.experiment.engine.options import Engine
from tests import child
from tests.experiment.engine import test_placing
from tests.experiment.engine import toys

# Not imported here: it would take Ctrl-C from all other tests.
pytestmark = pytest.mark.skipif(
  importlib.util.find_spec('dask_jobqueue') is None,
  reason='needs the extra cluster',
)


# What LSF gets depends on its version, which dask-jobqueue asks it.
@pytest.mark.parametrize('kind', ['slurm', 'pbs', 'sge'])
def test_the_script_of_a_job_starts_one_worker_with_keys(
  kind, tmp_path, capsys
):
  code = cli.main(
    f'train --config linear:smoke --workdir {tmp_path}/a --engine {kind}'
    ' --jobs 2 --show_job_script'.split()
  )
  told = capsys.readouterr().out
  assert code == 0
  assert 'distributed.cli.dask_worker tls://' in told
  assert '--tls-key' in told and '--nthreads 1' in told
  assert told.startswith('#!')
  assert 'export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE=False\n' in told
  if kind == 'slurm':
    assert '#SBATCH -n 1' in told and '--cpus-per-task=4' in told
  # Its logs and keys are those of the run, which is not begun.
  key = re.search(r'--tls-key (\S+)', told)[1]
  assert pathlib.Path(key).parent == tmp_path / 'a/cluster'
  assert not (tmp_path / 'a').exists()


def test_what_happens_on_ctrl_c_stays_as_it_was():
  program = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from mejax.experiment.engine import clusters
from mejax.experiment.engine.options import Engine
assert '#SBATCH' in clusters.job_script(Engine('slurm', jobs=1), 'cluster')
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""
  subprocess.run(
    [sys.executable, '-c', program], env=child.environment(), check=True
  )


SBATCH = """#!/bin/bash
# A batch system of one machine: it keeps the script, as the real one does.
n=$$
cp "${{@: -1}}" {home}/$n.sh
setsid bash {home}/$n.sh >{home}.log 2>&1 </dev/null &
echo $! > {home}/$n.pid
echo "Submitted batch job $n"
"""
SCANCEL = """#!/bin/bash
for n in "$@"; do kill -9 -- -$(cat {home}/$n.pid); done
"""


@pytest.mark.slow
def test_a_job_that_is_killed_costs_a_try_and_all_jobs_are_cancelled_in_the_end(
  tmp_path, monkeypatch
):
  home, tools = tmp_path / 'jobs', tmp_path / 'tools'
  home.mkdir()
  tools.mkdir()
  for name, text in (('sbatch', SBATCH), ('scancel', SCANCEL)):
    (tools / name).write_text(text.format(home=home))
    (tools / name).chmod(stat.S_IRWXU)
  monkeypatch.setenv('PATH', f'{tools}:{os.environ["PATH"]}')
  monkeypatch.setenv('PYTHONPATH', str(child.ROOT))
  these = [toys.unit(tmp_path, f'u{i}', seconds=1.5) for i in range(4)]

  def kill():
    while not toys.starts(these[0]):
      time.sleep(0.05)
    # The whole job, with the nanny that would start the worker again.
    group = os.getpgid(toys.starts(these[0])[0])
    os.killpg(group, signal.SIGKILL)

  thread = threading.Thread(target=kill)
  thread.start()
  with placing.opened(Engine('slurm', jobs=2), tmp_path / 'keys') as place:
    assert place.count() == 2
    with test_placing.bar() as shown:
      place.run(toys.work(), these, shown)
  thread.join()
  assert all(pathlib.Path(each['result']).exists() for each in these)
  assert len(toys.starts(these[0])) == 2
  for path in home.glob('*.pid'):
    assert child.ends(int(path.read_text()), within=10)
