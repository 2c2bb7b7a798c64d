"""The first cell of notebooks installs what a runtime lacks, and no more."""

from __future__ import annotations

import glob
import importlib
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from types import SimpleNamespace

import IPython.display
import pytest

from tests import child

CELL = (child.ROOT / 'colab/first_cell.py').read_text()
PLACE = 'git+https://HOST/OWNER/mejax'
T4, P100, H100 = '7.5', '6.0', '9.0'


class Runtime:
  """What a cell sees of a machine: its programs, devices and packages."""

  def __init__(self, monkeypatch, *, gpu='', tpu=False, jax='', packages=()):
    """Makes a runtime.

    Args:
      monkeypatch: pytest's.
      gpu: driver and compute capability as `nvidia-smi` lists them.
      tpu: whether there are devices of a TPU.
      jax: version and backend of the JAX that works.
      packages: names and versions of installed packages.
    """
    self.gpu, self.jax, self.asked, self.shown = gpu, jax, [], []
    monkeypatch.setattr(subprocess, 'run', self.run)
    monkeypatch.setattr(
      glob, 'glob', lambda p: ['/dev/vfio/0'] if tpu and 'vfio' in p else []
    )
    monkeypatch.setattr(
      importlib.metadata,
      'distributions',
      lambda: [
        SimpleNamespace(metadata={'Name': name}, version=version)
        for name, version in packages
      ],
    )
    find = importlib.util.find_spec
    monkeypatch.setattr(
      importlib.util, 'find_spec', lambda n: None if n == 'mejax' else find(n)
    )
    monkeypatch.setattr(
      IPython.display, 'display', lambda x: self.shown.append(x.data)
    )
    self.backend = jax.split()[1] if jax else 'cpu'
    imported = importlib.import_module
    fake = SimpleNamespace(
      __version__='0.10.2',
      default_backend=lambda: self.backend,
      devices=lambda: [SimpleNamespace(device_kind='NVIDIA <T4>')],
    )
    monkeypatch.setattr(
      importlib, 'import_module', lambda n: fake if n == 'jax' else imported(n)
    )
    # The kernel of a runtime has not imported them yet.
    for name in ('jax', 'numpy'):
      monkeypatch.delitem(sys.modules, name, raising=False)

  def run(self, command, **kwargs):
    del kwargs
    out = ''
    if command[0] == 'nvidia-smi':
      if not self.gpu:
        raise FileNotFoundError(command[0])
      out = self.gpu + '\n'
    elif command[1] == '-c':
      out = self.jax + '\n'
    else:
      assert command[1:4] == ['-m', 'pip', 'install']
      self.asked += command[5:]
    return SimpleNamespace(stdout=out, stderr='', returncode=0)

  def start(self, *, source=PLACE, extras=''):
    text = CELL.replace("SOURCE = ''", f'SOURCE = {source!r}')
    text = text.replace("EXTRAS = ''", f'EXTRAS = {extras!r}')
    exec(compile(text, 'first_cell.py', 'exec'), {'print': lambda *_: None})
    return self.asked


def gpu(driver: str, capability: str) -> str:
  return f'{driver}, {capability}'


@pytest.mark.parametrize(
  ('listed', 'extra'),
  [
    (gpu('580.65.06', T4), '[cuda13]'),
    (gpu('595.1', H100), '[cuda13]'),
    (gpu('550.54.15', T4), '[cuda12]'),
    # CUDA 13 has no code for it.
    (gpu('580.65.06', P100), '[cuda12]'),
    (gpu('525.60.13', T4), '[cuda12]'),
    # No JAX works with it, and the one for CPUs is the smallest.
    (gpu('470.82.01', T4), ''),
    (gpu('580.65.06', '12.0') + '\n' + gpu('580.65.06', '12.0'), '[cuda13]'),
  ],
)
def test_a_gpu_without_jax_gets_the_cuda_of_its_driver(
  listed, extra, monkeypatch
):
  runtime = Runtime(monkeypatch, gpu=listed)
  assert runtime.start() == [f'mejax{extra} @ {PLACE}']


def test_a_tpu_gets_its_jax_and_a_cpu_nothing_but_mejax(monkeypatch):
  assert Runtime(monkeypatch, tpu=True).start() == [f'mejax[tpu] @ {PLACE}']
  assert Runtime(monkeypatch).start() == [f'mejax @ {PLACE}']


