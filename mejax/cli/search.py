"""The verb that searches for settings."""

from __future__ import annotations

import argparse
import importlib.util
import textwrap

from mejax.cli import engine
from mejax.cli.verb import add_folder
from mejax.cli.verb import add_verb


def add_sweep(verbs) -> None:
  verb = add_verb(
    verbs,
    'sweep',
    _sweep,
    text='Search for settings with nested folds: nobody chooses for himself.',
    example='  mejax sweep --config cnn --space cnn --data_dir data \\\n'
    '    --workdir runs/sweep --config.inner_folds=3 --config.num_seeds=1\n\n'
    'Each held-out person gets the settings that do best on inner folds of\n'
    'the other people, so the score is honest. The same command with the same\n'
    'workdir goes on with a search that was stopped; the result depends on\n'
    'config, space and seed alone. Optuna is needed:\n'
    "pip install 'mejax[search]'.",
    more=_teach_spaces,
  )
  verb.add_argument(
    '--config',
    required=True,
    metavar='NAME[:VARIANT]',
    help='a config, as in `mejax train`; --config.KEY=VALUE changes one value',
  )
  verb.add_argument(
    '--space',
    required=True,
    metavar='NAME',
    help='a space that ships with mejax, NAME or sweeps/NAME.py, see below, or'
    ' the path of your own',
  )
  add_folder(verb, '--data_dir', 'folder of all datasets', 'data')
  add_folder(verb, '--workdir', 'folder of this search')
  verb.add_argument(
    '--sampler',
    default='qmc',
    metavar='NAME',
    help='qmc (the default) and random try the same settings in every fold,'
    ' grid every combination; tpe learns, for each fold, from earlier rounds',
  )
  verb.add_argument(
    '--settings',
    type=int,
    metavar='N',
    help='settings that each fold tries (default: 16; for grid, all)',
  )
  verb.add_argument(
    '--round',
    type=int,
    metavar='N',
    help='settings of a round (default: 16; for tpe 8); tpe draws its first 10'
    ' settings at random, so try several times as many',
  )
  verb.add_argument(
    '--halving',
    type=int,
    default=0,
    metavar='N',
    help='successive halving: in each round keep the best of N settings after'
    ' short trainings, and train those N times as long; there is no un-nested'
    ' best then (default: 0, off)',
  )
  engine.add_engine(verb)
  verb.add_argument(
    '--dry_run',
    action='store_true',
    help='print the number of trainings and the expected time; train nothing',
  )


def _teach_spaces() -> str:
  """Lists the spaces, and explains how to write one."""
  _check_optuna()
  from mejax.experiment.search import spaces

  static = (
    f'model.FIELD, view.OPTION, {", ".join(spaces.SEARCHED_KEYS)}. A choice may'
    ' be a tuple, such as the depths of HTNet. Choices may decide what else is'
    ' suggested.'
  )
  return f"""
spaces that ship:
  {', '.join(spaces.list_spaces())}, in
    {spaces.SHIPPED}

a space of your own is a Python file in Optuna's words:
{textwrap.indent(_EXAMPLE, '  ')}
  Each name is a key of the config. Numbers of a setting (`mejax train --help`
  lists them) share one compiled program. Everything else is compiled in, so it
  must be a choice, and each combination of choices is a program of its own:
{textwrap.fill(static, 79, initial_indent='  ', subsequent_indent='  ')}

how many trainings:
  settings x people x inner_folds x num_seeds, and the outer folds. Fewer:
  --config.inner_folds=3, --config.num_folds=5 (people in five parts),
  --halving 3. --dry_run says how long it takes.

what you get:
  search/index.html   the honest score, beside the config without a search and,
                      unless --sampler tpe or --halving is given, the best that
                      a search without nested folds would report; what was
                      chosen, what matters, what it cost
  report/index.html   the chosen settings as a run, with baselines
  journal.log         every setting of every fold, for optuna.load_study and
                      `optuna-dashboard journal.log`
{engine.TEXT}"""


_EXAMPLE = """
def get_space(trial):
  trial.suggest_float('setting.learning_rate', 3e-4, 1e-2, log=True)
  trial.suggest_float('setting.mixup', 0.0, 0.6)
  trial.suggest_categorical('model.preset', ('tiny', 'small'))
"""


def _check_optuna() -> None:
  if importlib.util.find_spec('optuna') is None:
    raise ValueError(
      "a search needs Optuna: pip install 'mejax[search]', in a checkout pip"
      " install -e '.[search]'."
    )


def _sweep(args: argparse.Namespace) -> None:
  _check_optuna()
  from mejax.experiment import configuration

  config = configuration.load_config(args.config, args.overrides)
  who = engine.read_engine(args)
  if args.show_job_script:
    return engine.show_job_script(who, args.workdir)
  from mejax import experiment

  experiment.sweep(
    config,
    space=args.space,
    data_dir=args.data_dir,
    workdir=args.workdir,
    sampler=args.sampler,
    num_settings=args.settings,
    round_size=args.round,
    halving=args.halving,
    engine=who,
    dry_run=args.dry_run,
  )
