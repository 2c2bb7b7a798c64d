"""One HTML page for one or several runs, side by side."""

from __future__ import annotations

from collections.abc import Sequence
import html
import pathlib

from mejax import files
from mejax.evaluation import bootstrap
from mejax.pages import charts
from mejax.pages import frame
from mejax.pages import run_sections


def write(runs: Sequence[run_sections.Run], out: pathlib.Path) -> pathlib.Path:
  """Writes `index.html` into the folder `out` and returns its path.

  Args:
    runs: finished runs; with several, the first is what the others are
      compared with.
    out: folder of the page, made if it is not there.
  """
  title = ', '.join(run.name for run in runs)
  body = _header(runs) + ''.join(
    run_sections.one_run(run, titled=len(runs) > 1) for run in runs
  )
  out = pathlib.Path(out)
  out.mkdir(parents=True, exist_ok=True)
  path = out / 'index.html'
  with files.writing(path) as file:
    file.write(frame.page(title, body))
  return path


def _header(runs):
  protocols = list(dict.fromkeys(run.numbers['protocol'] for run in runs))
  words = ''.join(f'<p class="lead">{html.escape(p)}</p>' for p in protocols)
  names = ' &middot; '.join(html.escape(run.name) for run in runs)
  top = (
    '<p class="eyebrow">Micro-expression recognition &middot; held-out results'
    f'</p><h1>{names}</h1>{words}'
  )
  return top + (_comparison(runs) if len(runs) > 1 else '')


def _comparison(runs):
  rows = [
    run_sections.dot(run.name, run.entry(), f'run{i % 4}')
    for i, run in enumerate(runs)
  ] + run_sections.baseline_dots(runs[0])
  lines = []
  for run in runs[1:]:
    if _identity(run) != _identity(runs[0]):
      words = 'not comparable: other clips or labels'
    else:
      words = run_sections.difference(
        *bootstrap.paired_difference(runs[0].matrices(), run.matrices())
      )
    lines.append(('', [f'{run.name} minus {runs[0].name}', words]))
  return (
    '<section><h2>The runs side by side</h2><div class="panel">'
    + frame.figure(
      charts.dot_plot(rows, label='UF1 of the runs and the baselines'),
      'UF1 of the last epoch, mean over seeds. Shaded: 95 % interval from '
      f'resampling subjects; ticks: seeds. Baselines: those of '
      f'{html.escape(runs[0].name)}.',
    )
    + frame.table([], lines, 'words')
    + '<p class="soft">Differences are paired: both runs see the same '
    'resampled subjects. An interval that holds 0 shows no difference.</p>'
    '</div></section>'
  )


def _identity(run):
  keys = ('corpus', 'subject', 'clip', 'labels', 'groups')
  return sorted(zip(*(run.record[key].tolist() for key in keys), strict=True))
