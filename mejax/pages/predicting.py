"""Makes the page of what motions in recordings are most like."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.pages import frame
from mejax.pages import notice
from mejax.pages import pictures
from mejax.pages import spotting
from mejax.pages.pictures import Image
from mejax.pages.spotting import clock

# A fall of the probability that has the full colour on every page, and the
# probability below which an answer is hardly one.
FULL_FALL, _WEAK = 0.25, 0.5
# Events with pictures on a page; those of all events are files beside it.
MOST = 60

Result = Mapping[str, Any]
_TYPES = {'whole': 'the whole recording', 'given': 'frames as given'}
_HEAD = (
  'recording', 'at', 'type', 'onset–apex–offset', 'most like', 'probability',
  'motion', 'eyes apart', 'notes',
)  # fmt: skip


def page(
  results: Sequence[Result],
  *,
  classes: Sequence[str],
  abstain: float,
  about: Mapping[str, Any],
) -> str:
  """Returns the HTML page.

  Args:
    results: of each recording `name`, `fps`, `frames`, `rows` (those of the
      table, with `own_warnings`, those that the recording does not share),
      `cards` (`row`, `apex`, `tiles`), `remarks` on all of it and `curves`,
      which a timeline shows; JSON values.
    classes: of the model.
    abstain: smallest probability that is an answer.
    about: of the model: `name`, `generated`, `members`, and `units`, the
      threshold of each action unit that it tells.
  """
  left = MOST
  shown = []
  for result in results:
    shown.append(_shown(result, classes, abstain, about['units'], most=left))
    left -= len(shown[-1]['cards'])
  # A caption that is read once need not be read again.
  first = next((one for one in shown if one['timeline']), None)
  names = ', '.join(result['name'] for result in results[:3])
  return frame.render(
    'predicting.html',
    title=f'Most like: {names}',
    recordings=shown,
    explained=first,
    several=len(results) > 1,
    about=about,
    caution=notice.GENERATED,
    classes=classes,
    abstain=abstain,
    weak=_weak(results, classes, abstain),
    key=_key() if any(one['cards'] for one in shown) else None,
    facts=_facts(results, classes, abstain),
    head=_HEAD[0 if len(results) > 1 else 1 :],
    rows=[
      row
      for result in results
      for row in _rows(result, classes, abstain, several=len(results) > 1)
    ],
  )


def _key() -> dict[str, str]:
  """Returns the colours of flow, and of what the answer loses."""
  values = np.tile(np.linspace(0, 1, 128)[None], (16, 1))
  return {
    'wheel': pictures.png(pictures.wheel(136)),
    'ramp': pictures.png(veiled(np.full((16, 128, 1), 208.0), values)),
    'full': f'{100 * FULL_FALL:.0f}',
  }


def veiled(
  grey: Float[np.ndarray, 'h w 1'], value: Float[np.ndarray, 'h w']
) -> UInt8[np.ndarray, 'h w 3']:
  """Colours a grey picture where the motion decides.

  Args:
    grey: 0 to 255.
    value: 0 for no colour, 1 for the full one.
  """
  share = 0.8 * value[..., None] ** 0.8
  mixed = (1 - share) * grey + share * 255 * pictures.heat_colour(value)
  return np.rint(mixed).clip(0, 255).astype(np.uint8)


def _weak(results, classes, abstain) -> int:
  """Returns how many answers are less likely than all others together."""
  return sum(
    abstain <= max(row[f'p_{name}'] for name in classes) < _WEAK
    for result in results
    for row in result['rows']
    if _said(row, classes)
  )


def _facts(results, classes, abstain) -> list[tuple[object, str]]:
  events = [
    row for result in results for row in result['rows'] if _said(row, classes)
  ]
  facts = [
    (len(results), 'recording' + 's' * (len(results) != 1)),
    (len(events), 'movement' + 's' * (len(events) != 1)),
  ]
  answers = [_answer(row, classes, abstain) for row in events]
  facts += [
    (answers.count(name), f'most like {name}')
    for name in classes
    if name in answers
  ]
  if answers.count(''):
    facts.append((answers.count(''), 'undecided'))
  return facts


def _shown(
  result: Result, classes, abstain, thresholds, *, most: int
) -> dict[str, Any]:
  rows = result['rows']
  events = [row for row in rows if row.get('onset') is not None]
  told = [row.get('warnings', '') for row in rows if row not in events]
  return {
    'name': result['name'],
    'length': _length(result),
    'remarks': list(filter(None, [*result.get('remarks', ()), *told])),
    'timeline': _timeline(result, events),
    'has_threshold': bool(result['curves'].get('threshold')),
    'cards': [
      _card(card, classes, abstain, thresholds)
      for card in result['cards'][: max(most, 0)]
    ],
    'left_out': len(result['cards'][max(most, 0) :]),
  }


def _length(result: Result) -> str:
  if not result['frames']:
    return ''
  frames = frame.plural(result['frames'], 'frame')
  if not result['fps']:
    return frames
  seconds = result['frames'] / result['fps']
  long = f'{seconds:.2f} s' if seconds < 10 else clock(seconds)
  return f'{long}, {frames} at {result["fps"]:.5g} a second'


def _timeline(result: Result, events):
  curves = dict(result['curves'])
  if not curves:
    return ''
  for name in ('times', 'strength'):
    curves[name] = np.array(
      [np.nan if value is None else value for value in curves[name]]
    )
  return spotting.timeline(
    spotting.Recording(
      name=result['name'],
      fps=result['fps'],
      candidates=[
        {
          'type': row['type'],
          'score': row['motion_noise'],
          'regions': row['regions'],
          'flags': '',
          **{name: row[name] for name in ('onset_s', 'apex_s', 'offset_s')},
        }
        for row in events
        if row['type'] in ('micro', 'macro')
      ],
      **curves,
    )
  )


def _said(row, classes) -> bool:
  return row.get(f'p_{classes[0]}') is not None


def _answer(row, classes, abstain) -> str:
  """Returns the class of a row; '' if none is likely enough."""
  shares = {name: row[f'p_{name}'] for name in classes}
  best = max(shares, key=shares.get)
  return best if shares[best] >= abstain else ''


def _rows(result: Result, classes, abstain, *, several: bool):
  """Returns the rows of a recording; without a movement, why there is none."""
  for row in result['rows']:
    cells = ['–'] * 7 + [frame.sentence(row['warnings'])]
    if row.get('onset') is not None:
      cells = _cells(row, classes, abstain)
    elif not several:
      continue  # The page says it already.
    yield {'kind': '', 'cells': [row['file'], *cells][0 if several else 1 :]}


def _cells(row, classes, abstain) -> list[str]:
  answer, share = 'not recognised', '–'
  if _said(row, classes):
    answer = _answer(row, classes, abstain) or 'undecided'
    share = f'{100 * max(row[f"p_{name}"] for name in classes):.0f} %'
  size, face = row.get('motion_px'), row.get('face_px')
  return [
    _when(row),
    row['type'],
    f'{row["onset"]}–{_or(row["apex"], "?")}–{row["offset"]}',
    answer,
    share,
    '–' if size is None else f'{size:.2f} px',
    '–' if face is None else f'{face:.0f} px',
    frame.sentence(_own(row)),
  ]


def _own(row) -> str:
  return row.get('own_warnings', row['warnings'])


def _or(value, other):
  return other if value is None else value


def _when(row) -> str:
  start = row.get('apex_s', row.get('onset_s'))
  return f'frame {row["onset"]}' if start is None else clock(start, 2)


def _card(card, classes, abstain, thresholds) -> dict[str, Any]:
  row = card['row']
  answer = _answer(row, classes, abstain)
  share = max(row[f'p_{name}'] for name in classes)
  units = [(name, row[f'au_{name}']) for name in thresholds]
  return {
    'when': _when(row),
    'type': _TYPES.get(row['type'], row['type']),
    'answer': answer,
    'share': f'{100 * share:.0f} %',
    'is_weak': share < _WEAK,
    'bars': [
      {
        'name': name,
        'share': row[f'p_{name}'],
        'kind': 'honest' if name == answer else 'baseline',
      }
      for name in classes
    ],
    'units': [
      (name, f'{100 * share:.0f} %')
      for name, share in units
      if share >= thresholds[name]
    ],
    'warnings': _own(row),
    'tiles': [
      (
        Image(tile['source'], tile['caption'], over=tile['over']),
        tile['caption'],
      )
      for tile in card['tiles']
    ],
  }
