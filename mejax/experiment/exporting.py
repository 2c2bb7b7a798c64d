"""Writes the results of a run into a folder, and adds seeds to such a folder.

`results` says what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
import json
import os
import pathlib
import shlex
from typing import Any
from typing import NamedTuple

from jaxtyping import Float
import numpy as np

from mejax import files
from mejax.evaluation import selection
from mejax.experiment import commands
from mejax.experiment import record as record_lib
from mejax.experiment import results
from mejax.experiment import schema
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import recipes

# What is told of the dataset. Its lists of clips are not: names tell emotions.
_TOLD = ('corpora', *recipes.KEYS, 'versions')
# Values of a config that may differ between seeds: the last two change no
# number.
_FREE = ('seed', 'num_seeds', 'keep_models', 'checkpoint_every_s')
# Content of versions.json that may differ, too, and is then kept of both.
_MADE_BY = ('versions', 'backend', 'dataset')


class _Content(NamedTuple):
  """What the files of a folder say.

  Attributes:
    config: the complete config, as JSON values.
    about: the content of `versions.json` without the digests of files.
    arrays: those of `probabilities.npz` but for what models said.
    logits: what they said, in the order of `seeds`.
    share: the same as probabilities; rounded, where an older file has no more.
  """

  config: dict[str, Any]
  about: dict[str, Any]
  arrays: dict[str, np.ndarray]
  logits: Float[np.ndarray, 's n k']
  share: Float[np.ndarray, 's n k']


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
    workdir: folder of the run.
    folder: the new folder.
    add_seeds: whether the seeds of the run are added to the results that are in
      the folder, which must be of the same config and data. The folder is then
      what a run of all seeds would have written; probabilities that were
      rounded in it stay so.

  Returns:
    The folder.

  Raises:
    FileNotFoundError: the run is not finished, or there are no results to add
      to.
    ValueError: a file is damaged, `folder` holds something else, or, with
      `add_seeds`, results of another config, of other data or of the same
      seeds.
  """
  workdir, folder = pathlib.Path(workdir), pathlib.Path(folder)
  folder = pathlib.Path(os.path.abspath(folder))
  files.check_replaceable(
    folder, marker='versions.json', names=results.FILES, what='results'
  )
  files.check_writable(folder.parent, flag='--export')
  content, dataset = _read_run(workdir)
  with files.replacing(folder) as partial:
    # Read here, where no other process can add seeds to it.
    if add_seeds:
      content = _add(content, workdir, folder)
    arrays = content.arrays | _exact_enough(content.logits, content.share)
    workdir_lib.save_npz(partial / 'probabilities.npz', arrays)
    workdir_lib.write_json(partial / 'config.json', content.config)
    digests = {
      name: results.sha256(partial / name) for name in results.DIGESTED
    }
    versions = {'schema_version': results.SCHEMA_VERSION, 'sha256': digests}
    workdir_lib.write_json(partial / 'versions.json', versions | content.about)
    with files.writing(partial / 'command.txt') as file:
      file.write(_commands(content.config, dataset, folder.resolve().name))
  return folder


def _read_run(workdir: pathlib.Path) -> tuple[_Content, dict[str, Any]]:
  """Reads the results of a finished run, and the metadata of its dataset."""
  for needed in ('record.npz', 'config.json', 'run.json'):
    if not (workdir / needed).exists():
      raise FileNotFoundError(
        f'{workdir} has no {needed}: it is not the workdir of a finished run.'
      )
  run = schema.read_run(workdir)
  config = schema.complete(schema.read_config(workdir), run['schema_version'])
  if schema.SEARCH in config:
    raise ValueError(
      f'{workdir} is a search, in which each fold has settings of its own, so'
      ' no config gives its results again. Export a run of `mejax train`.'
    )
  record = record_lib.read_record(workdir)
  # Runs without it are older than any warning.
  has_told = 'told' in record
  told = record_lib.read_told(workdir, record) if has_told else {}
  dataset = run.get('dataset', {})
  about = {
    'data_sha256': run['data_sha256'],
    'versions': run.get('versions', {}),
    'backend': run.get('backend', ''),
    'numerics': run.get('numerics', {}),
    'dataset': {key: dataset[key] for key in _TOLD if key in dataset},
  }
  if own_code := run.get('named_objects'):
    # Its description may hold paths, so only its digest is told.
    about['own_code_sha256'] = hashlib.sha256(
      json.dumps(own_code, sort_keys=True).encode()
    ).hexdigest()
  if warning := told.get('warning'):
    about['warning'] = warning
  arrays, logits = _arrays(record)
  return _Content(config, about, arrays, logits, _share(logits)), dataset


