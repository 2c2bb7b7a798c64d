"""Writes the card of a saved model: `MODEL.md`, for people."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import re
from typing import Any

from jaxtyping import Shaped
import numpy as np

from mejax.evaluation import baselines
from mejax.evaluation import best_baseline

NOT_FOR = (
  'To infer what people feel at work or in education: the European Union'
  ' prohibits that (Regulation 2024/1689, Article 5(1)(f)).',
  'To tell lies from truth, to judge a person, or to decide about one: it says'
  ' what a motion of the face is most like, and not what a person feels.',
  'On recordings of people who have not agreed to that.',
  'To report a score on people whom it has seen.',
)
_THEIRS = 'the licence of its authors, under which you got the data'
_LICENCES = {
  'casme': f'CASME: {_THEIRS}',
  'casme2': f'CASME II: {_THEIRS}',
  'casme2_long': f'CAS(ME)^2: {_THEIRS}',
  'casme3': f'CAS(ME)^3: {_THEIRS}',
  'casme3_long': f'CAS(ME)^3: {_THEIRS}',
  'casme3_c': f'CAS(ME)^3: {_THEIRS}',
  'casme3_c_long': f'CAS(ME)^3: {_THEIRS}',
  'samm': f'SAMM: {_THEIRS}',
  'samm_long': f'SAMM Long Videos: {_THEIRS}',
  'smic': f'SMIC: {_THEIRS}',
  'smic_vis': f'SMIC: {_THEIRS}',
  'smic_nir': f'SMIC: {_THEIRS}',
  'mmew': f'MMEW: {_THEIRS}',
  'fourdme': f'4DME: {_THEIRS}',
  'dfme': f'DFME: {_THEIRS}',
  # Faces that mejax draws belong to nobody.
  'synthetic': '',
  'generated': '',
}
_OWN = 'what the people in the recordings have agreed to'

_JAX = """\
import json
import pathlib

from jax import export
import jax.numpy as jnp
import numpy as np

folder = pathlib.Path('.')
call = export.deserialize(bytearray((folder / 'model.jax').read_bytes())).call
data = (folder / 'weights.safetensors').read_bytes()
start = 8 + int.from_bytes(data[:8], 'little')
kinds = {'F32': jnp.float32, 'F16': jnp.float16, 'BF16': jnp.bfloat16,
         'I32': jnp.int32, 'U8': jnp.uint8, 'BOOL': jnp.bool_}
