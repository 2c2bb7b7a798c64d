"""The look of the report: its style sheet and its frame.

Blue is honest, orange is test-selected, grey is a baseline; each also has a
shape or a hatch of its own. Contrast of text is at least 4.5 in both colour
schemes.
"""

from __future__ import annotations

import html

RESPONSIBLE_USE = (
  'A prediction names the class that a facial movement is most like. It does '
  'not say what a person feels, means or hides. For research only: not for '
  'screening, hiring, policing, teaching or monitoring people.'
)

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #fcfbf8; --panel: #ffffff; --ink: #1d2126; --soft: #5a626b;
  --line: #e4e1da; --honest: #14638c; --oracle: #b4470f; --baseline: #6d747c;
  --wash: #eef3f6; --warn: #fdf1e7; --on-honest: #ffffff;
  --run0: #14638c; --run1: #7a3f8f; --run2: #2f7048; --run3: #8a6100;
  --part0: #14638c; --part1: #3f8f86; --part2: #8a77b5; --part3: #a98036;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --panel: #1b1f23; --ink: #e9e7e2; --soft: #a3abb3;
    --line: #31373d; --honest: #6fb7dd; --oracle: #f09a5e; --baseline: #98a1aa;
    --wash: #1f272d; --warn: #33261b; --on-honest: #10202b;
    --run0: #6fb7dd; --run1: #c99adb; --run2: #7cc598; --run3: #dcb45a;
    --part0: #6fb7dd; --part1: #69bdb2; --part2: #b3a2dc; --part3: #d0aa62;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", "Helvetica Neue",
    "Noto Sans", "Liberation Sans", sans-serif;
}
main { max-width: 956px; margin: 0 auto; padding: 56px 24px 40px; }
h1, h2, h3 { line-height: 1.2; letter-spacing: -0.012em; }
h1, h2, .score {
  font-family: Charter, "Iowan Old Style", Georgia, "Liberation Serif", serif;
  font-weight: 600;
}
h1 { font-size: 40px; margin: 6px 0 14px; }
h2 { font-size: 28px; margin: 72px 0 14px; }
h3 { font-size: 18px; margin: 46px 0 6px; font-weight: 650; }
p { margin: 0 0 12px; max-width: 44em; }
.soft, figcaption { color: var(--soft); }
.eyebrow {
  font-size: 12.5px; letter-spacing: 0.09em; text-transform: uppercase;
  color: var(--soft); margin: 0;
}
.lead { font-size: 18px; color: var(--soft); }
.panel {
  background: var(--panel); border: 1px solid var(--line);
  border-radius: 12px; padding: 26px 28px; margin: 22px 0;
}
.hero { display: flex; flex-wrap: wrap; gap: 8px 36px; align-items: center; }
.score { font-size: 78px; line-height: 1; color: var(--honest); }
.score small { font-size: 24px; color: var(--soft); font-weight: 400; }
.hero p { margin: 2px 0; flex: 1 1 320px; }
.facts { display: flex; flex-wrap: wrap; gap: 6px 28px; padding: 0; margin: 0;
  list-style: none; color: var(--soft); font-size: 14.5px; }
.hero + .facts { margin: 20px 0 24px; }
.facts b { color: var(--ink); font-weight: 600; }
.note {
  background: var(--warn); border-left: 3px solid var(--oracle);
  padding: 10px 16px; margin: 16px 0; border-radius: 0 8px 8px 0;
}
.oracle-words { color: var(--oracle); font-weight: 600; }
figure { margin: 18px 0 8px; overflow-x: auto; }
figcaption { font-size: 14px; line-height: 1.5; max-width: 52em;
  margin-top: 8px; }
.pair { display: grid; gap: 12px 28px; overflow: visible;
  grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); }
.pair figure { margin-bottom: 0; }
svg { display: block; max-width: 100%; height: auto; }
.wide svg { min-width: 640px; }
svg text { fill: var(--ink); font-size: 14px;
  font-variant-numeric: tabular-nums; }
