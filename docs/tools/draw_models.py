"""Draws how HTNet, MMNet and ARTNet work, one picture each.

  python docs/tools/draw_models.py docs/explanation

The pictures show the models as mejax has them; the sizes are those of
`htnet_paper`, of the released MMNet and of ARTNet with three levels.
"""

from __future__ import annotations

import pathlib
import sys

from markupsafe import Markup

from mejax.pages import svg

INK, SOFT, LINE, BLUE, PALE = (
  '#1d2126', '#5a626b', '#c9ced4', '#2f6db0', '#dbe8f5',
)  # fmt: skip


def words(x, y, text, *, size=13, anchor='middle', colour=INK) -> Markup:
  """Returns a line of text, in a colour of its own: a file has no page."""
  return svg.element(
    'text', text, x=x, y=y, text_anchor=anchor,
    style=f'font-size:{size}px;fill:{colour}',
  )  # fmt: skip


def lines(x, y, texts, **options) -> list[Markup]:
  """Returns lines below each other."""
  return [words(x, y + 17 * i, text, **options) for i, text in enumerate(texts)]


def box(x, y, width, height, *texts, fill='#ffffff', stroke=INK) -> Markup:
  """Returns a rectangle with lines of text in its middle."""
  top = y + height / 2 + 5 - 8.5 * (len(texts) - 1)
  return svg.element(
    'g',
    svg.element(
      'rect', x=x, y=y, width=width, height=height, rx=6, fill=fill,
      stroke=stroke, stroke_width=1.4,
    ),
    lines(x + width / 2, top, texts),
  )  # fmt: skip


def arrow(x1, y1, x2, y2, *, colour=INK, both=False) -> Markup:
  """Returns an arrow from one place to another."""
  return svg.element(
    'path', d=f'M{x1} {y1}L{x2} {y2}', stroke=colour, stroke_width=1.6,
    fill='none', marker_end='url(#tip)',
    marker_start='url(#tip)' if both else None,
  )  # fmt: skip


def grid(x, y, side, cells, blocks) -> list[Markup]:
  """Returns a square of tokens, with thick lines around blocks of them."""
  parts = [svg.element('rect', x=x, y=y, width=side, height=side, fill=PALE)]
  for count, colour, width in ((cells, LINE, 0.8), (blocks, BLUE, 2.6)):
    for i in range(count + 1):
      at = side * i / count
      for d in (f'M{x + at:g} {y}v{side}', f'M{x} {y + at:g}h{side}'):
        parts.append(
          svg.element('path', d=d, stroke=colour, stroke_width=width)
        )
  return parts


def picture(width, height, parts, label) -> str:
  """Returns a whole SVG file on a light ground, for pages of any colour."""
  tip = svg.element(
    'marker',
    svg.element('path', d='M0 0L8 4L0 8z', fill=INK),
    id='tip', viewBox='0 0 8 8', refX=7, refY=4, markerWidth=7,
    markerHeight=7, orient='auto-start-reverse',
  )  # fmt: skip
  ground = svg.element(
    'rect', width=width, height=height, rx=10, fill='#fcfbf8'
  )
  drawing = svg.drawing(
    width, height, [svg.element('defs', tip), ground, parts], label=label
  )
  return str(svg.standalone(drawing)) + '\n'


def htnet() -> str:
  """Draws three hierarchies of blocks."""
  parts, x, side = [], 30, 160
  for i, (cells, blocks, title) in enumerate(
    (
      (16, 4, 'quarters of each region'),
      (8, 2, 'the four regions'),
      (4, 1, 'the whole face'),
    )
  ):
    parts += [
      grid(x, 60, side, cells, blocks),
      words(x + side / 2, 34, f'hierarchy {i + 1}'),
      words(x + side / 2, 51, title, size=12, colour=SOFT),
      words(
        x + side / 2, 242, f'{cells} x {cells} tokens', size=12, colour=SOFT
      ),
    ]
    if i < 2:
      parts += [
        arrow(x + side + 8, 140, x + side + 92, 140),
        *lines(
          x + side + 50, 164,
          ['3x3 conv,', 'max-pool:', 'half the sides,', 'double width'],
          size=12, colour=SOFT,
        ),
      ]  # fmt: skip
    x += side + 100
  end = x - 100
  parts += [
    arrow(end + 8, 140, end + 60, 140),
    box(end + 66, 112, 96, 56, 'mean,', 'linear layer'),
    words(
      30, 272, 'Attention reaches as far as a thick line; a thin line bounds a'
      ' token, a patch of 8 x 8 pixels of flow at first.',
      anchor='start', size=12.5, colour=SOFT,
    ),
  ]  # fmt: skip
  label = 'HTNet: attention in small blocks, then in larger ones'
  return picture(end + 190, 290, parts, label)


