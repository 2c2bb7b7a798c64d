"""What a camera shows is looked at while it runs; a video takes its place."""

from __future__ import annotations

import types

import cv2
import numpy as np
import pandas as pd
import pytest

import mejax
from mejax import cli
from mejax.corpora.faces import long_takes
from mejax.experiment.predicting import live
from mejax.experiment.predicting import live_view
from mejax.experiment.predicting import watching
from mejax.experiment.predicting import window
from mejax.motion import glance
from mejax.pages import notice
from tests.corpora import test_decode
from tests.known_faces import detector_of
from tests.pages import html_page

FPS, SIZE = 30.0, 128
CLASSES = ('negative', 'positive', 'surprise')


pytestmark = pytest.mark.usefixtures('small')


@pytest.fixture(scope='module')
def filmed(tmp_path_factory):
  """A rendered recording of six seconds with one movement, and its video."""
  script = long_takes.Script(micro=1, amplitude=(3.0, 3.0), noise=1.0)
  take = long_takes.play(script, seed=4, seconds=6, fps=FPS, size=SIZE)
  images = list(take.frames(np.random.default_rng(0)))
  path = tmp_path_factory.mktemp('filmed') / 'talk.avi'
  test_decode.write_video(path, images, fps=FPS, codec='MJPG')
  return take, path


@pytest.fixture(scope='module')
def watched(filmed, tmp_path_factory):
  """What was returned, written, shown and told of the recording."""
  take, path = filmed
  out = tmp_path_factory.mktemp('out') / 'watched'
  shown, told = [], []

  def show(picture, at):
    shown.append((at, picture))
    return True

  table = live.watch(
    path,
    out=out,
    annotate=True,
    show=show,
    tell=told.append,
    detector=detector_of(take),
  )
  return types.SimpleNamespace(table=table, out=out, shown=shown, told=told)


@pytest.mark.slow
def test_a_movement_is_told_when_it_has_ended(filmed, watched):
  (event,) = filmed[0].events
  (row,) = watched.table.to_dict('records')
  assert (row['file'], row['type']) == ('talk', 'micro')
  assert abs(row['apex'] - event.apex) <= 1
  (line,) = watched.told
  assert f'{row["onset_s"]:.1f} s, micro: most like {row["most_like"]}' in line


@pytest.mark.slow
def test_what_is_said_is_what_is_said_of_these_frames_of_the_file(
  filmed, watched
):
  (row,) = watched.table.to_dict('records')
  (expected,) = mejax.predict(
    filmed[1],
    progress=False,
    **{name: row[name] for name in ('onset', 'apex', 'offset')},
  ).to_dict('records')
  for name in (*(f'p_{name}' for name in CLASSES), 'motion_px', 'face_px'):
    np.testing.assert_allclose(row[name], expected[name], rtol=1e-4)


@pytest.mark.slow
def test_table_page_pictures_and_video_are_those_of_a_file(filmed, watched):
  (row,) = watched.table.to_dict('records')
  read = pd.read_csv(watched.out / 'predictions.csv')
  assert list(read.columns) == list(watched.table.columns)
  text = (watched.out / 'index.html').read_text()
  page = html_page.Page(text)
  assert f'most like {row["most_like"]}' in page.text
  assert notice.RESPONSIBLE_USE in page.text and '<path class="curve' in text
  assert len(list((watched.out / 'pictures').iterdir())) == 1
  capture = cv2.VideoCapture(str(watched.out / 'annotated' / 'talk.mp4'))
  count = 0
  while capture.grab():
    count += 1
  # The last one is there again, with what was under way at the end.
  assert count == len(watched.shown) == filmed[0].num_frames + 1


@pytest.mark.slow
def test_only_past_frames_decide_what_is_shown(filmed, watched, tmp_path):
  take, path = filmed
  stop = 130  # The first signals are there since frame 120.
  images = [image for _, image in frames_of(path)]
  other = [cv2.flip(image, 0) for image in images[stop:]]
  test_decode.write_video(
    tmp_path / 'talk.avi', images[:stop] + other, fps=FPS, codec='FFV1'
  )
  shown = []

  def show(picture, at):
    shown.append(picture)
    return len(shown) < stop

  live.watch(tmp_path / 'talk.avi', show=show, detector=detector_of(take))
  assert len(shown) == stop  # Nothing is shown after `show` ended it.
  for i in (0, 60, 121, stop - 1):
    np.testing.assert_array_equal(shown[i], watched.shown[i][1])


def frames_of(path):
  capture = cv2.VideoCapture(str(path))
  number = 0
  while True:
    is_there, image = capture.read()
    if not is_there:
      return
    yield number, image[..., ::-1]
    number += 1


@pytest.mark.slow
def test_results_are_not_replaced(filmed, watched):
  with pytest.raises(ValueError, match='holds predictions.csv and index.html'):
    live.watch(filmed[1], out=watched.out)
  with pytest.raises(ValueError, match='give --out'):
    live.watch(filmed[1], annotate=True)
  with pytest.raises(ValueError, match='abstain is 2'):
    live.watch(filmed[1], abstain=2)
  with pytest.raises(ValueError, match='seconds is 0'):
    live.watch(filmed[1], seconds=0)


