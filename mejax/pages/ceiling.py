"""Shows what no model reaches on these data, and what may hold scores back."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import shlex
from typing import Any

from mejax.evaluation import baselines as baselines_lib
from mejax.evaluation import ceiling
from mejax.evaluation import selection
from mejax.evaluation import together as together_lib
from mejax.pages import charts
from mejax.pages import pictures
from mejax.pages import score_tables
from mejax.pages.finished_run import Run

# Clips that the command for looking at them names.
_IN_COMMAND = 40


def describe(
  runs: Sequence[Run],
  measured: Mapping[str, Any] | None,
  shown: Mapping[str, pictures.Image],
) -> dict[str, Any] | None:
  """Makes all that `ceiling.html` shows; None if there is nothing.

  Args:
    runs: the runs of the page.
    measured: the result of `experiment.ceilings.measure`, if it was called.
    shown: pictures of clips that may be shown, by `corpus/subject/clip`.
  """
  agreed = agree(runs)
  if agreed is None and not measured:
    return None
  return {
    'agreement': agreed and _agreement(agreed, runs[0], shown),
    'people': measured and _people(measured),
    'curve': measured and _curve(measured),
  }


def agree(runs: Sequence[Run]) -> dict[str, Any] | None:
  """Finds the clips on which the runs, and the baselines of the first, agree.

  A run counts as all its seeds together. The majority class is no model here,
  and runs on other clips or labels are left out.

  Returns:
    See `evaluation.ceiling.agreement`; None if there is a single model.
  """
  first, answers = runs[0], {}
  for run in runs:
    if run.examples() == first.examples():
      member = together_lib.member_of(run.name, run.record, like=first.record)
      answers[run.name] = selection.predictions(member.probabilities)
  for name, array in baselines_lib.predictions_of(first.baselines).items():
    if name != 'majority':
      answers[score_tables.name_baseline(name)] = array
  if len(answers) < 2:
    return None
  return ceiling.agreement(first.record, answers)


def identity_of(clip: Mapping[str, str]) -> str:
  """Returns `corpus/subject/clip`."""
  return '/'.join(clip[key] for key in ('corpus', 'subject', 'clip'))


def _agreement(agreed, run: Run, shown) -> dict[str, Any]:
  identities = [identity_of(clip) for clip in agreed['clips']]
  command = ''
  if identities and (dataset := run.config.get('dataset')):
    words = ['mejax', 'inspect', dataset, '--data_dir', run.data_dir]
    command = shlex.join([*words, '--clip', *identities[:_IN_COMMAND]])
  return {
    **agreed,
    'command': command,
    'pairs': [
      {
        'kind': '',
        'cells': [pair['corpus'], pair['label'], pair['answer'], pair['clips']],
      }
      for pair in agreed['pairs']
    ],
    'clips': [
      {'kind': '', 'cells': [identity, clip['label'], clip['answer']]}
      for identity, clip in zip(identities, agreed['clips'], strict=True)
    ],
    'pictures': [
      (shown[identity], clip)
      for identity, clip in zip(identities, agreed['clips'], strict=True)
      if identity in shown
    ],
  }


def _people(measured) -> dict[str, Any]:
  rows = [
    _dot('folds over people', measured['people'], 'baseline'),
    _dot('folds over clips', measured['clips'], 'oracle'),
  ]
  return {
    'baseline': score_tables.name_baseline(measured['baseline']),
    'dots': charts.fluid(
      charts.dot_plot, rows, label='UF1 of folds over people and clips'
    ),
    'folds': measured['folds'],
    'difference': measured['clips']['uf1'] - measured['people']['uf1'],
    # Where everybody has a single clip, no fold divides a person.
    'warning': measured['clips'].get('warning', ''),
  }


def _curve(measured) -> dict[str, Any]:
  rows = [
    _dot(
      f'{100 * one["share"]:.0f} %, {one["people"]:.0f} people', one['entry']
    )
    for one in measured['curve']
  ]
  return {
    'baseline': score_tables.name_baseline(measured['baseline']),
    'dots': charts.fluid(
      charts.dot_plot, rows, label='UF1 by share of the training people'
    ),
    'draws': max(one['draws'] for one in measured['curve']),
  }


def _dot(label, entry, kind='baseline') -> charts.Dot:
  return charts.Dot(
    label, entry['uf1'], *entry['uf1_ci'], kind, entry['uf1_seeds']
  )
