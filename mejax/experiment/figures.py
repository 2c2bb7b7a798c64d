"""Pictures of runs and datasets for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
import os
import pathlib

from mejax import files
from mejax.datasets import load
from mejax.experiment import finished
from mejax.experiment import inspecting
from mejax.experiment import workdir as workdir_lib
from mejax.pages import figures
from mejax.pages.figures import Figure

SEARCH = 'search.json'  # Which `search/chosen.py` writes.


def run_figures(workdir: str | os.PathLike) -> dict[str, Figure]:
  """Returns pictures of a finished run by name; see `pages.figures.of_run`.

  The folder of a search has those of `pages.figures.of_search`, too.

  A notebook shows a picture that is the last line of a cell, or that is given
  to IPython's `display`; its field `svg` is what a file holds.

  Args:
    workdir: folder of the run.

  Raises:
    FileNotFoundError: the run is not finished.
    ValueError: a file of it is damaged.
  """
  workdir = pathlib.Path(workdir)
  found = figures.of_run(finished.read_run(workdir, name=workdir.name))
  if (workdir / SEARCH).exists():
    found |= figures.of_search(
      files.read_json(workdir / SEARCH, hint=workdir_lib.AGAIN)
    )
  return found


def clip_figure(
  name: str, data_dir: str | os.PathLike, *, clips: Sequence[str] = ()
) -> Figure:
  """Draws clips of a prepared dataset: apex, flow and strain.

  Args:
    name: name of the dataset.
    data_dir: home of the prepared datasets.
    clips: `corpus/subject/clip` of each clip, or a part that only one has; by
      default the first clip of each emotion.

  Raises:
    FileNotFoundError: the dataset has not been prepared.
    ValueError: no clip, or more than one, fits one of `clips`.
  """
  metadata = load.read_metadata(name, data_dir)
  examples = load.Examples(name, data_dir)
  if clips:
    identities = examples.identities()
    found = [inspecting.find(clip, identities, metadata) for clip in clips]
    chosen = [examples[i] for i in found]
  else:
    first = {}
    for example in examples:
      first.setdefault(example['emotion'], example)
    chosen = [first[emotion] for emotion in sorted(first)]
  return figures.of_clips(chosen, metadata)
