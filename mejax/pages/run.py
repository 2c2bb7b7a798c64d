"""Renders the page of one finished run, or of several side by side."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import json
from typing import Any

import numpy as np

from mejax.evaluation import best_baseline
from mejax.evaluation import bootstrap
from mejax.evaluation import calibration as calibration_lib
from mejax.evaluation import metrics
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.pages import attention
from mejax.pages import bars
from mejax.pages import calibration
from mejax.pages import ceiling
from mejax.pages import charts
from mejax.pages import cost
from mejax.pages import frame
from mejax.pages import levels
from mejax.pages import pictures
from mejax.pages import score_tables
from mejax.pages import units
from mejax.pages.finished_run import Run

_SEEDS_ALONE = (
  'They are seeds of one config. To score them as one run: `mejax report RUN'
  ' --export results/NAME`, with --add_seeds for each further RUN, and `mejax'
  ' score results/NAME`.'
)


def render(
  runs: Sequence[Run],
  *,
  together: Mapping[str, Any] | None = None,
  measured: Mapping[str, Any] | None = None,
  shown: Mapping[str, pictures.Image] | None = None,
  tables: Sequence[str] = (),
) -> str:
  """Returns the page of finished runs.

  Args:
    runs: if there are several, the others are compared with the first.
    together: the result of `evaluation.together.metrics_json`, if models were
      scored together.
    measured: what was measured of the ceiling, see `ceiling.describe`.
    shown: pictures of clips that may be shown, by `corpus/subject/clip`.
    tables: names of files beside the page that hold its table.
  """
  return frame.render(
    'run.html',
    title=', '.join(map(_title, runs)),
    protocols=list(dict.fromkeys(run.numbers['protocol'] for run in runs)),
    comparison=_compare(runs) if len(runs) > 1 else None,
    together=_together(together) if together else None,
    ceiling=ceiling.describe(runs, measured, shown or {}),
    runs=[describe(run) for run in runs],
    tables=tables,
  )


def _title(run: Run) -> str:
  """Returns model, dataset and name of a run, as far as the config tells."""
  model = run.config.get('model')
  # The section may be the description of a user's own model.
  named = model.get('name') if isinstance(model, Mapping) else None
  if isinstance(named, str) and run.config.get('dataset'):
    aside = f' ({run.name})' if run.name != named else ''
    return f'{named} on {run.config["dataset"]}{aside}'
  return run.name


def _compare(runs: Sequence[Run]) -> dict[str, Any]:
  first = runs[0]
  dots = [
    _dot(run.name, run.entry(), f'run{i % 4}') for i, run in enumerate(runs)
  ]
  rows = []
  for run in runs:
    if best := best_baseline.describe(run.numbers):
      name = f'{run.name} minus its best baseline, {best["name"]}'
      rows.append({'kind': '', 'cells': [name, best['difference']]})
      if together := best['together']:
        name = f'{run.name}, seeds together, minus {best["name"]}'
        rows.append({'kind': '', 'cells': [name, together['difference']]})
  rows += [{'kind': '', 'cells': cells} for cells in _paired(runs)]
  return {
    'dots': charts.fluid(
      charts.dot_plot,
      [*dots, *_baseline_dots(first)],
      label='UF1 of the runs and the baselines',
    ),
    'first': first.name,
    'differences': rows,
    'settings': _differing_values(runs),
  }


def _paired(runs: Sequence[Run]) -> list[tuple[str, str]]:
  """Returns what is subtracted, and the difference, for all but the first."""
  first, *others = runs
  rows = []
  for run in others:
    words = 'not comparable: other clips or labels'
    if difference := run.minus(first):
      words = bootstrap.describe_difference(difference)
    rows.append((f'{run.name} minus {first.name}', words))
  return rows


def sentences(runs: Sequence[Run]) -> list[str]:
  """Returns what a terminal and a table say of several runs; [] of one."""
  pairs = _paired(runs)
  said = [
    f'UF1 of {what}: {words}' + ', paired over people.' * (words[0] in '+-')
    for what, words in pairs
  ]
  if any(words[0] in '+-' for _, words in pairs):
    said.append('An interval that contains 0 shows no clear difference.')
  found = _differing_values(runs) if len(runs) > 1 else None
  if found and found['rows']:
    names = [row['cells'][0] for row in found['rows']]
    said.append(f'Values of the config that differ: {", ".join(names)}.')
    if 'seed' in names and set(names) <= {'seed', 'num_seeds'}:
      said.append(_SEEDS_ALONE)
  return said


def _differing_values(runs: Sequence[Run]) -> dict[str, Any] | None:
  """Makes the table of config values that differ; None without two configs.

  What a difference of scores is due to is one of them, or several.
  """
  known = [run for run in runs if run.config]
  if len(known) < 2:
    return None
  flat = [dict(_flat(run.config, '')) for run in known]
  names = dict.fromkeys(name for each in flat for name in each)
  # A value that one run sets is in force in the others, too, at its default.
  values = [
    {name: json.dumps(value) for name, value in (run.defaults | each).items()}
    for run, each in zip(known, flat, strict=True)
  ]
  rows = [
    [name, *(each.get(name, 'not set') for each in values)] for name in names
  ]
  return {
    'names': ['value', *(run.name for run in known)],
    'rows': [
      {'kind': '', 'cells': row} for row in rows if len(set(row[1:])) > 1
    ],
  }


def _together(numbers: Mapping[str, Any]) -> dict[str, Any]:
  dots = [
    _dot(
      score_tables.name_baseline(one['name']),
      one['entries']['full'],
      f'run{i % 4}',
    )
    for i, one in enumerate(numbers['members'])
  ]
  entry = numbers['together']['full']
  return {
    'dots': charts.fluid(
      charts.dot_plot,
      [*dots, _dot('together', entry, 'honest')],
      label='UF1 of the models alone and together',
    ),
    'entry': entry,
    'best': score_tables.name_baseline(numbers['best']),
    'difference': bootstrap.describe_difference(numbers['minus_best']),
    'best_baseline': numbers['best_baseline'],
    'to_baseline': (
      best_baseline.compare(entry['minus_best_baseline'])
      if numbers['best_baseline']
      else None
    ),
    'chosen': best_baseline.CHOSEN,
    'table': score_tables.together_rows(numbers),
  }


def describe(run: Run) -> dict[str, Any]:
  """Makes all that `run_sections.html` shows of one run."""
  numbers = run.numbers
  return {
    'name': run.name,
    'numbers': numbers,
    'warning': selection.WARNING,
    'warnings': summary.warnings(numbers),
    'few': bootstrap.describe_few(numbers['selection'][score_tables.HEADLINE]),
    'chosen': best_baseline.CHOSEN,
    'entry': run.entry(),
    'headline': _headline(run),
    'diverged': summary.describe_diverged(numbers),
    'remarks': summary.describe_training(run.record, numbers),
    'best_baseline': best_baseline.describe(numbers),
    'gap': _gap(run) if 'oracle' in numbers['selection'] else None,
    'confusion': _confusion(run),
    'parts': _parts(run),
    'subjects': charts.fluid(bars.subject_bars, _subjects(run)),
    'levels': levels.describe(run.levels) if run.levels else None,
    'attention': attention.describe(run.attention) if run.attention else None,
    'units': units.describe(run.units) if run.units else None,
    'calibration': _calibration(run),
    'curves': _curves(run),
    'table': score_tables.rule_rows(numbers),
    'settings': (
      score_tables.describe_settings(numbers) if 'settings' in numbers else None
    ),
    'cost': cost.describe(run.cost),
    'commands': run.commands,
    'of_arrays': run.config.get('dataset') == '',
    'rules': [
      {'kind': score_tables.kind_of(rule), 'cells': [rule, sentence]}
      for rule, sentence in numbers['rules'].items()
    ],
    'config': [
      {'kind': '', 'cells': [name, json.dumps(value)]}
      for name, value in _flat(run.config, '')
    ],
  }


def _headline(run: Run) -> dict[str, Any]:
  """Makes the chart of the honest score and the baselines, and basic facts."""
  entry, numbers = run.entry(), run.numbers
  dots = [_dot(f'{score_tables.HEADLINE} epoch', entry, 'honest')]
  if 'inner' in numbers['selection']:
    dots.append(_dot('inner folds', run.entry('inner'), 'honest'))
  if together := numbers['together'].get(score_tables.HEADLINE):
    dots.append(_dot('seeds together', together['full'], 'honest'))
  dots += _baseline_dots(run)
  return {
    'dots': charts.fluid(
      charts.dot_plot, dots, label='UF1 of this run and of the baselines'
    ),
    'classes': charts.fluid(
      bars.class_bar, numbers['class_counts']['full'], numbers['class_names']
    ),
    'facts': [
      (entry['n'], 'clips'),
      (entry['subjects'], 'subjects'),
      tuple(frame.plural(numbers['num_seeds'], 'seed').split()),
      (f'{entry["uar"]:.3f}', 'UAR'),
      (f'{entry["accuracy"]:.3f}', 'accuracy'),
    ],
  }


def _gap(run: Run) -> dict[str, Any]:
  """Shows what choosing epochs on the test subjects would add."""
  honest, oracle = run.entry()['uf1'], run.entry('oracle')['uf1']
  found = selection.select(run.record, 'oracle', setting=run.setting)
  picked = found.epochs[found.epochs >= 0]
  return {
    'honest': honest,
    'oracle': oracle,
    'added': charts.fluid(charts.gap, honest, oracle),
    'picked': charts.fluid(
      charts.epoch_histogram, run.record['epochs'], picked
    ),
  }


def _confusion(run: Run) -> dict[str, Any]:
  names = run.numbers['class_names']
  mean = np.asarray(run.entry()['confusion']) / run.numbers['num_seeds']
  return {
    'counts': charts.confusion_matrix(mean, names, normalised=False),
    'shares': charts.confusion_matrix(mean, names, normalised=True),
  }


def _parts(run: Run) -> Any:
  """Draws a chart of the databases, if there are several."""
  rows = [
    _dot(f'{part} ({entry["n"]})', entry, 'honest')
    for part, entry in run.numbers['selection'][score_tables.HEADLINE].items()
    if part != 'full'
  ]
  return rows and charts.fluid(
    charts.dot_plot, rows, label='UF1 of each database'
  )


def _subjects(run: Run) -> list[tuple[str, str, float, int]]:
  """Returns the rows of `bars.subject_bars`, best first in each corpus."""
  matrices = run.matrices().sum(0)
  accuracy = metrics.accuracy_of(matrices)
  names, first = np.unique(run.record['groups'], return_index=True)
  seeds = run.numbers['num_seeds']
  rows = [
    (
      str(run.record['corpus'][first[i]]),
      str(run.record['subject'][first[i]]),
      float(accuracy[i]),
      int(matrices[i].sum()) // seeds,
    )
    for i in range(len(names))
  ]
  return sorted(rows, key=lambda row: (row[0], -row[2], row[1]))


def _curves(run: Run) -> dict[str, Any]:
  """Draws training loss and held-out UF1 over the epochs."""
  record = run.record
  outer = (record['inner'] < 0) & (record['setting'] == run.setting)
  uf1, loss = [], []
  for seed in np.unique(record['seed'][outer]):
    trials = np.flatnonzero(outer & (record['seed'] == seed)).tolist()
    pooled = sum(selection.trial_confusion(record, t) for t in trials)
    uf1.append(metrics.uf1_of(pooled))
    loss.append(record['train_loss'][trials].mean(0))
  return {
    'loss': charts.curves(
      record['epochs'],
      np.asarray(loss, float),
      label='Training loss over epochs',
      kind='loss',
    ),
    'uf1': charts.curves(
      record['epochs'],
      np.asarray(uf1, float),
      label='Held-out UF1 over epochs',
      kind='honest',
      top=1.0,
    ),
  }


def _calibration(run: Run) -> dict[str, Any]:
  found = selection.select(
    run.record, score_tables.HEADLINE, setting=run.setting
  )
  return calibration.describe(
    calibration_lib.describe(
      run.record['labels'],
      selection.probabilities(found.logits),
      run.record['groups'],
    )
  )


def _flat(config, prefix) -> Iterator[tuple[str, Any]]:
  for name, value in config.items():
    if isinstance(value, dict) and value:
      yield from _flat(value, f'{prefix}{name}.')
    else:
      yield f'{prefix}{name}', value


def _dot(label: str, entry: dict, kind: str) -> charts.Dot:
  """Makes the dot of the UF1 in an entry of metrics.json."""
  return charts.Dot(
    label, entry['uf1'], *entry['uf1_ci'], kind, entry['uf1_seeds']
  )


def _baseline_dots(run: Run) -> list[charts.Dot]:
  return [
    _dot(score_tables.name_baseline(name), entries['full'], 'baseline')
    for name, entries in run.numbers['baselines'].items()
  ]
