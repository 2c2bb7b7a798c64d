"""Evaluates saved models on the people each one held out."""

from __future__ import annotations

from collections.abc import Sequence
import json
import os
import pathlib
from typing import Any

from flax import linen as nn
import jax
from jaxtyping import Float
import ml_collections
import numpy as np

from mejax import files
from mejax import own_code
from mejax.evaluation import predictions
from mejax.evaluation import prior as prior_lib
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.evaluation import table
from mejax.evaluation import units as units_lib
from mejax.experiment import applying
from mejax.experiment import baseline_cache
from mejax.experiment import configuration
from mejax.experiment import evaluated
from mejax.experiment import finished
from mejax.experiment import fold_words
from mejax.experiment import record as record_lib
from mejax.experiment import resolve
from mejax.experiment import schema
from mejax.experiment import task as task_lib
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import packed_files
from mejax.experiment.packs import saved as saved_lib
from mejax.experiment.packs import seen as seen_lib
from mejax.experiment.packs import trained_on
from mejax.experiment.packs.saved import Saved
from mejax.experiment.task import Task
from mejax.training import devices as devices_lib
from mejax.training import numerics

UNKNOWN = f'{seen_lib.UNKNOWN}: these clips may have been trained on'
CHOSEN = (
  f'{seen_lib.UNKNOWN}; the epoch of these weights may have been chosen on'
  ' these clips'
)
RENDERED = (
  'the models were trained on rendered faces, and these may be some of them'
)
# Chosen on generated and rendered people; see configs/generated.py.
DEFAULT_PRIOR = 'trained'
_SHARES = {
  'trained': '',
  'em': ', corrected for shares of classes that are estimated without labels',
  'published': ', corrected half way to the shares of classes that MMEW and'
  ' CAS(ME)^3 have published',
}
_HINT = 'With --leave_out_seen, the others are evaluated.'


def evaluate(
  source: str | os.PathLike,
  *,
  data_dir: str | os.PathLike | None = None,
  config: ml_collections.ConfigDict | None = None,
  overrides: Sequence[str] = (),
  task: Task | None = None,
  model: nn.Module | None = None,
  prior: str | None = None,
  out: str | os.PathLike | None = None,
  leave_out_seen: bool = False,
  trust_code: bool = False,
) -> dict[str, Any]:
  """Evaluates saved models on people that they have not seen; prints the table.

  Each model of a run says the people that it held out. A saved model of
  `packing.pack` says those whom it has not seen, and refuses all others.

  Only the folder `out` is written: `metrics.json`, `predictions.csv`,
  `record.npz` and `baselines.npz`, so that `mejax report` can show it. The
  baselines of the data are also kept in the data folder. A model that tells
  action units also writes `units.json`, how well each tells each class.

  Args:
    source: workdir of a finished run, a folder of converted models, or one that
      `packing.pack` wrote.
    data_dir: home of the prepared datasets, unless `task` is given.
    config: names dataset, protocol and view; by default the run's config, or
      the shipped config of the original model.
    overrides: `key=value` strings that change values of the config.
    task: your data, in place of the config's.
    model: the module, for a run that was trained with your own.
    prior: for models of generated faces, a name of `evaluation.prior.RULES`:
      how the classes' shares in each database are taken into account, without a
      label; by default `DEFAULT_PRIOR`.
    out: folder of the results; by default `evaluate/` in a run or a folder of
      converted models. For a saved model it must be given.
    leave_out_seen: whether people whom the model has seen are left out;
      otherwise data with any of them are refused.
    trust_code: whether code that only the files of the source name, as
      `package.module:name`, may be imported and run. Names in `config` and
      `overrides` are yours and need no trust; what `task` and `model` replace
      is not imported.

  Returns:
    The content of `metrics.json`, see `evaluation.summary.metrics_json`.

  Raises:
    ValueError: models, data and config do not fit each other, the model has
      seen people of the data, the source names code that is not trusted, a file
      is damaged, or `out` is a run.
    FileNotFoundError: the dataset has not been prepared.
  """
  devices_lib.keep_compiled_programs()
  source = pathlib.Path(source)
  out = _choose_out(source, out)
  given = own_code.names_in([config.to_dict() if config else {}, overrides])
  saved = saved_lib.read_models(
    source,
    model,
    given=given,
    replaced=() if task is None else ('dataset', 'protocol', 'view'),
    trust_code=trust_code,
  )
  prior = _choose_prior(saved, prior)
  if (source / 'metrics.json').exists():
    finished.read_numbers(source, record_lib.read_record(source))
  config = configuration.override(config or saved.config, overrides)
  numerics.check_precision(config.matmul_precision)
  view = config.view if task is None else None
  reads_dataset = task is None
  if reads_dataset:
    task = _load_task(config, data_dir)
  task_lib.check_task(task)
  task = seen_lib.leave_out(
    task,
    saved.seen,
    whose=f'the model in {source}',
    leave_out_seen=leave_out_seen,
    hint=_HINT,
  )
  if saved.packed:
    saved.packed.check_clips(task, view)
  other = trained_on.compare(saved, task)
  logits, told = _apply(saved, task, prior, config.matmul_precision)
  left_out = applying.find_left_out(saved, task.groups)
  record = record_lib.of_one_evaluation(
    task,
    left_out,
    logits,
    seeds=saved.seeds,
    epoch=saved.epoch,
  )
  units = _score_units(task, record, told, saved.units)
  owner = workdir_lib.describe_owner(
    json.loads(saved.config.to_json_best_effort()),
    {'data_sha256': task.sha256, 'data': task.describe()},
  )
  about = _tell(saved, task, left_out, prior, other)
  if reads_dataset and not leave_out_seen:
    about |= evaluated.describe(source, config, task, prior=prior)
  record |= record_lib.about(owner, about)
  same_data = _is_data_of_run(source, task)
  if same_data:
    baselines = baseline_cache.of_run(source, task, left_out)
  else:
    baselines = baseline_cache.read_or_fit(task, left_out)
  metrics = finished.describe(
    record, baselines, record_lib.read_told(out, record)
  )
  _write(out, record, baselines, metrics, units)
  print(table.format_numbers(metrics))
  if units:
    print(units_lib.format_areas(units['full']))
  if same_data:
    print(_compare(record, record_lib.read_record(source)))
  elif not (saved.caution or saved.generated or saved.packed):
    print(_say_difference(source, task))
  print(f'Written: {out}')
  return metrics


