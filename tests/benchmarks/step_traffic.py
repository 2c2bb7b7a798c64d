"""What a training step moves, and its kernels, on a device that is not at hand.

  python -m tests.benchmarks.step_traffic --config cnn --device v5e:2x2 \\
    --trials 17 --data_dir data

An epoch of some trials is compiled for one device, as `mejax forecast` does it,
and the text of the program is read; see `mejax/training/traffic.py`.

Prints this count and that of XLA, temporary memory, the least traffic that is
possible, how many kernels and calls of libraries a step of all trials has, and
the instructions with the most traffic, as often as they run in an epoch. Needs
what `mejax forecast` needs for the device.
"""

from __future__ import annotations

import argparse
import math
import os
import re


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--config', required=True)
  parser.add_argument('--device', default='v5e:2x2')
  parser.add_argument('--trials', type=int, default=8)
  parser.add_argument('--data_dir', default='data')
  parser.add_argument('--most', type=int, default=12)
  args, overrides = parser.parse_known_args()
  from mejax.experiment import forecasting

  os.environ.update(forecasting.environment(args.device))
  import jax

  from mejax.experiment import configuration
  from mejax.experiment import planning
  from mejax.training import cost
  from mejax.training import placement as placement_lib
  from mejax.training import traffic
  from mejax.training import work

  config = configuration.load_config(args.config, overrides)
  plan = planning.plan(config, data_dir=args.data_dir)
  devices, _ = forecasting.find_devices(args.device)
  trainer, data = plan.trainer, plan.data
  mode = cost.default_mode(data.inputs, devices[0].platform)
  width = args.trials if mode == 'vmap' else 1
  placement = placement_lib.Placement(mode, width, width)
  first = jax.tree.map(lambda x: x[0], plan.trials)
  state = jax.eval_shape(trainer.init, first, data)
  one = state, first, data
  with jax.default_matmul_precision(plan.options.matmul_precision):
    epoch = work.lower_epoch(trainer, one, placement, devices).compile()
    step = work.of_step(trainer, one, placement, devices, epoch=epoch)
  each = step * (1e-6 / width)
  temporary = epoch.memory_analysis().temp_size_in_bytes / 2**20 / width
  told = 'not told' if each.accessed is None else f'{each.accessed:.1f} MB'
  least = work.least_bytes(trainer, state, data) / 1e6
  print(
    f'{args.config} on {args.device}, {width} trials of {mode}; for each of'
    f' them {temporary:.1f} MiB temporary, and in a step {each.bytes:.1f} MB of'
    f' traffic ({told} as XLA counts),'
    f' {each.bytes / least:.1f} times the {least:.2f} MB of parameters, moments'
    ' and inputs'
  )
  moves = traffic.read(epoch.as_text(), work.loop_turns(trainer))
  kernels = math.fsum(move.times for move in moves)
  print(
    f'{kernels / len(trainer.batch_sizes):.0f} kernels and calls of libraries'
    ' in a step of all trials, with a share of what an epoch has outside of its'
    ' steps'
  )
  for move in moves[: args.most]:
    shape = re.sub(r'\s', '', move.shape)[:70]
    print(
      f'{move.bytes / 1e6:8.1f} MB  {move.times:4.0f} x  {shape}'
      f'  {move.source[-60:]}'
    )


if __name__ == '__main__':
  main()
