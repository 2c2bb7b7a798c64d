"""What a dataset is made of: frames, or flow that is ready-made.

`prepare` asks either kind in this order to `read` its clips, to `look` at their
files, for the `metadata` that says how examples are made, and to `make` them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import hashlib
import json
import pathlib
from typing import Any

import numpy as np

from mejax.corpora.clip import Clip
from mejax.datasets import making
from mejax.datasets import outcome
from mejax.datasets import sources
from mejax.datasets.ready_made import NAME as READY_MADE
from mejax.datasets.ready_made import ReadyMade
from mejax.datasets.recipe import Recipe

Path = str | pathlib.Path
# From a clip to the arrays of its example.
ArraysOf = Callable[[Clip], dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Frames:
  """Frames of some corpora, of which a recipe makes examples.

  Attributes:
    corpora, places, options: as `sources.read` takes them.
    recipe: how an example is made.
    workers: processes that decode, as `making.make` takes them.
    progress: whether bars are shown.
  """

  corpora: Sequence[str]
  places: Sequence[Path]
  options: Mapping[str, Any]
  recipe: Recipe
  workers: int | None
  progress: bool

  def read(self) -> Iterator[Clip]:
    """Every clip, with a problem where it cannot be used."""
    return sources.read(self.corpora, self.places, self.options)

  def look(self, clips: list[Clip]) -> tuple[list[Clip], list[str]]:
    """The clips, and of each that can be used what names its content."""
    taken = outcome.usable(clips)
    return clips, making.digests(taken, self.recipe, progress=self.progress)

  def metadata(self) -> dict[str, Any]:
    """JSON values that say how the examples are made."""
    return self.recipe.metadata()

  def make(
    self,
    clips: list[Clip],
    digests: list[str],
    versions: dict[str, str],
    folder: pathlib.Path,
  ) -> tuple[list[Clip], ArraysOf]:
    """Makes the arrays of every clip, and keeps them in `folder`.

    Args:
      clips, digests: what `look` gave.
      versions: of what else can change the numbers.
      folder: emptied by the caller once the dataset is written.

    Returns:
      The clips, with a problem where one could not be made, and what gives the
      arrays of the others.
    """
    made_by = json.dumps([self.metadata(), versions])
    keys = {
      clip.identity: hashlib.sha256((digest + made_by).encode()).hexdigest()
      for clip, digest in zip(outcome.usable(clips), digests, strict=True)
    }
    how = {'workers': self.workers, 'progress': self.progress}
    made = making.make(clips, keys, self.recipe, folder, **how)

    def arrays(clip: Clip) -> dict[str, np.ndarray]:
      return making.load(folder, keys[clip.identity], self.recipe)

    return made, arrays


Material = Frames | ReadyMade


def of(
  corpora: Sequence[str],
  source: Path | Sequence[Path],
  options: Mapping[str, Any] | None,
  recipe: Recipe | None,
  *,
  allow_missing: bool,
  workers: int | None,
  progress: bool,
) -> Material:
  """The material of a dataset; the arguments are those of `prepare`.

  Raises:
    ValueError: an unknown corpus, or something that it does not take.
  """
  for corpus in corpora:
    sources.reader(corpus)  # Refuses one that is unknown.
  if workers is not None and workers < 0:
    raise ValueError(f'workers is {workers}; expected 0 or more')
  places = [source] if isinstance(source, Path) else list(source)
  options = dict(options or {})
  if READY_MADE not in corpora:
    recipe = recipe or Recipe()
    return Frames(corpora, places, options, recipe, workers, progress)
  if len(corpora) + len(places) > 2 or recipe is not None:
    raise ValueError(
      f'{READY_MADE} is ready-made flow of 28 pixels: prepare it alone, '
      'and leave away levels, magnify, flow, size, neighbours, faces, apex'
    )
  return ReadyMade(places[0], options, allow_missing, progress)
