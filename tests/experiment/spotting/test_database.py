"""Spotting in a database, on a rendered one of the published shape."""

from __future__ import annotations

import numpy as np
import pytest

from mejax import cli
from mejax.corpora.faces import long_takes
from mejax.corpora.faces.script import Script
from mejax.experiment.spotting import candidate_files
from mejax.experiment.spotting import database as database_lib
from tests import known_faces
from tests.corpora import long_trees
from tests.corpora import trees

SIZE, FPS = 120, 30.0
FIRST = 's15/15_0101disgustingteeth', 's16/16_0401girlcrashing'


@pytest.fixture(scope='module')
def take():
  script = Script(micro=1, amplitude=(3.0, 3.0), noise=0.5)
  return long_takes.play(script, seed=4, seconds=5, fps=FPS, size=SIZE)


@pytest.fixture(scope='module')
def database(take, tmp_path_factory):
  root = tmp_path_factory.mktemp('casme2')
  event = take.events[0]
  # Frames count from 1 there.
  span = [event.onset + 1, event.apex + 1, event.offset + 1]
  long_trees.casme2_long(
    root,
    [(1, 'disgust1_1', *span, '4', 'negative', 'micro-expression')],
  )
  images = list(take.frames(np.random.default_rng(0)))
  still = [images[0]] * 40
  for folder, frames in zip(FIRST, (images, still), strict=True):
    trees.write_frames(
      root / 'rawpic' / folder,
      [f'img{i:03d}.jpg' for i in range(1, len(frames) + 1)],
      images=frames,
    )
  return root


def scored(database, take, **options):
  return database_lib.score(
    'casme2_long',
    database,
    detector=known_faces.detector_of(take),
    progress=False,
    **options,
  )


def test_all_videos_count_and_the_event_is_found(database, take, tmp_path):
  got = scored(database, take, out=tmp_path / 'out')
  assert [(v.subject, len(v.truths), v.num_frames) for v in got.videos] == [
    ('s15', 1, 150),
    ('s16', 0, 40),
  ]
  assert '2 videos of 2 people, 0.1 minutes; 1 have no event' in got.text
  (micro,) = [x for x in got.text.splitlines() if x.startswith('micro ')]
  assert micro.split()[1] == '1.0000'
  assert (tmp_path / 'out/scores.txt').read_text().strip() == got.text
  # What was written can be scored again, and nothing is followed twice.
  again = scored(
    database, take, saved=tmp_path / 'out/candidates.csv', out=None
  )
  assert again.text == got.text

  def never(image):
    raise AssertionError('the signals are kept')

  kept = database_lib.score(
    'casme2_long',
    database,
    out=tmp_path / 'out',
    detector=never,
    progress=False,
  )
  assert kept.text == got.text


@pytest.mark.parametrize(
  'text, hits',
  [
    ('vid,pred_onset,pred_offset,type\ns15_0101,{0},{1},me\n', 1),
    ('vid,pred_onset,pred_offset,type\n0101,{0},{1},mae\n', 0),
    ('subject,video,onset,offset,emotion\nS15,0101,{0},{1},negative\n', 1),
    ('video,onset,offset\ns15/0101,{0}.0,{1}\n\n', 1),
  ],
)
def test_candidates_of_the_challenges_are_read(
  database, take, tmp_path, text, hits
):
  path = tmp_path / 'mine.csv'
  event = take.events[0]
  path.write_text(text.format(event.onset + 1, event.offset + 1), 'utf-8')
  got = scored(database, take, saved=path)
  assert sum(len(v.candidates) for v in got.videos) == 1
  (micro,) = [x for x in got.text.splitlines() if x.startswith('micro ')]
  assert int(micro.split()[6]) == hits


def test_classes_of_candidates_are_scored_as_the_challenge_does(
  database, take, tmp_path
):
  path = tmp_path / 'mine.csv'
  event = take.events[0]
  path.write_text(
    'subject,video,onset,offset,emotion\n'
    f's15,0101,{event.onset + 1},{event.offset + 1},Negative\n'
    's16,0401,3,9,negative\n'
  )
  text = scored(database, take, saved=path).text
  # One of two candidates is a hit, and its class is right.
  assert 'STRS 0.6667' in text and 'it rests on 1 events' in text


@pytest.mark.parametrize(
  'text, message',
  [
    ('', 'is empty'),
    ('video,start,offset\n', 'no column of the onset'),
    ('video,onset,offset\n0101,x,3\n', "row 2: onset is 'x'"),
    ('video,onset,offset\n0101,9,3\n', 'row 2: offset 3 is before onset 9'),
    ('video,onset,offset,type\n0101,1,3,blink\n', "type is 'blink'"),
    ('video,onset,offset\n0999,1,3\n', 'is of no video of the database'),
    ('video,onset,offset\n0101,nan,3\n', 'expected a number'),
  ],
)
def test_candidates_that_cannot_be_read_are_refused(
  database, take, tmp_path, text, message
):
  path = tmp_path / 'bad.csv'
  path.write_text(text)
  with pytest.raises(ValueError, match=message):
    scored(database, take, saved=path)


def test_name_of_several_videos_needs_a_subject():
  videos = [('s1', '0101'), ('s2', '0101')]
  event = candidate_files._event({'onset': '1', 'offset': '3'})
  with pytest.raises(ValueError, match='is of several videos'):
    candidate_files.assign([(('', '0101'), event)], videos)
  found = candidate_files.assign([(('s2', '0101'), event)], videos)
  assert found == {('s1', '0101'): [], ('s2', '0101'): [event]}


def test_command_scores_candidates(database, take, tmp_path, capsys):
  path = tmp_path / 'mine.csv'
  path.write_text('video,onset,offset\n0101,1,9\n')
  call = ['score_spotting', 'casme2_long', str(database), '--out']
  call += [str(tmp_path / 'out'), '--candidates', str(path)]
  assert cli.main(call) == 0
  assert '2 videos of 2 people' in capsys.readouterr().out


def test_unknown_database_is_refused(tmp_path):
  with pytest.raises(ValueError, match='there are casme2_long'):
    database_lib.score('casme2', tmp_path)
