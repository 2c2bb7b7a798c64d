"""The files of the two networks."""

from __future__ import annotations

import hashlib

import pytest

from mejax.motion import face_models


@pytest.mark.parametrize('name', face_models.SHA256)
def test_a_model_is_the_published_file_and_its_notice_says_which(name):
  path = face_models.ASSETS / name
  found = hashlib.sha256(path.read_bytes()).hexdigest()
  assert face_models.read_model(name).tobytes() == path.read_bytes()
  notice = (face_models.ASSETS / 'README.md').read_text()
  assert f'`{name}`' in notice
  assert f'`{found}`' in notice
  licence = path.with_suffix('.LICENSE')
  assert f'`{licence.name}`' in notice
  assert 'permission' in licence.read_text().lower()


def test_nothing_ships_without_a_notice():
  notice = (face_models.ASSETS / 'README.md').read_text()
  for path in face_models.ASSETS.iterdir():
    name = f'{path.name}/' if path.is_dir() else path.name
    assert name == 'README.md' or f'`{name}`' in notice


@pytest.mark.parametrize('name', face_models.SHA256)
def test_a_damaged_model_is_refused_with_what_to_do(name, tmp_path):
  data = bytearray((face_models.ASSETS / name).read_bytes())
  data[len(data) // 2] ^= 1
  (tmp_path / name).write_bytes(data)
  with pytest.raises(
    OSError, match='is damaged.*expected.*install mejax again'
  ):
    face_models.read_model(name, folder=tmp_path)
  (tmp_path / name).unlink()
  with pytest.raises(
    FileNotFoundError, match='is missing.*install mejax again'
  ):
    face_models.read_model(name, folder=tmp_path)
