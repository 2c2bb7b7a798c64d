"""The contact sheet of one clip."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import html
from typing import Any

from jaxtyping import Float
import numpy as np

from mejax.pages import pictures
from mejax.pages import shared

Example = Mapping[str, Any]

DIFFERENCE = 8  # How many times a change of brightness is shown.

STYLE = """
.row { display: grid; gap: 14px; margin: 14px 0; align-items: start; }
.frames { grid-template-columns: repeat(auto-fill, minmax(200px, 1fr));
  max-width: 780px; }
.few { grid-template-columns: repeat(auto-fill, minmax(112px, 1fr)); gap: 10px;
  max-width: 900px; }
.levels { min-width: 620px; margin: 0;
  grid-template-columns: 60px repeat(var(--columns), minmax(0, 290px)); }
.levels + .levels { margin-top: 14px; }
.levels > h3 { margin: 0; font-size: 15px; align-self: end; }
.level { font: 600 26px/1 Charter, "Iowan Old Style", Georgia,
  "Liberation Serif", serif; color: var(--honest); align-self: center; }
.scroll { padding: 1px; margin-bottom: 14px; }
.row figure { margin: 0; overflow: visible; }
.row figcaption { font-size: 13px; margin-top: 5px; line-height: 1.4;
  font-variant-numeric: tabular-nums; }