def test_a_jax_that_works_stays_as_it_is_with_its_plugin(monkeypatch):
  runtime = Runtime(
    monkeypatch,
    gpu=gpu('580.65.06', T4),
    jax='0.10.2 gpu',
    packages=[
      ('jax', '0.10.2'),
      ('jaxlib', '0.10.2'),
      ('jax-cuda12-plugin', '0.10.2'),
      ('jax-cuda12-pjrt', '0.10.2'),
      ('jaxtyping', '0.3.2'),
      ('numpy', '2.3.0'),
    ],
  )
  assert runtime.start() == [
    f'mejax @ {PLACE}',
    'jax-cuda12-pjrt==0.10.2',
    'jax-cuda12-plugin==0.10.2',
    'jax==0.10.2',
    'jaxlib==0.10.2',
  ]


@pytest.mark.parametrize('jax', ['0.7.2 gpu', '0.10.2 cpu', ''])
def test_a_jax_that_is_old_or_misses_the_gpu_is_replaced_in_its_cuda(
  jax, monkeypatch
):
  runtime = Runtime(
    monkeypatch,
    gpu=gpu('580.65.06', T4),
    jax=jax,
    packages=[('jax', jax.split()[0] if jax else '0.4'), ('jaxlib', '0.7.2')],
  )
  assert runtime.start() == [f'mejax[cuda13] @ {PLACE}']
  runtime = Runtime(
    monkeypatch,
    gpu=gpu('580.65.06', T4),
    jax=jax,
    packages=[('jax-cuda12-plugin', '0.7.2')],
  )
  # Two plugins would get in each other's way.
  assert runtime.start() == [f'mejax[cuda12] @ {PLACE}']


def test_what_a_notebook_needs_is_asked_for_together(monkeypatch):
  runtime = Runtime(monkeypatch, tpu=True)
  assert runtime.start(extras='search') == [f'mejax[search,tpu] @ {PLACE}']
  runtime = Runtime(monkeypatch)
  assert runtime.start(source='clone', extras='search') == ['clone[search]']


def test_a_mejax_that_is_there_is_left_alone(monkeypatch):
  runtime = Runtime(monkeypatch)
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: object())
  assert runtime.start(source='') == []


def test_nobody_can_know_where_a_copy_of_a_notebook_came_from(monkeypatch):
  runtime = Runtime(monkeypatch)
  with pytest.raises(ValueError, match='SOURCE is empty'):
    runtime.start(source='')
  assert runtime.asked == []


def test_a_library_that_was_replaced_while_in_use_asks_for_a_restart(
  monkeypatch,
):
  runtime = Runtime(monkeypatch)
  monkeypatch.setitem(
    sys.modules, 'numpy', SimpleNamespace(__version__='1.26.4')
  )
  with pytest.raises(RuntimeError, match='restart the session'):
    runtime.start()


def test_what_pip_says_of_a_failure_is_shown(monkeypatch):
  runtime = Runtime(monkeypatch)
  fine = runtime.run

  def run(command, **kwargs):
    done = fine(command, **kwargs)
    if 'pip' in command:
      done.returncode, done.stderr = 1, 'ERROR: no such place'
    return done

  monkeypatch.setattr(subprocess, 'run', run)
  with pytest.raises(RuntimeError, match='no such place'):
    runtime.start()


@pytest.mark.parametrize(
  ('listed', 'backend', 'said', 'red'),
  [
    ('', 'cpu', 'That is slow', True),
    (gpu('470.82.01', T4), 'cpu', 'There is a gpu here, but JAX', True),
    (gpu('580.65.06', T4), 'gpu', 'mejax runs on: gpu', False),
  ],
)
def test_the_device_is_named_and_a_cpu_in_red(
  listed, backend, said, red, monkeypatch
):
  runtime = Runtime(monkeypatch, gpu=listed)
  runtime.backend = backend
  runtime.start()
  (shown,) = runtime.shown
  assert said in shown and ('color: #c00000' in shown) is red
  assert 'NVIDIA &lt;T4&gt;' in shown


def test_the_oldest_jax_and_the_extras_are_those_of_setup():
  setup = (child.ROOT / 'setup.py').read_text()
  oldest = re.search(r"'jax>=([\d.]+)'", setup)[1]
  assert f'OLDEST_JAX = ({oldest.replace(".", ", ")})' in CELL
  for extra in ('cuda12', 'cuda13', 'tpu'):
    assert f"'{extra}': ['jax[{extra}]>={oldest}']" in setup
    # Which JAX has an extra of this name.
    assert extra in importlib.metadata.metadata('jax').get_all('Provides-Extra')
    assert f"'{extra}'" in CELL
