"""Writes the page of finished runs, alone, side by side and together."""

from __future__ import annotations

from collections.abc import Sequence
import os
import pathlib

from mejax import files
from mejax import forms
from mejax.evaluation import best_baseline
from mejax.evaluation import summary
from mejax.evaluation import table
from mejax.evaluation import table_files
from mejax.experiment import ensembles
from mejax.experiment import finished
from mejax.experiment import workdir as workdir_lib
from mejax.pages import ceiling as ceiling_page
from mejax.pages import run as run_page

TABLES = ('table.md', 'table.tex', 'table.csv')
# Which runs a folder compares, so that the report of others replaces none.
_RUNS = 'runs.json'


def report(
  sources: Sequence[str | os.PathLike],
  out: str | os.PathLike | None = None,
  *,
  together: bool = False,
  data_dir: str | os.PathLike | None = None,
  trust_code: bool = False,
) -> pathlib.Path:
  """Writes the HTML report of one or several finished runs, and its table.

  The table is written as Markdown, LaTeX and CSV, too; see `TABLES`.

  Args:
    sources: folders of finished runs; if there are several, the others are
      compared with the first, which is printed, too.
    out: folder of the report; by default `report/` in the workdir, or beside
      the first workdir if there are several: `report-2/` if that is the report
      of other runs.
    together: whether to score the sources together as well, print the table and
      write `together.json`. Then names of baselines may be among them; see
      `ensembles.together`.
    data_dir: home of the prepared datasets. If it is given, the section on the
      ceiling also has what needs the data of the first run, see
      `ceilings.measure`, and `ceiling.json` is written.
    trust_code: whether code that only the config of the first run names may be
      run, to load its data.

  Returns:
    Path of `index.html`.

  Raises:
    FileNotFoundError: a run is not finished, or its dataset not prepared.
    ValueError: a file is damaged, sources cannot be scored together, or the
      folder is the report of other runs.
  """
  if together:
    workdirs, baselines = ensembles.split(sources)
  else:
    workdirs, baselines = [pathlib.Path(source) for source in sources], []
  for workdir in workdirs:
    if not (workdir / 'metrics.json').exists():
      raise FileNotFoundError(
        f'{workdir} holds no finished run (no metrics.json). Finish it with the'
        ' `mejax train` command that began it.'
      )
  out = _folder(workdirs) if out is None else pathlib.Path(out)
  runs = finished.read_runs(workdirs)
  numbers, shown = {}, {}
  if together:
    numbers['together'] = ensembles.score(workdirs, runs, baselines)
    print(table.format_together(numbers['together']))
  if data_dir is not None:
    # Its modules, which fit classifiers and read datasets, take seconds.
    from mejax.experiment import ceilings

    numbers['ceiling'] = ceilings.measure(
      workdirs[0], runs[0], data_dir, trust_code=trust_code
    )
    if agreed := ceiling_page.agree(runs):
      shown = ceilings.draw_clips(runs[0], agreed['clips'], data_dir)
  files.check_writable(out, flag='--out')
  _refuse_others(out, workdirs)
  out.mkdir(parents=True, exist_ok=True)
  if len(workdirs) > 1:
    content = {'runs': _seen_from(out, workdirs)}
    workdir_lib.write_json(out / _RUNS, content)
  for name, content in numbers.items():
    workdir_lib.write_json(out / f'{name}.json', content)
  rows = [
    row for run in runs for row in table_files.rows_of(run.name, run.numbers)
  ]
  protocols = dict.fromkeys(run.numbers['protocol'] for run in runs)
  compared = run_page.sentences(runs)
  above = [
    each
    for run in runs
    for each in best_baseline.sentences(
      run.numbers, run=run.name if len(runs) > 1 else ''
    )
  ]
  few = [
    each for run in runs for each in summary.describe_few_seeds(run.numbers)
  ]
  for name in TABLES:
    table_files.write(
      out / name,
      rows,
      list(dict.fromkeys([*protocols, *compared, *above, *few])),
    )
  if compared:
    print(*compared, sep='\n')
  with files.writing(out / 'index.html') as file:
    file.write(
      run_page.render(
        runs,
        together=numbers.get('together'),
        measured=numbers.get('ceiling'),
        shown=shown,
        tables=TABLES,
      )
    )
  return out / 'index.html'


def _folder(workdirs: Sequence[pathlib.Path]) -> pathlib.Path:
  """Returns the folder of a report that nobody has given a place."""
  if len(workdirs) == 1:
    out = workdirs[0] / 'report'
    files.refuse_way_out(out, workdirs[0])
    return out
  number, out = 1, workdirs[0].parent / 'report'
  while _compared_in(out) not in ([], _seen_from(out, workdirs)):
    number += 1
    out = out.with_name(f'report-{number}')
  files.refuse_way_out(out, workdirs[0].parent)
  return out


def _refuse_others(out: pathlib.Path, workdirs: Sequence[pathlib.Path]) -> None:
  """Refuses to replace the comparison of other runs."""
  if _compared_in(out) not in ([], _seen_from(out, workdirs)):
    raise ValueError(
      f'{out} is the report of other runs, see {_RUNS} there. Choose another'
      ' --out.'
    )


def _seen_from(
  out: pathlib.Path, workdirs: Sequence[pathlib.Path]
) -> list[str]:
  """Returns the ways from a report to its runs, which stay when both move."""
  home = os.path.realpath(out)
  return [
    os.path.relpath(os.path.realpath(workdir), home) for workdir in workdirs
  ]


def _compared_in(out: pathlib.Path) -> list[str]:
  """Returns which runs a folder compares; [] if it does not say."""
  if not (out / _RUNS).exists():
    return []
  hint = f'Delete {out}, or choose another --out.'
  content = files.read_json(out / _RUNS, hint=hint)
  with files.reading(out / _RUNS, hint=hint):
    forms.check(content, {'runs': [str]})
  return content['runs']
