"""Scores what is given: folders of results, and tables of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import os
import pathlib

from mejax import files
from mejax.corpora import spreadsheets
from mejax.evaluation import best_baseline
from mejax.evaluation import table as table_lib
from mejax.evaluation import table_files
from mejax.experiment import scoring
from mejax.experiment import scoring_predictions


def score_sources(
  sources: Sequence[str | os.PathLike],
  *,
  options: Mapping[str, str] | None = None,
  together: bool = False,
  table: str | os.PathLike | None = None,
  data_dir: str | os.PathLike | None = None,
  trust_code: bool = False,
) -> None:
  """Prints the score of each source, and writes all into one table.

  Args:
    sources: paths with the ending of a table are tables of predictions, see
      `scoring_predictions.score_predictions`; others are folders of results,
      see `scoring.score`. To be scored together, they may also be names of
      baselines.
    options: how to read the tables.
    together: whether to score the results together in place of each alone.
    table: a file for the scores, of a format of `table_files`; none by default.
    data_dir: home of the prepared datasets, for results.
    trust_code: whether code that results name may be run.

  Raises:
    FileNotFoundError: a source or its dataset is missing.
    ValueError: a source is damaged or not understood, or an option does not fit
      the sources.
  """
  paths = [pathlib.Path(source) for source in sources]
  folders = [path for path in paths if not _is_table(path)]
  own = {'data_dir': data_dir, 'trust_code': trust_code}
  if options and folders:
    raise ValueError(
      f'--option tells how to read a table; {folders[0]} holds results.'
    )
  if table is not None:
    table = pathlib.Path(table)
    table_files.check_ending(table)
    files.check_writable(table.parent, flag='--table')
  if together:
    if len(folders) < len(paths) or table is not None:
      raise ValueError(
        '--together takes folders of results, because it averages'
        ' probabilities, and no --table.'
      )
    scoring.score_together(sources, **own)
    return
  rows, sentences = [], []
  for path in paths:
    if len(paths) > 1 or path in folders:
      print(f'{path}:')
    if path in folders:
      numbers = scoring.score(path, **own)
      sentences.append(numbers['protocol'])
      name = str(path) if len(paths) > 1 else ''
      sentences += best_baseline.sentences(numbers, run=name)
    else:
      numbers = scoring_predictions.score_predictions(path, options)
      sentences.append(f'{path}: {table_lib.describe_mistaken(numbers)}')
    rows += table_files.rows_of(str(path), numbers)
  if table is not None:
    table_files.write(table, rows, list(dict.fromkeys(sentences)))
    print(f'Written: {table}')


def _is_table(path: pathlib.Path) -> bool:
  """Returns whether a path is that of a table; refuses other files."""
  if path.is_dir():
    return False
  is_table = path.suffix.lower() in spreadsheets.SUFFIXES
  if path.is_file() and not is_table:
    raise ValueError(
      f'{path} is neither a folder of results nor a table of predictions, which'
      f' ends in {", ".join(spreadsheets.SUFFIXES)}.'
    )
  return is_table
