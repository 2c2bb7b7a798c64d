"""Writes the results of a run into a folder; `results` says what is in it."""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
import json
import os
import pathlib
import shlex
from typing import Any

from jaxtyping import Float
import numpy as np

from mejax import files
from mejax.evaluation import selection
from mejax.experiment import adding_seeds
from mejax.experiment import commands
from mejax.experiment import evaluated
from mejax.experiment import record as record_lib
from mejax.experiment import results
from mejax.experiment import schema
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import recipes

# What is told of the dataset. Its lists of clips are not: names tell emotions.
_TOLD = ('corpora', *recipes.KEYS, 'versions')


def export(
  workdir: str | os.PathLike,
  folder: str | os.PathLike,
  *,
  add_seeds: bool = False,
) -> pathlib.Path:
  """Writes the results of a finished run into a folder of their own.

  Of a run with several settings, the results are those of the first. An older
  folder of results is replaced, unless seeds are added to it.

  Args:
    workdir: folder of the run; or what `evaluate` wrote of the models of a run.
    folder: the new folder.
    add_seeds: whether the seeds of the run are added to the results that are in
      the folder, which must be of the same config and data. The folder is then
      what a run of all seeds would have written; probabilities that were
      rounded in it stay so.

  Returns:
    The folder.

  Raises:
    FileNotFoundError: the run is not finished, an evaluation does not tell what
      makes it again, or there are no results to add to.
    ValueError: a file is damaged, `folder` holds something else, or, with
      `add_seeds`, results of another config, of other data or of the same
      seeds; an evaluation has all seeds, so none are added.
  """
  workdir, folder = pathlib.Path(workdir), pathlib.Path(folder)
  folder = pathlib.Path(os.path.abspath(folder))
  files.check_replaceable(
    folder, marker='versions.json', names=results.FILES, what='results'
  )
  files.check_writable(folder.parent, flag='--export')
  content, made = _read(workdir)
  if add_seeds and 'evaluation' in content.about:
    raise ValueError(
      f'{workdir} is an evaluation, which has all seeds of its run. Export it'
      ' without --add_seeds.'
    )
  with files.replacing(folder) as partial:
    # Read here, where no other process can add seeds to it.
    if add_seeds:
      content = adding_seeds.add(content, workdir, folder)
    arrays = content.arrays | _exact_enough(content.logits, content.share)
    workdir_lib.save_npz(partial / 'probabilities.npz', arrays)
    workdir_lib.write_json(partial / 'config.json', content.config)
    digests = {
      name: results.sha256(partial / name) for name in results.DIGESTED
    }
    versions = {'schema_version': results.SCHEMA_VERSION, 'sha256': digests}
    workdir_lib.write_json(partial / 'versions.json', versions | content.about)
    with files.writing(partial / 'command.txt') as file:
      file.write(_commands(content.config, made, folder.resolve().name))
  return folder


def _read(workdir: pathlib.Path) -> tuple[results.Content, dict[str, Any]]:
  """Reads results, and what they were made by: run.json, or see `evaluated`."""
  is_run = any(
    (workdir / name).exists() for name in ('config.json', 'run.json')
  )
  if not is_run and (workdir / 'record.npz').exists():
    record = record_lib.read_record(workdir)
    made, told = evaluated.read(workdir, record)
    config = made['config']
  else:
    config, made, record, told = _read_run(workdir)
  if schema.SEARCH in config:
    raise ValueError(
      f'{workdir} is of a search, in which each fold has settings of its own,'
      ' so no config gives its results again. Export a run of `mejax train`.'
    )
  about = _describe(made)
  if not is_run:
    about['evaluation'] = {
      'protocol': told['protocol'],
      'reading': made['reading'],
      'options': made['options'],
      'trained': _describe(made['trained']),
    }
  if warning := told.get('warning'):
    about['warning'] = warning
  arrays, logits = _arrays(record)
  return results.Content(
    config, about, arrays, logits, results.shares_of(logits)
  ), made