def _add(
  new: _Content, workdir: pathlib.Path, folder: pathlib.Path
) -> _Content:
  """Returns the results of a folder with the seeds of a run."""
  if not folder.exists():
    raise FileNotFoundError(
      f'{folder} is not there, so no seeds can be added to it. Export the first'
      ' run without --add_seeds.'
    )
  # The code that the config may name is not run here.
  result = results.read(folder, trust_code=True)
  there = _identity(
    json.loads(result.config.to_json()), result.versions, vars(result)
  )
  files.refuse_other(
    folder,
    there,
    _identity(new.config, new.about, new.arrays),
    what=f'a run that differs from {workdir} in more than its seeds',
    hint='Export this run into a folder of its own.',
  )
  seeds = _join_seeds(result.seeds, new.arrays['seeds'], workdir, folder)
  order = np.argsort([*result.seeds, *new.arrays['seeds']])
  kept = files.read_npz(folder / 'probabilities.npz', hint=results.AGAIN)
  share = kept.get('probabilities', _share(result.logits))
  logits = np.concatenate([result.logits, new.logits])[order]
  if 'probabilities' in kept:
    _remark_rounding(logits, float(np.finfo(share.dtype).eps))
  config = {'seed': int(seeds[0]), 'num_seeds': len(seeds)}
  return _Content(
    new.config | config,
    _join_about(result.versions, new),
    new.arrays | {'seeds': seeds},
    logits,
    np.concatenate([share, new.share])[order],
  )


def _identity(config, about, arrays) -> dict[str, Any]:
  """Returns what must be the same of all seeds, for messages."""
  held = [np.asarray(arrays[key]) for key in ('clip', 'fold')]
  clips, folds = (hashlib.sha256(each.tobytes()).hexdigest() for each in held)
  return {
    'config': {key: x for key, x in config.items() if key not in _FREE},
    'data_sha256': about['data_sha256'],
    'numerics': about.get('numerics', {}),
    'own_code_sha256': about.get('own_code_sha256', 'none'),
    'classes': np.asarray(arrays['class_names']).tolist(),
    'epoch': int(arrays['epoch']),
    'clips': f'{len(held[0])} of digest {clips[:8]}',
    'folds': f'{len(np.unique(held[1]))} of digest {folds[:8]}',
  }


def _join_seeds(there, new, workdir, folder) -> np.ndarray:
  """Returns all seeds; refuses those that are there, and gaps."""
  if both := sorted(set(there) & set(new.tolist())):
    raise ValueError(
      f'{folder} has seed {", ".join(map(str, both))} already, which {workdir}'
      ' has, too. Train further seeds in a workdir of their own, with'
      f' --config.seed={max(there) + 1}.'
    )
  seeds = np.sort(np.concatenate([np.asarray(there, new.dtype), new]))
  if lacking := sorted({*range(seeds[0], seeds[-1])} - {*seeds.tolist()}):
    raise ValueError(
      f'{folder} has seed {", ".join(map(str, there))} and {workdir} has'
      f' {", ".join(map(str, new.tolist()))}: there is no'
      f' seed {", ".join(map(str, lacking))} between them. Add a run of it'
      ' first.'
    )
  return seeds


def _join_about(there: Mapping[str, Any], new: _Content) -> dict[str, Any]:
  """Returns what versions.json says of all seeds."""
  of_files = ('schema_version', 'sha256')
  about = {key: x for key, x in there.items() if key not in of_files}
  made_by = {key: new.about[key] for key in _MADE_BY}
  if any(about.get(key) != value for key, value in made_by.items()):
    made_by['seeds'] = new.arrays['seeds'].tolist()
    about['other_seeds'] = [*about.get('other_seeds', []), made_by]
  warnings = [about.pop('warning', ''), new.about.get('warning', '')]
  if any(warnings):
    about['warning'] = '; '.join(dict.fromkeys(filter(None, warnings)))
  return about


def _remark_rounding(logits: Float[np.ndarray, 's n k'], error: float) -> None:
  """Says of how many clips rounded seeds may have changed the class of all."""
  mean = np.sort(selection.probabilities(logits).mean(0), axis=-1)
  close = np.sum(mean[:, -2:-1] >= mean[:, -1:] - error)
  if close:
    print(
      f'For {close} of {len(mean)} clips the class of all seeds together is'
      f' decided by less than {error:.1g}, to which the seeds that were there'
      ' are rounded: one run of all seeds may tell another.'
    )


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


def _share(logits: Float[np.ndarray, 's n k']) -> Float[np.ndarray, 's n k']:
  """Returns probabilities; those of a diverged training are no numbers."""
  share = selection.probabilities(logits)
  share[~(logits > -np.inf).any(-1)] = np.nan
  return share


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
  config: Mapping[str, Any], metadata: Mapping[str, Any], name: str
) -> str:
  """Returns the content of `command.txt`."""
  place = f'results/{name}'
  lines = commands.of_run(
    config, metadata, config_path=f'{place}/config.json', workdir=f'runs/{name}'
  )
  if not lines:
    return (
      'The run was trained on arrays in Python, by'
      ' mejax.experiment.leave_one_subject_out or train(task=...).\n'
      'mejax.experiment.score(folder, task=...) prints its table.\n'
    )
  lines.append(f'mejax score {shlex.quote(place)} --data_dir data')
  return '\n'.join(lines) + '\n'
