"""Formats the table of a run for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from mejax.evaluation import best_baseline
from mejax.evaluation import bootstrap
from mejax.evaluation import summary
from mejax.evaluation import table_files

_OTHERS = 'Other numbers, which are published as UF1 or UAR now and then'
_HEAD = f'{"":<25} {"n":>5}  {"UF1":<32} {"UAR":<16} {"accuracy":<16}'


def format_numbers(numbers: Mapping[str, Any]) -> str:
  """Returns the table of `summary.metrics_json` as text."""
  parts = list(numbers['class_counts'])
  lines = [numbers['protocol'], _counts_line(numbers), '']
  lines.append(
    f'{_HEAD} {"last minus it" * bool(numbers["baselines"])}'.rstrip()
  )
  for rule, entries in numbers['selection'].items():
    for part in parts:
      lines.append(_row(rule, part, entries[part]))
    for part, entry in numbers['together'].get(rule, {}).items():
      lines.append(_row(summary.name_together(rule), part, entry))
  for baseline, entries in numbers['baselines'].items():
    for part in parts:
      lines.append(_row(baseline, part, entries[part]))
  if 'settings' in numbers:
    lines += _setting_lines(numbers['settings'])
  return '\n'.join([*lines, *_notes(numbers), *_flawless(lines)])


def format_predictions(numbers: Mapping[str, Any]) -> str:
  """Returns the table of `predicted.metrics_json` as text."""
  lines = [_counts_line(numbers), '', _HEAD]
  for rule, entries in numbers['entries'].items():
    for part, entry in entries.items():
      lines.append(_row(rule or 'predictions', part, entry))
  lines.append('')
  if numbers['num_seeds'] > 1:
    lines.append(
      f'mean +- standard deviation over {numbers["num_seeds"]} seeds'
    )
  entries = [rule['full'] for rule in numbers['entries'].values()]
  if any(entry['subjects'] for entry in entries):
    lines.append('[95 % interval, from resampling the subjects]')
    lines += bootstrap.describe_few(next(iter(numbers['entries'].values())))
    lines += _flawless(lines)
  warnings = [entry['warning'] for entry in entries if 'warning' in entry]
  lines += [f'* {warning}' for warning in dict.fromkeys(warnings)]
  exact = ', '.join(
    f'{word} {entries[0][name]:.4f}' + _interval(entries[0], name)
    for name, word in (('uf1', 'UF1'), ('uar', 'UAR'), ('accuracy', 'accuracy'))
  )
  lines.append(f'in four digits: {exact}')
  names = numbers['class_names']
  width = max(map(len, [*names, 'truth']))
  lines += ['', f'{"truth":<{width}}  predicted: {", ".join(names)}']
  for name, row in zip(names, entries[0]['confusion'], strict=True):
    counts = ' '.join(f'{count:>5}' for count in row)
    lines.append(f'{name:<{width}}  {counts}')
  lines += ['', f'{_OTHERS}:']
  for name, value in numbers['mistaken'].items():
    lines.append(f'  {name:<40} {value:.4f}')
  if people := numbers['people']:
    lines += [
      '  UF1 of a person counts the classes of the labels and predictions of',
      f'  that person; {people["of one class"]} of {people["all"]} people have'
      ' labels of one class.',
    ]
  return '\n'.join(lines)


def describe_mistaken(numbers: Mapping[str, Any]) -> str:
  """Returns a sentence on what is published in the place of scores.

  Args:
    numbers: the result of `predicted.metrics_json`.
  """
  told = (f'{name} {value:.4f}' for name, value in numbers['mistaken'].items())
  return f'{_OTHERS}: {", ".join(told)}.'


def format_together(numbers: Mapping[str, Any]) -> str:
  """Returns the table of `together.metrics_json` as text."""
  width = max(14, *(len(one['name']) for one in numbers['members']))
  best = numbers['best_baseline']
  head = _HEAD.rjust(len(_HEAD) + width - 14)
  head += f' minus {best["name"]}' if best else ''
  lines = [numbers['protocol'], '', head.rstrip()]
  named = [(one['name'], one['entries']) for one in numbers['members']]
  for name, entries in [*named, ('together', numbers['together'])]:
    for part, entry in entries.items():
      row = _row(name, part, entry, width=width, key='minus_best_baseline')
      lines.append(row)
  return '\n'.join([*lines, '', *together_notes(numbers), *_flawless(lines)])


def together_notes(numbers: Mapping[str, Any]) -> list[str]:
  """Returns sentences on how to read the numbers of models together."""
  several = [one for one in numbers['members'] if one['seeds'] > 1]
  lines = [
    'together: the class with the largest mean probability; all models have'
    ' equal weight'
  ]
  if several:
    named = ', '.join(f'{one["name"]} ({one["seeds"]})' for one in several)
    lines.append(f'of several seeds, their mean probability: {named}')
  lines += [
    '[95 % interval, from resampling the subjects]',
    *bootstrap.describe_few(numbers['together']),
    f'together minus {numbers["best"]}, the best single one by these very'
    ' predictions: ' + bootstrap.describe_difference(numbers['minus_best']),
  ]
  if best := numbers['best_baseline']:
    lines += [
      f'minus {best["name"]}: UF1 minus that of {best["name"]}'
      f' ({best["uf1"]:.3f}), the best baseline, paired over people',
      best_baseline.CHOSEN,
    ]
  if warning := numbers['together']['full'].get('warning'):
    lines.append(f'* {warning}')
  return lines


def _notes(numbers) -> list[str]:
  """Returns notes on how to read the table, and warnings about the run."""
  seeds = numbers['num_seeds']
  lines = [
    '',
    f'mean +- standard deviation over {seeds} seed{"s" * (seeds > 1)}',
    '[95 % interval, from resampling the subjects]',
  ]
  if numbers['together']:
    lines.append(
      'seeds together: the class with their largest mean probability'
    )
  lines += summary.describe_few_seeds(numbers)
  lines += bootstrap.describe_few(numbers['selection']['last'])
  lines += [f'* {warning}' for warning in summary.warnings(numbers)]
  lines += best_baseline.sentences(numbers)
  lines += numbers['baseline_remarks']
  if found := summary.describe_diverged(numbers):
    lines.append(f'WARNING: {found[0]}')
    lines += [f'  {line}' for line in found[1:]]
  return lines


def _flawless(lines: Sequence[str]) -> list[str]:
  """Returns a note if a row of a table has the interval of no error at all."""
  interval = '[1.000, 1.000]'
  return [
    f'{interval}: nothing was wrong, so resampling people shows no uncertainty'
  ] * any(interval in line for line in lines)


def _setting_lines(settings) -> list[str]:
  """Returns a row for every setting of a grid, with the values that differ."""
  names = summary.differing_values(settings)
  lines = [
    '',
    'The rows above belong to setting 0. Every setting, last epoch, all clips;',
    summary.NOT_CHOSEN,
  ]
  for one in settings:
    row = _row(
      f'setting {one["setting"]}', '', one['selection']['last']['full']
    )
    values = [f'{name} {one["values"][name]:g}' for name in names]
    if together := one['together'].get('last'):
      values.insert(0, f'seeds together {together["full"]["uf1"]:.3f}')
    lines.append('  '.join([row, ', '.join(values)]).rstrip())
  return lines


def _counts_line(numbers):
  counts = numbers['class_counts']['full']
  named = zip(counts, numbers['class_names'], strict=True)
  return f'{sum(counts)} clips: ' + ', '.join(
    f'{n} {name}' for n, name in named
  )


def _row(name, part, entry, *, width=14, key='last_minus'):
  uf1 = _spread(entry, 'uf1')
  if entry['uf1_ci'] is not None:
    uf1 += ' [{:.3f}, {:.3f}]'.format(*entry['uf1_ci'])
  above = table_files.describe_minus(entry, key)
  name += ' *' if 'warning' in entry else ''
  return (
    f'{name:<{width}} {part:<10} {entry["n"]:>5}  {uf1:<32} '
    f'{_spread(entry, "uar"):<16} {_spread(entry, "accuracy"):<16} {above}'
  ).rstrip()


def _interval(entry, name):
  found = entry[f'{name}_ci']
  return '' if found is None else ' [{:.3f}, {:.3f}]'.format(*found)


def _spread(entry, name):
  several = len(entry[f'{name}_seeds']) > 1
  spread = f' +- {entry[f"{name}_std"]:.3f}' if several else ''
  return f'{entry[name]:.3f}{spread}'
