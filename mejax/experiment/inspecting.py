"""Writes pages that show a prepared dataset: an overview, or single clips."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import difflib
import hashlib
import pathlib
import re
import shlex
from typing import Any

from mejax import bars
from mejax import files
from mejax.datasets import load
from mejax.pages import clip as clip_page
from mejax.pages import dataset as dataset_page
from mejax.pages.dataset import Tile

# Clips on one page of the overview, which then takes a few MB.
PER_PAGE = 500
_NAME = 150  # Bytes of a clip's identity in the name of its page.
_CANDIDATES = 12  # Clips that an error message lists.


def inspect(
  name: str,
  data_dir: str | pathlib.Path,
  *,
  clips: Sequence[str] = (),
  out: str | pathlib.Path | None = None,
  progress: bool = True,
) -> list[pathlib.Path]:
  """Writes HTML pages that need no other files.

  Without `clips` the pages are an overview of the dataset, 500 clips on each: a
  tile for each clip, how far faces move, which clips were skipped, and how the
  dataset was made. With `clips` there is one page for each clip: its frames,
  points, amplified apexes, flow and strain at every level; only these clips are
  read.

  Args:
    name: name of the dataset.
    data_dir: home of the prepared datasets.
    clips: `corpus/subject/clip` of each clip, or a part that only one clip has.
    out: folder of the pages; by default `DATA_DIR/inspect/NAME`, so that
      pictures of people stay with the data.
    progress: show a progress bar.

  Returns:
    The paths of the pages; an overview begins with the first.

  Raises:
    FileNotFoundError: the dataset has not been prepared.
    ValueError: no clip, or more than one, fits one of `clips`: the pages of the
      others are written; or a link leads the pages out of `data_dir`, and `out`
      is not given.
    OSError: the folder cannot be written to.
  """
  metadata = load.read_metadata(name, data_dir)
  examples = load.Examples(name, data_dir)
  folder = pathlib.Path(out or pathlib.Path(data_dir) / 'inspect' / name)
  if not out:
    files.refuse_way_out(folder, pathlib.Path(data_dir))
  if not clips:
    return _overview(name, data_dir, metadata, examples, folder, progress)
  identities = examples.identities()
  found, faults = [], []
  for clip in clips:
    try:
      found.append(find(clip, identities, metadata))
    except ValueError as error:
      faults.append(str(error))
  if not found:
    raise ValueError('\n'.join(faults))
  paths = []
  for index in dict.fromkeys(found):
    identity = identities[index]
    page = clip_page.render(
      examples[index],
      metadata,
      dataset=name,
      warnings=metadata.get('warnings', {}).get(identity, ()),
      notes=metadata.get('notes', {}).get(identity, ()),
    )
    paths.append(folder / _file_of(identity))
    _write(paths[-1], page)
  if faults:
    faults.append(f'written are {", ".join(map(str, paths))}')
    raise ValueError('\n'.join(faults))
  return paths


def find(
  wanted: str, identities: Sequence[str], metadata: Mapping[str, Any]
) -> int:
  """Returns the position of the one clip that fits.

  Args:
    wanted: an identity, or a part of one; a clip in which it is a whole name
      between slashes goes before clips in which it is a part of a name.
    identities: identities of all clips.
    metadata: metadata of the dataset, which lists the skipped clips.

  Raises:
    ValueError: no clip or several clips fit; the message lists some.
  """
  whole = wanted.strip('/')
  tests = (
    lambda identity: identity == whole,
    lambda identity: f'/{whole}/' in f'/{identity}/',
    lambda identity: whole.casefold() in identity.casefold(),
  )
  for test in tests:
    found = [i for i, identity in enumerate(identities) if test(identity)]
    if len(found) == 1:
      return found[0]
    if found:
      named = _listed([identities[i] for i in found])
      raise ValueError(
        f'{len(found)} clips are like {wanted!r}; choose one of them:\n{named}'
      )
  for clip in metadata.get('skipped', ()):
    if f'/{whole}/' in f'/{clip["identity"]}/':
      raise ValueError(
        f'{clip["identity"]} is not in the dataset, because it was skipped: '
        f'{clip["reason"]}'
      )
  near = difflib.get_close_matches(whole, identities, _CANDIDATES, cutoff=0.5)
  raise ValueError(
    f'no clip is like {wanted!r}; there are\n'
    f'{_listed(near or identities, total=len(identities))}'
  )


def _file_of(identity: str) -> str:
  """Returns the name of a clip's page, which no other clip has.

  No file system takes a name of more than 255 bytes.
  """
  plain = re.sub(r'[^\w-]+', '.', identity)
  short = plain.encode()[:_NAME].decode(errors='ignore')
  if short == plain and re.fullmatch(r'[\w/-]*', identity):
    return f'{plain}.html'
  return f'{short}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}.html'


def _listed(names: Sequence[str], *, total: int | None = None) -> str:
  lines = [f'  {name}' for name in names[:_CANDIDATES]]
  if (more := (total or len(names)) - len(lines)) > 0:
    lines.append(f'  and {more} more')
  return '\n'.join(lines)


def _overview(
  name: str,
  data_dir: str | pathlib.Path,
  metadata: Mapping[str, Any],
  examples: load.Examples,
  folder: pathlib.Path,
  progress: bool,
) -> list[pathlib.Path]:
  tiles = [
    Tile.of_example(examples[i], metadata['units'])
    for i in bars.Bar(
      range(len(examples)), desc='inspect', unit='clip', disable=not progress
    )
  ]
  tiles.sort(key=Tile.order)
  pages = -(-len(tiles) // PER_PAGE)
  data = shlex.quote(str(data_dir))
  whole = dataset_page.Overview(
    name=name,
    metadata=metadata,
    tiles=tiles,
    page_of={tile.identity: i // PER_PAGE for i, tile in enumerate(tiles)},
    files=['index.html', *(f'page{i}.html' for i in range(2, pages + 1))],
    command=f'mejax inspect {name} --data_dir {data} --clip',
  )
  paths = []
  for number, file in enumerate(whole.files):
    paths.append(folder / file)
    _write(folder / file, dataset_page.render(whole, number))
  return paths


def _write(path: pathlib.Path, page: str) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  with files.writing(path) as file:
    file.write(page)
