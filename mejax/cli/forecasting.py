"""The verb that weighs a run on hardware that is not at hand."""

from __future__ import annotations

import argparse

from mejax.cli.verb import add_folder
from mejax.cli.verb import add_verb


def add_forecast(verbs) -> None:
  verb = add_verb(
    verbs,
    'forecast',
    _forecast,
    text='Tell what a run needs, and how long it takes, on other hardware.',
    example='  mejax forecast --config ststnet --device v5e:2x2 \\\n'
    '    --data_dir data\n\n'
    'The run is compiled for these devices, here and without them. The\n'
    'compiler tells memory, operations and traffic; the least time follows\n'
    "from the maker's numbers. `mejax train --dry_run` tells the same\n"
    "of the devices at hand. For TPUs: pip install 'mejax[tpu]'; for GPUs the\n"
    'CUDA plugin of JAX, which this verb names if it is not there.',
    more=_teach_devices,
  )
  verb.add_argument(
    '--config',
    required=True,
    metavar='NAME[:VARIANT]',
    help='a config, as in `mejax train`; --config.KEY=VALUE changes one value',
  )
  verb.add_argument(
    '--device',
    required=True,
    metavar='NAME',
    help='TPUs by kind and topology, such as v5e:4x4; GPUs by kind and number,'
    ' such as a100 or a100:4; or cpu',
  )
  add_folder(verb, '--data_dir', 'folder of all datasets', 'data')
  verb.add_argument(
    '--limit',
    type=float,
    default=7200.0,
    metavar='SECONDS',
    help='time after which the compiler is stopped, and what is known by then'
    ' is printed (default: 7200; the largest config, htnet_released on'
    ' v5e:4x4, takes 2850 on one busy core)',
  )


def _teach_devices() -> str:
  from mejax.experiment import forecasting

  return f"""

chips, as their maker describes them:
{forecasting.describe_chips()}
"""


def _forecast(args: argparse.Namespace) -> None:
  from mejax.experiment import configuration

  config = configuration.load_config(args.config, args.overrides)
  from mejax import experiment

  experiment.forecast(
    config, device=args.device, data_dir=args.data_dir, limit_s=args.limit
  )
