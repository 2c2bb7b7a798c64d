"""What a training step moves through the memory of a TPU, without a TPU.

  python -m tests.benchmarks.tpu_traffic --config cnn --device v5e:2x2 \\
    --trials 17 --data_dir data

An epoch of some trials is compiled for one chip, as `mejax forecast` does it,
and the text of the program is read; see `mejax/training/traffic.py`.

Prints this count and that of XLA, temporary memory, the least traffic that is
possible, and the instructions with the most traffic: of all trials, and of one
turn of each loop. Needs the extra `tpu`.
"""

from __future__ import annotations

import argparse
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

  os.environ.update(forecasting.ENVIRONMENT | forecasting.TPU)
  import jax
  from jax.experimental import topologies

  from mejax.experiment import configuration
  from mejax.experiment import planning
  from mejax.training import cost
  from mejax.training import placement as placement_lib
  from mejax.training import traffic
  from mejax.training import work

  config = configuration.load_config(args.config, overrides)
  plan = planning.plan(config, data_dir=args.data_dir)
  devices = list(
    topologies.get_topology_desc(args.device, platform='tpu').devices
  )
  trainer, data = plan.trainer, plan.data
  mode = cost.default_mode(data.inputs, 'tpu')
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
  for move in traffic.read(epoch.as_text())[: args.most]:
    shape = re.sub(r'\s', '', move.shape)[:70]
    print(f'{move.bytes / 1e6:8.1f} MB  {shape}  {move.source[-60:]}')


if __name__ == '__main__':
  main()
