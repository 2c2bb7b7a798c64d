"""What a training step moves through the memory of a TPU, without a TPU.

  python -m tests.benchmarks.tpu_traffic --config cnn --device v5e:2x2 \\
    --trials 17 --data_dir data

An epoch of some trials is compiled for one chip, as `mejax forecast` does it.
A TPU keeps what fits in a fast memory on the chip (128 MiB on v5e), which XLA's
own count of bytes includes. Here the text of the program is read instead: its
layouts name the memory of each array, and what an instruction reads or writes
in the large one is its traffic. The body of a loop is counted once, and an
instruction that reads a part of an array counts all of it.

Prints both counts, temporary memory, the least traffic that is possible, and
the instructions with the most traffic. Needs the extra `tpu`.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import os
import re

_BYTES = {'bf16': 2, 'f16': 2, 'f32': 4, 'pred': 1, 's32': 4, 's8': 1}
_BYTES |= {'u16': 2, 'u32': 4, 'u8': 1}
_ARRAY = re.compile(r'(\w+)\[([\d,]*)\](?:\{([^}]*)\})?')
_LINE = re.compile(r'\s+(?:ROOT )?%([\w.\-]+) = (.*?) ([\w\-]+)\((.*)')
# They move nothing, or their parts are counted where they stand.
_STILL = (
  'bitcast', 'call', 'conditional', 'constant', 'copy-done',
  'get-tuple-element', 'parameter', 'slice-done', 'tuple', 'while',
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Move:
  """What an instruction moves through the large memory, in bytes."""

  bytes: int
  name: str
  shape: str
  source: str


def sizes(shape: str) -> list[tuple[int, bool]]:
  """Returns the bytes of each array, and whether the large memory has it."""
  return [
    (
      _BYTES.get(kind, 0) * math.prod(int(n) for n in sides.split(',') if n),
      'S(' not in (layout or ''),
    )
    for kind, sides, layout in _ARRAY.findall(shape)
  ]


def read_moves(program: str) -> list[Move]:
  """Returns the traffic of each instruction of a program, the most first."""
  moves, shapes, inside = [], {}, False
  for line in program.splitlines():
    if line and not line.startswith(' '):
      # What is fused is one instruction, and is counted where it is called.
      inside, shapes = 'fused_computation' in line.split('(')[0], {}
    found = _LINE.match(line)
    if not found or inside:
      continue
    name, shape, kind, rest = found.groups()
    shapes[name] = shape
    if kind in _STILL:
      continue
    if kind.endswith('-start'):
      # It moves an array, or a part of one, between the memories.
      moved = min(size for size, _ in sizes(shape)[:2])
    else:
      read = re.findall(r'%([\w.\-]+)', rest.split('), ')[0])
      arrays = [shape, *(shapes.get(each, '') for each in read)]
      moved = sum(
        size for each in arrays for size, is_large in sizes(each) if is_large
      )
    source = re.search(r'op_name="([^"]*)"', line)
    moves.append(Move(moved, name, shape, source[1] if source else ''))
  return sorted(moves, key=lambda move: -move.bytes)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--config', required=True)
  parser.add_argument('--device', default='v5e:2x2')
  parser.add_argument('--trials', type=int, default=8)
  parser.add_argument('--data_dir', default='data')
  parser.add_argument('--most', type=int, default=12)
  args = parser.parse_args()
  from mejax.experiment import forecasting

  os.environ.update(forecasting.ENVIRONMENT | forecasting.TPU)
  import jax
  from jax.experimental import topologies

  from mejax.experiment import configuration
  from mejax.experiment import planning
  from mejax.training import cost
  from mejax.training import forecast
  from mejax.training import placement

  plan = planning.plan(
    configuration.load_config(args.config), data_dir=args.data_dir
  )
  devices = list(
    topologies.get_topology_desc(args.device, platform='tpu').devices
  )
  trainer, data = plan.trainer, plan.data
  mode = cost.default_mode(data.inputs, 'tpu')
  width = args.trials if mode == 'vmap' else 1
  first = jax.tree.map(lambda x: x[0], plan.trials)
  state = jax.eval_shape(trainer.init, first, data)
  with jax.default_matmul_precision(plan.options.matmul_precision):
    epoch = forecast.compile_epoch(
      trainer,
      (state, first, data),
      placement.Placement(mode, width, width),
      devices,
    )
  # An epoch has a loop over steps for each size of batch.
  stacks = len(list(itertools.groupby(trainer.batch_sizes)))
  moves = read_moves(epoch.as_text())
  per = 1e6 * width * stacks
  temporary = epoch.memory_analysis().temp_size_in_bytes / 2**20 / width
  counted = epoch.cost_analysis()['bytes accessed'] / per
  large = sum(move.bytes for move in moves) / per
  least = forecast.least_bytes(trainer, state, data) / 1e6
  print(
    f'{args.config} on {args.device}, {width} trials of {mode}; for each of'
    f' them {temporary:.1f} MiB temporary, and in a step {large:.1f} MB of'
    f' traffic ({counted:.1f} MB as XLA counts), {large / least:.1f} times the'
    f' {least:.2f} MB of parameters, moments and inputs'
  )
  for move in moves[: args.most]:
    shape = re.sub(r'\s', '', move.shape)[:70]
    print(f'{move.bytes / 1e6:8.1f} MB  {shape}  {move.source[-60:]}')


if __name__ == '__main__':
  main()
