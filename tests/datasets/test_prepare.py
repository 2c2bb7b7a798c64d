"""Preparation: whole or not at all, the same bytes each time, plain words."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
import tempfile

import cv2
import numpy as np
import pytest

from mejax.datasets import builder
from mejax.datasets import load
from mejax.datasets import prepare
from mejax.datasets import sources
from mejax.datasets.recipe import Recipe
from tests.corpora import htnet_tree


def _prepare(tree, data_dir, *, landmarks=None, **options):
  return prepare.prepare(
    'htnet_release',
    source=tree,
    data_dir=data_dir,
    options={'landmarks': landmarks} if landmarks else None,
    progress=False,
    **options,
  )


def _contents(folder: pathlib.Path) -> dict[str, bytes]:
  return {
    str(p.relative_to(folder)): p.read_bytes()
    for p in folder.rglob('*')
    if p.is_file()
  }


def test_the_examples_are_those_of_the_images_in_their_order(small):
  examples, images, points = small
  for i, row in enumerate(htnet_tree.ROWS):
    identity = row[:3]
    found = tuple(examples[k][i] for k in ('corpus', 'subject', 'clip'))
    assert found == identity
    np.testing.assert_array_equal(examples['flow'][i, 0], images[identity])
    expected, crops = points[identity]
    np.testing.assert_allclose(
      examples['landmarks'][i], expected - 0.5, atol=1e-5
    )
    np.testing.assert_array_equal(examples['crop_points'][i], crops)
  assert examples['emotion'].tolist() == [
    'positive',
    'negative',
    'negative',
    'surprise',
    'surprise',
  ]
  assert examples['flow'].dtype == np.float32
  assert examples['landmarks'].dtype == np.float32
  assert examples['crop_points'].dtype == np.int32


def test_prepared_again_gives_the_same_bytes_and_names_no_place(
  tree, tmp_path, root
):
  folder = _prepare(tree, tmp_path / 'one')
  assert all(path.is_file() for path in folder.iterdir())
  # Another process: the order of a protocol buffer's map changes with it.
  program = (
    'import sys\n'
    'from mejax.datasets import prepare\n'
    'prepare.prepare("htnet_release", source=sys.argv[1], data_dir=sys.argv[2])'
  )
  other = tmp_path / 'elsewhere/two'
  subprocess.run(
    [sys.executable, '-c', program, str(tree), str(other)], cwd=root, check=True
  )
  contents = _contents(tmp_path / 'one')
  assert len(contents) == 5
  assert contents == _contents(other)
  assert not any(str(tmp_path).encode() in data for data in contents.values())


def test_nothing_stays_among_the_temporary_files(tree, tmp_path, monkeypatch):
  (tmp_path / 'temporary').mkdir()
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'temporary'))
  _prepare(tree, tmp_path)
  load.load_examples('htnet_release', tmp_path)
  assert not list((tmp_path / 'temporary').iterdir())


def test_metadata_says_how_the_dataset_was_made(tree, tmp_path):
  _prepare(tree, tmp_path)
  metadata = load.read_metadata('htnet_release', tmp_path)
  assert metadata['units'] == 'minmax255'
  assert metadata['strain'] == 'as released'
  assert metadata['flow'] == {'method': 'as released'}
  assert metadata['levels'] == [1.0]
  assert metadata['size'] == 28
  assert metadata['landmark_source'] == 'release defaults'
  assert metadata['counts'] == {
    'casme2': {'positive': 1, 'negative': 1},
    'smic': {'negative': 1, 'surprise': 1},
    'samm': {'surprise': 1},
  }
  assert metadata['skipped'] == []
  assert metadata['versions']['opencv'] == cv2.__version__


def test_the_same_again_says_so_and_touches_nothing(tree, tmp_path, capsys):
  folder = _prepare(tree, tmp_path)
  before = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
  capsys.readouterr()
  assert _prepare(tree, tmp_path) == folder
  assert 'prepared already' in capsys.readouterr().out
  assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == before


def test_another_way_is_refused_by_name_until_overwrite(tree, tmp_path):
  _prepare(tree, tmp_path)
  file = tmp_path / 'points.csv'
  htnet_tree.write_landmarks(file)
  before = _contents(tmp_path / 'mejax')
  message = "landmark_source: there 'release defaults', asked for 'file points"
  with pytest.raises(ValueError, match=f'(?s){message}.*--overwrite'):
    _prepare(tree, tmp_path, landmarks=file)
  assert _contents(tmp_path / 'mejax') == before
  _prepare(tree, tmp_path, landmarks=file, overwrite=True)
  source = load.read_metadata('htnet_release', tmp_path)['landmark_source']
  assert source == 'file points.csv'


def test_a_changed_image_is_another_source(tree, tmp_path):
  _prepare(tree, tmp_path)
  file = htnet_tree.flow_file(tree, *htnet_tree.ROWS[0][1:3])
  cv2.imwrite(str(file), np.zeros((28, 28, 3), np.uint8))
  with pytest.raises(ValueError, match='source_sha256'):
    _prepare(tree, tmp_path)


def test_changed_landmarks_of_the_same_name_are_another_source(tree, tmp_path):
  file = tmp_path / 'points.csv'
  htnet_tree.write_landmarks(file)
  _prepare(tree, tmp_path, landmarks=file)
  htnet_tree.write_landmarks(file, tuple(reversed(htnet_tree.ROWS)))
  with pytest.raises(ValueError, match='source_sha256'):
    _prepare(tree, tmp_path, landmarks=file)


def test_unusable_clips_are_all_listed_and_can_be_left_out(
  tree, tmp_path, capsys
):
  gone = htnet_tree.flow_file(tree, *htnet_tree.ROWS[0][1:3])
  cut = htnet_tree.flow_file(tree, *htnet_tree.ROWS[3][1:3])
  gone.unlink()
  cut.write_bytes(cut.read_bytes()[:-30])
  with pytest.raises(ValueError, match='2 of 5 clips') as error:
    _prepare(tree, tmp_path)
  for words in (gone.name, cut.name, 'is missing', 'damaged', 'allow_missing'):
    assert words in str(error.value)
  assert not (tmp_path / 'mejax').exists()

  _prepare(tree, tmp_path, allow_missing=True)
  kept = [row[2] for row in (*htnet_tree.ROWS[1:3], htnet_tree.ROWS[4])]
  assert load.load_examples('htnet_release', tmp_path)['clip'].tolist() == kept
  skipped = load.read_metadata('htnet_release', tmp_path)['skipped']
  assert [s['identity'] for s in skipped] == [
    'casme2/sub01/EP02_01f',
    'smic/s01/s01_sur_02',
  ]
  printed = capsys.readouterr().out
  assert 'skipped: 2' in printed
  assert all(s['reason'] in printed for s in skipped)


def test_nothing_usable_is_an_error_even_where_missing_is_allowed(
  tree, tmp_path
):
  for file in (tree / htnet_tree.FLOW).iterdir():
    file.write_bytes(b'')
  with pytest.raises(ValueError, match='none of 5 clips can be used'):
    _prepare(tree, tmp_path, allow_missing=True)


def test_options_that_a_corpus_does_not_have_are_errors(tree, tmp_path):
  with pytest.raises(ValueError, match='ready-made flow of 28 pixels'):
    _prepare(tree, tmp_path, recipe=Recipe(size=64))
  with pytest.raises(ValueError, match="no option 'camera'; it has landmarks"):
    prepare.prepare(
      'htnet_release',
      source=tree,
      data_dir=tmp_path,
      options={'camera': 'VIS'},
    )
  with pytest.raises(
    ValueError, match="unknown corpus 'casme9'; known: .*smic"
  ):
    prepare.prepare('casme9', source=tree, data_dir=tmp_path)


# Kills itself at the n-th call of a function: while examples are written (the
# five clips are read once before that), or before a rename.
KILLED = """
import os, pathlib, signal, sys
from mejax.corpora import htnet_release
from mejax.datasets import prepare
from mejax.datasets import sources
from mejax.datasets.recipe import Recipe
tree, data_dir, owner, name, left = sys.argv[1:]
owner = {'reader': htnet_release, 'path': pathlib.Path}[owner]
original, left = getattr(owner, name), int(left)
def fatal(*args, **kwargs):
  global left
  left -= 1
  if left < 0 and (name != 'rename' or '.partial' in str(args[0])):
    os.kill(os.getpid(), signal.SIGKILL)
  return original(*args, **kwargs)
