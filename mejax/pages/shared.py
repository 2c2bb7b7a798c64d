"""What the pages of a dataset and of a clip share: style, legend, notes."""

from __future__ import annotations

from collections.abc import Iterable
import html

from mejax.pages import pictures

CLOSING = (
  'An emotion is what the database says of a clip. Motion alone does not say '
  'what a person feels, means or hides. For research only: not for screening, '
  'hiring, policing, teaching or monitoring people.'
)
# Corpora whose people nobody has to be asked about, and those of the user.
_RENDERED = 'synthetic'
_OWN = 'video'

STYLE = """
main { max-width: 1120px; }
h1 { font-size: 34px; overflow-wrap: anywhere; }
h2 { margin: 56px 0 10px; }
.lead { max-width: 52em; }
.facts { margin: 18px 0; }
.note { width: fit-content; }
a { color: var(--honest); }
.pic { position: relative; display: block; border-radius: 5px;
  overflow: hidden; background: #fff; line-height: 0;
  box-shadow: 0 0 0 1px var(--line); }
.pic img { display: block; width: 100%; height: auto; }
.pic.coarse img { image-rendering: pixelated; }
.pic svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.pic rect { fill: none; vector-effect: non-scaling-stroke; }
.halo { stroke: rgb(0 0 0 / 0.6); stroke-width: 3.6; }
.ring { stroke: #5ff2d4; stroke-width: 1.7; }
.square { stroke: #ffb35c; stroke-width: 1.7; }
.arrow { fill: none; stroke: #14171a; stroke-width: 1.15; opacity: 0.8;
  stroke-linecap: round; vector-effect: non-scaling-stroke; }
.pic .over { position: absolute; inset: 0; opacity: 0; }
.pic.blink { cursor: pointer; }
.pic.blink:hover .over, .pic.blink:focus .over { opacity: 1; }
.legend { display: flex; flex-wrap: wrap; gap: 14px 44px; margin: 20px 0;
  align-items: center; font-size: 14px; line-height: 1.45; }
.legend > div { display: flex; gap: 14px; align-items: center; }
.legend p { margin: 0; max-width: 27em; color: var(--soft); }
.legend b { color: var(--ink); }
.wheel { width: 68px; height: 68px; border-radius: 50%; flex: none;
  border: 1px solid var(--line); }
.ramp { width: 150px; height: 16px; border-radius: 3px; display: block;
  border: 1px solid var(--line); }
.ends { display: flex; justify-content: space-between; font-size: 12.5px;
  color: var(--soft); }
"""


def licence(corpora: Iterable[str]) -> str:
  """One line that says whom the pages may be shown to."""
  licensed = [c for c in corpora if c not in (_RENDERED, _OWN)]
  if licensed:
    names = ', '.join(map(html.escape, licensed))
    return (
      '<p class="note">Made from the pictures of people in licensed databases '
      f'({names}): do not pass this page on.</p>'
    )
  if _OWN in corpora:
    return (
      '<p class="note">It shows the people in your recordings: pass this page '
      'on only if they agree.</p>'
    )
  return '<p class="soft">All faces are rendered: nobody is shown.</p>'


def picture(
  source: str, alt: str, *, overlay: str = '', over: str = '', side: int = 0
) -> str:
  """An image with what lies on it (HTML).

  Args:
    source: of the image, see `pictures.png`.
    alt: what it shows.
    overlay: SVG that lies on it.
    over: source of an image that takes its place while it is pointed at.
    side: of the image; the pixels of a small one stay visible.
  """
  kind = 'pic' + ' coarse' * (0 < side < 64) + ' blink' * bool(over)
  focus = ' tabindex="0"' if over else ''
  second = f'<img class="over" src="{over}" alt="">' if over else ''
  alt = html.escape(alt, quote=True)
  return (
    f'<span class="{kind}"{focus}><img src="{source}" alt="{alt}" '
    f'title="{alt}" decoding="async">{second}{overlay}</span>'
  )


def legend(*, flow: float, strain: float, words: str, arrows: bool) -> str:
  """How colours are to be read (HTML).

  Args:
    flow: pixels of motion that have the full colour.
    strain: strain that has the darkest colour.
    words: what the scales are common to.
    arrows: whether there are arrows.
  """
  wheel = pictures.png(pictures.wheel(136))
  ramp = pictures.png(pictures.ramp(300, 16))
  longest = ' and the longest arrow' if arrows else ''
  return (
    f'<div class="legend" data-flow="{flow:g}" data-strain="{strain:g}">'
    f'<div><img class="wheel" src="{wheel}" alt="colour wheel of motion">'
    '<p>The hue says where the face moves: red to the right, cyan to the left.'
    f' Full colour{longest}: <b>{flow:g}&nbsp;px</b> or more, {words}.'
    '</p></div>'
    f'<div><span><img class="ramp" src="{ramp}" alt="colours of strain">'
    f'<span class="ends"><span>0</span><span>{strain:g}</span></span></span>'
    f'<p>Strain: how much the skin is stretched. One scale, {words}.</p></div>'
    '</div>'
  )


def facts(pairs: Iterable[tuple[object, str]]) -> str:
  """Numbers with a word each, in a line (HTML)."""
  items = ''.join(
    f'<li><b>{html.escape(str(value))}</b> {html.escape(word)}</li>'
    for value, word in pairs
  )
  return f'<ul class="facts">{items}</ul>'


def number(level: float) -> str:
  """An amplification factor in words."""
  return f'×{level:g}'