def _choose_prior(saved: Saved, prior: str | None) -> str | None:
  """Returns the rule for the classes' shares; None if none applies."""
  if saved.generated:
    return DEFAULT_PRIOR if prior is None else prior
  if prior is not None:
    raise ValueError(
      '--prior is for models of generated faces, which saw all classes equally'
      ' often; leave it out.'
    )
  return None


def _apply(
  saved: Saved, task: Task, prior: str | None, precision: str | None
) -> tuple[Float[np.ndarray, 's n k'], dict[str, np.ndarray]]:
  """Returns the logits of each seed, by class of the task, and the units."""
  outputs, told = _order_outputs(saved, task), {}
  if saved.packed:
    logits = saved.packed.log_probabilities(task.inputs)[None]
  else:
    with jax.default_matmul_precision(precision):
      logits, told = applying.apply_folds(
        saved, task, task.groups, keep=_keep_units
      )
  spare = range(len(outputs), logits.shape[-1])
  logits = logits[..., [*outputs, *spare]]
  if saved.generated:
    # Generated people show all classes equally often.
    even = np.full(logits.shape[-1], 1 / logits.shape[-1])
    logits = prior_lib.adapt(
      logits,
      task.corpus,
      trained=even,
      rule=prior,
      class_names=task.class_names,
    )
  return logits, told


def _keep_units(out: Any) -> dict[str, Any]:
  return {name: x for name, x in out.items() if name == 'units'}


def _score_units(
  task: Task,
  record: selection.Record,
  told: dict[str, np.ndarray],
  names: Sequence[str],
) -> dict[str, Any]:
  """Returns how well each action unit tells each class, in all and by database.

  Args:
    task: the clips.
    record: the evaluation of them.
    told: `units`, a logit for each seed, clip and unit; {} if the models tell
      none.
    names: of the units.
  """
  if not told or told['units'].shape[-1] != len(names):
    return {}
  logits = told['units'].mean(0)
  return {
    part: units_lib.score_against_classes(
      logits[rows], task.labels[rows], names, task.class_names
    )
    for part, rows in summary.masks_of(record).items()
  }


def _choose_out(
  source: pathlib.Path, out: str | os.PathLike | None
) -> pathlib.Path:
  """Returns the folder of the results, or refuses it."""
  if out is None and packed_files.is_model(source):
    raise ValueError(
      f'{source} is a saved model, to which nothing is added, for the results'
      ' tell of people and labels. Name their folder by --out.'
    )
  out = source / 'evaluate' if out is None else pathlib.Path(out)
  for is_other, what in (
    (workdir_lib.is_run, 'a run, whose results'),
    (packed_files.is_model, 'a saved model, which'),
  ):
    if is_other(out):
      raise ValueError(
        f'{out} is the folder of {what} would be lost. Choose another --out.'
      )
  return out