def mmnet() -> str:
  """Draws the two branches."""
  parts = [
    box(24, 40, 110, 56, 'apex - onset', '224 x 224', fill=PALE),
    words(80, 26, 'motion branch', colour=BLUE),
    box(24, 190, 110, 56, 'onset', '224 x 224', fill=PALE),
    words(80, 176, 'position branch', colour=BLUE),
  ]
  for i in range(4):
    x = 166 + 118 * i
    parts += [
      arrow(x - 32 + 6 * (i > 0), 68, x - 4, 68),
      box(x, 40, 88, 56, f'block {i + 1}', 'conv, gate'),
    ]
    if i:
      parts.append(arrow(x - 74, 122, x + 40, 122, colour=BLUE))
  parts += [
    [arrow(210 + 118 * i, 98, 210 + 118 * i, 116) for i in range(3)],
    words(
      387, 144, 'continuous attention: each gate reads the map before',
      size=12.5, colour=SOFT,
    ),
    arrow(136, 218, 190, 218),
    box(196, 190, 130, 56, 'shrunk: a pixel', 'is a token'),
    arrow(328, 218, 372, 218),
    box(378, 190, 130, 56, 'transformer', 'over places'),
    box(650, 112, 44, 44, '+'),
    svg.element(
      'path', d='M610 68H672V106', stroke=INK, stroke_width=1.6, fill='none',
      marker_end='url(#tip)',
    ),
    svg.element(
      'path', d='M510 218H672V162', stroke=INK, stroke_width=1.6, fill='none',
      marker_end='url(#tip)',
    ),
    arrow(696, 134, 722, 134),
    box(728, 100, 118, 68, 'linear layer,', 'own weights for', 'each place'),
    words(
      24, 282, 'The motion branch sees what moved, the position branch where'
      ' the parts of this face are.',
      anchor='start', size=12.5, colour=SOFT,
    ),
  ]  # fmt: skip
  label = 'MMNet: a branch for motion and one for position'
  return picture(870, 300, parts, label)


def artnet() -> str:
  """Draws levels, regions and the order of attention."""
  parts, regions = [], ('eye', 'eye', 'mouth', 'mouth')
  for i, alpha in enumerate((1, 2, 4)):
    y = 62 + 78 * i
    parts += [
      grid(70, y, 60, 8, 2),
      words(58, y + 35, f'x {alpha}', anchor='end'),
      arrow(136, y + 30, 160, y + 30),
      arrow(292, y + 30, 318, y + 30),
    ]
    for r in range(4):
      parts.append(
        svg.element(
          'circle',
          cx=346 + 66 * r,
          cy=y + 30,
          r=15,
          fill=PALE,
          stroke=BLUE,
          stroke_width=1.6,
        )  # fmt: skip
      )
  for r, name in enumerate(regions):
    x = 346 + 66 * r
    parts.append(words(x, 48, name, size=12, colour=SOFT))
    parts += [
      arrow(x, 110 + 78 * i, x, 152 + 78 * i, both=True) for i in range(2)
    ]
  parts += [
    arrow(364 + 66 * r, 248, 394 + 66 * r, 248, colour=BLUE, both=True)
    for r in range(3)
  ]
  parts += [
    words(100, 30, 'flow of one clip, amplified'),
    box(166, 62, 120, 216, 'one encoder', 'for all levels:', 'attention among',
        'the patches of', 'each region'),
    words(445, 30, 'a token for each region and level'),
    arrow(566, 170, 596, 170),
    box(602, 136, 122, 68, 'attention pools', 'levels and', 'regions'),
    arrow(728, 170, 752, 170),
    box(758, 142, 88, 56, 'linear', 'layer'),
    words(
      70, 312, 'First the levels of a region attend to each other (down), then'
      ' the regions of a level (across).',
      anchor='start', size=12.5, colour=SOFT,
    ),
  ]  # fmt: skip
  label = 'ARTNet: one clip at several amplifications'
  return picture(870, 330, parts, label)


PICTURES = {'htnet.svg': htnet, 'mmnet.svg': mmnet, 'artnet.svg': artnet}


def main(folder: str) -> None:
  """Writes all pictures into a folder."""
  for name, draw in PICTURES.items():
    (pathlib.Path(folder) / name).write_text(draw())


if __name__ == '__main__':
  main(sys.argv[1])
