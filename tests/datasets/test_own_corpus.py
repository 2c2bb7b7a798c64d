"""A corpus of an invented layout, named from outside on the command line."""

from __future__ import annotations

import pytest

from mejax import cli
from mejax.datasets import load
from mejax.datasets import prepare
from tests.corpora import trees

FILM = 'tests.corpora.own_corpora:CORPUS'
MOODS = 'tests.corpora.own_corpora:MOODS'
NOTES = """\
who,take,from,peak,to,mood
Anna,3,12,15,18,joy
Anna,4,12,/,18,anger
Ben,1,12,15,18,joy
"""


@pytest.fixture
def film(rendered, tmp_path):
  root = tmp_path / 'film'
  for take in ('anna-3', 'anna-4'):
    names = [f'shot_{n:04d}.png' for n in range(12, 19)]
    trees.write_frames(root / 'takes' / take, names, images=rendered)
  (root / 'film notes.csv').write_text(NOTES)
  return root


def _prepare(film, data_dir, *corpora, sources=(), options=()):
  places = ['--source', str(film), *map(str, sources)]
  how = ['--size', '32', '--flow', 'farneback', '--workers', '0']
  data = ['--data_dir', str(data_dir)]
  return cli.main(['prepare', FILM, *corpora, *places, *how, *data, *options])


def test_it_is_checked(film, capsys):
  assert cli.main(['check', FILM, str(film)]) == 0
  text = capsys.readouterr().out
  assert text.startswith(f'film in {film}\n')
  assert 'labels  film notes.csv' in text
  assert "film/anna/4: the sheet gives no apex ('/' in cell D3)" in text
  assert 'film/ben/1: the folder of its frames is missing' in text


def test_it_is_prepared_under_its_plain_name(film, tmp_path, capsys):
  assert _prepare(film, tmp_path / 'data') == 0
  examples = load.load_examples('film', tmp_path / 'data')
  assert examples['clip'].tolist() == ['3', '4']
  assert examples['apex_source'].tolist() == ['annotated', 'spotted']
  metadata = load.read_metadata('film', tmp_path / 'data')
  assert metadata['corpora'] == [FILM]
  assert metadata['counts'] == {'film': {'joy': 1, 'anger': 1}}
  capsys.readouterr()
  assert _prepare(film, tmp_path / 'data') == 0
  assert 'film is prepared already' in capsys.readouterr().out


def test_options_are_those_that_it_declares(film, tmp_path, capsys):
  assert cli.main(['check', FILM, str(film), '--option', 'part=A']) == 2
  assert "film has no option 'part'; it has sheet" in capsys.readouterr().err
  assert (
    _prepare(
      film,
      tmp_path / 'data',
      MOODS,
      sources=[film],
      options=['--option', 'moods.mood=awe'],
    )
    == 0
  )
  skipped = load.read_metadata('film_moods', tmp_path / 'data')['skipped']
  assert skipped[-1] == {
    'identity': 'moods/anna/3',
    'reason': 'film is a test',
    'emotion': 'awe',
  }


@pytest.mark.parametrize(
  ('name', 'words'),
  [
    ('tests.corpora.nowhere:CORPUS', 'cannot be imported: No module named'),
    ('tests.corpora.own_corpora:NOTHING', "has no attribute 'NOTHING'"),
    ('tests.corpora.own_corpora:FILM', 'is Database; expected .*Corpus'),
    ('film', "unknown corpus 'film'; .* is named as package.module:name"),
  ],
)
def test_what_is_no_corpus_is_told_from_python_too(name, words, tmp_path):
  with pytest.raises(ValueError, match=words):
    prepare.prepare(name, source=tmp_path, data_dir=tmp_path)