weights = {
  name: np.frombuffer(
    data[slice(*(start + at for at in each['data_offsets']))],
    kinds[each['dtype']],
  ).reshape(each['shape'])
  for name, each in json.loads(data[8:start]).items()
  if name != '__metadata__'
}
inputs = np.zeros((2, SHAPE), 'DTYPE')
print(call(weights, inputs))  # SAID
"""


def licences_of(corpus: Shaped[np.ndarray, ' n']) -> list[str]:
  """Returns the terms that corpora impose on a model; [] if none do."""
  found = [
    _LICENCES.get(name, f'{name}: {_OWN}')
    for name in np.unique(corpus).tolist()
  ]
  return list(dict.fromkeys(filter(None, found)))


def render(name: str, about: Mapping[str, Any], notes: str = '') -> str:
  """Returns the Markdown of a card.

  Args:
    name: of the model.
    about: the content of `model.json`.
    notes: Markdown to add.
  """
  parts = [
    f'# {name}',
    *_what(about),
    *terms(about),
    '## What it has seen',
    *_seen(about),
    '## Scores',
    *_scores(about),
    *_units(about),
    *([notes.strip()] if notes.strip() else []),
    '## Use it',
    *_use(name, about),
  ]
  return joined(parts)


def joined(parts: Sequence[str]) -> str:
  """Returns paragraphs as one text, in which items of a list stand together."""
  text = '\n\n'.join(parts)
  return re.sub(r'(?m)^(\* .*)\n\n(?=\* )', r'\1\n', text) + '\n'


def terms(about: Mapping[str, Any]) -> Iterator[str]:
  """Yields what a model must not be used for, and its licences."""
  yield '## It must not be used'
  yield from (f'* {line}' for line in about['not_for'])
  yield '## Licences'
  yield from (f'* {line}' for line in about['licences'])
  if not about['licences']:
    yield 'No data bind it.'


def _what(about) -> Iterator[str]:
  config, members = about['config'], about['members']
  kind = 'all people' if members[0]['everybody'] else 'all but some people each'
  told, recipe = about['inputs'], about['recipe']
  yield (
    f'It tells {len(about["classes"])} classes of micro-expressions apart:'
    f' {", ".join(about["classes"])}. It is the mean of'
    f' {len(members)} models `{config["model"].get("name", "")}`, each trained'
    f' on {kind}, after epoch {about["epoch"]}, at a temperature of'
    f' {about["temperature"]:.3g}.'
  )
  view = config['view'].get('name')
  made = f', as the view `{view}` makes them' if view else ''
  shape = ' x '.join(map(str, told['shape']))
  yield f'It reads {told["dtype"]} of {shape}{made}.'
  if recipe:
    yield (
      f'Recipe of the dataset: flow {recipe["flow"]}, units'
      f' {recipe["units"]}, levels {recipe["levels"]}, {recipe["size"]} pixels,'
      f' face points: {recipe["landmark_source"]}. `model.json` has all of it.'
    )


def _seen(about) -> Iterator[str]:
  data, seen = about['data'], about['seen']
  if data['generated']:
    yield 'It was trained on generated people; no real person is among them.'
    return
  for corpus, count in data['corpora'].items():
    yield f'* {corpus}: {count["clips"]} clips of {count["people"]} people'
  yield (
    f'`model.json` lists {len(seen["people"])} people and'
    f' {len(seen["clips"])} clips, by digests of their names. `mejax evaluate`'
    ' and `mejax train --init` refuse them.'
  )
  if seen['unknown']:
    yield (
      '**Its training started from converted weights, and nobody knows whom'
      ' those have seen. No score of it is a held-out result.**'
    )


def _scores(about) -> Iterator[str]:
  scores, fitted = about['scores'], about['calibration']
  whose = (
    'They are of models that were trained in the same way and had not seen the'
    ' person: the model itself has seen everybody.'
  )
  if about['data']['generated']:
    whose = 'They are of generated people, and say little of real ones.'
  yield f'{whose} {scores["protocol"]}'
  rows = [
    ('mean over seeds' if scores['together'] else 'held out', scores['last'])
  ]
  if scores['together']:
    rows.append((f'{scores["seeds"]} seeds together', scores['together']))
  lines = [
    '| | clips | people | UF1 | 95 % | UAR |',
    '|---|---|---|---|---|---|',
  ]
  for label, entries in rows:
    lines += [
      _row(label if part == 'full' else f'{label}, {part}', entry)
      for part, entry in entries.items()
    ]
  for name, entry in scores['baselines'].items():
    label = f'baseline: {baselines.NAMES.get(name, name)}'
    lines.append(_row(label, entry))
  yield '\n'.join(lines)
  count = scores['settings']
  yield (
    f'How it was chosen: {scores["rule"]}'
    + f' Of {count} settings of the run it is the first.' * (count > 1)
    + ' The intervals are from resampling the people.'
  )
  if best := scores['best_baseline']:
    yield (
      f'UF1 minus that of the best baseline,'
      f' {baselines.NAMES.get(best, best)}:'
      ' {:+.3f} ({:+.3f} to {:+.3f}).'.format(
        *scores['baselines'][best]['last_minus']
      )
      + f' {best_baseline.CHOSEN}'
    )
  if warning := scores['last']['full'].get('warning'):
    yield f'**{warning}**'
  yield (
    f'The temperature was fitted on these {fitted["clips"]} held-out'
    f' predictions: their mean negative log likelihood was'
    f' {fitted["loss_before"]:.3f} and became {fitted["loss"]:.3f}.'
  )


def _units(about) -> Iterator[str]:
  """Says which action units are told, and how well, if thresholds are known."""
  if 'units' not in about:
    return
  told, mean = about['units'], about['units']['mean']
  yield '## Action units'
  yield (
    'It tells an action unit whose share reaches a threshold.'
    f' {told["chosen"]} Means over the units on people who were held out: area'
    f' under the ROC curve {_number(mean["area"])}, F1'
    f' {_number(mean["f1"])}, and {_number(mean["f1_half"])} with one half as'
    f' threshold; mean F1 of showing and of not showing a unit'
    f' {_number(mean["f1_macro"])}, and {_number(mean["f1_macro_half"])}.'
  )
  cells = [f'{x:.2f}' for x in told['thresholds']]
  rows = (['unit', *told['names']], ['---'] * (1 + len(cells)))
  rows += (['threshold', *cells],)
  yield '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _number(value: float | None) -> str:
  return '-' if value is None else f'{value:.3f}'


def _row(label: str, entry: Mapping[str, Any]) -> str:
  low, high = entry['uf1_ci']
  return (
    f'| {label} | {entry["n"]} | {entry["subjects"]} | {entry["uf1"]:.3f} |'
    f' {low:.3f} to {high:.3f} | {entry["uar"]:.3f} |'
  )


def _use(name: str, about) -> Iterator[str]:
  yield (
    f'```python\nfrom mejax import experiment\n\nmodel ='
    f" experiment.load_model('{name}')\n"
    'probabilities = model.predict(inputs)  # [n, classes]\n'
    'log_probabilities = model.apply(model.params, inputs)  # Pure: jit, grad.'
    '\n```'
  )
  told = about['inputs']
  yield from elsewhere(
    about,
    shape=told['shape'],
    dtype=told['dtype'],
    said='The probability of each class.',
  )


def elsewhere(
  about: Mapping[str, Any], *, shape: Sequence[int], dtype: str, said: str
) -> Iterator[str]:
  """Yields how a model is used where mejax is not, and what it was made with.

  Args:
    about: the content of `model.json`.
    shape, dtype: of an input.
    said: what comes out, as a sentence.
  """
  if 'model.jax' in about['sha256']:
    yield 'Where only `jax` and `flatbuffers` are installed:'
    code = _JAX.replace('SHAPE', ', '.join(map(str, shape)))
    code = code.replace('DTYPE', dtype).replace('SAID', said)
    yield f'```python\n{code}```'
  versions = about['versions']
  yield 'Made with ' + ', '.join(f'{k} {v}' for k, v in versions.items()) + '.'