def _write(out: pathlib.Path, record, baselines, metrics, units) -> None:
  """Writes the folder of an evaluation, after another that is written."""
  with files.locked(out / workdir_lib.LOCK, remove=True):
    _write_files(out, record, baselines, metrics)
    if units:
      workdir_lib.write_json(out / 'units.json', units)


def _write_files(out: pathlib.Path, record, baselines, metrics) -> None:
  workdir_lib.save_npz(out / 'record.npz', record)
  owner = {files.OWNER: record[files.OWNER]}
  workdir_lib.save_npz(out / workdir_lib.BASELINES, baselines | owner)
  workdir_lib.write_json(out / 'metrics.json', metrics)
  predictions.write_csv(out / 'predictions.csv', record, rules=['last'])


def _load_task(config, data_dir) -> Task:
  """Loads the data of a config that names dataset, protocol and view."""
  view = config.view
  if not (
    config.dataset and isinstance(config.protocol, str) and 'name' in view
  ):
    raise ValueError(
      'the run was trained on arrays, or with a view or protocol, of your own:'
      ' call mejax.experiment.evaluate with that task, or give a --config.'
    )
  if data_dir is None:
    raise ValueError('evaluate needs either data_dir or task.')
  return resolve.load_task(config, data_dir)


def _order_outputs(saved: Saved, task: Task) -> list[int]:
  """Returns the outputs in the order of the protocol's classes."""
  classes, count = saved.classes, len(task.class_names)
  if all(name.isdigit() for name in classes) and len(classes) >= count:
    return list(range(len(classes)))
  if sorted(classes[:count]) != sorted(task.class_names):
    raise ValueError(
      f'the models tell {", ".join(classes)} apart; the protocol has'
      f' {", ".join(task.class_names)}. Choose a --config whose protocol has'
      ' the same classes.'
    )
  return [classes.index(name) for name in task.class_names]


def _tell(
  saved: Saved,
  task: Task,
  left_out: np.ndarray,
  prior: str | None,
  other: str,
) -> dict[str, Any]:
  """Returns what is told beside the numbers; see `record.TOLD`.

  Args:
    saved, task, prior: as for `_apply`.
    left_out: the fold that holds each clip out.
    other: how the clips differ from those of the training; '' if they do not.
  """
  protocol, warning = fold_words.say(task.protocol, task.groups, left_out), ''
  if saved.generated:
    rendered = saved.trained_on.get('dataset', {}).get('rendered')
    kinds = 'generated and rendered' if rendered else 'generated'
    protocol = (
      f'One model for all clips, trained on {kinds} faces alone'
      f'{_SHARES[prior]}. {fold_words.without(protocol)}'
    )
    # Rendered people have no names of their own: s00 is in every dataset.
    if rendered and 'synthetic' in task.corpus:
      warning = RENDERED
  elif saved.names is None:
    warning = '' if saved.packed and not saved.seen.unknown else UNKNOWN
    protocol = f'One model for all clips. {fold_words.without(protocol)}'
  elif saved.caution:
    warning = f'{CHOSEN}. {saved.caution}'
  elif saved.seen.unknown:
    warning = UNKNOWN
  warning = '; '.join(filter(None, [warning, other]))
  told = {'protocol': protocol, 'rules': ['last'], 'warning': warning}
  return told | {'started': saved.caution == '' and warning != ''}


def _is_data_of_run(source: pathlib.Path, task: Task) -> bool:
  if not (source / 'run.json').exists():
    return False
  run = schema.read_run(source)
  # Runs of mejax 0.2 have no description of their data.
  described = run.get('data', task.describe()) == task.describe()
  return described and run['data_sha256'] == task.sha256


def _say_difference(source: pathlib.Path, task: Task) -> str:
  """Says how data are not those of a run, so that nothing is compared."""
  has_run = (source / 'run.json').exists()
  told = schema.read_run(source).get('data', {}) if has_run else {}
  ours, kept = task.describe(), told.get('clips_sha256')
  how = 'other clips, motion, labels or people'
  if kept:
    same = kept == ours['clips_sha256']
    how = 'other motion, labels or people' if same else 'other clips'
  return f'NOTE: these are not the data of the run, whose record has {how}.'


def _compare(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> str:
  """Says whether the saved models reproduce the recorded logits."""
  setting = int(theirs['setting'].min())
  ours = selection.select(ours, 'last').logits
  theirs = selection.select(theirs, 'last', setting=setting).logits
  other = selection.predictions(ours) != selection.predictions(theirs)
  difference = np.abs(ours - theirs).max()
  if other.any():
    return (
      f'WARNING: {other.sum()} of {other.size} predictions differ from those'
      f' in the record of the run (logits by up to {difference:.2g}).'
    )
  return (
    'The predictions are those in the record of the run'
    f' (logits differ by up to {difference:.2g}).'
  )
