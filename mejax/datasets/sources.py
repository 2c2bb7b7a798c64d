"""The two sources of a dataset: frames, and flow that is ready-made.

Both have the same methods, which `prepare` calls in this order: `read_clips`,
`look_at` to check their files, `describe` how examples are made, and
`make_examples`.
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

from mejax import bars
from mejax.corpora import footage
from mejax.corpora import htnet_release
from mejax.corpora import people
from mejax.corpora.clip import Clip
from mejax.corpora.corpus import Corpus
from mejax.corpora.corpus import find_corpus
from mejax.corpora.corpus import read_corpora
from mejax.corpora.corpus import unread
from mejax.datasets import clip_cache
from mejax.datasets import clip_counts
from mejax.datasets.recipe import Recipe
from mejax.motion import faces

Path = str | pathlib.Path
# Maps a clip to the arrays of its example.
ArraysOf = Callable[[Clip], dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Frames:
  """Frames of some corpora, from which a recipe makes examples.

  Attributes:
    corpora, places, options: as `corpus.read_corpora` takes them.
    recipe: how an example is made.
    workers: processes that decode, as `clip_cache.make_clips` takes them.
    progress: whether bars are shown.
  """

  corpora: Sequence[Corpus]
  places: Sequence[Path]
  options: Mapping[str, Any]
  recipe: Recipe
  workers: int | None
  progress: bool

  def read_clips(self) -> Iterator[Clip]:
    """Reads every clip; one that cannot be used has a problem."""
    return read_corpora(
      self.corpora, self.places, self.options, watch=_bar(self.progress)
    )

  def look_at(self, clips: list[Clip]) -> tuple[list[Clip], list[str]]:
    """Returns the clips, and a digest of the files of each usable one."""
    clips = footage.remark_copies(clips)
    usable = clip_counts.usable(clips)
    digests = clip_cache.digest_clips(
      usable, self.recipe, progress=self.progress
    )
    return clips, digests

  def unread(self) -> list[str]:
    """Returns a line for each kind of file that was passed over."""
    return unread(self.corpora, self.places, self.options)

  def describe(self) -> dict[str, Any]:
    """Returns JSON values that say how the examples are made."""
    return self.recipe.describe()

  def make_examples(
    self,
    clips: list[Clip],
    digests: list[str],
    versions: dict[str, str],
    folder: pathlib.Path,
  ) -> tuple[list[Clip], ArraysOf]:
    """Makes the arrays of every clip, and keeps them in `folder`.

    Args:
      clips, digests: as `look_at` returned them.
      versions: versions of all libraries that can change the numbers.
      folder: where the arrays are kept; the caller removes it in the end.

    Returns:
      The clips, with a problem if one could not be made, and a function that
      loads the arrays of the others.
    """
    # A clip's key covers its files, the recipe and the libraries, so that a
    # clip made in another way is never taken for this one.
    made_by = json.dumps([self.describe(), versions])
    keys = {
      clip.identity: hashlib.sha256((digest + made_by).encode()).hexdigest()
      for clip, digest in zip(clip_counts.usable(clips), digests, strict=True)
    }
    made = clip_cache.make_clips(
      clips,
      keys,
      self.recipe,
      folder,
      workers=self.workers,
      progress=self.progress,
    )

    def arrays_of(clip: Clip) -> dict[str, np.ndarray]:
      return clip_cache.load_clip(folder, keys[clip.identity], self.recipe)

    return made, arrays_of


@dataclasses.dataclass(frozen=True)
class ReadyMadeFlow:
  """The flow images of the HTNet release; the methods are those of `Frames`.

  Attributes:
    place: a clone of the release.
    options: options of its reader.
    allow_missing: whether to go on without the clips that cannot be used.
    progress: whether bars are shown.
  """

  place: Path
  options: Mapping[str, Any]
  allow_missing: bool
  progress: bool

  def read_clips(self) -> Iterator[Clip]:
    """Reads the clips; face points are found in the clone's apex images."""
    htnet_release.CORPUS.check_options(self.options)

    def locate(image):
      return faces.locate([image], detector=faces.detect_dense).points

    options = dict(self.options)
    way = options.pop(people.OPTION, '')
    clips = htnet_release.read(self.place, **options, locate=locate)
    return people.settled(_bar(self.progress)(clips), way)

  def look_at(self, clips: list[Clip]) -> tuple[list[Clip], list[str]]:
    """Reads every image; returns what `Frames.look_at` returns.

    Raises:
      ValueError: no clip can be used, or some cannot and `allow_missing` is
        False.
    """
    looked_at, digests = [], []
    bar = {'desc': 'check', 'unit': 'clip', 'disable': not self.progress}
    for clip in bars.Bar(clips, **bar):
      try:
        flow = b'' if clip.problem else load_flow(clip)['flow'].tobytes()
      except (OSError, ValueError) as error:
        clip = dataclasses.replace(clip, problem=str(error))
      if not clip.problem:
        about = (clip.identity, clip.landmarks, clip.crop_points)
        digests.append(hashlib.sha256(repr(about).encode() + flow).hexdigest())
      looked_at.append(clip)
    clip_counts.refuse_unusable(looked_at, allow_missing=self.allow_missing)
    return footage.remark_copies(looked_at), digests

  def unread(self) -> list[str]:
    """Returns nothing: the release is no folder of recordings."""
    return []

  def describe(self) -> dict[str, Any]:
    """Returns JSON values that say how the examples were made."""
    return {
      'units': 'minmax255',
      'strain': 'as released',
      'flow': {'method': 'as released'},
      'levels': [1.0],
      'size': htnet_release.SIZE,
      'landmark_source': htnet_release.point_source(
        self.place,
        self.options.get('landmarks'),
        encoding=self.options.get('encoding', ''),
      ),
    }

  def make_examples(self, clips: list[Clip], *_) -> tuple[list[Clip], ArraysOf]:
    """Returns the clips as they are: nothing is left to make."""
    return clips, load_flow


