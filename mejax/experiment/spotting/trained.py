"""A spotter that was trained: one file, which `mejax spot --spotter` takes."""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
import json
import os
import pathlib
from typing import Any
from typing import NamedTuple

from flax import traverse_util
import jax
from jaxtyping import Float
import numpy as np

import mejax
from mejax import files
from mejax.experiment.spotting import windows as windows_lib
from mejax.models.spotter import Spotter
from mejax.motion.spotting import curves as curves_lib
from mejax.motion.spotting import inputs as inputs_lib
from mejax.motion.spotting.candidates import Candidate
from mejax.motion.spotting.tracks import Tracks

NAME = 'spotter.npz'
# The network that ships; the commands that make it are in its parent's README.
FOLDER = pathlib.Path(mejax.__file__).parent / 'assets' / 'spotter'
_FORMAT = 1
_HINT = 'the `mejax train` command of its run makes it again if it is deleted'


class Trained(NamedTuple):
  """Networks whose mean is taken, and the thresholds that belong to them.

  Attributes:
    model: the network.
    params: those of each seed, stacked on the first axis.
    thresholds: least probability of each type.
    length, margin: of the windows it was trained on.
    people: whom it has seen.
    scores: what was measured on people held out, as text.
  """

  model: Spotter
  params: Any
  thresholds: Mapping[str, float]
  length: int
  margin: int
  people: tuple[str, ...]
  scores: str

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
    for name, array in sorted(_flat(self.params).items()):
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


def write(path: pathlib.Path, trained: Trained) -> None:
  """Writes the file."""
  about = {
    'format': _FORMAT,
    'width': trained.model.width,
    'dilations': list(trained.model.dilations),
    'channels': inputs_lib.CHANNELS,
    'thresholds': dict(trained.thresholds),
    'length': trained.length,
    'margin': trained.margin,
    'people': list(trained.people),
    'scores': trained.scores,
  }
  with files.writing(path, 'wb') as file:
    np.savez(
      file,
      about=json.dumps(about),
      **{
        f'params/{name}': np.asarray(array)
        for name, array in _flat(trained.params).items()
      },
    )


def _flat(params: Any) -> dict[str, Any]:
  return traverse_util.flatten_dict(params, sep='/')


def read(path: str | os.PathLike[str] | None = None) -> Trained:
  """Reads such a file, or the one in the folder of a run.

  Args:
    path: of the file or folder; the network that ships with mejax if not given.

  Raises:
    FileNotFoundError: it is not there.
    ValueError: it is damaged, or of another mejax.
  """
  path = FOLDER if path is None else pathlib.Path(path)
  if path.is_dir():
    path = path / NAME
  if not path.exists():
    raise FileNotFoundError(
      f'{path} is no trained spotter: `mejax train --config spotter'
      ' --config.folds=all` writes one into its run'
    )
  arrays = files.read_npz(path, hint=_HINT)
  with files.reading(path, hint=_HINT):
    about = json.loads(str(arrays['about']))
    found = about['format'], about['channels']
    if found != (_FORMAT, inputs_lib.CHANNELS):
      raise ValueError(f'it is of another mejax: {found}')
    flat = {
      name.removeprefix('params/'): array
      for name, array in arrays.items()
      if name.startswith('params/')
    }
    return Trained(
      Spotter(width=about['width'], dilations=tuple(about['dilations'])),
      traverse_util.unflatten_dict(flat, sep='/'),
      about['thresholds'],
      about['length'],
      about['margin'],
      tuple(about['people']),
      about['scores'],
    )
