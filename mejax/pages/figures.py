"""Pictures of a run and of a dataset that stand alone, for a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from markupsafe import Markup

from mejax.pages import charts
from mejax.pages import frame
from mejax.pages import pictures
from mejax.pages import run as run_page
from mejax.pages import search
from mejax.pages import svg
from mejax.pages.dataset import Overview
from mejax.pages.dataset import Tile
from mejax.pages.finished_run import Run

_SIDE = 150  # Of a picture of a clip.
_LEFT = 130


@dataclasses.dataclass(frozen=True)
class Figure:
  """A picture that a notebook shows.

  Attributes:
    svg: the picture, as the content of a file.
  """

  svg: str

  def _repr_svg_(self) -> str:
    return self.svg


def of_run(run: Run) -> dict[str, Figure]:
  """Returns the pictures of a run's page by name.

  They are `scores` (beside the baselines), `gap` (what choosing by the answers
  would add), `classes`, `confusion`, `people`, `reliability`, `coverage`,
  `loss`, `uf1` (over the epochs), and `levels` and `attention` of models that
  have them.
  """
  found = run_page.describe(run)
  drawn = {
    'scores': found['headline']['dots'],
    'gap': found['gap'] and found['gap']['added'],
    'classes': found['headline']['classes'],
    'confusion': found['confusion']['shares'],
    'people': found['subjects'],
    'reliability': found['calibration']['reliability'],
    'coverage': found['calibration']['coverage'],
    'loss': found['curves']['loss'],
    'uf1': found['curves']['uf1'],
    'levels': found['levels'] and found['levels']['bars'],
    'attention': found['attention'] and found['attention']['picture'],
  }
  return {name: alone(picture) for name, picture in drawn.items() if picture}


def of_search(numbers: Mapping[str, Any]) -> dict[str, Figure]:
  """Returns the pictures of a search: `search`, its score, and `trace`.

  Args:
    numbers: the content of `search.json`.
  """
  return {
    'search': alone(search.draw_scores(numbers)),
    'trace': alone(search.draw_trace(numbers)),
  }


def of_clips(
  examples: Sequence[Mapping[str, Any]], metadata: Mapping[str, Any]
) -> Figure:
  """Draws a row for each clip: its apex, if there are frames, flow and strain.

  Args:
    examples: items of `load.Examples`.
    metadata: metadata of their dataset.
  """
  tiles = [Tile.of_example(each, metadata['units']) for each in examples]
  overview = Overview('', metadata, tiles, {}, (), '')
  parts, width = [], 0.0
  for i, tile in enumerate(tiles):
    strip, y = tile.strip(overview.scales), i * (_SIDE + 8)
    width = _SIDE * strip.shape[1] / strip.shape[0]
    place = {'x': _LEFT, 'y': y, 'width': width, 'height': _SIDE}
    parts += [
      svg.text(0, y + 24, tile.emotion),
      svg.text(0, y + 44, f'{tile.subject}/{tile.clip}', 'small'),
      svg.element('image', **place, href=pictures.jpeg(strip)),
    ]
  height = len(tiles) * (_SIDE + 8)
  label = 'Clips: apex, flow and strain' if overview.has_pixels else 'Clips'
  return alone(svg.drawing(_LEFT + width, height, parts, label=label))


def alone(picture: Markup | charts.Fluid) -> Figure:
  """Gives a drawing of a page the style of the page, on a light ground."""
  if isinstance(picture, charts.Fluid):
    picture = picture.wide
  head, _, rest = picture.partition('>')
  hatch = frame.render('hatch.html') if 'hatched' in rest else ''
  opening = f'<svg xmlns="{svg.NAMESPACE}" class="figure"'
  style = frame.render('figure.css')
  inside = f'<style>{style}</style><defs>{hatch}</defs>{rest}'
  return Figure(f'{opening}{head.removeprefix("<svg")}>{inside}')
