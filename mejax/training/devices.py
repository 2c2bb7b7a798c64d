"""The processors that JAX computes on, and where its compiled programs stay."""

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

# Even small programs are kept: there are dozens of them, and together they take
# seconds to compile.
_KEPT_FROM_SECONDS = 0.05


def use_every_core() -> None:
  """Makes each CPU core a device of its own; call it before any other of JAX.

  Trials do not talk to each other, so that cores that work on different trials
  waste nothing on splitting up small matrices. Does nothing on accelerators.
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


# Once a process: the message must not come with every run of a notebook.
@functools.cache
def keep_compiled_programs() -> None:
  """Switches JAX's persistent compilation cache on, so that reruns start soon.

  Programs are kept in the user's cache folder, or in the folder that
  JAX_COMPILATION_CACHE_DIR names. If it cannot be written, a line says so and
  nothing is kept. JAX_ENABLE_COMPILATION_CACHE=false switches the cache off.
  """
  if not jax.config.jax_enable_compilation_cache:
    return
  try:
    folder = jax.config.jax_compilation_cache_dir or str(_cache_folder())
    if '://' not in folder:  # JAX itself writes to buckets.
      os.makedirs(folder, exist_ok=True)
      # JAX would warn at every program that it fails to write.
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
  """The folder for mejax in the place where this system keeps caches."""
  if named := os.environ.get('XDG_CACHE_HOME'):
    return pathlib.Path(named) / 'mejax/jax'
  home = pathlib.Path.home()
  if sys.platform == 'darwin':
    return home / 'Library/Caches/mejax/jax'
  if sys.platform == 'win32' and 'LOCALAPPDATA' in os.environ:
    return pathlib.Path(os.environ['LOCALAPPDATA']) / 'mejax/jax'
  return home / '.cache/mejax/jax'


def describe(devices: Sequence[jax.Device]) -> str:
  """Returns number, kind and name, e.g. '1 GPU (NVIDIA A100-SXM4-40GB)'."""
  kind = devices[0].platform.upper()
  name = _cpu_name() if kind == 'CPU' else devices[0].device_kind
  noun = {'CPU': 'CPU core'}.get(kind, kind) + 's' * (len(devices) > 1)
  return f'{len(devices)} {noun}' + (f' ({name})' if name else '')


def _cpu_name() -> str:
  # JAX names every CPU 'cpu', and Python knows the name on few systems.
  with contextlib.suppress(OSError):
    for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
      if line.startswith('model name'):
        return line.partition(':')[2].strip()
  return platform.processor()


def unused_gpu() -> str:
  """Returns a warning if JAX computes on the CPU of a machine with a GPU.

  Empty if there is none, if JAX uses another accelerator, or if the user has
  chosen the CPU or hidden the GPU.
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
    return ''  # No driver, hence no GPU that JAX could use.
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
    " computes on the CPU. Install JAX for it: pip install -U 'jax[cuda13]'"
  )
