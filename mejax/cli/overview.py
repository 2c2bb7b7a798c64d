"""What all verbs have in common: their overview by task, and completion."""

from __future__ import annotations

import argparse
import pathlib

# In the order of the work. A verb that is not listed comes last.
GROUPS = {
  'to begin': ('demo',),
  'data': ('render', 'film', 'check', 'prepare', 'inspect'),
  'models': ('train', 'sweep', 'forecast', 'pretrain', 'convert', 'pack'),
  'scores': ('evaluate', 'report', 'score', 'score_spotting'),
  'recordings of your own': ('spot', 'predict'),
}
SHELLS = ('bash', 'zsh', 'tcsh')


class ByTask(argparse.HelpFormatter):
  """Lists the verbs under the task that they belong to."""

  def _format_action(self, action):
    if not isinstance(action, argparse._SubParsersAction):
      return super()._format_action(action)
    left = {verb.dest: verb for verb in action._get_subactions()}
    parts = []
    for title, names in [*GROUPS.items(), ('more', tuple(left))]:
      verbs = [left.pop(name) for name in names if name in left]
      if not verbs:
        continue
      parts.append(f'{"":{self._current_indent}}{title}:\n')
      self._indent()
      parts += [super(ByTask, self)._format_action(verb) for verb in verbs]
      self._dedent()
    return ''.join(parts)


class Completion(argparse.Action):
  """Prints the completion of the command for a shell."""

  def __call__(self, parser, namespace, values, option_string=None):
    del namespace, option_string
    import shtab

    _mark_paths(parser, shtab)
    print(shtab.complete(parser, shell=values))
    parser.exit()


def _mark_paths(parser: argparse.ArgumentParser, shtab) -> None:
  """Tells the shell which arguments are files or folders."""
  for action in parser._actions:
    if isinstance(action, argparse._SubParsersAction):
      for verb in action.choices.values():
        _mark_paths(verb, shtab)
    elif action.type is pathlib.Path:
      is_folder = action.metavar == 'DIR'
      action.complete = shtab.DIRECTORY if is_folder else shtab.FILE
