"""Writes a trained spotter as a saved model, to use or to give away."""

from __future__ import annotations

from collections.abc import Sequence
import os
import pathlib

import jax
import numpy as np

import mejax
from mejax import files
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import exporting
from mejax.experiment.packs import modules
from mejax.experiment.packs import packed_files
from mejax.experiment.spotting import card
from mejax.experiment.spotting import trained as trained_lib
from mejax.experiment.spotting.trained import Trained
from mejax.motion.spotting import inputs as inputs_lib


def is_spotter(source: str | os.PathLike[str]) -> bool:
  """Returns whether a folder is a run that trains a spotter, or a saved one."""
  source = pathlib.Path(source)
  for name in ('config.json', packed_files.DESCRIPTION):
    if (source / name).exists():
      told = files.read_json(source / name, hint=workdir_lib.AGAIN)
      if told.get('kind') == trained_lib.KIND:
        return True
      model = told.get('model')
      return isinstance(model, dict) and model.get('name') == trained_lib.NAME
  return False


def pack(
  run: str | os.PathLike[str],
  out: str | os.PathLike[str],
  *,
  licences: Sequence[str] = (),
  notes: str = '',
) -> Trained:
  """Writes the spotter of a run as a folder of its own.

  Args:
    run: workdir of a finished run with `folds=all`; or a saved spotter, whose
      card is to be written anew.
    out: the folder; an older spotter in it is replaced.
    licences: terms under which it is given away, beside those of its data.
    notes: Markdown to add to the card, such as a table of further results; if
      not given, that of a saved spotter is kept.

  Returns:
    The spotter, read again.

  Raises:
    FileNotFoundError: the run has no spotter.
    ValueError: its files are damaged, `out` holds something else, or the notes
      in a card cannot be told from the rest of it.
  """
  out = pathlib.Path(os.path.abspath(out))
  packed_files.check_out(out, kind=trained_lib.KIND)
  trained = trained_lib.read(run)
  notes = notes or _notes_of(trained_lib.folder_of(run))
  told = dict(trained.told)
  told['licences'] = list(dict.fromkeys([*licences, *told['licences']]))
  told['versions'] = {**told['versions'], 'mejax_pack': mejax.__version__}
  write(out, trained._replace(told=told), notes=notes)
  return trained_lib.read(out)


def _notes_of(folder: pathlib.Path) -> str:
  """Returns the Markdown that was added to the card of a saved spotter."""
  path = folder / packed_files.CARD
  if not path.exists():
    return ''
  text = path.read_text(encoding='utf-8')
  about = files.read_json(
    folder / packed_files.DESCRIPTION, hint=packed_files.AGAIN
  )
  # The folder may have got another name since.
  name = text.partition('\n')[0].removeprefix('# ')
  mark = '(notes)'
  before = card.render(name, about, mark).partition(mark)[0].rstrip()
  rest, heading, _ = text.removeprefix(before).rpartition('\n## Use it\n')
  if not (text.startswith(before) and heading):
    raise ValueError(
      f'{path} is not as this mejax writes it, so that notes in it would be'
      ' lost. Give them by --notes.'
    )
  return rest.strip()


def write(folder: pathlib.Path, trained: Trained, *, notes: str = '') -> None:
  """Writes the folder, whole or not at all."""
  model, length = trained.model, trained.length
  arrays = {
    f'params/{name}': np.asarray(array)
    for name, array in modules.flat(trained.params).items()
  }

  def probabilities(weights, windows):
    params = modules.unflat(weights)['params']
    return jax.nn.sigmoid(trained_lib.predict(model, params, windows))

  exported = exporting.export(
    probabilities,
    trained_lib.shapes_of(model, length, len(trained.told['members'])),
    shape=(length, inputs_lib.CHANNELS),
    dtype='float32',
  )
  packed_files.write(
    folder,
    trained_lib.describe(trained),
    arrays,
    exported,
    lambda about: card.render(folder.name, about, notes),
  )
