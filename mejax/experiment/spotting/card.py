"""Writes the card of a saved spotter: `MODEL.md`, for people."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from mejax.evaluation import bootstrap
from mejax.experiment.packs import card as card_lib

# How the spotters of a comparison are called in a table.
_NAMES = {
  'network': 'network',
  'untrained': 'without training, thresholds of the same budget',
  'untrained, as shipped': 'without training, as it ships',
}


def render(name: str, about: Mapping[str, Any], notes: str = '') -> str:
  """Returns the Markdown of a card.

  Args:
    name: of the folder.
    about: the content of `model.json`.
    notes: Markdown to add.
  """
  return card_lib.joined(
    [
      f'# {name}',
      *_what(about),
      *card_lib.terms(about),
      '## What it has seen',
      *_seen(about),
      '## Scores',
      *_scores(about['scores']),
      *([notes.strip()] if notes.strip() else []),
      '## Use it',
      *_use(about),
    ]
  )


def _what(about) -> Iterator[str]:
  told, members = about['inputs'], len(about['members'])
  limits = ', '.join(f'{k} {v:.3g}' for k, v in about['thresholds'].items())
  yield (
    'It tells for each frame of a long recording how likely a micro- and a'
    f' macro-expression is under way. It has {about["model"]["weights"]:,}'
    ' weights'
    + f', and is the mean of {members} trainings' * (members > 1)
    + f'. What is spotted has these probabilities at least: {limits}.'
  )
  yield (
    f'It reads float32 of {told["length"]} x {told["channels"]}: the signals'
    f' that `mejax spot` measures, {told["rate"]:g} times a second. The first'
    f' and last {told["margin"]} of a window only help to see the others.'
  )


def _seen(about) -> Iterator[str]:
  data, seen = about['data'], about['seen']
  whose = ' It is rendered: no real person is in it.' * data['rendered']
  yield (
    f'`{data["dataset"]}`: {data["recordings"]} recordings of'
    f' {data["people"]} people.{whose} `model.json` lists'
    f' {len(seen["people"])} people and {len(seen["clips"])} recordings, by'
    ' digests of their names.'
  )


def _scores(scores) -> Iterator[str]:
  yield (
    'They are of networks that were trained in the same way and had not seen'
    ' the person: this network has seen everybody. '
    f'{scores["protocol"]} {scores["recordings"]} recordings of'
    f' {scores["people"]} people, {scores["minutes"]:.0f} minutes. Thresholds'
    f' leave {scores["budget"]:g} false alarms of each type a minute among the'
    ' people in training.'
  )
  lines = [
    '| type | spotter | F1 | 95 % over people | found | false a minute |',
    '|---|---|---|---|---|---|',
  ]
  by_type = {}
  for spotter, found in scores['scores'].items():
    for kind, one in found.items():
      by_type.setdefault(kind, []).append((_NAMES[spotter], one))
  lines += [
    row(kind, spotter, one)
    for kind, some in by_type.items()
    for spotter, one in some
  ]
  yield '\n'.join(lines)
  for other, found in scores['paired'].items():
    yield '\n'.join(
      f'* {kind}: F1 of the network minus that of spotting {_NAMES[other]}: '
      + bootstrap.describe_difference((one['f1'], one['low'], one['high']))
      for kind, one in found.items()
    )


def row(first: str, second: str, one: Mapping[str, Any]) -> str:
  """Returns scores of one type as a row of a table."""
  low, high = one['interval']
  return (
    f'| {first} | {second} | {one["f1"]:.3f} | {low:.3f} to {high:.3f} |'
    f' {one["hits"]} of {one["truths"]} | {one["false_alarms_a_minute"]:.2f} |'
  )


def _use(about) -> Iterator[str]:
  yield (
    '```text\nmejax spot VIDEO --spotter FOLDER\nmejax predict VIDEO --spotter'
    ' FOLDER\n```'
  )
  yield (
    'In Python `mejax.spot(VIDEO, spotter=trained.read(FOLDER))`, with'
    ' `mejax.experiment.spotting.trained`.'
  )
  yield from card_lib.elsewhere(
    about,
    shape=(about['inputs']['length'], about['inputs']['channels']),
    dtype='float32',
    said='Of micro and macro, at each time.',
  )
