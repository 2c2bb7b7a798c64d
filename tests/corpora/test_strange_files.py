"""Pipes, devices, circles of links and ways out of a corpus."""

from __future__ import annotations

import os
import pathlib

import cv2
import numpy as np
import pytest

from mejax import limits
from mejax.corpora import cells
from mejax.corpora import containers
from mejax.corpora import decode
from mejax.corpora import frames
from mejax.corpora import htnet_release
from mejax.corpora import recordings
from mejax.corpora import synthetic
from mejax.corpora import video
from tests.corpora import htnet_tree

IMAGE = cv2.imencode('.png', np.zeros((8, 8, 3), np.uint8))[1].tobytes()


def _folder(folder: pathlib.Path, number: int = 3) -> pathlib.Path:
  folder.mkdir(parents=True)
  for i in range(number):
    (folder / f'{i}.png').write_bytes(IMAGE)
  return folder


@pytest.mark.parametrize('target', ['pipe', '/dev/zero'])
def test_a_frame_that_is_no_file_costs_its_clip(tmp_path, target):
  folder = _folder(tmp_path / 'clip')
  (folder / '1.png').unlink()
  if target == 'pipe':
    os.mkfifo(folder / '1.png')
  else:
    (folder / '1.png').symlink_to(target)
  (clip,) = video.read([folder])
  for read in (decode.decode, lambda *args: list(decode.raw(*args))):
    with pytest.raises(ValueError, match='"1.png" cannot be read .*a pipe or'):
      read(clip, [0, 1])


@pytest.mark.parametrize('read', [limits.open_file, limits.read_bytes])
def test_only_ordinary_files_are_opened(tmp_path, read):
  os.mkfifo(tmp_path / 'pipe')
  (tmp_path / 'link').symlink_to('/dev/zero')
  (tmp_path / 'file').write_bytes(b'content')
  (tmp_path / 'good').symlink_to('file')
  for name in ('pipe', 'link'):
    with pytest.raises(OSError, match='a pipe or a device.*' + name):
      read(tmp_path / name)
    with pytest.raises(OSError, match='a pipe or a device.*' + name):
      limits.check_ordinary(tmp_path / name)
  with pytest.raises(IsADirectoryError):
    read(tmp_path)
  limits.check_ordinary(tmp_path)
  assert limits.read_bytes(tmp_path / 'good') == b'content'


def test_circles_of_links_are_walked_once(tmp_path):
  folder = _folder(tmp_path / 'all' / 'anna' / 'clip')
  for i in range(6):
    for place in (tmp_path / 'all', folder):
      (place / f'a{i}').symlink_to('.')
      (place / f'up{i}').symlink_to('..')
  (found,) = recordings.find([tmp_path / 'all'])
  assert found.name == 'clip'

  def place_of(parts):
    return frames.Place(parts[-1], 1, 'raw') if parts[-1] == 'clip' else None

  trees, _ = frames.scan(tmp_path / 'all', place_of)
  assert [tree.clips for tree in trees] == [{'clip': folder}]


def test_a_folder_is_found_under_its_own_name_before_those_of_links(tmp_path):
  (tmp_path / 'a_link').symlink_to('cropped')
  _folder(tmp_path / 'cropped' / 'clip')
  outside = _folder(tmp_path.parent / f'{tmp_path.name}_disk' / 'clip').parent
  (tmp_path / 'b_link').symlink_to(outside)

  def place_of(parts):
    is_clip = parts[-1] == 'clip'
    return frames.Place(parts, 1, frames.kind_of(parts)) if is_clip else None

  trees, _ = frames.scan(tmp_path, place_of)
  assert [(tree.folder.name, tree.kind) for tree in trees] == [
    ('cropped', 'cropped'),
    ('b_link', 'raw'),
  ]


@pytest.mark.parametrize('name', ['../private', '/etc', 'a/b', '.', '..', ''])
def test_a_name_that_is_a_way_is_no_name_of_a_file(name):
  assert not cells.is_file_name(name)


@pytest.mark.parametrize(
  'name', ['s01', '.hidden', 'EP02_01f', 'Jörg 2', '..a']
)
def test_a_plain_name_is_a_name_of_a_file(name):
  assert cells.is_file_name(name)


def test_a_sheet_of_rendered_faces_leads_to_no_other_folder(tmp_path):
  head = ','.join(synthetic._COLUMNS)
  for subject in ('../private', '/private', '.'):
    (tmp_path / 'labels.csv').write_text(
      f'{head}\n{subject},clip01,happiness,1,2,3,100,4,1\n'
    )
    with pytest.raises(ValueError, match='expected the names of folders'):
      list(synthetic.read(tmp_path))


@pytest.mark.parametrize('column', ['sub', 'filename_o', 'imagename'])
def test_the_sheet_of_the_release_leads_to_no_other_folder(tmp_path, column):
  htnet_tree.write_tree(tmp_path)
  row = {'dataset': 'smic', 'sub': 's1', 'filename_o': 'c', 'label': '0'}
  row |= {'imagename': 'c.jpg'}
  row[column] = '../../outside'
  lines = [','.join(row), ','.join(row.values())]
  (tmp_path / htnet_release.SHEET).write_text('\n'.join(lines))
  with pytest.raises(ValueError, match=f'{column} is .*names no file'):
    htnet_release.read(tmp_path)


def test_the_parts_of_a_container_have_an_end(tmp_path):
  path = tmp_path / 'a.avi'
  writer = cv2.VideoWriter(
    str(path), cv2.VideoWriter_fourcc(*'MJPG'), 30, (64, 64)
  )
  for value in range(4):
    writer.write(np.full((64, 64, 3), value, np.uint8))
  writer.release()
  intact = containers.read(path).intact
  assert intact == (0, 1, 2, 3)
  size = path.stat().st_size
  os.truncate(path, size + 9)
  assert containers.empty_tail(path) == 0
  os.truncate(path, size + (1 << 32))  # Sparse: it takes no room.
  assert containers.read(path).intact == intact
  assert containers.empty_tail(path) == 1 << 32
  (clip,) = video.read([path])
  assert '4096 MiB of zeros lie behind its end' in clip.problem
