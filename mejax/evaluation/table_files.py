"""Writes the table of runs for papers and programs: Markdown, LaTeX and CSV.

Markdown and LaTeX round as the page does; CSV has every digit and a column for
each number. A row that is no estimate says so in each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import os
import pathlib
import re
from typing import IO
from typing import Any
from typing import NamedTuple

from mejax import files
from mejax.evaluation import baselines
from mejax.evaluation import bootstrap
from mejax.evaluation import entries as entries_lib
from mejax.evaluation import summary

_HEAD = ('n', 'UF1', '95 %', 'UAR', '95 %', 'accuracy', 'mean precision')
# Of a baseline: how far the models are above it, paired over people.
_MINUS = 'last minus it'
# Those of baselines, and those of seeds together.
_DIFFERENCES = ('last_minus', 'minus_best_baseline')
_BOOK = r"""%% Needs \usepackage{booktabs}.
\begin{table}
\centering
\caption{%s}
\label{%s}
\begin{tabular}{%s}
\toprule
%s
\midrule
%s
\bottomrule
\end{tabular}
\end{table}
"""
# Signs with a meaning in LaTeX. Others, as letters of any script, stay: LaTeX
# reads UTF-8.
_LATEX = {
  '\\': r'\textbackslash{}', '{': r'\{', '}': r'\}', '$': r'\$', '&': r'\&',
  '#': r'\#', '%': r'\%', '_': r'\_', '^': r'\textasciicircum{}',
  '~': r'\textasciitilde{}', '<': r'\textless{}', '>': r'\textgreater{}',
  '"': r'\textquotedbl{}', '±': r'$\pm$', '–': '--',
}  # fmt: skip
_MARKDOWN = re.compile(r'[\\`*_{}\[\]#]')
# Not every Markdown understands a backslash before these.
_MARKDOWN_ENTITY = re.compile('[<>&|~$]')
_BLANK = re.compile(r'\s+')
# What a label of LaTeX may not hold, for sure.
_LABEL = re.compile('[^A-Za-z0-9:]+')


class Row(NamedTuple):
  """A row of the table of runs.

  Attributes:
    run: name of the run.
    model: the selection rule or the baseline.
    part: `full`, or a corpus.
    entry: see `summary.metrics_json`.
  """

  run: str
  model: str
  part: str
  entry: Mapping[str, Any]


def rows_of(run: str, numbers: Mapping[str, Any]) -> Iterator[Row]:
  """Yields the rows of a run.

  Args:
    run: its name.
    numbers: the result of `summary.metrics_json` or `predicted.metrics_json`.
  """
  groups = {rule or 'predictions': x for rule, x in _rules(numbers)}
  for name, entries in numbers.get('baselines', {}).items():
    groups[baselines.NAMES.get(name, name)] = entries
  for model, entries in groups.items():
    for part, entry in entries.items():
      yield Row(run, model, part, entry)


def _rules(numbers) -> Iterator[tuple[str, Mapping[str, Any]]]:
  for rule, entries in (numbers.get('selection') or numbers['entries']).items():
    yield rule, entries
    if together := numbers.get('together', {}).get(rule):
      yield summary.name_together(rule), together


def write(
  path: str | os.PathLike, rows: Sequence[Row], sentences: Sequence[str]
) -> None:
  """Writes the table; the ending of the path says in which format.

  Args:
    path: a file of one of `FORMATS`.
    rows: the rows.
    sentences: what stands above the table, such as the protocol; CSV has none.

  Raises:
    ValueError: the ending is none of these.
  """
  path = pathlib.Path(path)
  check_ending(path)
  with files.writing(path) as file:
    FORMATS[path.suffix](file, rows, [*sentences, *_how_to_read(rows)])


def check_ending(path: pathlib.Path) -> None:
  """Refuses a path of which the ending is none of `FORMATS`."""
  if path.suffix not in FORMATS:
    raise ValueError(
      f'{path} ends in {path.suffix or "nothing"!r}; expected one of'
      f' {", ".join(FORMATS)}.'
    )


def _how_to_read(rows: Sequence[Row]) -> list[str]:
  """Returns sentences on the numbers, and each warning once."""
  lines = []
  runs = dict.fromkeys(row.run for row in rows if row.model == 'last')
  if runs:
    lines.append(f'last: the models of {", ".join(runs)} at their last epoch.')
  if any(len(row.entry['uf1_seeds']) > 1 for row in rows):
    lines.append('± is the standard deviation over seeds.')
  if any(row.entry['subjects'] for row in rows):
    lines.append('95 %: interval from resampling the subjects.')
  if any('last_minus' in row.entry for row in rows):
    lines.append(f'{_MINUS}: difference of UF1, paired over the subjects.')
  with_run = len({row.run for row in rows}) > 1
  for run, model in dict.fromkeys((row.run, row.model) for row in rows):
    few = bootstrap.describe_few(
      {r.part: r.entry for r in rows if (r.run, r.model) == (run, model)}
    )
    lines += [f'{run}: ' * with_run + each for each in few]
  warnings = [row.entry.get('warning') for row in rows]
  lines += [f'*: {each}.' for each in dict.fromkeys(warnings) if each]
  return list(dict.fromkeys(lines))


def _cells(row: Row, *, with_run: bool, with_minus: bool) -> list[str]:
  entry = row.entry
  mark = ' *' if 'warning' in entry else ''
  return [
    *[row.run] * with_run,
    f'{row.model}{mark}',
    row.part,
    str(entry['n']),
    *(_spread(entry, 'uf1'), _interval(entry, 'uf1')),
    *(_spread(entry, 'uar'), _interval(entry, 'uar')),
    *(_spread(entry, 'accuracy'), _spread(entry, 'mean_precision')),
    *[describe_minus(entry)] * with_minus,
  ]


def _spread(entry, name) -> str:
  several = len(entry[f'{name}_seeds']) > 1
  return f'{entry[name]:.3f}' + f' ± {entry[f"{name}_std"]:.3f}' * several


def _interval(entry, name) -> str:
  found = entry[f'{name}_ci']
  return '' if found is None else '{:.3f}–{:.3f}'.format(*found)


def describe_minus(entry: Mapping[str, Any], key: str = 'last_minus') -> str:
  """Returns a difference of an entry as text; '' if it has none."""
  found = entry.get(key)
  return bootstrap.describe_difference(found) if found else ''


def _lines(rows: Sequence[Row]) -> list[list[str]]:
  """Returns the cells of the table, its head first."""
  shown = {
    'with_run': len({row.run for row in rows}) > 1,
    'with_minus': any('last_minus' in row.entry for row in rows),
  }
  head = [*['run'] * shown['with_run'], 'model', 'clips of', *_HEAD]
  head += [_MINUS] * shown['with_minus']
  return [head, *(_cells(row, **shown) for row in rows)]


def _write_markdown(file: IO[str], rows, sentences) -> None:
  head, *body = _lines(rows)
  lines = [head, ['---'] * len(head)]
  lines += [[markdown(cell) for cell in cells] for cells in body]
  file.write(''.join(f'{markdown(each)}\n\n' for each in sentences))
  file.write(''.join(f'| {" | ".join(line)} |\n' for line in lines))


def _write_latex(file: IO[str], rows, sentences) -> None:
  head, *lines = _lines(rows)
  left = 'l' * head.index(_HEAD[0])
  file.write(
    _BOOK
    % (
      latex(' '.join(sentences)),
      _LABEL.sub('-', f'tab:{rows[0].run}') if rows else 'tab:runs',
      left + 'r' * (len(head) - len(left)),
      _latex_row(head),
      '\n'.join(map(_latex_row, lines)),
    )
  )


def _latex_row(cells: Sequence[str]) -> str:
  return f'{" & ".join(map(latex, cells))} \\\\'


def _write_csv(file: IO[str], rows, sentences) -> None:
  del sentences  # Each row has its own warning.
  writer = files.CsvWriter(file)
  ends = ('', '_std', '_low', '_high')
  names = [f'{name}{end}' for name in entries_lib.STATISTICS for end in ends]
  writer.writerow(
    ['run', 'model', 'part', 'n', 'subjects', 'seeds', *names]
    + [f'{name}{end}' for name in _DIFFERENCES for end in ends if end != '_std']
    + ['warning']
  )
  for row in rows:
    entry, numbers = row.entry, []
    for name in entries_lib.STATISTICS:
      interval = entry[f'{name}_ci'] or ('', '')
      numbers += [entry[name], entry[f'{name}_std'], *interval]
    counts = [entry['n'], entry['subjects'], len(entry['uf1_seeds'])]
    for name in _DIFFERENCES:
      numbers += entry.get(name, [''] * 3)
    writer.writerow([*row[:3], *counts, *numbers, entry.get('warning', '')])


FORMATS: Mapping[str, Callable[..., None]] = {
  '.md': _write_markdown,
  '.tex': _write_latex,
  '.csv': _write_csv,
}


def markdown(text: str) -> str:
  """Returns a text that Markdown shows as it is, in one line."""
  text = _MARKDOWN.sub(r'\\\g<0>', _BLANK.sub(' ', text))
  return _MARKDOWN_ENTITY.sub(lambda sign: f'&#{ord(sign[0])};', text)


def latex(text: str) -> str:
  """Returns a text that LaTeX shows as it is, in one line."""
  return ''.join(_LATEX.get(sign, sign) for sign in _BLANK.sub(' ', text))
