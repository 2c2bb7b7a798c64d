"""What a user is told of processors, and where compiled programs are kept."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from unittest import mock

import jax
import pytest

from mejax.training import devices
from tests import child

_PROGRAM = """
import jax
from mejax.training import devices
devices.keep_compiled_programs()
devices.keep_compiled_programs()
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)
print(jax.jit(lambda x: x + 1)(1.0))
"""


def _run(**environment: str) -> tuple[str, str]:
  """Output and errors of a program that compiles, in a process of its own."""
  inherited = child.environment()
  for name in ('JAX_COMPILATION_CACHE_DIR', 'XDG_CACHE_HOME'):
    inherited.pop(name, None)
  done = subprocess.run(
    [sys.executable, '-c', _PROGRAM],
    env=inherited | environment,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout, done.stderr


def _programs(folder: pathlib.Path) -> list[pathlib.Path]:
  return list(folder.glob('jit*'))


def test_programs_are_kept_in_the_users_cache_folder(tmp_path):
  shown, _ = _run(XDG_CACHE_HOME=str(tmp_path))
  assert shown == '2.0\n'
  assert _programs(tmp_path / 'mejax/jax')


def test_a_folder_that_the_user_names_is_used(tmp_path):
  _run(
    JAX_COMPILATION_CACHE_DIR=str(tmp_path / 'own'),
    XDG_CACHE_HOME=str(tmp_path / 'other'),
  )
  assert _programs(tmp_path / 'own')
  assert not (tmp_path / 'other').exists()


def test_without_a_folder_of_caches_it_is_that_of_the_home(monkeypatch):
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  monkeypatch.setattr(sys, 'platform', 'linux')
  monkeypatch.setenv('HOME', '/people/me')
  assert str(devices._cache_folder()) == '/people/me/.cache/mejax/jax'


@pytest.mark.parametrize('named', ['XDG_CACHE_HOME', 'HOME'])
def test_a_folder_that_cannot_be_written_costs_one_line(tmp_path, named):
  blocked = tmp_path / 'file'
  blocked.write_text('in the way')
  shown, errors = _run(**{named: str(blocked)})
  first, second = shown.splitlines()
  assert first.startswith('Compiled programs are not kept: ')
  assert str(blocked) in first and 'JAX_COMPILATION_CACHE_DIR' in first
  assert second == '2.0'
  assert errors == ''


def test_the_user_can_switch_it_off(tmp_path):
  shown, _ = _run(
    XDG_CACHE_HOME=str(tmp_path), JAX_ENABLE_COMPILATION_CACHE='false'
  )
  assert shown == '2.0\n'
  assert list(tmp_path.iterdir()) == []


def test_devices_are_named_with_number_and_kind():
  gpu, tpu = mock.Mock(spec=jax.Device), mock.Mock(spec=jax.Device)
  gpu.configure_mock(platform='gpu', device_kind='NVIDIA A100-SXM4')
  tpu.configure_mock(platform='tpu', device_kind='TPU v5 lite')
  assert devices.describe([gpu]) == '1 GPU (NVIDIA A100-SXM4)'
  assert devices.describe([tpu] * 4) == '4 TPUs (TPU v5 lite)'
  assert devices.describe(jax.devices('cpu')[:1]).startswith('1 CPU core')


def _fake_driver(folder: pathlib.Path, listed: str) -> None:
  program = folder / 'nvidia-smi'
  program.write_text(f'#!/bin/sh\necho "{listed}"\n')
  program.chmod(0o755)


@pytest.fixture
def on_cpu(tmp_path, monkeypatch):
  """A machine whose JAX computes on the CPU, with an empty search path."""
  monkeypatch.setattr(jax, 'default_backend', lambda: 'cpu')
  for name in ('JAX_PLATFORMS', 'CUDA_VISIBLE_DEVICES'):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setenv('PATH', str(tmp_path))
  return tmp_path


def test_a_gpu_that_jax_does_not_see_is_named_with_what_to_install(on_cpu):
  _fake_driver(on_cpu, 'GPU 0: NVIDIA L4 (UUID: GPU-1b2c)')
  warning = devices.unused_gpu()
  assert 'this machine has a GPU (NVIDIA L4)' in warning
  assert "pip install -U 'jax[cuda13]'" in warning


@pytest.mark.parametrize(
  'listed', [None, 'No devices were found', 'NVIDIA-SMI has failed']
)
def test_no_gpu_no_warning(on_cpu, listed):
  if listed is not None:
    _fake_driver(on_cpu, listed)
  assert devices.unused_gpu() == ''


@pytest.mark.parametrize(
  ('name', 'value'), [('JAX_PLATFORMS', 'cpu'), ('CUDA_VISIBLE_DEVICES', '')]
)
def test_who_chooses_the_cpu_is_not_warned(on_cpu, monkeypatch, name, value):
  _fake_driver(on_cpu, 'GPU 0: NVIDIA L4 (UUID: GPU-1b2c)')
  monkeypatch.setenv(name, value)
  assert devices.unused_gpu() == ''


def test_a_gpu_in_use_is_no_reason_to_warn(on_cpu, monkeypatch):
  _fake_driver(on_cpu, 'GPU 0: NVIDIA L4 (UUID: GPU-1b2c)')
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  assert devices.unused_gpu() == ''


def test_each_core_is_a_device_unless_the_user_has_chosen():
  program = (
    'from mejax.training import devices; devices.use_every_core();'
    'import jax; print(jax.device_count())'
  )

  def count(**environment: str) -> int:
    done = subprocess.run(
      [sys.executable, '-c', program],
      env=child.environment() | {'JAX_PLATFORMS': 'cpu'} | environment,
      capture_output=True,
      text=True,
      check=True,
    )
    return int(done.stdout)

  cores = len(os.sched_getaffinity(0)) if sys.platform == 'linux' else None
  assert count() == (cores or os.cpu_count())
  assert count(JAX_NUM_CPU_DEVICES='3') == 3
