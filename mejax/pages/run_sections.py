"""The sections of the report that tell of one run."""

from __future__ import annotations

import dataclasses
import html
import json

from jaxtyping import Integer
import numpy as np

from mejax.evaluation import bootstrap
from mejax.evaluation import metrics
from mejax.evaluation import selection
from mejax.pages import attention
from mejax.pages import charts
from mejax.pages import frame
from mejax.pages import levels

HEADLINE = 'last'
_COLUMNS = 'rule,clips,UF1,95 %,UAR,95 %,accuracy,precision'.split(',')
_BASELINE_NAMES = {
  'majority': 'majority class',
  'pca_logistic': 'PCA + logistic',
  'rbf_svm': 'RBF-SVM',
}


@dataclasses.dataclass(frozen=True)
class Run:
  """What a workdir holds.

  Attributes:
    name: what the page calls the run.
    numbers: `metrics.json`.
    record: `record.npz`.
    config: `config.json`; empty if the run has none.
    levels: `levels.json`; empty if its models read no amplification levels.
    looked: `attention.npz`; empty if its models do not show where they looked.
  """

  name: str
  numbers: dict
  record: dict[str, np.ndarray]
  config: dict
  levels: dict
  looked: dict[str, np.ndarray]

  def entry(self, rule: str = HEADLINE) -> dict:
    """The numbers of a rule on all examples."""
    return self.numbers['selection'][rule]['full']

  def matrices(self) -> Integer[np.ndarray, 's g k o']:
    """Confusion matrices of seeds and subjects, as the headline rule picks."""
    setting = int(self.record['setting'].min())
    found = selection.select(self.record, HEADLINE, setting=setting)
    return bootstrap.group_confusion(
      self.record['labels'],
      selection.predictions(found.logits),
      self.record['groups'],
      num_classes=len(self.record['class_names']),
      num_outputs=self.record['logits'].shape[-1],
    )


def one_run(run: Run, *, titled: bool) -> str:
  """All sections of a run as HTML, under its name if `titled`."""
  title = f'<h2>{html.escape(run.name)}</h2>' if titled else ''
  parts = (
    _notes, _headline, _gap, _confusion, _parts, _subjects, _levels, _looked,
    _curves, _numbers, _settings, _rules, _config,
  )  # fmt: skip
  return f'<section>{title}{"".join(part(run) for part in parts)}</section>'


def _notes(run):
  notes = []
  if run.numbers['num_seeds'] < 5:
    notes.append(
      f'{_plural(run.numbers["num_seeds"], "seed")}: too few to publish. Seeds '
      'alone move UF1 by about 0.03; use at least 5.'
    )
  if run.numbers['trials_not_finite']:
    notes.append(
      f'{_plural(run.numbers["trials_not_finite"], "training")} diverged: some '
      'held-out logits are not finite.'
    )
  if 'settings' in run.numbers:
    notes.append(
      f'The run holds {len(run.numbers["settings"])} settings. This page shows '
      'the first; picking the best by these numbers would make it '
      f'{selection.WARNING}.'
    )
  return ''.join(f'<p class="note">{note}</p>' for note in notes)


def _headline(run):
  entry, numbers = run.entry(), run.numbers
  spread = (
    f'<small> &plusmn; {entry["uf1_std"]:.3f}</small>'
    if numbers['num_seeds'] > 1
    else ''
  )
  low, high = entry['uf1_ci']
  rows = [dot(HEADLINE + ' epoch', entry, 'honest')]
  if 'inner' in numbers['selection']:
    rows.append(dot('inner folds', run.entry('inner'), 'honest'))
  rows += baseline_dots(run)
  counts = numbers['class_counts']['full']
  facts = (
    (entry['n'], 'clips'),
    (entry['subjects'], 'subjects'),
    tuple(_plural(numbers['num_seeds'], 'seed').split()),
    (f'{entry["uar"]:.3f}', 'UAR'),
    (f'{entry["accuracy"]:.3f}', 'accuracy'),
  )
  return (
    '<div class="panel"><div class="hero"><div><p class="eyebrow">UF1, honest'
    f'</p><span class="score">{entry["uf1"]:.3f}{spread}</span></div>'
    f'<p>95 % interval over subjects <b>{low:.3f} to {high:.3f}</b>.<br>'
    f'{_against_baselines(run)}</p></div><ul class="facts">'
    + ''.join(f'<li><b>{value}</b> {name}</li>' for value, name in facts)
    + '</ul>'
    + frame.figure(
      charts.dot_plot(rows, label='UF1 of this run and of the baselines'),
      'Shaded: 95 % interval from resampling subjects; ticks: seeds. Squares: '
      'baselines, simple classifiers on the same inputs and folds.',
    )
    + frame.figure(
      charts.class_bar(counts, numbers['class_names']), 'Clips of each class.'
    )
    + '</div>'
  )


