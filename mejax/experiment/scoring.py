"""Scores folders of results on the data at hand, without any training."""

from __future__ import annotations

from collections.abc import Sequence
import os
import pathlib
from typing import Any

from jaxtyping import Int
from jaxtyping import Shaped
import numpy as np

from mejax.evaluation import baselines as baselines_lib
from mejax.evaluation import summary
from mejax.evaluation import table
from mejax.evaluation import together as together_lib
from mejax.experiment import baseline_cache
from mejax.experiment import ensembles
from mejax.experiment import fold_words
from mejax.experiment import record as record_lib
from mejax.experiment import resolve
from mejax.experiment import results as results_lib
from mejax.experiment.results import Result
from mejax.experiment.task import Task

_MOST_NAMED = 3
_LEFT_OUT = (
  'Only the last epoch: results do not hold what was chosen on test subjects.'
)


def score(
  folder: str | os.PathLike,
  *,
  data_dir: str | os.PathLike | None = None,
  task: Task | None = None,
  trust_code: bool = False,
) -> dict[str, Any]:
  """Prints the table of a run from its results and the data at hand.

  Args:
    folder: results that `mejax report RUN --export FOLDER` wrote.
    data_dir: home of the prepared datasets, unless `task` is given.
    task: your data, for a run that was trained on arrays of your own.
    trust_code: whether code that the config of the results names may be run.

  Returns:
    See `evaluation.summary.metrics_json`.

  Raises:
    ValueError: the data have other clips or classes than the results, or a file
      is damaged.
    FileNotFoundError: a file is missing, or the dataset is not prepared.
  """
  result = results_lib.read(folder, trust_code=trust_code)
  task = task or _load_task(result, folder, data_dir)
  record, left_out = match(result, task, folder)
  baselines = baseline_cache.read_or_fit(task, left_out)
  metrics = summary.metrics_json(
    record,
    baselines,
    rules=['last'],
    protocol_sentence=_sentence(result, task, left_out),
  )
  if warning := result.versions.get('warning'):
    summary.warn(metrics, warning)
  print(table.format_numbers(metrics))
  print(_LEFT_OUT)
  if result.versions['data_sha256'] != task.sha256:
    print(
      'NOTE: the motion, labels or people of these data are not those of the'
      ' run, although its clips are the same.'
    )
  return metrics


def score_together(
  sources: Sequence[str | os.PathLike],
  *,
  data_dir: str | os.PathLike | None = None,
  task: Task | None = None,
  trust_code: bool = False,
) -> dict[str, Any]:
  """Scores several results, and baselines on their folds, together.

  Prints their table, with the difference to the best baseline: these are fitted
  if the folder of the data does not have them. Other arguments and errors are
  those of `score`; clips and folds of all results must be the same.

  Args:
    sources: folders of results, and names of baselines, e.g. `lda`.
    data_dir, task, trust_code: as in `score`.

  Returns:
    See `evaluation.together.metrics_json`.
  """
  folders, names = ensembles.split(sources)
  known = [name for name in baselines_lib.BASELINES if name != 'majority']
  if unknown := [name for name in names if name not in known]:
    raise ValueError(
      f'{unknown[0]!r} is neither a folder of results nor a baseline with'
      f' probabilities: {", ".join(known)}.'
    )
  records, held, warnings, sentences = {}, [], [], []
  for folder in folders:
    result = results_lib.read(folder, trust_code=trust_code)
    warnings.append(result.versions.get('warning', ''))
    own = task or _load_task(result, folder, data_dir)
    records[os.fspath(folder)], left_out = match(result, own, folder)
    held.append((own, left_out))
    sentences.append(_sentence(result, own, left_out))
  together_lib.refuse_different(records)
  first = next(iter(records.values()))
  own, left_out = held[0]
  members = [
    together_lib.member_of(name, record, like=first)
    for name, record in records.items()
  ]
  baselines = baseline_cache.read_or_fit(own, left_out)
  shares = baselines_lib.probabilities_of(baselines)
  members += [together_lib.Member(name, shares[name]) for name in names]
  numbers = together_lib.metrics_json(
    first,
    members,
    protocol='\n'.join(dict.fromkeys(sentences)),
    baselines=baselines,
  )
  together_lib.warn(numbers, warnings)
  print(table.format_together(numbers))
  return numbers


def match(
  result: Result, task: Task, folder: str | os.PathLike
) -> tuple[dict[str, np.ndarray], Shaped[np.ndarray, ' n']]:
  """Joins results with the labels of the data at hand.

  Args:
    result: the results.
    task: the data.
    folder: folder of the results, for messages.

  Returns:
    The record of a run, which has one evaluation; and the name of the fold that
    held each clip out.

  Raises:
    ValueError: clips or classes differ.
  """
  if result.class_names != tuple(task.class_names):
    raise ValueError(
      f'the classes of {folder} are {", ".join(result.class_names)}; those of'
      f' the data are {", ".join(task.class_names)}.'
    )
  here = results_lib.digests(task.corpus, task.subject, task.clip)
  _refuse_other_clips(result, task, here, folder)
  place = np.searchsorted(result.clip, here)
  left_out = _name_folds(result.fold[place], task.groups)
  return record_lib.of_one_evaluation(
    task,
    left_out,
    result.logits[:, place],
    seeds=result.seeds,
    epoch=result.epoch,
  ), left_out


def _refuse_other_clips(result, task, here, folder) -> None:
  strange = ~np.isin(here, result.clip)
  lacking = ~np.isin(result.clip, here)
  if not (strange.any() or lacking.any()):
    return
  words = []
  if lacking.any():
    words.append(
      f'{lacking.sum()} of its {len(lacking)} clips are not in the data'
    )
  if strange.any():
    names = [
      f'{person}/{clip}'
      for person, clip in zip(
        task.people[strange].tolist(), task.clip[strange].tolist(), strict=True
      )
    ]
    more = ', ...' * (len(names) > _MOST_NAMED)
    words.append(
      f'{len(names)} clips of the data are not in it:'
      f' {", ".join(names[:_MOST_NAMED])}{more}'
    )
  raise ValueError(
    f'{folder} cannot be scored on these data: {"; ".join(words)}. Prepare the'
    f' dataset {result.config.get("dataset", "")!r} as command.txt and'
    ' versions.json there say.'
  )


def _name_folds(
  fold: Int[np.ndarray, ' n'], groups: Shaped[np.ndarray, ' n']
) -> Shaped[np.ndarray, ' n']:
  """Names each fold by its person, or by its number if it holds out several."""
  names = {}
  for number in np.unique(fold).tolist():
    people = np.unique(groups[fold == number])
    alone = len(people) == 1 and (fold[groups == people[0]] == number).all()
    names[number] = str(people[0]) if alone else f'part {number + 1}'
  return np.array([names[number] for number in fold.tolist()])


def _sentence(result: Result, task: Task, left_out) -> str:
  """Says which clips count, and who had held them out."""
  if evaluation := result.versions.get('evaluation'):
    return evaluation['protocol']
  return fold_words.say(task.protocol, task.groups, left_out)


def _load_task(result, folder, data_dir) -> Task:
  config = result.reading
  if not config.get('dataset'):
    raise ValueError(
      f'{folder} is of a run on arrays: call mejax.experiment.score with that'
      ' task.'
    )
  if data_dir is None:
    raise ValueError('score needs either data_dir or task.')
  return resolve.load_task(config, pathlib.Path(data_dir))
