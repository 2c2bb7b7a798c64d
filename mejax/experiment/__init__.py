"""From a config to a run, and back from a finished run to its models.

  configuration.py  `--config NAME:variant --config.key=value` -> locked config
  schema.py         fills in what a config or an old run does not say
  task.py           inputs, labels and people that a run learns from
  planning.py       everything a config names, resolved once into objects
  running.py        trains a plan, evaluates it, writes its report
  saved.py          trained models of a run, and converted weights
  evaluating.py     saved models on the people each one held out
  levels.py         what the models read of each amplification level
  attention.py      where the models looked
  inspecting.py     pages of a prepared dataset
  finished.py       what the report reads of a finished run
  workdir.py        the files of a run
  identity.py       how a run recognises an object of the user's own

The names below are the interface. Each is imported when it is first used,
because reading a config must not take the seconds that importing JAX takes.
"""

import importlib

_HOMES = {
  'Task': 'task',
  'demo': 'running',
  'evaluate': 'evaluating',
  'inspect': 'inspecting',
  'leave_one_subject_out': 'running',
  'load_config': 'configuration',
  'report': 'running',
  'train': 'running',
}


def __getattr__(name: str):
  if name not in _HOMES:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  module = importlib.import_module(f'{__name__}.{_HOMES[name]}')
  return getattr(module, name)


def __dir__() -> list[str]:
  return sorted([*globals(), *_HOMES])
