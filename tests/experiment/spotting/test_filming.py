"""Folders of rendered recordings as signals."""

from __future__ import annotations

import json

import pytest

from mejax import cli
from mejax.experiment.spotting import database
from mejax.experiment.spotting import filming
from mejax.experiment.spotting import signal_sets
from tests import known_faces

SMALL = dict(people=1, seconds=5, size=96, seed=3)


@pytest.fixture(scope='module')
def filmed(tmp_path_factory):
  folder = tmp_path_factory.mktemp('set')
  take = filming.play('calm', 3, seconds=5, fps=30, size=96)
  detector = known_faces.detector_of(take)
  filming.film(folder, detector=detector, progress=False, **SMALL)
  return folder


def test_a_person_has_a_calm_recording_and_one_with_known_expressions(filmed):
  calm, acted = signal_sets.read(filmed)
  assert (calm.video.subject, acted.video.subject) == ('p00003', 'p00003')
  assert calm.video.truths == ()
  assert {e.type for e in acted.video.truths} == {'micro', 'macro'}
  assert {e.label for e in acted.video.truths} <= set(filming.CLASSES)
  assert all(e.onset < e.apex < e.offset for e in acted.video.truths)
  assert {calm.corpus, acted.corpus} == {filming.CORPUS}
  assert len(acted.tracks.numbers) == acted.video.num_frames == 150
  # They are two takes of one person.
  assert (calm.tracks.lids != acted.tracks.lids).any()


def test_the_same_call_follows_nothing_again(filmed):
  def never(image):
    raise AssertionError('the signals are kept')

  filming.film(filmed, detector=never, progress=False, **SMALL)


def test_what_is_wrong_with_a_folder_is_told(filmed, tmp_path):
  with pytest.raises(FileNotFoundError, match='mejax film'):
    signal_sets.read(tmp_path)
  (tmp_path / 'videos.json').write_text(
    '{"corpus": "x", "videos": [{"subject": 1}]}'
  )
  with pytest.raises(ValueError, match='subject is 1; expected a text'):
    signal_sets.read(tmp_path)
  # As an older mejax wrote it.
  content = json.loads((filmed / 'videos.json').read_text())
  old = {'videos': content['videos']}
  (tmp_path / 'videos.json').write_text(json.dumps(old))
  with pytest.raises(ValueError, match='corpus is missing.*makes it again'):
    signal_sets.read(tmp_path)
  (tmp_path / 'videos.json').write_bytes((filmed / 'videos.json').read_bytes())
  with pytest.raises(FileNotFoundError):
    signal_sets.read(tmp_path)


def test_rendered_and_real_people_do_not_share_a_folder(filmed, tmp_path):
  with pytest.raises(ValueError, match='signals of rendered_long, and none of'):
    database.score('casme2_long', tmp_path, out=filmed, progress=False)
  signal_sets.write(tmp_path, [], corpus='casme2_long')
  before = (tmp_path / 'videos.json').read_bytes()
  for call in (
    lambda: filming.film(tmp_path, progress=False, **SMALL),
    lambda: database.score('samm_long', tmp_path, out=tmp_path),
  ):
    with pytest.raises(ValueError, match='has signals of casme2_long'):
      call()
  assert (tmp_path / 'videos.json').read_bytes() == before
  assert not (tmp_path / 'signals').exists()


def test_command_refuses_numbers_out_of_bounds(tmp_path, capsys):
  assert cli.main(['film', str(tmp_path / 'x'), '--people', '0']) == 2
  assert 'people is 0; expected a number from 1' in capsys.readouterr().err