def _against_baselines(run):
  """The best baseline, and whether this run differs from it."""
  baselines = run.numbers['baselines']
  if not baselines:
    return ''
  best = max(baselines, key=lambda name: baselines[name]['full']['uf1'])
  value, low, high = baselines[best]['full']['last_minus']
  verdict = 'Not told apart from'
  if low > 0:
    verdict = 'Above'
  elif high < 0:
    verdict = 'Below'
  return (
    f'{verdict} the best baseline, {_BASELINE_NAMES.get(best, best)} '
    f'({baselines[best]["full"]["uf1"]:.3f}): difference '
    f'{difference(value, low, high)}.'
  )


def _gap(run):
  if 'oracle' not in run.numbers['selection']:
    return ''
  honest, oracle = run.entry()['uf1'], run.entry('oracle')['uf1']
  setting = int(run.record['setting'].min())
  picked = selection.select(run.record, 'oracle', setting=setting).epochs
  return (
    '<h3>What looking at the answers would add</h3>'
    '<p>Many published tables keep, for every test subject, the epoch that '
    'scored best on that very subject. Applied to these same trainings that '
    f'shows {oracle:.3f} in place of {honest:.3f}. Nothing was learnt better; '
    'the answers were used to choose. The hatched number is '
    f'<span class="oracle-words">{selection.WARNING}</span>.</p>'
    + frame.figure(
      charts.gap(honest, oracle)
      + charts.epoch_histogram(run.record['epochs'], picked[picked >= 0]),
      'Above: UF1. Below: how often each epoch was the pick for some subject '
      'and seed (ties go to the later).',
    )
  )


def _confusion(run):
  entry, names = run.entry(), run.numbers['class_names']
  matrix = np.asarray(entry['confusion']) / run.numbers['num_seeds']
  pictures = ''.join(
    frame.figure(
      charts.confusion_matrix(matrix, names, normalised=normalised),
      caption,
      '',
    )
    for normalised, caption in (
      (False, 'Clips, mean over seeds.'),
      (True, 'Share of each true class.'),
    )
  )
  return (
    '<h3>What is taken for what</h3><p class="soft">Truth in rows.</p>'
    f'<div class="pair">{pictures}</div>'
  )


def _parts(run):
  entries = run.numbers['selection'][HEADLINE]
  if len(entries) == 1:
    return ''
  rows = [
    dot(f'{part} ({entry["n"]})', entry, 'honest')
    for part, entry in entries.items()
    if part != 'full'
  ]
  return '<h3>By database</h3>' + frame.figure(
    charts.dot_plot(rows, label='UF1 of each database'),
    'The same predictions, pooled again over the subjects of each database. '
    'In brackets: clips.',
  )


def _subjects(run):
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
  rows.sort(key=lambda row: (row[0], -row[2], row[1]))
  return '<h3>By subject</h3>' + frame.figure(
    charts.subject_bars(rows),
    'Accuracy in per cent, mean over seeds; a bar is a subject held out. Many '
    'subjects have few clips and lack a class: single bars mean little.',
  )


def _levels(run):
  return levels.section(run.levels) if run.levels else ''


def _looked(run):
  return attention.section(run.looked) if run.looked else ''


