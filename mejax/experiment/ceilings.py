"""Measures, with a baseline, what holds the scores on a dataset back."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import functools
import os
from typing import Any

import numpy as np

from mejax.datasets import load
from mejax.evaluation import ceiling
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.experiment import baseline_cache
from mejax.experiment import record as record_lib
from mejax.experiment import resolve
from mejax.experiment import schema
from mejax.experiment.task import Task
from mejax.pages import ceiling as ceiling_page
from mejax.pages import pictures
from mejax.pages.dataset import Tile
from mejax.pages.finished_run import Run
from mejax.training import folds as folds_lib

# It is fitted in a fraction of a second, and no other is better on small flow.
BASELINE = 'lda'
# More pictures would make the page slow.
_MOST_SHOWN = 24
# The corpus of rendered faces, which are nobody's.
_RENDERED = 'synthetic'


def measure(
  workdir: str | os.PathLike,
  run: Run,
  data_dir: str | os.PathLike,
  *,
  trust_code: bool = False,
) -> dict[str, Any]:
  """Measures how far people who are unknown, or few, limit the score.

  A baseline is fitted in the folds of the run, in as many folds over clips,
  where people are on both sides, and on a share of the training people of each
  fold of the run. What it says is kept in the data folder.

  Args:
    workdir: folder of the run.
    run: the run.
    data_dir: home of the prepared datasets.
    trust_code: whether code that only the config of the run names may be run.

  Returns:
    `baseline`, its name; `folds`, their number; `people` and `clips`, the
    entries of `summary.metrics_json` for folds over each; `curve`, see
    `evaluation.ceiling.curve_json`.

  Raises:
    FileNotFoundError: the dataset is not prepared.
    ValueError: it is not that of the run, or the run is of arrays or names code
      that is not trusted.
  """
  config = schema.read_run_config(workdir, trust_code=trust_code)
  if not config.dataset:
    raise ValueError(
      f'{workdir} was trained on arrays: the ceiling cannot be measured from'
      ' --data_dir.'
    )
  task = resolve.load_task(config, data_dir)
  if task.sha256 != schema.read_run(workdir)['data_sha256']:
    raise ValueError(
      f'{config.dataset} in {data_dir} is not the data that {workdir} was'
      ' trained on. Leave out --data_dir, or prepare it as it was.'
    )
  record = run.record
  held_by = selection.held_out_by(record)
  left_out = record['fold_names'][held_by]
  count = len(np.unique(held_by))
  over_clips = folds_lib.over_clips(task.labels, count)
  every = np.ones(len(task.labels), bool)
  # All baselines on all people are there already, since the run.
  whole = baseline_cache.read_or_fit(task, left_out)[BASELINE][None]
  draw = functools.partial(
    baseline_cache.read_or_fit, task, left_out, names=(BASELINE,)
  )
  found = {
    share: np.stack(
      [draw(share=share, draw=i)[BASELINE] for i in range(ceiling.DRAWS)]
    )
    for share in ceiling.SHARES
  } | {1.0: whole}
  clips = baseline_cache.read_or_fit(task, over_clips, names=(BASELINE,))
  return {
    'baseline': BASELINE,
    'folds': count,
    'people': summary.numbers_of(record, whole, every),
    'clips': summary.numbers_of(
      _record_in(over_clips, task), clips[BASELINE][None], every
    ),
    'curve': ceiling.curve_json(record, found),
  }


def draw_clips(
  run: Run, clips: Sequence[Mapping[str, str]], data_dir: str | os.PathLike
) -> dict[str, pictures.Image]:
  """Draws those clips of a run whose pictures anybody may see.

  These are rendered faces. Licences of databases forbid to pass pictures on,
  and a report is made for that.

  Args:
    run: the run.
    clips: `corpus`, `subject` and `clip` of each.
    data_dir: home of the prepared datasets.

  Returns:
    `corpus/subject/clip` -> onset-to-apex motion, strain and face.
  """
  wanted = [ceiling_page.identity_of(clip) for clip in clips]
  wanted = [name for name in wanted if name.startswith(f'{_RENDERED}/')]
  if not wanted:
    return {}
  name = run.config['dataset']
  examples = load.Examples(name, data_dir)
  place = {one: i for i, one in enumerate(examples.identities())}
  units = load.read_metadata(name, data_dir)['units']
  tiles = [
    Tile.of_example(examples[place[one]], units)
    for one in wanted[:_MOST_SHOWN]
    if one in place
  ]
  scales = None
  if units == 'pixel' and tiles:
    scales = pictures.Legend(
      flow=pictures.scale_of([tile.motion for tile in tiles]),
      strain=pictures.scale_of([tile.strain for tile in tiles]),
    )
  return {
    tile.identity: pictures.Image(
      pictures.jpeg(tile.strip(scales)),
      f'face, motion and strain of {tile.identity}',
    )
    for tile in tiles
  }


def _record_in(left_out, task: Task) -> dict[str, np.ndarray]:
  """Returns a record without results whose folds are these."""
  nothing = np.zeros((1, len(task.labels), len(task.class_names)), np.float32)
  return record_lib.of_one_evaluation(
    task, left_out, nothing, seeds=(0,), epoch=0
  )
