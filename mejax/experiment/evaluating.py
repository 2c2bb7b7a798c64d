"""Applies models that have learnt to the clips that each of them did not see.

`apply_folds` gives the logits, and what the model shows of each clip;
`evaluate` makes the usual table of them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import json
import os
import pathlib
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float
from jaxtyping import PyTree
import ml_collections
import numpy as np

from mejax import devices as devices_lib
from mejax.evaluation import baselines as baselines_lib
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.experiment import configuration
from mejax.experiment import planning
from mejax.experiment import saved as saved_lib
from mejax.experiment import task as task_lib
from mejax.experiment import workdir as workdir_lib
from mejax.training import folds as folds_lib
from mejax.training import loop
from mejax.training import sample as sample_lib
from mejax.training import trial as trial_lib

UNKNOWN = 'no held-out result: these clips may have been trained on'
CHOSEN = 'the epoch of these weights may have been chosen on these clips'


def apply_folds(
  saved: saved_lib.Saved,
  task: task_lib.Task,
  *,
  keep: Callable[[Any], Any] = lambda out: out,
) -> tuple[Float[np.ndarray, 's n k'], PyTree]:
  """Applies to each clip the model that did not see its group.

  Args:
    saved: the models; see `saved.read`.
    task: the clips; see `task.load_task`.
    keep: what to return of a model's `out`, e.g. `lambda out: out['head']`.

  Returns:
    Logits of every seed and clip, as predictions were made in training; and
    what `keep` gives for the clip itself: its arrays, which have the clips on
    their first axis, as `[s, n, ...]`.

  Raises:
    ValueError: a group without a model that held it out.
  """
  model = planning.tell_levels(saved.model, task)
  left_out = _left_out(saved, task)
  groups = np.unique(left_out)
  if saved.names is None:
    own = dict.fromkeys(groups.tolist(), '')
  else:
    own = saved_lib.match(groups.tolist(), saved.names)
  # Padded to one size, so that one program serves all groups.
  index = folds_lib.held_out_index(left_out == groups[:, None])
  inputs = jnp.asarray(task.inputs)

  share = saved.test_mirror
  flip = sample_lib.flip(task.layout) if share else None

  # The data are an argument: as a constant they would be part of the program,
  # which is then compiled and kept anew for every data set.
  @jax.jit
  def apply(variables, inputs, positions):
    clips = sample_lib.decode(inputs[positions])
    logits, out = model.apply(variables, clips, train=False)
    if flip:
      mirrored, _ = model.apply(variables, flip(clips), train=False)
      logits = (1 - share) * logits + share * mirrored
    return logits, keep(out)

  # Parts come sorted by group; clips are not.
  order = np.argsort(index[index >= 0])
  seeds = []
  for seed in saved.seeds:
    parts = []
    for name, row in zip(own.values(), index, strict=True):
      found = apply(saved.load(seed, name), inputs, np.maximum(row, 0))
      parts.append(
        jax.tree.map(lambda x, row=row: np.asarray(x)[row >= 0], found)
      )
    seeds.append(jax.tree.map(lambda *x: np.concatenate(x)[order], *parts))
  return jax.tree.map(lambda *x: np.stack(x), *seeds)


def evaluate(
  source: str | os.PathLike,
  *,
  data_dir: str | os.PathLike | None = None,
  config: ml_collections.ConfigDict | None = None,
  overrides: Sequence[str] = (),
  task: task_lib.Task | None = None,
  model: nn.Module | None = None,
  out: str | os.PathLike | None = None,
) -> dict[str, Any]:
  """Applies a run's or converted models, prints the table, writes its files.

  Nothing but the folder `out` is written: `metrics.json`, `predictions.csv`,
  `record.npz` and `baselines.npz`, so that `mejax report` can show it.

  Args:
    source: folder of a finished run, or one that `saved.convert` wrote.
    data_dir: home of the prepared datasets, unless `task` is given.
    config: names dataset, protocol and view; by default that of the run, or the
      shipped one that fits the original.
    overrides: `key=value` strings that change values of the config.
    task: own data in place of the config's.
    model: the module of a run that was trained with an object of a user's own.
    out: folder of the results; `evaluate/` in the source by default.

  Returns:
    The content of `metrics.json`.

  Raises:
    ValueError: models, data and config do not fit each other.
    FileNotFoundError: the dataset has not been prepared.
  """
  devices_lib.keep_compiled_programs()
  source = pathlib.Path(source)
  out = source / 'evaluate' if out is None else pathlib.Path(out)
  saved = saved_lib.read(source, model)
  config = configuration.override(config or saved.config, overrides)
  task = task or _load_task(config, data_dir)
  task_lib.check_task(task)
  outputs = _outputs(saved, task)
  with jax.default_matmul_precision(config.matmul_precision):
    logits, _ = apply_folds(saved, task, keep=lambda out: {})
  spare = range(len(outputs), logits.shape[-1])
  record = _make_record(saved, task, logits[..., [*outputs, *spare]])
  run = _run_of_same_data(source, task)
  baselines = run and workdir_lib.load_npz(source / 'baselines.npz')
  baselines = baselines or baselines_lib.baselines(
    task.inputs if task.baseline_inputs is None else task.baseline_inputs,
    task.labels,
    groups=_left_out(saved, task),
  )
  parts = planning.sentence_on_parts(len(set(saved.parts.values())))
  metrics = summary.metrics_json(
    record,
    baselines,
    rules=['last'],
    protocol_sentence=' '.join([task.protocol, *parts]),
  )
  _say_what_it_is(metrics, saved)
  out.mkdir(parents=True, exist_ok=True)
  workdir_lib.save_npz(out / 'record.npz', record)
  workdir_lib.save_npz(out / 'baselines.npz', baselines)
  workdir_lib.write_json(out / 'metrics.json', metrics)
  summary.write_predictions_csv(out / 'predictions.csv', record, rules=['last'])
  print(summary.print_table(metrics))
  if run:
    print(_compare(record, workdir_lib.load_npz(source / 'record.npz')))
  elif not saved.caution:
    print('These are not the data of the run: its record has other clips.')
  print(f'Written: {out}')
  return metrics


def _left_out(saved: saved_lib.Saved, task: task_lib.Task) -> np.ndarray:
  """Which model's people each clip is of: its group, or the part of the run."""
  if not saved.parts:
    return task.groups
  groups = task.groups.tolist()
  if unknown := sorted(set(groups) - saved.parts.keys()):
    raise ValueError(
      'the run left people out in parts, and these were in none of them: '
      f'{", ".join(unknown[:5])}{", ..." * (len(unknown) > 5)}. Nobody can say '
      'which of its models has not seen them; evaluate it on the people of the '
      'run.'
    )
  return np.array([saved.parts[group] for group in groups])


