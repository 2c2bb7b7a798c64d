"""Weighs a run before its hardware is at hand: `mejax forecast`.

The compiler runs in a process of its own, because it wants other settings of
JAX, may take many minutes, and ends its process if it fails.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import contextlib
import importlib.metadata
import importlib.util
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING
from typing import Any

from mejax import files
from mejax import own_code

if TYPE_CHECKING:
  import jax
  import ml_collections

# Without them libtpu asks the network where it runs, and warns; and only one
# process at a time may load it, because it might use the TPU.
_TPU = {
  'ALLOW_MULTIPLE_LIBTPU_LOAD': 'true',
  'TPU_SKIP_MDS_QUERY': '1',
  'TPU_ACCELERATOR_TYPE': 'v5litepod-4',
  'TPU_WORKER_HOSTNAMES': 'localhost',
  'TPU_WORKER_ID': '0',
}
# Nothing runs on a device. What was compiled before would take no time.
ENVIRONMENT = {'JAX_PLATFORMS': 'cpu', 'JAX_ENABLE_COMPILATION_CACHE': 'false'}
# The share of a GPU's memory that JAX takes unless it is told otherwise.
_GPU_SHARE = 0.75
# What is said before the compiler is silent.
COMPILING = 'Compiling, which may take minutes. Nothing is trained or kept.'
# End the names of the files that tell what has begun, and what is known.
_STAGE, _KNOWN = '.stage', '.known'
# Lines of the compiler that a message shows if it fails.
_SHOWN = 5


def forecast(
  config: ml_collections.ConfigDict,
  *,
  device: str,
  data_dir: str | os.PathLike,
  limit_s: float = 7200.0,
) -> None:
  """Prints what a run needs on devices that are not at hand.

  If the compiler fails or takes too long, what is known by then is printed.

  Args:
    config: the config, from `configuration.load_config`.
    device: TPUs, such as `v5e:4x4`; GPUs, such as `a100` or `a100:4`; or `cpu`
      for the cores of this machine.
    data_dir: home of the prepared datasets.
    limit_s: seconds that the compiler has.

  Raises:
    ValueError: the device is not known, its compiler is not installed, config
      and data do not fit each other, a trial does not fit into memory, or the
      compiler fails or takes too long.
    FileNotFoundError: the dataset has not been prepared.
  """
  _check_device(device)
  request = {
    'config': json.loads(config.to_json()),
    'device': device,
    'data_dir': str(data_dir),
  }
  print(COMPILING, flush=True)
  with tempfile.TemporaryDirectory() as folder:
    answer = pathlib.Path(folder) / 'answer.json'
    try:
      done = subprocess.run(
        [sys.executable, '-P', '-m', __name__, str(answer)],
        input=json.dumps(request),
        env=os.environ | environment(device),
        stderr=subprocess.PIPE,
        text=True,
        errors='replace',
        timeout=limit_s,
      )
    except subprocess.TimeoutExpired:
      _print_known(answer)
      raise ValueError(
        f'The compiler took more than {limit_s:.0f} s for {device}, and was'
        f' stopped{_how_far(answer)}. Give it more time (--limit), or a smaller'
        ' model or slice; the memory and time of a device do not depend on how'
        ' many there are beside it, if it has as many trials.'
      ) from None
    if not answer.exists():
      _print_known(answer)
      last = ' | '.join(done.stderr.strip().splitlines()[-_SHOWN:])
      raise ValueError(
        f'The compiler for {device} ended with code'
        f' {done.returncode}{_how_far(answer)}: {last}'
      )
    told = json.loads(answer.read_text())
    if 'error' in told:
      _print_known(answer)
  if 'error' in told:
    kind = FileNotFoundError if told['missing'] else ValueError
    raise kind(told['error'])
  print(told['text'], end='')


def environment(device: str) -> dict[str, str]:
  """Returns the variables of a process that compiles for a device."""
  from mejax.training import gpus

  if device.partition(':')[0] not in gpus.GPUS:
    return ENVIRONMENT | _TPU
  # XLA finds by measuring a form of each product that Triton can compile, and
  # fails for some where there is no GPU to measure on.
  flags = (
    f'{os.environ.get("XLA_FLAGS", "")} --xla_gpu_enable_triton_gemm=false'
  )
  return ENVIRONMENT | {'XLA_FLAGS': flags}


def _how_far(answer: pathlib.Path) -> str:
  """Returns what the process that compiles had begun when it ended."""
  stage = answer.with_suffix(_STAGE)
  return f' {stage.read_text()}' if stage.exists() else ' before it had begun'


def _print_known(answer: pathlib.Path) -> None:
  """Prints what the process that compiles knew when it ended."""
  known = answer.with_suffix(_KNOWN)
  if known.exists():
    print('Known by then:', known.read_text(), sep='\n', flush=True)


def describe_chips() -> str:
  """Returns the chips that a run can be compiled for, in two lines each."""
  from mejax.training import chips

  return '\n'.join(
    f'  {name:<8} {chip.rates["default"].how},'
    f' {chip.bandwidth / 1e9:.0f} GB/s, {chip.memory / 1e9:.0f} GB\n'
    f'           {chip.kind} ({chip.source})'
    for name, chip in chips.CHIPS.items()
  )


def _check_device(device: str) -> None:
  from mejax.training import chips
  from mejax.training import gpus

  kind, colon, shape = device.partition(':')
  if kind == 'cpu' and not colon:
    return
  if kind in gpus.GPUS and (not colon or re.fullmatch('[1-9][0-9]?', shape)):
    _check_cuda()
    return
  sides = shape.split('x')
  if kind not in chips.TPUS or not all(side.isdecimal() for side in sides):
    raise ValueError(
      f'device is {device!r}; expected cpu, or a TPU and its topology, such as'
      ' v5e:4x4, or a GPU, such as a100, or a100:4 for four of them. TPUs:'
      f' {", ".join(chips.TPUS)}. GPUs: {", ".join(gpus.GPUS)}.'
    )
  if importlib.util.find_spec('libtpu') is None:
    raise ValueError(
      "compiling for a TPU needs libtpu: pip install 'mejax[tpu]', in a"
      " checkout pip install -e '.[tpu]'."
    )


def has_cuda() -> bool:
  """Returns whether the plugin of JAX that compiles for GPUs is there."""
  names = ('jax_plugins.xla_cuda12', 'jax_plugins.xla_cuda13')
  # Its folder is there if there is any plugin.
  return importlib.util.find_spec('jax_plugins') is not None and any(
    map(importlib.util.find_spec, names)
  )


def _check_cuda() -> None:
  """Refuses GPUs if their compiler, a plugin of JAX, is not there."""
  if has_cuda():
    return
  version = importlib.metadata.version('jax')
  raise ValueError(
    'compiling for a GPU needs the CUDA plugin of JAX, which a machine without'
    f' a GPU may have alone: pip install --no-deps jax-cuda13-plugin=={version}'
    f' jax-cuda13-pjrt=={version}'
  )


def find_devices(device: str) -> tuple[Sequence[jax.Device], float]:
  """Returns devices, and the bytes that each has for trials."""
  import jax
  from jax.experimental import topologies

  from mejax.training import chips
  from mejax.training import cost as cost_lib
  from mejax.training import gpus

  kind, _, shape = device.partition(':')
  if device == 'cpu':
    devices = jax.local_devices()
    memory = min(map(cost_lib.available_bytes, devices))
  elif kind in gpus.GPUS:
    found = topologies.get_topology_desc(
      platform='cuda',
      target_config=gpus.GPUS[kind].target(),
      # Slices, machines, and the GPUs of each.
      topology=f'1x1x{shape or 1}',
    )
    devices, memory = list(found.devices), _GPU_SHARE * gpus.GPUS[kind].memory
  else:
    try:
      found = topologies.get_topology_desc(device, platform='tpu')
    except jax.errors.JaxRuntimeError as error:
      raise ValueError(f'{device}: {error}') from None
    devices, memory = list(found.devices), chips.TPUS[kind].memory
  return devices, cost_lib.SHARE * memory


def _describe(
  request: dict[str, Any],
  say: Callable[[str], None],
  keep: Callable[[list[str]], None],
) -> list[str]:
  """Returns the lines of the forecast, in the process that compiles.

  Args:
    request: config, device, and folder of the data.
    say: is told what begins.
    keep: is given the lines that can be told so far.
  """
  import jax

  from mejax.experiment import configuration
  from mejax.experiment import planning
  from mejax.training import cost as cost_lib
  from mejax.training import forecast as forecast_lib
  from mejax.training import forecast_text

  say('reading the data')
  config = configuration.from_json(request['config'])
  plan = planning.plan(config, data_dir=request['data_dir'])
  devices, memory = find_devices(request['device'])
  options, trainer = plan.options, plan.trainer
  mode = options.mode
  if mode == 'auto':
    mode = cost_lib.default_mode(plan.data.inputs, devices[0].platform)

  def describe(found):
    return forecast_text.describe(
      found,
      trainer,
      len(plan.trials.train),
      devices=devices,
      precision=options.matmul_precision,
    )

  with jax.default_matmul_precision(options.matmul_precision):
    found = forecast_lib.fit(
      trainer,
      plan.trials,
      plan.data,
      mode=mode,
      devices=devices,
      memory=memory,
      eval_every=options.eval_every,
      say=say,
      keep=lambda found: keep(describe(found)),
    )
  return describe(found)


def _answer(path: pathlib.Path) -> None:
  """Reads a request from the input, and writes the answer into a file."""
  import jax

  own_code.look_in(os.getcwd())
  text, start = io.StringIO(), time.monotonic()

  # Whole, because this process may be stopped at any moment.
  def write(suffix: str, words: str) -> None:
    with files.writing(path.with_suffix(suffix)) as file:
      file.write(words)

  def say(stage: str) -> None:
    began = time.monotonic() - start
    write(_STAGE, f'while {stage}, begun after {began:.0f} s')

  def keep(lines: list[str]) -> None:
    write(_KNOWN, text.getvalue() + '\n'.join(lines))

  try:
    with contextlib.redirect_stdout(text):
      lines = _describe(json.load(sys.stdin), say, keep)
      print(*lines, 'Nothing was trained.', sep='\n')
    told = {'text': text.getvalue()}
  except jax.errors.JaxRuntimeError as error:
    # Its first line; then follow those of Python and of the compiler.
    reason = str(error).partition('\n')[0]
    told = {'error': f'the compiler failed: {reason}', 'missing': False}
  except (ValueError, FileNotFoundError) as error:
    missing = isinstance(error, FileNotFoundError)
    told = {'error': str(error), 'missing': missing}
  path.write_text(json.dumps(told))


if __name__ == '__main__':
  _answer(pathlib.Path(sys.argv[1]))