setattr(owner, name, fatal)
prepare.prepare('htnet_release', source=tree, data_dir=data_dir,
                overwrite=True, progress=False)
"""


@pytest.mark.parametrize(
  ('owner', 'name', 'left'),
  [('reader', 'read_flow', 13), ('path', 'rename', 0)],
  ids=['writing', 'renaming'],
)
def test_a_kill_leaves_nothing_half_made(
  tree, tmp_path, root, owner, name, left
):
  whole = _contents(_prepare(tree, tmp_path / 'whole'))
  command = [sys.executable, '-c', KILLED, str(tree)]
  killed = subprocess.run(
    [*command, str(tmp_path / 'data'), owner, name, str(left)], cwd=root
  )
  assert killed.returncode == -signal.SIGKILL
  # It had begun, but nothing bears the name of a dataset.
  assert list((tmp_path / 'data/mejax').glob('htnet_release/.*.partial'))
  with pytest.raises(FileNotFoundError, match='is not prepared'):
    load.load_examples('htnet_release', tmp_path / 'data')
  folder = _prepare(tree, tmp_path / 'data')
  assert _contents(folder) == whole
  assert _contents(tmp_path / 'data') == _contents(tmp_path / 'whole')
  assert [p.name for p in (tmp_path / 'data/mejax').iterdir()] == [
    'htnet_release'
  ]


def test_a_failure_while_overwriting_keeps_the_old_dataset(
  tree, tmp_path, monkeypatch
):
  before = _contents(_prepare(tree, tmp_path))
  # Each clip is read once to look at it; the ninth reading is a writing.
  calls = iter(range(100))
  original = sources.load_flow

  def failing(clip):
    if next(calls) == 8:
      raise RuntimeError('disk full')
    return original(clip)

  monkeypatch.setattr(sources, 'load_flow', failing)
  with pytest.raises(OSError, match='disk full'):
    _prepare(tree, tmp_path, overwrite=True)
  assert _contents(tmp_path / 'mejax/htnet_release' / builder.VERSION) == before
  assert [p.name for p in (tmp_path / 'mejax').iterdir()] == ['htnet_release']
