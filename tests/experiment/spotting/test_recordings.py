"""`mejax.spot` and `mejax spot` on small rendered recordings."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

import mejax
from mejax import cli
from mejax.corpora.faces import long_takes
from mejax.experiment.spotting import recordings
from mejax.pages import notice
from tests.corpora import mp4_boxes
from tests.corpora import test_decode
from tests.known_faces import detector_of

SIZE, FPS = 160, 30.0


def no_face(image):
  return []


@pytest.fixture(scope='module')
def take():
  script = long_takes.Script(micro=1, amplitude=(3.0, 3.0), noise=1.0)
  return long_takes.play(script, seed=4, seconds=6, fps=FPS, size=SIZE)


@pytest.fixture(scope='module')
def images(take):
  return list(take.frames(np.random.default_rng(0)))


@pytest.fixture(scope='module')
def folder(images, tmp_path_factory):
  folder = tmp_path_factory.mktemp('takes') / 'alone'
  folder.mkdir()
  for number, image in enumerate(images, 11):
    cv2.imwrite(str(folder / f'img{number}.png'), image[..., ::-1])
  return folder


def video(path, images, fps=FPS):
  return test_decode.write_video(path, images, fps=fps, codec='MJPG')


def test_rendered_expression_is_in_the_table_with_its_frames(take, folder):
  found = mejax.spot(
    folder, fps=FPS, detector=detector_of(take), progress=False
  )
  assert isinstance(found, pd.DataFrame)
  assert tuple(found.columns) == recordings.COLUMNS
  (row,) = found[found['type'] == 'micro'].to_dict('records')
  event = take.events[0]
  # The first file has the number 11.
  shared = min(row['offset'], event.offset + 11) - max(
    row['onset'], event.onset + 11
  )
  assert shared / (event.offset - event.onset) >= 0.5
  assert abs(row['apex'] - (event.apex + 11)) <= 1
  assert row['apex_s'] == pytest.approx((row['apex'] - 11) / FPS)
  assert row['regions'] and row['score'] > 9


def test_command_writes_a_table_and_a_page(images, tmp_path, capsys):
  path = video(tmp_path / 'talk.avi', images)
  assert cli.main(['spot', str(path), '--out', str(tmp_path / 'out')]) == 0
  table = pd.read_csv(tmp_path / 'out/candidates.csv', keep_default_na=False)
  assert list(table.columns) == list(recordings.COLUMNS)
  page = (tmp_path / 'out/index.html').read_text()
  assert 'talk' in page and '<svg' in page and page.count('class="grid"') > 3
  said = capsys.readouterr().out
  assert f'{(table["type"] == "micro").sum()} candidates' in said
  assert str(tmp_path / 'out/index.html') in said
  assert notice.RESPONSIBLE_USE in said and notice.RESPONSIBLE_USE in page


def test_recording_without_a_face_says_so_and_has_no_candidates(tmp_path):
  path = video(tmp_path / 'wall.avi', [np.full((64, 96, 3), 90, np.uint8)] * 20)
  options = {'detector': no_face, 'progress': False}
  found, (_, page) = recordings.write(path, tmp_path / 'out', **options)
  assert found.empty
  assert ('wall', 'It shows no face: nothing can be spotted.') in (
    found.attrs['remarks']
  )
  assert 'It shows no face' in page.read_text()
  recordings.write(path, tmp_path / 'out', **options)
  with pytest.raises(ValueError, match='pictures: there True, asked for False'):
    recordings.write(path, tmp_path / 'out', pictures=False, **options)


def test_face_for_a_second_is_looked_at_and_the_rest_is_said(
  take, images, tmp_path
):
  event = take.events[0]
  first = event.onset - 8
  wall = [np.full((SIZE, SIZE, 3), 90, np.uint8)] * 40
  seen = images[first : first + 30]
  path = video(tmp_path / 'short.avi', [*wall, *seen, *wall])
  found = mejax.spot(path, detector=detector_of(take), progress=False)
  told = [words for _, words in found.attrs['remarks']]
  assert '73 % of it shows no face; nothing is spotted there.' in told
  (row,) = found.to_dict('records')
  assert abs(row['apex'] - (event.apex - first + 40)) <= 1
  assert 40 <= row['onset'] < row['offset'] < 70


def test_page_shows_the_threshold_that_was_asked_for(tmp_path):
  path = video(tmp_path / 'wall.avi', [np.full((64, 96, 3), 90, np.uint8)] * 20)
  _, (_, page) = recordings.write(
    path,
    tmp_path / 'out',
    detector=no_face,
    progress=False,
    thresholds={'micro': 20.0},
  )
  assert '>20</text>' in page.read_text()


def test_files_of_something_else_are_not_replaced(tmp_path):
  (tmp_path / 'index.html').write_text('mine')
  with pytest.raises(ValueError, match='index.html of something else'):
    recordings.write(tmp_path / 'talk.avi', tmp_path)


def test_slow_recording_says_what_cannot_be_seen(take, images, tmp_path):
  path = video(tmp_path / 'slow.avi', images[::2][:45], fps=15.0)
  found = mejax.spot(path, detector=detector_of(take), progress=False)
  (words,) = [w for _, w in found.attrs['remarks'] if 'frames a second' in w]
  assert 'a micro-expression of .2 s has 3 of them' in words
  assert 'shorter than 0.27 s cannot be told from noise' in words


def test_still_picture_has_no_candidates_and_says_why(take, images, tmp_path):
  path = video(tmp_path / 'still.avi', images[:1] * 60)
  found = mejax.spot(path, detector=detector_of(take), progress=False)
  assert found.empty
  told = [words for _, words in found.attrs['remarks']]
  assert told == ['All its frames show one picture: nothing moves in it.']


def test_variable_rate_is_told(take, images, tmp_path):
  path = test_decode.write_video(
    tmp_path / 'odd.mp4', images[:60], codec='mp4v'
  )
  steps = np.random.default_rng(1).integers(300, 900, 60)
  mp4_boxes.retimed(path, steps.tolist())
  found = mejax.spot(path, detector=detector_of(take), progress=False)
  told = [words for _, words in found.attrs['remarks']]
  assert any('variable frame rate' in words for words in told)


def test_recording_that_ends_in_an_event_is_flagged(take, images, tmp_path):
  event = take.events[0]
  path = video(tmp_path / 'cut.avi', images[: (event.apex + event.offset) // 2])
  found = mejax.spot(path, detector=detector_of(take), progress=False)
  assert len(found) and all('cut' in flags for flags in found['flags'])
  assert found['apex'].between(event.apex - 2, event.apex + 2).all()


def test_page_shows_the_face_unless_asked_not_to(take, folder, tmp_path):
  options = {'fps': FPS, 'detector': detector_of(take), 'progress': False}
  rows, (_, page) = recordings.write(folder, tmp_path / 'a', **options)
  text = page.read_text()
  # Onset, apex, and the onset once more to go back to.
  assert text.count('src="data:image/jpeg') == 3 * len(rows)
  _, (_, plain) = recordings.write(
    folder, tmp_path / 'b', pictures=False, **options
  )
  assert 'data:image/jpeg' not in plain.read_text()


def test_recording_that_is_too_short_says_so(take, images, tmp_path):
  path = video(tmp_path / 'short.avi', images[:12])
  found = mejax.spot(path, detector=detector_of(take), progress=False)
  assert any('It lasts 0.40 s' in words for _, words in found.attrs['remarks'])


def test_frames_in_a_folder_need_a_rate(folder):
  with pytest.raises(ValueError, match='give the frames a second'):
    mejax.spot(folder, detector=no_face, progress=False)


def test_one_frame_is_no_recording(images, tmp_path):
  path = video(tmp_path / 'one.avi', images[:1])
  with pytest.raises(ValueError, match='nothing moves in it'):
    mejax.spot(path, detector=no_face, progress=False)


def test_broken_recording_does_not_cost_the_others(take, images, tmp_path):
  video(tmp_path / 'a.avi', images[:40])
  (tmp_path / 'b.avi').write_bytes(b'\0no video\xff' * 50)
  found = mejax.spot(tmp_path, detector=detector_of(take), progress=False)
  assert [name for name, words in found.attrs['remarks'] if 'damaged' in words]


def test_package_has_nothing_else_by_that_way():
  with pytest.raises(AttributeError, match='no attribute'):
    getattr(mejax, 'spotted')  # noqa: B009
