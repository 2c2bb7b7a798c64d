"""Sets up the processors that JAX uses, and its cache of compiled programs."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import functools
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

import jax

# Programs that compile faster are not kept. The limit is low because dozens of
# small programs together take seconds to compile.
_KEPT_FROM_SECONDS = 0.05


def use_every_core() -> None:
  """Makes each CPU core a device; call it before any other function of JAX.

  Each core then trains its own trials, which is faster than splitting the small
  matrices of one trial among cores. It has no effect on accelerators.
  """
  flags = os.environ.get('XLA_FLAGS', '')
  if (
    'JAX_NUM_CPU_DEVICES' in os.environ
    or 'xla_force_host_platform_device_count' in flags
  ):
    return  # The user has already chosen the number of devices.
  linux = sys.platform == 'linux'
  cores = len(os.sched_getaffinity(0)) if linux else os.cpu_count()
  with contextlib.suppress(RuntimeError):  # JAX has started: too late.
    jax.config.update('jax_num_cpu_devices', cores)


# Cached, so that a notebook shows the message only once.
@functools.cache
def keep_compiled_programs() -> None:
  """Switches JAX's persistent compilation cache on, so that reruns start fast.

  Programs are kept in the user's cache folder, or in the folder that
  JAX_COMPILATION_CACHE_DIR names. If the folder cannot be written, a message is
  printed and nothing is kept. JAX_ENABLE_COMPILATION_CACHE=false switches the
  cache off.
  """
  if not jax.config.jax_enable_compilation_cache:
    return
  try:
    folder = jax.config.jax_compilation_cache_dir or str(_cache_folder())
    if '://' not in folder:  # JAX writes to buckets without our help.
      os.makedirs(folder, exist_ok=True)
      # Tried here, because JAX would warn for every program it cannot write.
      with tempfile.TemporaryFile(dir=folder):
        pass
  except (OSError, RuntimeError) as error:  # RuntimeError: no home.
    print(
      f'Compiled programs are not kept: {error}. JAX_COMPILATION_CACHE_DIR'
      ' names another folder.'
    )
    jax.config.update('jax_enable_compilation_cache', False)
    return
  jax.config.update('jax_compilation_cache_dir', folder)
  if 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS' not in os.environ:
    jax.config.update(
      'jax_persistent_cache_min_compile_time_secs', _KEPT_FROM_SECONDS
    )


def _cache_folder() -> pathlib.Path:
  """Returns the folder for mejax where this system keeps caches."""
  if named := os.environ.get('XDG_CACHE_HOME'):
    return pathlib.Path(named) / 'mejax/jax'
  home = pathlib.Path.home()
  if sys.platform == 'darwin':
    return home / 'Library/Caches/mejax/jax'
  if sys.platform == 'win32' and 'LOCALAPPDATA' in os.environ:
    return pathlib.Path(os.environ['LOCALAPPDATA']) / 'mejax/jax'
  return home / '.cache/mejax/jax'


def describe(devices: Sequence[jax.Device]) -> str:
  """Describes devices in words, e.g. '1 GPU (NVIDIA A100-SXM4-40GB)'."""
  kind = devices[0].platform.upper()
  name = _cpu_name() if kind == 'CPU' else devices[0].device_kind
  noun = {'CPU': 'CPU core'}.get(kind, kind) + 's' * (len(devices) > 1)
  return f'{len(devices)} {noun}' + (f' ({name})' if name else '')


def _cpu_name() -> str:
  # JAX calls every CPU 'cpu', and Python knows its name on few systems.
  with contextlib.suppress(OSError):
    for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
      if line.startswith('model name'):
        return line.partition(':')[2].strip()
  return platform.processor()


def unused_gpu() -> str:
  """Returns a warning if JAX computes on the CPU of a machine with a GPU.

  The warning is empty if there is no GPU, if JAX uses another accelerator, or
  if the user has chosen the CPU or hidden the GPU.
  """
  chosen = os.environ.get('JAX_PLATFORMS') or jax.config.jax_platforms
  hidden = os.environ.get('CUDA_VISIBLE_DEVICES') in ('', '-1')
  if chosen or hidden or jax.default_backend() != 'cpu':
    return ''
  try:
    listed = subprocess.run(
      ['nvidia-smi', '-L'], capture_output=True, text=True, timeout=10
    ).stdout
  except (OSError, subprocess.TimeoutExpired):
    return ''  # Without a driver there is no GPU that JAX could use.
  # Lines such as 'GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-...)'.
  names = [
    line.partition(': ')[2].partition(' (UUID')[0]
    for line in listed.splitlines()
    if line.startswith('GPU ')
  ]
  if not names:
    return ''
  return (
    f'WARNING: this machine has a GPU ({names[0]}), but JAX does not see it and'
    " computes on the CPU. Install JAX for it: pip install -U 'jax[cuda13]', or"
    ' jax[cuda12] for a driver older than 580'
  )