def _read_run(workdir: pathlib.Path):
  """Returns config, content of run.json, record and `record.TOLD` of a run."""
  for needed in ('record.npz', 'config.json', 'run.json'):
    if not (workdir / needed).exists():
      raise FileNotFoundError(
        f'{workdir} has no {needed}: it is not the workdir of a finished run.'
      )
  run = schema.read_run(workdir)
  config = schema.complete(schema.read_config(workdir), run['schema_version'])
  record = record_lib.read_record(workdir)
  # Runs without it are older than any warning.
  has_told = 'told' in record
  told = record_lib.read_told(workdir, record) if has_told else {}
  return config, run, record, told


def _describe(made: Mapping[str, Any]) -> dict[str, Any]:
  """Returns what versions.json tells of data and libraries."""
  dataset = made.get('dataset', {})
  about = {
    'data_sha256': made['data_sha256'],
    'versions': made.get('versions', {}),
    'backend': made.get('backend', ''),
    'numerics': made.get('numerics', {}),
    'dataset': {key: dataset[key] for key in _TOLD if key in dataset},
  }
  if own_code := made.get('named_objects'):
    # Its description may hold paths, so only its digest is told.
    about['own_code_sha256'] = hashlib.sha256(
      json.dumps(own_code, sort_keys=True).encode()
    ).hexdigest()
  return about


def _arrays(
  record: selection.Record,
) -> tuple[dict[str, np.ndarray], Float[np.ndarray, 's n k']]:
  """Returns the content of `probabilities.npz`, and the logits."""
  setting = int(record['setting'].min())
  found = selection.select(record, 'last', setting=setting)
  clip = results.digests(record['corpus'], record['subject'], record['clip'])
  if len(np.unique(clip)) < len(clip):
    raise ValueError('two clips of this run have the same name')
  order = np.argsort(clip)
  # Folds are numbered as they come, because those of a run are in the order of
  # the names of people.
  held_by = selection.held_out_by(record)[order]
  first = np.unique(held_by, return_index=True)[1]
  fold = np.argsort(np.argsort(first))[
    np.unique(held_by, return_inverse=True)[1]
  ]
  arrays = {
    'schema_version': np.array(results.SCHEMA_VERSION),
    'class_names': np.asarray(record['class_names']),
    'clip': clip[order],
    'fold': fold.astype(np.int32),
    'seeds': found.seeds,
    'epoch': record['epochs'][-1],
  }
  return arrays, found.logits[:, order]


def _exact_enough(
  logits: Float[np.ndarray, 's n k'], share: Float[np.ndarray, 's n k']
) -> dict[str, np.ndarray]:
  """Returns probabilities in the smallest type that keeps all predictions.

  These are the predictions of every seed, and of all seeds together. If even
  float32 does not keep them, as when seeds are equally sure of different
  classes, the logits themselves are returned.
  """
  for dtype in (np.float16, np.float32):
    kept = share.astype(dtype)
    if all(
      np.array_equal(ours, theirs)
      for ours, theirs in zip(
        _predictions(results.logits_of(kept)), _predictions(logits), strict=True
      )
    ):
      return {'probabilities': kept}
  return {'logits': logits}


def _predictions(logits):
  """Returns the predictions of every seed, and those of all together."""
  mean = selection.probabilities(logits).mean(0)
  return selection.predictions(logits), selection.predictions(mean)


def _commands(
  config: Mapping[str, Any], made: Mapping[str, Any], name: str
) -> str:
  """Returns the content of `command.txt`."""
  place = f'results/{name}'
  where = {'config_path': f'{place}/config.json', 'workdir': f'runs/{name}'}
  if 'reading' in made:
    lines = commands.of_evaluation(
      config,
      made['trained'].get('dataset', {}),
      made['reading'],
      made['dataset'],
      options=made['options'],
      **where,
    )
  else:
    lines = commands.of_run(config, made.get('dataset', {}), **where)
  if not lines:
    return (
      'The run was trained on arrays in Python, by'
      ' mejax.experiment.leave_one_subject_out or train(task=...).\n'
      'mejax.experiment.score(folder, task=...) prints its table.\n'
    )
  lines.append(f'mejax score {shlex.quote(place)} --data_dir data')
  return '\n'.join(lines) + '\n'
