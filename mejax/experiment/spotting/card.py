"""The card of a trained spotter, which lies beside its file."""

from __future__ import annotations

import jax
import numpy as np

from mejax.experiment.packs import card as card_lib
from mejax.experiment.spotting.trained import Trained

NAME = 'MODEL.md'


def card(trained: Trained, *, dataset: str, is_rendered: bool) -> str:
  """Returns the card as Markdown.

  Args:
    trained: networks of everybody.
    dataset: name of the folder of signals.
    is_rendered: whether its people are rendered.
  """
  number = sum(np.size(x) for x in jax.tree.leaves(trained.params))
  members = len(jax.tree.leaves(trained.params)[0])
  people = ', '.join(trained.people)
  limits = ', '.join(f'{k} {v:.3g}' for k, v in trained.thresholds.items())
  who, licence = 'people', 'Those of the recordings bind it.'
  if is_rendered:
    who = 'rendered people; no real person is among them'
    licence = 'Apache-2.0. No data bind it.'
  parts = [
    '# Spotter',
    f'It tells for each frame of the signals that `mejax spot` measures how'
    ' likely a micro- and a macro-expression is under way.'
    f' It has {number // members:,} weights'
    + f', and is the mean of {members} trainings' * (members > 1)
    + f'. What is spotted has these probabilities at least: {limits}.',
    '## It must not be used',
    '\n'.join(f'* {line}' for line in card_lib.NOT_FOR),
    '## Licences',
    licence,
    '## What it has seen',
    f'{len(trained.people)} {who} (`{dataset}`): {people}.',
    '## Scores',
    'Of people held out; this network is one of everybody, of the same recipe.',
    f'```text\n{trained.scores}\n```',
    '## Use it',
    '`mejax spot VIDEO --spotter FOLDER`, where FOLDER holds `spotter.npz`; in'
    ' Python `mejax.spot(VIDEO, spotter=trained.read(FOLDER))` with'
    ' `mejax.experiment.spotting.trained`.',
  ]
  return '\n\n'.join(parts) + '\n'
