# @title Install mejax, and say what it runs on
# What pip installs mejax from: git+https://HOST/OWNER/mejax, or a folder.
SOURCE = ''  # @param {type: 'string'}
EXTRAS = ''  # What this notebook needs beside mejax itself.

import glob
import html
import importlib
import importlib.metadata
import importlib.util
import re
import subprocess
import sys

import IPython.display

OLDEST_JAX = (0, 10)


def find_hardware():
  """Returns `gpu`, `tpu` or `cpu`, and the extra that brings JAX for it."""
  query = (
    'nvidia-smi --query-gpu=driver_version,compute_cap --format=csv,noheader'
  )
  try:
    told = subprocess.run(query.split(), capture_output=True, text=True).stdout
  except OSError:
    told = ''
  if found := re.match(r'(\d+)[.\d]*, *(\d+\.\d+)', told):
    driver, capability = int(found[1]), float(found[2])
    # What NVIDIA asks for: CUDA 13 left Volta and older cards behind.
    if driver >= 580 and capability >= 7.5:
      return 'gpu', 'cuda13'
    return 'gpu', 'cuda12' if driver >= 525 else ''
  if glob.glob('/dev/accel[0-9]*') or glob.glob('/dev/vfio/[0-9]*'):
    return 'tpu', 'tpu'
  return 'cpu', ''


def ask_jax():
  """Returns version and backend of the JAX that is here; '' if none works."""
  # In a process of its own, so that another one can still be installed.
  program = 'import jax; print(jax.__version__, jax.default_backend())'
  told = subprocess.run(
    [sys.executable, '-c', program], capture_output=True, text=True
  ).stdout.split()
  return told[-2:] if len(told) > 1 else ['', '']


def what_to_install(hardware, extra):
  """Returns what pip is asked for: mejax, and the JAX that must stay."""
  ours = re.compile(r'jax|jaxlib|jax[-_](cuda|rocm).*|libtpu')
  found = {
    each.metadata['Name']: each.version
    for each in importlib.metadata.distributions()
    if ours.fullmatch(each.metadata['Name'] or '')
  }
  version, backend = ask_jax()
  numbers = tuple(int(x) for x in re.findall(r'\d+', version)[:2])
  extras, kept = [EXTRAS] if EXTRAS else [], []
  if numbers >= OLDEST_JAX and backend == hardware:
    # A newer JAX without its plugin would lose the accelerator in silence.
    kept = sorted(f'{name}=={number}' for name, number in found.items())
  elif extra:
    # Two plugins would get in each other's way.
    has_12 = any('cuda12' in name for name in found)
    extras.append('cuda12' if extra == 'cuda13' and has_12 else extra)
  ending = f'[{",".join(extras)}]' if extras else ''
  if '://' in SOURCE:
    return [f'mejax{ending} @ {SOURCE}', *kept]
  return [f'{SOURCE}{ending}', *kept]


def install(hardware, extra):
  """Installs mejax, if it is not here."""
  if importlib.util.find_spec('mejax'):
    return
  if not SOURCE:
    raise ValueError('SOURCE is empty; say above what to install mejax from')
  command = [sys.executable, '-m', 'pip', 'install', '--quiet']
  command += what_to_install(hardware, extra)
  print('Installing', *command[5:])
  done = subprocess.run(command, capture_output=True, text=True)
  if done.returncode:
    raise RuntimeError(done.stderr[-2000:])
  importlib.invalidate_caches()
  for name in ('jax', 'numpy'):
    if name in sys.modules:
      old, new = sys.modules[name].__version__, importlib.metadata.version(name)
      if old != new:
        raise RuntimeError(
          f'{name} {new} was installed, but {old} is in use: restart the'
          ' session (Runtime > Restart session), and run this cell again'
        )


def say_device(hardware):
  """Shows what JAX will compute on, in red if that is a CPU."""
  jax = importlib.import_module('jax')
  backend, devices = jax.default_backend(), jax.devices()
  names = html.escape(f'{len(devices)} x {devices[0].device_kind}')
  words, colour = (
    f'mejax runs on: {backend} ({names}), JAX {jax.__version__}.',
    '',
  )
  if backend == 'cpu':
    colour = '#c00000'
    if hardware == 'cpu':
      words += ' That is slow; on Colab choose Runtime > Change runtime type.'
    else:
      words += f' There is a {hardware} here, but JAX cannot use it.'
  style = f'color: {colour}; font-weight: bold' if colour else ''
  shown = IPython.display.HTML(f'<p style="{style}">{words}</p>')
  IPython.display.display(shown)


install(*find_hardware())
say_device(find_hardware()[0])
