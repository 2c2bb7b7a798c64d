"""A forecast in words."""

from __future__ import annotations

from collections.abc import Sequence
import math

import jax

from mejax.training import checkpoint
from mejax.training import chips
from mejax.training import forecast as forecast_lib
from mejax.training import trial as trial_lib


def describe(
  found: forecast_lib.Forecast,
  trainer: trial_lib.Trainer,
  num_trials: int,
  *,
  devices: Sequence[jax.Device],
  precision: str,
) -> list[str]:
  """Returns lines that tell a user what is known of a training.

  Args:
    found: the forecast, as far as it is known.
    trainer: the functions of one trial.
    num_trials: number of all trials.
    devices: the devices that it is compiled for.
    precision: that of matrix products.
  """
  return [
    f'{num_trials} trials of {trainer.num_epochs} epochs, {found.steps} steps'
    f' of up to {max(trainer.batch_sizes)} examples each',
    *_refused(found),
    found.placement.describe(num_trials, devices),
    *_memory(found),
    *_step(found, devices[0]),
    *_time(found, devices[0], precision),
    *_compiled(found),
  ]


def _refused(found) -> list[str]:
  tried = [
    f'{each} ({"more than it has" if size == math.inf else _mib(size)})'
    for each, size in found.refused
  ]
  what = 'too many trials at once for the memory of a device'
  return [f'{what}: {", ".join(tried)}'] if tried else []


def _memory(found) -> list[str]:
  state, width = found.state_bytes, found.placement.width
  disk = state * found.placement.round_size * checkpoint.MOST_AT_ONCE
  lines = [
    f'state: {state / 2**20:.2f} MiB a trial; checkpoints of a round take up to'
    f' {_mib(disk)} of the disk'
  ]
  if found.device_bytes is not None:
    each = found.temporary_bytes / width / 2**20
    lines.append(
      f'memory: {_mib(found.device_bytes)} on each device, of it temporary'
      f' {_mib(found.temporary_bytes)}, {each:.1f} MiB for each trial that is'
      ' trained at a time'
    )
  return lines


def _step(found, device) -> list[str]:
  """Returns the lines on a step, and on what was counted how."""
  width, step, least = found.placement.width, found.step, found.least_bytes
  whose = 'one trial' if width == 1 else f'{width} trials together'
  needed = 'parameters, moments and inputs alone'
  if step is None:
    return [
      f'a step of {whose}: at least {_giga(least)}B of traffic, which {needed}'
      ' need'
    ]
  flops = 'operations not known' if step.flops is None else (
    f'{_giga(step.flops)}FLOP'
  )  # fmt: skip
  also = ''
  if step.accessed is not None:
    also = f' ({_giga(step.accessed)}B with its caches, as XLA counts)'
    if device.platform == 'tpu':
      also = f' ({_giga(step.accessed)}B with that on the chip, as XLA counts)'
  lines = [
    f'a step of {whose}: {flops}, and {_giga(step.bytes)}B of traffic with the'
    f' memory of the device{also}, {step.bytes / least:.1f} times the'
    f' {_giga(least)}B that {needed} need'
  ]
  if found.traced:
    how = (
      'JAX has no CPU here to count operations by: let JAX_PLATFORMS name it'
      if step.flops is None
      else 'operations are those of one trial as it is traced for a GPU, before'
      f' any compiler changes it{f", times {width}" * (width > 1)}'
    )
    lines.append(
      f'{how}; traffic is what each kernel reads and writes, without caches'
    )
  return lines


def _time(found, device, precision) -> list[str]:
  """Returns the line on the least time, or why there is none."""
  if found.step is None or device.platform == 'cpu':
    return []
  chip = chips.of_kind(device.device_kind)
  if chip is None:
    return [f'least time: the peak of {device.device_kind!r} is not known here']
  try:
    rate = chip.rates[jax.lax.Precision(precision).name.lower()]
  except ValueError:  # It names an algorithm, such as BF16_BF16_F32.
    return [f'least time: no peak is known at precision {precision!r}']
  both = found.seconds(rate.flops, chip.bandwidth)
  if both is None:
    return []
  work = found.seconds(rate.flops, math.inf)
  traffic = found.seconds(math.inf, chip.bandwidth)
  return [
    f'least time of all: {_words(both)}, by the slower of operations'
    f' ({_words(work)}) and traffic ({_words(traffic)}) of each step:'
    f' {chip.kind} does {rate.how}, and {chip.bandwidth / 1e9:.0f} GB/s'
    f' ({chip.source})'
  ]


def _compiled(found) -> list[str]:
  lines = []
  if found.collectives is not None:
    names = sorted(set(found.collectives))
    waits = f'{len(found.collectives)} ({", ".join(names)})'
    lines.append(f'collectives between devices: {waits if names else "none"}')
  if found.compile_seconds is not None:
    lines.append(f'compiled in {found.compile_seconds:.0f} s')
  return lines


def _mib(size: int | float) -> str:
  return f'{size / 2**20:.0f} MiB'


def _giga(number: float) -> str:
  return f'{number / 1e9:.3g} G'


def _words(seconds: float) -> str:
  if seconds < 90:
    return f'{seconds:.3g} s'
  minutes = seconds / 60
  return f'{minutes:.1f} minutes' if minutes < 90 else f'{minutes / 60:.1f} h'