def _bar(progress: bool) -> Callable[[Iterator[Clip]], Iterator[Clip]]:
  """Returns a function that shows a bar while clips are read."""

  def watch(clips: Iterator[Clip]) -> Iterator[Clip]:
    return iter(bars.Bar(clips, desc='read', unit='clip', disable=not progress))

  return watch


def load_flow(clip: Clip) -> dict[str, np.ndarray]:
  """Loads the arrays of an example whose flow is ready-made.

  Raises:
    OSError: the file cannot be read.
    ValueError: it is not a flow image of the release.
  """
  flow = htnet_release.read_flow(clip.flow_file)
  return {
    'flow': flow[None].astype(np.float32),
    'landmarks': np.asarray(clip.landmarks, np.float32),
    'crop_points': np.asarray(clip.crop_points, np.int32),
  }


def choose_source(
  corpora: Sequence[str],
  place: Path | Sequence[Path],
  options: Mapping[str, Any] | None,
  recipe: Recipe | None,
  *,
  allow_missing: bool,
  workers: int | None,
  progress: bool,
) -> Frames | ReadyMadeFlow:
  """Chooses the source of a dataset; the arguments are those of `prepare`.

  Raises:
    ValueError: a corpus is unknown, or an argument does not apply to it.
  """
  found = [find_corpus(corpus) for corpus in corpora]
  if workers is not None and workers < 0:
    raise ValueError(f'workers is {workers}; expected 0 or more')
  places = [place] if isinstance(place, Path) else list(place)
  options = dict(options or {})
  if htnet_release.CORPUS not in found:
    recipe = recipe or Recipe()
    return Frames(found, places, options, recipe, workers, progress)
  if len(found) + len(places) > 2 or recipe is not None:
    raise ValueError(
      'htnet_release is ready-made flow of 28 pixels: prepare it alone, '
      'without levels, magnify, flow, size, neighbours, faces and apex'
    )
  return ReadyMadeFlow(places[0], options, allow_missing, progress)