svg text.small { fill: var(--soft); font-size: 12.5px; }
svg text.number { font-weight: 600; }
svg text.oracle { fill: var(--oracle); }
.grid { stroke: var(--line); stroke-width: 1; }
.axis, .bracket { stroke: var(--soft); stroke-width: 1.2; fill: none; }
.bracket { stroke: var(--oracle); }
.honest { --c: var(--honest); } .oracle { --c: var(--oracle); }
.baseline { --c: var(--baseline); } .loss { --c: var(--baseline); }
.run0 { --c: var(--run0); } .run1 { --c: var(--run1); }
.run2 { --c: var(--run2); } .run3 { --c: var(--run3); }
.part0 { --c: var(--part0); } .part1 { --c: var(--part1); }
.part2 { --c: var(--part2); } .part3 { --c: var(--part3); }
.mark, .bar { fill: var(--c); }
.mark { stroke: var(--panel); stroke-width: 1.5; }
.range { fill: var(--c); opacity: 0.25; }
.seed { stroke: var(--c); stroke-width: 1.5; opacity: 0.55; }
.faint { opacity: 0.3; }
.hatched { fill: url(#hatch); stroke: var(--oracle); stroke-width: 1.2; }
.hatch-ground { fill: var(--warn); }
.hatch-line { stroke: var(--oracle); stroke-width: 3; opacity: 0.75; }
.band { fill: var(--c); opacity: 0.2; }
.curve { fill: none; stroke: var(--c); stroke-width: 2.2;
  stroke-linejoin: round; }
.cell-ground { fill: var(--wash); } .cell { fill: var(--honest); }
svg text.cell-ink, svg text.cell-ink-high { font-size: 19px;
  font-weight: 600; }
svg text.cell-ink-high { fill: var(--on-honest); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 6px 0 6px 14px; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 500; }
th:first-child, td:first-child, .words td { text-align: left; }
th:first-child, td:first-child { padding-left: 0; }
tr.first td { border-top: 1px solid var(--soft); }
tr.part td:first-child { padding-left: 18px; color: var(--soft); }
tr.oracle td { color: var(--oracle); }
.words td { white-space: normal; vertical-align: top; }
.words td:first-child { white-space: nowrap; font-weight: 600; }
details { margin: 18px 0; } summary { cursor: pointer; font-weight: 600; }
code, .config td { font-family: ui-monospace, "SF Mono", Menlo, Consolas,
  "Liberation Mono", monospace; font-size: 13px; }
footer { margin-top: 72px; padding-top: 20px; font-size: 14px;
  border-top: 1px solid var(--line); color: var(--soft); }
@media (max-width: 600px) {
  main { padding: 32px 16px; } h1 { font-size: 31px; }
  .score { font-size: 60px; } .panel { padding: 18px 16px; }
}
@media print {
  :root { color-scheme: light; --ground: #fff; }
  main { max-width: none; padding: 0; } body { font-size: 13px; }
  .panel, figure, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  details::details-content { content-visibility: visible; height: auto; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

_HATCH = (
  '<svg width="0" height="0" style="position:absolute" aria-hidden="true">'
  '<pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" '
  'patternTransform="rotate(45)"><rect class="hatch-ground" width="7" '
  'height="7"/><line class="hatch-line" x1="0" x2="0" y1="0" y2="7"/>'
  '</pattern></svg>'
)


def page(
  title: str, body: str, *, style: str = '', closing: str = RESPONSIBLE_USE
) -> str:
  """A whole HTML document that asks for nothing from outside.

  Args:
    title: of the window.
    body: HTML.
    style: rules of this page, after those of all.
    closing: words at its foot.
  """
  return (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    f'<title>{html.escape(title)}</title><style>{STYLE}{style}</style></head>'
    f'<body>{_HATCH}<main>{body}<footer><p>{closing}</p>'
    '<p>Made by mejax.</p></footer></main></body></html>\n'
  )


def table(
  header: list[str],
  rows: list[tuple[str, list[str]]],
  kind: str = '',
) -> str:
  """An HTML table of escaped text; each row is (its class, its cells)."""
  head = ''.join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
  lines = ''.join(
    f'<tr class="{row_kind}">'
    + ''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)
    + '</tr>'
    for row_kind, cells in rows
  )
  head = f'<thead><tr>{head}</tr></thead>' if header else ''
  return (
    f'<div class="scroll"><table class="{kind}">{head}'
    f'<tbody>{lines}</tbody></table></div>'
  )


def figure(picture: str, caption: str, kind: str = 'wide') -> str:
  """A picture with its caption (HTML)."""
  return (
    f'<figure class="{kind}">{picture}'
    f'<figcaption>{caption}</figcaption></figure>'
  )