def test_command_shows_the_notice_and_needs_no_window(
  filmed, tmp_path, capsys, monkeypatch
):
  monkeypatch.setattr(live.detection, 'detect', detector_of(filmed[0]))
  command = ['predict', '--camera', str(filmed[1]), '--seconds', '1']
  out = tmp_path / 'out'
  assert cli.main([*command, '--no_window', '--out', str(out)]) == 0
  said = capsys.readouterr().out
  assert said.startswith(notice.RESPONSIBLE_USE)
  assert 'nothing stands out of the noise' in said
  assert str(out / 'index.html') in said
  read = pd.read_csv(out / 'predictions.csv')
  assert read['file'].tolist() == ['talk'] and read['onset'].isna().all()
  monkeypatch.chdir(tmp_path)
  assert cli.main([*command, '--no_window']) == 0
  assert sorted(path.name for path in tmp_path.iterdir()) == ['out']


@pytest.mark.parametrize(
  'flags, words',
  [
    (['--camera', '0', 'a.mp4'], 'recordings and --camera exclude'),
    (['--camera', '0', '--whole'], '--whole and --camera exclude'),
    (['a.mp4', '--seconds', '3'], '--seconds belongs to --camera'),
    ([], 'name a recording, or --camera 0'),
  ],
)
def test_flags_of_files_and_cameras_are_not_mixed(flags, words, capsys):
  assert cli.main(['predict', *flags]) == 2
  assert words in capsys.readouterr().err


def test_without_a_display_it_is_said_what_to_do(monkeypatch):
  for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setattr(window.sys, 'platform', 'linux')
  with pytest.raises(OSError, match='no display.*--no_window.*--annotate'):
    window.open_window()
  # One that is named and does not answer may end the process that asks it.
  monkeypatch.setenv('DISPLAY', ':97')

  def ends(_):
    raise ValueError('the process died (SIGABRT)')

  monkeypatch.setattr(window.isolated, 'call', ends)
  with pytest.raises(OSError, match='reaches no display.*--no_window'):
    window.open_window()


def test_a_stream_without_a_face_says_so(tmp_path):
  wall = np.full((64, 96, 3), 90, np.uint8)
  test_decode.write_video(tmp_path / 'wall.avi', [wall] * 40)
  times = []
  table = live.watch(
    tmp_path / 'wall.avi',
    fps=100,
    show=lambda picture, at: not times.append(at),
    detector=lambda _: [],
  )
  assert table['warnings'].tolist() == ['no face was seen']
  # So fast, three frames are looked at together; the last ones come twice.
  np.testing.assert_allclose(times[:3], [0.01, 0.04, 0.07])
  assert len(times) == 14 + 1


def test_frames_of_the_last_seconds_are_kept_and_no_more(monkeypatch):
  image = np.zeros((10, 10, 3), np.uint8)
  kept = watching.Kept(2.0)  # 9 seconds are 18 frames.
  found = list(kept.through((i, image) for i in range(0, 100, 2)))
  assert [number for number, _ in found] == list(range(0, 100, 2))
  assert kept.numbers() == tuple(range(80, 100, 2))
  monkeypatch.setattr(watching, '_BYTES', 1000)
  list(kept.through((i, image) for i in range(100, 110)))
  assert kept.numbers() == (107, 108, 109)


def view(size=(120, 160), **more):
  rng = np.random.default_rng(0)
  return live_view.View(
    **{
      'name': 'camera 0',
      'fps': 30.0,
      'number': 900.0,
      'image': rng.integers(0, 255, (*size, 3)).astype(np.uint8),
      'seen': None,
      'times': np.arange(800) / 30,
      'strength': rng.gamma(2.0, 3.0, 800),
      'threshold': 11.5,
      'events': [],
      'last': None,
      **more,
    }
  )


@pytest.mark.parametrize('size', [(480, 640), (640, 200), (90, 700), (33, 31)])
def test_any_picture_has_its_place(size):
  flow = np.random.default_rng(0).normal(size=(128, 128, 2)) * 0.02
  seen = glance.Seen((-10, 20, 60), 22.0, flow.astype(np.float32))
  sheet = live_view.draw(view(size, seen=seen))
  assert sheet.shape == (live_view.HEIGHT, live_view.WIDTH, 3)
  bare = live_view.draw(view(size))
  # Only the picture and the words above it and in the panel change.
  assert (sheet[-200:] == bare[-200:]).all()


def test_the_timeline_marks_what_was_spotted():
  row = {'type': 'macro', 'onset': 600, 'offset': 690, 'regions': 'left brow'}
  last = live_view.last_of(
    row | {'p_a': 0.25, 'p_b': 0.75}, ('a', 'b'), abstain=0.9
  )
  assert last.answer == 'undecided (75 % at most)'
  marked = live_view.draw(view(events=[row], last=last))
  top, height = live_view._TIMELINE
  own = np.s_[top : top + height, 24 : live_view.WIDTH - 24]
  changed = (marked[own] != live_view.draw(view())[own]).any(-1).any(0)
  columns = np.flatnonzero(changed)
  wide = live_view.WIDTH - 48
  # Ten to seven of the last twenty seconds.
  np.testing.assert_allclose(columns[[0, -1]], [wide / 2, 0.65 * wide], atol=2)
