"""A spotter that was trained: a folder, which `mejax spot --spotter` takes.

    model.json           what it reads, thresholds, whom it has seen, scores
    weights.safetensors  the variables of all members, on the first axis
    model.jax            its function for places that have only JAX
    MODEL.md             the card, for people

`packing.write` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
import math
import os
import pathlib
from typing import Any
from typing import NamedTuple

import jax
from jaxtyping import Float
import numpy as np

import mejax
from mejax import files
from mejax import forms
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import modules
from mejax.experiment.packs import packed_files
from mejax.experiment.packs import seen as seen_lib
from mejax.experiment.spotting import windows as windows_lib
from mejax.models.spotter import Spotter
from mejax.motion.spotting import curves as curves_lib
from mejax.motion.spotting import inputs as inputs_lib
from mejax.motion.spotting.candidates import Candidate
from mejax.motion.spotting.tracks import Tracks

# The folder of it in a run.
NAME = 'spotter'
# The network that ships; the commands that make it are in its parent's README.
FOLDER = pathlib.Path(mejax.__file__).parent / 'assets' / 'spotter'
KIND = 'saved spotter of mejax'
SCHEMA_VERSION = 1
_CARD = {
  'config': dict,
  'members': [{'seed': int}],
  'seen': seen_lib.FORM,
  'data': {'dataset': str, 'rendered': bool, 'recordings': int, 'people': int},
  'scores': dict,
  'not_for': [str],
  'licences': [str],
  'versions': {str: str},
}
TOLD = tuple(_CARD)
_FORM = {
  'inputs': {
    'channels': int,
    'rate': forms.NUMBER,
    'length': int,
    'margin': int,
  },
  'model': {'width': int, 'dilations': [int]},
  'thresholds': {str: forms.NUMBER},
  'sha256': {str: str},
  **_CARD,
}


class Trained(NamedTuple):
  """Networks whose mean is taken, and the thresholds that belong to them.

  Attributes:
    model: the network.
    params: those of each seed, stacked on the first axis.
    thresholds: least probability of each type.
    length, margin: of the windows it was trained on.
    told: what `model.json` says for people: `TOLD`.
  """

  model: Spotter
  params: Any
  thresholds: Mapping[str, float]
  length: int
  margin: int
  told: Mapping[str, Any]

  @property
  def digest(self) -> str:
    """SHA-256 of all that decides what is spotted."""
    found = hashlib.sha256()
    told = [
      self.model,
      sorted(self.thresholds.items()),
      self.length,
      self.margin,
    ]
    found.update(repr(told).encode())
    for name, array in sorted(modules.flat(self.params).items()):
      found.update(name.encode() + np.asarray(array).tobytes())
    return found.hexdigest()

  def curves(self, tracks: Tracks) -> Float[np.ndarray, 't q']:
    """Returns the probability of each type at each of `inputs.times`."""
    inputs = inputs_lib.inputs(tracks)
    windows = windows_lib.cut(inputs, length=self.length, margin=self.margin)
    logits = np.asarray(predict(self.model, self.params, windows))
    joined = windows_lib.join(logits, length=len(inputs), margin=self.margin)
    return probability(joined)

  def spot(
    self, tracks: Tracks, *, thresholds: Mapping[str, float] | None = None
  ) -> list[Candidate]:
    """Spots candidates; `thresholds` replace those of the file."""
    return curves_lib.spot(
      tracks,
      self.curves(tracks),
      thresholds={**self.thresholds, **(thresholds or {})},
    )


def predict(model: Spotter, params: Any, windows) -> jax.Array:
  """Returns the mean logits over stacked networks and both mirror images."""

  def one(own, inputs):
    return model.apply({'params': own}, inputs, train=False)[0]

  many = jax.jit(jax.vmap(one, (0, None)))
  both = many(params, windows) + many(params, inputs_lib.mirrored(windows))
  return both.mean(0) / 2


def probability(logits: Float[np.ndarray, '*b']) -> Float[np.ndarray, '*b']:
  return 1 / (1 + np.exp(-logits))


def folder_of(path: str | os.PathLike[str]) -> pathlib.Path:
  """Returns the folder of a saved spotter, or of that of a run.

  Raises:
    FileNotFoundError: there is none.
  """
  folder = pathlib.Path(path)
  if (folder / NAME).is_dir():
    return folder / NAME
  # An older mejax wrote the card of a spotter into the run itself.
  if not packed_files.is_model(folder) or workdir_lib.is_run(folder):
    raise FileNotFoundError(
      f'{folder} is no trained spotter: `mejax train --config spotter'
      ' --config.folds=all` writes one into its run. A run of an older mejax'
      ' has none: train it anew, in a new workdir'
    )
  return folder


def read(path: str | os.PathLike[str] | None = None) -> Trained:
  """Reads a saved spotter, or that of a run.

  Args:
    path: of the folder; the network that ships with mejax if not given.

  Raises:
    FileNotFoundError: it is not there.
    ValueError: it is damaged, was changed, is of another mejax, or holds
      something else.
  """
  folder = FOLDER if path is None else folder_of(path)
  about = packed_files.read_signed(
    folder, kind=KIND, version=SCHEMA_VERSION, form=_FORM
  )
  with files.reading(
    folder / packed_files.DESCRIPTION, hint=packed_files.AGAIN
  ):
    told = about['inputs']
    found = [told['channels'], told['rate'], sorted(about['thresholds'])]
    if found != (ours := _reading()):
      raise ValueError(f'it reads {found}; this mejax makes {ours}')
    if not 0 <= 2 * told['margin'] < told['length']:
      raise ValueError(f'its windows have no middle: {told}')
    model = Spotter(
      width=about['model']['width'],
      dilations=tuple(about['model']['dilations']),
    )
    shapes = shapes_of(model, told['length'], len(about['members']))
  weights = packed_files.read_weights(folder / packed_files.WEIGHTS, shapes)
  return Trained(
    model,
    weights['params'],
    about['thresholds'],
    told['length'],
    told['margin'],
    {name: about[name] for name in TOLD},
  )


def describe(trained: Trained) -> dict[str, Any]:
  """Returns the content of `model.json` without its digests."""
  channels, rate, _ = _reading()
  own = shapes_of(trained.model, trained.length, 1).values()
  return {
    'kind': KIND,
    'schema_version': SCHEMA_VERSION,
    'inputs': {
      'channels': channels,
      'rate': rate,
      'length': trained.length,
      'margin': trained.margin,
    },
    'model': {
      'width': trained.model.width,
      'dilations': list(trained.model.dilations),
      'weights': sum(math.prod(each.shape) for each in own),
    },
    'thresholds': dict(trained.thresholds),
    **trained.told,
  }


def shapes_of(
  model: Spotter, length: int, members: int
) -> dict[str, jax.ShapeDtypeStruct]:
  """Returns the shape of each array in the file of weights, by its path."""
  own = modules.shapes_of(model, (length, inputs_lib.CHANNELS), 'float32')
  return {
    name: jax.ShapeDtypeStruct((members, *each.shape), each.dtype)
    for name, each in own.items()
  }


def _reading() -> list[Any]:
  """Returns what decides whether a network of another mejax can be used."""
  return [inputs_lib.CHANNELS, inputs_lib.RATE, sorted(curves_lib.TYPES)]
