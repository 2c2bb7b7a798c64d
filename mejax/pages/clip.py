"""Renders the contact sheet of one clip."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
import numpy as np

from mejax.pages import frame
from mejax.pages import pictures
from mejax.pages.pictures import Image

Example = Mapping[str, Any]

DIFFERENCE = 8  # A change of brightness is shown this many times as large.


def render(
  example: Example,
  metadata: Mapping[str, Any],
  *,
  dataset: str,
  warnings: Sequence[str] = (),
  notes: Sequence[str] = (),
) -> str:
  """Returns the page of a clip.

  Args:
    example: the clip, an item of `load.Examples`.
    metadata: metadata of its dataset.
    dataset: name of its dataset.
    warnings: sentences on what is unusual about the clip.
    notes: sentences on usual choices.
  """
  has_pixels = metadata['units'] == 'pixel'
  identity = '/'.join(example[k] for k in ('corpus', 'subject', 'clip'))
  return frame.render(
    'clip.html',
    title=f'{identity} · {dataset}',
    clip=example,
    facts=_facts(example, metadata),
    warnings=warnings,
    notes=notes,
    face=_face(example, metadata) if 'onset' in example else None,
    motion=_motion(example, metadata) if has_pixels else None,
    neighbours=_neighbours(example) if 'onset_frames' in example else [],
    ready_made=None if has_pixels else _ready_made(example),
  )


def _facts(example, metadata) -> list[tuple[object, str]]:
  facts = [(example['emotion'], '')]
  if 'apex_number' in example:
    source = example['apex_source']
    numbers = (example[f'{k}_number'] for k in ('onset', 'apex', 'offset'))
    onset, apex, offset = map(int, numbers)
    where = f'apex ({source})' if source else 'apex'
    facts += [(onset, 'onset'), (apex, where), (offset, 'offset')]
  identity = '/'.join(example[k] for k in ('corpus', 'subject', 'clip'))
  if fps := metadata.get('fps', {}).get(identity):
    facts.append((f'{fps:g}', 'frames per second'))
  side = example['flow'].shape[1]
  facts.append((f'{side} × {side}', 'pixels'))
  facts.append((metadata['flow']['method'], 'flow'))
  if (magnify := _magnify(metadata)) != 'none':
    facts.append((magnify, 'amplification'))
  return facts


def _face(example, metadata) -> dict[str, Any]:
  """Shows onset and apex with the points of the face, and their difference."""
  onset, apex = example['onset'], example['apex']
  height, width = onset.shape[:2]
  rings = pictures.points(example['landmarks'], width=width, height=height)
  source = pictures.png(onset)
  change = pictures.difference(onset, apex, times=DIFFERENCE)
  return {
    'onset': Image(source, 'onset, aligned', rings),
    'onset_number': int(example['onset_number']),
    'apex': Image(pictures.png(apex), 'apex, aligned', rings, source),
    'apex_number': int(example['apex_number']),
    'change': Image(pictures.png(change), 'apex minus onset'),
    'times': DIFFERENCE,
    'points': metadata['landmark_source'].partition(': ')[-1],
  }


def _motion(example, metadata) -> dict[str, Any]:
  """Makes a row for each level, all in one scale, and the column heads."""
  levels = metadata['levels']
  flows, strains = example['flow'][..., :2], example['flow'][..., 2]
  truth = _true_motion(example, metadata)
  true_flows = [] if truth is None else [level * truth for level in levels]
  sizes = [pictures.size_of(flow) for flow in (*flows, *true_flows)]
  scales = pictures.Legend.of_sizes(
    sizes,
    [pictures.size_of(s) for s in strains],
    side=flows.shape[1],
    definition=metadata['strain'],
  )
  rows = []
  for i, level in enumerate(levels):
    row = {
      'level': level,
      'amplified': _amplified(example, i, level),
      'flow': _flow(flows[i], scales),
      'size': sizes[i],
      # There is no ratio if the face does not move at the first level.
      'ratio': sizes[i] / sizes[0] if i and sizes[0] > 0 else None,
      'truth': None,
      'strain': _strain(strains[i], scales),
      'strain_size': pictures.size_of(strains[i]),
    }
    if truth is not None:
      error = np.linalg.norm(flows[i] - true_flows[i], axis=-1).mean()
      row |= {'truth': _flow(true_flows[i], scales), 'error': float(error)}
    rows.append(row)
  return {
    'heads': _heads(metadata, has_truth=truth is not None),
    'scales': scales,
    'rows': rows,
    'first_level': levels[0],
    'percent': pictures.PERCENT,
  }


def _heads(metadata, *, has_truth: bool) -> list[str]:
  magnify = _magnify(metadata)
  heads = ['Apex' if magnify == 'none' else f'Apex, {magnify}']
  heads.append(f'Flow, {metadata["flow"]["method"]}')
  if has_truth:
    alone = metadata.get('remove_head_motion')
    heads.append(f'True {"expression" if alone else "motion"} × level')
  return [*heads, f'Strain, {metadata["strain"]}']


def _magnify(metadata) -> str:
  """Returns the name of the method; `none` if nothing was amplified."""
  return metadata.get('magnify', {}).get('method', 'none')


def _true_motion(example, metadata) -> Float[np.ndarray, 'h w 2'] | None:
  """Returns the true motion, which flow at level 1 should equal, if known."""
  name = 'expression' if metadata.get('remove_head_motion') else 'true'
  truth = example.get(f'{name}_flow')
  if truth is None or not metadata.get('mask_eyelids'):
    return truth
  # Masked pixels are 0 at every level, so the truth is masked there too.
  return np.where((example['flow'] == 0).all((0, -1))[..., None], 0, truth)


def _amplified(example, i: int, level: float) -> Image | None:
  if 'amplified' not in example:
    return None
  return Image(
    pictures.png(example['amplified'][i]),
    f'apex, amplified {level:g} times',
    over=pictures.png(example['onset']),
  )


def _flow(flow, scales: pictures.Legend) -> Image:
  flow = np.asarray(flow, np.float32)
  return Image.of_pixels(
    pictures.flow_colour(flow, scale=scales.flow),
    'motion from the onset',
    overlay=pictures.arrows(flow, scale=scales.flow),
  )


def _strain(strain, scales: pictures.Legend) -> Image:
  colours = pictures.strain_colour(strain, scale=scales.strain)
  return Image.of_pixels(colours, 'strain')


def _neighbours(example) -> list[list[Image]]:
  """Shows the frames that are kept beside onset and apex, a row for each."""
  beside = len(example['onset_frames']) - 1
  rows = []
  for name, first in (('onset', 0), ('apex', -beside)):
    rows.append([])
    for i, pixels in enumerate(example[f'{name}_frames'], first):
      label = f'{name} {i:+d}'.replace('-', '−') if i else name
      rows[-1].append(Image(pictures.png(pixels), label))
  return rows


def _ready_made(example) -> dict[str, Any]:
  """Shows flow that was stretched to 0..255: all channels, and each alone."""
  flow = example['flow'][0]
  side = len(flow)
  marks = pictures.points(example['landmarks'], width=side, height=side)
  if 'crop_points' in example:
    marks += pictures.points(
      example['crop_points'], width=side, height=side, squares=True
    )
  together = np.rint(flow).clip(0, 255).astype(np.uint8)
  shown = [('u, v and strain as red, green, blue', together)]
  for i, name in enumerate(('u, to the right', 'v, down', 'strain')):
    shown.append((name, pictures.grey(flow[..., i])))
  return {
    'images': [
      Image.of_pixels(pixels, name, overlay=marks) for name, pixels in shown
    ],
    'has_crop_points': 'crop_points' in example,
  }