.row figcaption b { color: var(--ink); }
"""


def body(
  example: Example, metadata: Mapping[str, Any], *, remarks: Sequence[str] = ()
) -> str:
  """HTML of a clip, without the frame of the page.

  Args:
    example: as `load.Examples` gives it.
    metadata: of its dataset.
    remarks: what is odd about the clip.
  """
  parts = [_head(example, metadata, remarks)]
  if 'onset' in example:
    parts += ['<h2>The face</h2>', _frames(example, metadata)]
  if metadata['units'] != 'pixel':
    return ''.join([*parts, '<h2>The flow</h2>', _ready_made(example)])
  parts.append('<h2>Its motion, level by level</h2>')
  parts.append(_levels(example, metadata))
  if 'onset_frames' in example:
    parts += ['<h2>Frames beside onset and apex</h2>', _neighbours(example)]
  return ''.join(parts)


def _head(
  example: Example, metadata: Mapping[str, Any], remarks: Sequence[str]
) -> str:
  corpus, subject, clip = (example[k] for k in ('corpus', 'subject', 'clip'))
  source = example['apex_source']
  facts = [(example['emotion'], '')]
  if 'apex_number' in example:
    numbers = (example[f'{k}_number'] for k in ('onset', 'apex', 'offset'))
    onset, apex, offset = map(int, numbers)
    where = f'apex ({source})' if source else 'apex'
    facts += [(onset, 'onset'), (apex, where), (offset, 'offset')]
  side = example['flow'].shape[1]
  facts.append((f'{side} × {side}', 'pixels'))
  facts.append((metadata['flow']['method'], 'flow'))
  if (magnify := _magnify(metadata)) != 'none':
    facts.append((magnify, 'amplification'))
  lines = ''.join(f'<li>{html.escape(remark)}</li>' for remark in remarks)
  note = f'<div class="note">Remarks<ul>{lines}</ul></div>' if lines else ''
  return (
    f'<p class="eyebrow">{html.escape(corpus)} · contact sheet of a clip</p>'
    f'<h1>{html.escape(subject)} / {html.escape(clip)}</h1>'
    f'{shared.facts(facts)}{note}{shared.licence([corpus])}'
  )


def _frames(example: Example, metadata: Mapping[str, Any]) -> str:
  """Onset and apex with the points of the face, and their difference."""
  onset, apex = example['onset'], example['apex']
  height, width = onset.shape[:2]
  rings = pictures.points(example['landmarks'], width=width, height=height)
  onset_source = pictures.png(onset)
  change = pictures.difference(onset, apex, times=DIFFERENCE)
  how = metadata['landmark_source'].partition(': ')[-1]
  cells = [
    _figure(
      shared.picture(onset_source, 'onset, aligned', overlay=rings),
      f'<b>onset</b>, frame {int(example["onset_number"])}',
    ),
    _figure(
      shared.picture(
        pictures.png(apex), 'apex, aligned', overlay=rings, over=onset_source
      ),
      f'<b>apex</b>, frame {int(example["apex_number"])};'
      ' point at it to see the onset',
    ),
    _figure(
      shared.picture(pictures.png(change), 'apex less onset'),
      f'<b>apex less onset</b>, {DIFFERENCE} times; grey: no change',
    ),
  ]
  return (
    f'<div class="row frames">{"".join(cells)}</div>'
    f'<p class="soft">The five points: {html.escape(how)}.</p>'
  )


def _levels(example: Example, metadata: Mapping[str, Any]) -> str:
  """A row for each level, all in one scale."""
  levels = metadata['levels']
  flows, strains = example['flow'][..., :2], example['flow'][..., 2]
  truth = _truth(example, metadata)
  true_flows = [] if truth is None else [level * truth for level in levels]
  sizes = [pictures.size_of(flow) for flow in (*flows, *true_flows)]
  flow_scale = pictures.scale_of(sizes)
  strain_scale = pictures.scale_of([pictures.size_of(s) for s in strains])
  magnify = _magnify(metadata)
  heads = ['', 'Apex' if magnify == 'none' else f'Apex, {magnify}']
  heads.append(f'Flow, {metadata["flow"]["method"]}')
  if truth is not None:
    alone = metadata.get('remove_head_motion')
    heads.append(f'True {"expression" if alone else "motion"} × level')
  heads.append(f'Strain, {metadata["strain"]}')
  titles = ''.join(f'<h3>{html.escape(title)}</h3>' for title in heads)
  columns = f'style="--columns: {len(heads) - 1}"'
  rows = [f'<div class="row levels" {columns}>{titles}</div>']
  for i, level in enumerate(levels):
    cells = [_flow(flows[i], flow_scale, _sizes(flows, levels, i))]
    if 'amplified' in example:
      cells.insert(0, _amplified(example, i, level))
    if truth is not None:
      error = np.linalg.norm(flows[i] - true_flows[i], axis=-1).mean()
      caption = f'the flow is <b>{error:.2f} px</b> off, on average'
      cells.append(_flow(true_flows[i], flow_scale, caption))
    cells.append(_strain(strains[i], strain_scale))
    rows.append(
      f'<div class="row levels" {columns}>'
      f'<span class="level">{shared.number(level)}</span>{"".join(cells)}</div>'
    )
  legend = shared.legend(
    flow=flow_scale,
    strain=strain_scale,
    words='the same in all rows',
    arrows=True,
  )
  return (
    f'{legend}<div class="scroll">{"".join(rows)}</div>'
    f'<p class="soft">The numbers of flow and strain: {pictures.PERCENT} % of '
    'the face stays below.</p>'
  )


def _magnify(metadata: Mapping[str, Any]) -> str:
  """Name of the method; `none` where nothing was amplified."""
  return metadata.get('magnify', {}).get('method', 'none')


def _truth(
  example: Example, metadata: Mapping[str, Any]
) -> Float[np.ndarray, 'h w 2'] | None:
  """The true motion that a flow at level 1 should have, if it is known."""
  name = 'expression' if metadata.get('remove_head_motion') else 'true'
  truth = example.get(f'{name}_flow')
  if truth is None or not metadata.get('mask_eyelids'):
    return truth
  # What was masked is 0 at every level.
  return np.where((example['flow'] == 0).all((0, -1))[..., None], 0, truth)


def _sizes(flows: np.ndarray, levels: Sequence[float], i: int) -> str:
  """How far the face moves at a level, in words."""
  size = pictures.size_of(flows[i])
  caption = f'<b>{size:.2f} px</b>'
  if i and (first := pictures.size_of(flows[0])) > 0:
    caption += f', {size / first:.1f} times that of {shared.number(levels[0])}'
  return caption


def _amplified(example: Example, i: int, level: float) -> str:
  seen = shared.picture(
    pictures.png(example['amplified'][i]),
    f'apex, amplified {level:g} times',
    over=pictures.png(example['onset']),
  )
  return _figure(seen, 'point at it to see the onset')


def _flow(flow: np.ndarray, scale: float, caption: str) -> str:
  flow = np.asarray(flow, np.float32)
  seen = shared.picture(
    pictures.png(pictures.flow_colour(flow, scale=scale)),
    'motion from the onset',
    overlay=pictures.arrows(flow, scale=scale),
    side=len(flow),
  )
  return _figure(seen, caption)


def _strain(strain: np.ndarray, scale: float) -> str:
  seen = shared.picture(
    pictures.png(pictures.strain_colour(strain, scale=scale)),
    'strain',
    side=len(strain),
  )
  return _figure(seen, f'<b>{pictures.size_of(strain):.3f}</b>')


def _neighbours(example: Example) -> str:
  """The frames that are kept beside onset and apex."""
  beside = len(example['onset_frames']) - 1
  rows = []
  for name, first in (('onset', 0), ('apex', -beside)):
    cells = []
    for i, frame in enumerate(example[f'{name}_frames'], first):
      label = f'{name} {i:+d}'.replace('-', '−') if i else name
      cells.append(_figure(shared.picture(pictures.png(frame), label), label))
    rows.append(f'<div class="row few">{"".join(cells)}</div>')
  return ''.join(rows)


def _ready_made(example: Example) -> str:
  """Flow that was stretched to 0..255, channel by channel: what there is."""
  flow = example['flow'][0]
  side = len(flow)
  marks = pictures.points(example['landmarks'], width=side, height=side)
  cut = 'The rings are the points of the face. '
  if 'crop_points' in example:
    marks += pictures.points(
      example['crop_points'], width=side, height=side, squares=True
    )
    cut = (
      'Rings: the points of the face. Squares: where the released pipeline '
      'believes them to be. '
    )
  together = np.rint(flow).clip(0, 255).astype(np.uint8)
  shown = [('u, v and strain as red, green, blue', together)]
  for i, name in enumerate(('u, to the right', 'v, down', 'strain')):
    shown.append((name, pictures.grey(flow[..., i])))
  cells = ''.join(
    _figure(
      shared.picture(pictures.png(image), name, overlay=marks, side=side),
      html.escape(name),
    )
    for name, image in shown
  )
  return (
    f'<div class="row frames" style="max-width: none">{cells}</div>'
    f'<p class="soft">{cut}Ready-made flow: there are no frames of it, and '
    'each channel was stretched to 0 to 255 on its own. Dark is the least and '
    'bright the most in this clip; how far the face moved is lost.</p>'
  )


def _figure(picture: str, caption: str) -> str:
  return f'<figure>{picture}<figcaption>{caption}</figcaption></figure>'
