"""Adds the seeds of a run to results of the same config and data."""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
import json
import pathlib
from typing import Any

from jaxtyping import Float
import numpy as np

from mejax import files
from mejax.evaluation import selection
from mejax.experiment import results
from mejax.experiment.results import Content

# Values of a config that may differ between seeds: the last two change no
# number.
_FREE = ('seed', 'num_seeds', 'keep_models', 'checkpoint_every_s')
# Content of versions.json that may differ, too, and is then kept of both.
_MADE_BY = ('versions', 'backend', 'dataset')


def add(new: Content, workdir: pathlib.Path, folder: pathlib.Path) -> Content:
  """Returns the results of a folder with the seeds of a run.

  Args:
    new: the results of the run.
    workdir: its workdir, for messages.
    folder: the folder, which no other process may change meanwhile.

  Raises:
    FileNotFoundError: the folder is not there.
    ValueError: it has another config, other data or the same seeds, seeds
      between are missing, or it is damaged.
  """
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
  share = kept.get('probabilities', results.shares_of(result.logits))
  logits = np.concatenate([result.logits, new.logits])[order]
  if 'probabilities' in kept:
    _remark_rounding(logits, float(np.finfo(share.dtype).eps))
  config = {'seed': int(seeds[0]), 'num_seeds': len(seeds)}
  return Content(
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
    'evaluation': about.get('evaluation', 'none'),
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
  if (gaps := np.flatnonzero(np.diff(seeds) > 1)).size:
    raise ValueError(
      f'{folder} has seed {", ".join(map(str, there))} and {workdir} has'
      f' {", ".join(map(str, new.tolist()))}: there is no seed'
      f' {seeds[gaps[0]] + 1} between them. Add a run of it first.'
    )
  return seeds


def _join_about(there: Mapping[str, Any], new: Content) -> dict[str, Any]:
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