def _load_task(config, data_dir) -> task_lib.Task:
  """The data of a config, if they can be told by their names."""
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
  return task_lib.load_task(config, data_dir)


def _outputs(saved: saved_lib.Saved, task: task_lib.Task) -> list[int]:
  """The outputs in the order of the protocol's classes; spare ones last."""
  classes, count = saved.classes, len(task.class_names)
  if all(name.isdigit() for name in classes) and len(classes) >= count:
    return list(range(len(classes)))
  if sorted(classes[:count]) != sorted(task.class_names):
    raise ValueError(
      f'the models tell {", ".join(classes)} apart; the protocol has'
      f' {", ".join(task.class_names)}. Name a --config whose protocol has the'
      ' same classes.'
    )
  return [classes.index(name) for name in task.class_names]


def _make_record(saved, task, logits) -> dict[str, np.ndarray]:
  """A record with one evaluation: of the weights as they are."""
  folds = folds_lib.leave_one_group_out(_left_out(saved, task))
  index = folds_lib.held_out_index(folds.test)
  shape = len(saved.seeds), len(folds.outer)
  each = logits[:, np.maximum(index, 0)]
  outcome = loop.Outcome(
    logits=each.reshape(-1, 1, *each.shape[2:]),
    train_loss=np.full((shape[0] * shape[1], 1), np.nan, np.float32),
    epochs=np.array([saved.epoch], np.int32),
  )
  numbers = {
    'fold': np.tile(folds.outer, shape[0]),
    'inner': np.tile(folds.inner, shape[0]),
    'seed': np.repeat(np.array(saved.seeds, np.int32), shape[1]),
    'setting': np.zeros(shape[0] * shape[1], np.int32),
  }
  trials = trial_lib.Trial(
    key=None,
    train=None,
    held_out=np.tile(index, (shape[0], 1)),
    setting=trial_lib.Setting(),
  )
  return planning.make_record(outcome, trials, numbers, task, folds)


def _say_what_it_is(metrics: dict[str, Any], saved: saved_lib.Saved) -> None:
  """Labels the numbers of weights that came from elsewhere."""
  if saved.names is None:
    warning = UNKNOWN
    metrics['protocol'] = f'One model for all clips. {metrics["protocol"]}'
  elif saved.caution:
    warning = f'{CHOSEN}. {saved.caution}'
  else:
    return
  metrics['rules'] = {'last': f'The weights as they came: {warning}.'}
  for entry in metrics['selection']['last'].values():
    entry['warning'] = warning


def _run_of_same_data(source: pathlib.Path, task: task_lib.Task) -> bool:
  path = source / 'run.json'
  if not path.exists():
    return False
  return json.loads(path.read_text())['data_sha256'] == task.sha256


def _compare(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> str:
  """Whether the models say again what the run recorded of them."""
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