def _curves(run):
  record = run.record
  setting = record['setting'].min()
  outer = (record['inner'] < 0) & (record['setting'] == setting)
  seeds = np.unique(record['seed'][outer])
  uf1, loss = [], []
  for seed in seeds:
    trials = np.flatnonzero(outer & (record['seed'] == seed)).tolist()
    pooled = sum(selection.trial_confusion(record, t) for t in trials)
    uf1.append(metrics.uf1_of(pooled))
    loss.append(record['train_loss'][trials].mean(0))
  return (
    '<h3>Learning</h3><div class="pair">'
    + frame.figure(
      charts.curves(
        record['epochs'],
        np.asarray(loss, float),
        label='Training loss over epochs',
        kind='loss',
      ),
      'Training loss, mean over folds.',
      '',
    )
    + frame.figure(
      charts.curves(
        record['epochs'],
        np.asarray(uf1, float),
        label='Held-out UF1 over epochs',
        kind='honest',
        top=1.0,
      ),
      'Held-out UF1, pooled over folds. The dot is the last epoch, which '
      'counts; a higher point before it is not a result.',
      '',
    )
    + '</div><p class="soft">Line: mean over seeds. Band: lowest to highest '
    'seed.</p>'
  )


def _numbers(run):
  rows = []
  for name, entries in run.numbers['selection'].items():
    honest = selection.RULES[name].honest
    rows += _table_rows(name, entries, '' if honest else 'oracle')
  for name, entries in run.numbers['baselines'].items():
    rows += _table_rows(_BASELINE_NAMES.get(name, name), entries, '')
  words = (
    f'<p class="soft">&plusmn; is the standard deviation over seeds, 95 % an '
    'interval from resampling subjects. Rows in '
    f'<span class="oracle-words">orange: {selection.WARNING}</span>.</p>'
  )
  return f'<h3>All numbers</h3>{words}' + frame.table(_COLUMNS, rows)


def _settings(run):
  if 'settings' not in run.numbers:
    return ''
  rows = []
  for one in run.numbers['settings']:
    full = {'full': one['selection'][HEADLINE]['full']}
    rows += _table_rows(f'setting {one["setting"]}', full, '')
  return (
    '<h3>All settings</h3><p class="soft">Last epoch. None is chosen: the best '
    'of many is a lucky one.</p>' + frame.table(_COLUMNS, rows)
  )


def _table_rows(label, entries, kind):
  rows = []
  for part, entry in entries.items():
    whole = part == 'full'
    rows.append(
      (
        f'{kind} {"first" if whole else "part"}',
        [
          _label(label, kind) if whole else part,
          str(entry['n']),
          _spread(entry, 'uf1'),
          '{:.3f}–{:.3f}'.format(*entry['uf1_ci']),
          _spread(entry, 'uar'),
          '{:.3f}–{:.3f}'.format(*entry['uar_ci']),
          _spread(entry, 'accuracy'),
          _spread(entry, 'mean_precision'),
        ],
      )
    )
  return rows


def _label(name, kind):
  return f'{name} (test-selected)' if kind == 'oracle' else name


def _rules(run):
  rows = [
    ('' if selection.RULES[rule].honest else 'oracle', [rule, sentence])
    for rule, sentence in run.numbers['rules'].items()
  ]
  return '<h3>How the epoch was chosen</h3>' + frame.table([], rows, 'words')


def _config(run):
  rows = [('', [name, json.dumps(v)]) for name, v in _flat(run.config, '')]
  if not rows:
    return ''
  return (
    '<details><summary>Configuration</summary>'
    f'{frame.table([], rows, "words config")}</details>'
  )


def _flat(config, prefix):
  for name, value in config.items():
    if isinstance(value, dict) and value:
      yield from _flat(value, f'{prefix}{name}.')
    else:
      yield f'{prefix}{name}', value


def dot(label: str, entry: dict, kind: str) -> charts.Dot:
  """The UF1 of an entry of metrics.json."""
  return charts.Dot(
    label, entry['uf1'], *entry['uf1_ci'], kind, entry['uf1_seeds']
  )


def baseline_dots(run: Run) -> list[charts.Dot]:
  """The UF1 of the baselines."""
  return [
    dot(_BASELINE_NAMES.get(name, name), entries['full'], 'baseline')
    for name, entries in run.numbers['baselines'].items()
  ]


def difference(value: float, low: float, high: float) -> str:
  """A paired difference with its interval."""
  return f'{value:+.3f} [{low:+.3f}, {high:+.3f}]'


def _spread(entry, name):
  several = len(entry[f'{name}_seeds']) > 1
  spread = f' ± {entry[f"{name}_std"]:.3f}' if several else ''
  return f'{entry[name]:.3f}{spread}'


def _plural(number, word):
  return f'{number} {word}{"" if number == 1 else "s"}'
