"""Writes the page of finished runs, alone, side by side and together."""

from __future__ import annotations

from collections.abc import Sequence
import os
import pathlib

from mejax import files
from mejax.evaluation import summary
from mejax.evaluation import table
from mejax.evaluation import table_files
from mejax.experiment import ensembles
from mejax.experiment import finished
from mejax.experiment import workdir as workdir_lib
from mejax.pages import ceiling as ceiling_page
from mejax.pages import run as run_page

TABLES = ('table.md', 'table.tex', 'table.csv')


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
      the first workdir if there are several.
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
    ValueError: a file is damaged, or sources cannot be scored together.
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
  if out is None:
    beside = workdirs[0].parent if len(workdirs) > 1 else workdirs[0]
    out = beside / 'report'
    files.refuse_way_out(out, beside)
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
  out = pathlib.Path(out)
  files.check_writable(out, flag='--out')
  out.mkdir(parents=True, exist_ok=True)
  for name, content in numbers.items():
    workdir_lib.write_json(out / f'{name}.json', content)
  rows = [
    row for run in runs for row in table_files.rows_of(run.name, run.numbers)
  ]
  protocols = dict.fromkeys(run.numbers['protocol'] for run in runs)
  compared = run_page.sentences(runs)
  few = [
    each for run in runs for each in summary.describe_few_seeds(run.numbers)
  ]
  for name in TABLES:
    table_files.write(
      out / name, rows, list(dict.fromkeys([*protocols, *compared, *few]))
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
