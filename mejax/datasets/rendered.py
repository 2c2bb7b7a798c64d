"""Reads flow of rendered faces, to be trained on beside generated pictures.

Generated pictures have the errors that we think a flow method leaves; here it
has measured faces that are drawn, whose head drifts, in changing light, through
the noise of a camera.
"""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import numpy as np

from mejax.corpora.faces import individuals
from mejax.corpora.faces import muscles
from mejax.datasets import as_generated
from mejax.datasets import load
from mejax.datasets import recipe_options
from mejax.datasets import shown_units

_CORPUS = 'synthetic'
# Found as in videos, or the true points; both align the face in the same way.
_ALIGNED = ('mesh', 'yunet', 'given')
_KEPT = ('flow', 'landmarks', 'emotion', 'corpus', 'subject', 'clip')


def examples(
  name: str,
  data_dir: str | pathlib.Path,
  *,
  seed: int,
  units: str,
  cuts: int = 1,
  **options: Any,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """Reads a dataset of rendered faces as `generated.examples` makes pictures.

  Each person is cut out at places of its own, as a generated one is.

  Args:
    name: of a dataset that was prepared by `as_generated.recipe_of`.
    data_dir: home of the prepared datasets.
    seed: decides how people are cut out.
    units, **options: as for `generated.examples`.
    cuts: number of pictures that are cut out of each clip.

  Returns:
    The examples, and how the dataset was made, see `recipe.Recipe.describe`.

  Raises:
    FileNotFoundError: the dataset has not been prepared.
    ValueError: there is somebody in it who is not rendered, or it was prepared
      in another way.
  """
  options = individuals.Options(**options)
  metadata = load.read_metadata(name, data_dir)
  made = _check(name, data_dir, metadata, options)
  if cuts < 1:
    raise ValueError(f'{cuts} cuts of each clip; expected 1 or more')
  found = load.load_examples(name, data_dir)
  found = {key: np.repeat(found[key], cuts, axis=0) for key in _KEPT}
  found, lacking = shown_units.listed(found, metadata, muscles.NAMES)
  if lacking:
    raise ValueError(f'dataset {name!r}: {lacking} Render the faces anew.')
  cut = np.arange(len(found['clip'])) % cuts
  people, who = np.unique(found['subject'], return_inverse=True)
  keys = jax.random.split(jax.random.key(seed), (len(people), cuts))
  draw = jax.vmap(jax.vmap(lambda key: individuals.cut(key, options)))
  places = np.asarray(draw(keys), np.float64)[who, cut]
  how = {'size': options.size, 'crop': options.crop, 'places': places}
  side = found['flow'].shape[2]
  found['flow'] = as_generated.convert(found['flow'], units=units, **how)
  found['landmarks'] = as_generated.convert_points(
    found['landmarks'], side=side, **how
  )
  if cuts > 1:
    number = np.char.add('_', cut.astype(str))
    found['clip'] = np.char.add(found['clip'], number)
  return found, made


def _check(name, data_dir, metadata, options) -> dict[str, Any]:
  """Refuses a dataset that is not rendered, or was prepared otherwise."""
  corpora = metadata.get('corpora', [])
  if corpora != [_CORPUS]:
    raise ValueError(
      f'dataset {name!r} has {", ".join(corpora) or "an unknown database"};'
      f' expected only {_CORPUS}, for models of `mejax pretrain` have seen'
      ' nobody who lives.'
    )
  wanted = as_generated.recipe_of(
    size=options.size, crop=options.crop, levels=options.levels
  ).describe()
  here = {key: metadata.get(key) for key in wanted}
  ours, theirs = (
    {
      k: v
      for k, v in each.items()
      if k not in ('landmark_source', 'neighbours')
    }
    for each in (wanted, here)
  )
  source = here['landmark_source'].partition(':')[0]
  if ours != theirs or source not in _ALIGNED:
    asked = load.prepare_command(name, data_dir, corpora=[_CORPUS])
    given = ' '.join([asked, *recipe_options.options_of(wanted)])
    raise ValueError(
      f'dataset {name!r} was prepared by options'
      f' {" ".join(recipe_options.options_of(here)) or "of their defaults"};'
      f' these pictures need `{given}`, if need be with --overwrite.'
    )
  return {'corpora': [_CORPUS], **here}
