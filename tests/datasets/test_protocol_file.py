"""Protocols of a user's own, as a table."""

from __future__ import annotations

import pytest

from mejax.datasets import protocol_file
from mejax.experiment import identity


@pytest.fixture
def own_csv(tmp_path):
  def write(text):
    file = tmp_path / 'my_protocol.csv'
    file.write_bytes(text.encode('utf-8-sig'))
    return file

  return write


@pytest.mark.parametrize('sign', [',', ';', '\t'])
def test_a_protocol_may_be_a_file(own_csv, sign):
  rows = [
    'Class,Corpus,Emotion', 'tense,casme2,Repression', 'open,video,joy',
    'open,casme2,happiness', ',casme2,others', ',,',
  ]  # fmt: skip
  protocol = protocol_file.read(own_csv('\n'.join(rows).replace(',', sign)))
  assert (protocol.name, protocol.left_out) == ('my_protocol', 'subject')
  assert protocol.sentence.startswith('Protocol of my_protocol.csv: 2 classes')
  assert protocol.classes == ('tense', 'open')
  found = {
    (corpus, word): protocol.class_of(corpus, word)
    for corpus in ('casme2', 'video')
    for word in ('repression', 'Happiness', 'joy', 'others', 'fear')
  }
  assert {key: name for key, name in found.items() if name} == {
    ('casme2', 'repression'): 'tense',
    ('casme2', 'Happiness'): 'open',
    ('video', 'joy'): 'open',
  }


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    ('', 'it is empty'),
    (
      'casme2,joy,good\n',
      'lacks the columns corpus, emotion, class; its first',
    ),
    ('corpus,emotion\ncasme2,joy\n', 'lacks the columns class'),
    ('corpus,emotion,class\n', 'it has 0 classes'),
    ('corpus,emotion,class\nx,joy,a\nx,fear,a\n', 'it has 1 classes'),
    ('corpus,emotion,class,class\nx,joy,a,b\n', 'has two columns class'),
    ('corpus,emotion,class\nx,joy,a\nx,fear,nan\n', "class 'nan' in cell C3"),
    *(
      (
        f'corpus,emotion,class\nx,joy,x\nx,fear,{other}\n',
        "row 3 has class '.*', a row above has 'x': write a class in one way",
      )
      for other in ('x\u200b', 'X', 'х')
    ),
    (
      'corpus,emotion,class\nx,joy,a\nx,,b\nx,joy,b\n',
      "row 3 has no .*; row 4 has class 'b' for x joy, a row above has 'a'",
    ),
  ],
)
def test_a_file_that_is_no_protocol_tells_all_its_faults(own_csv, text, words):
  file = own_csv('')
  file.write_text(text)
  with pytest.raises(ValueError, match=words):
    protocol_file.read(file)


def test_a_protocol_file_that_is_not_there_is_an_error(tmp_path):
  with pytest.raises(FileNotFoundError, match=r'none\.csv is no file'):
    protocol_file.read(tmp_path / 'none.csv')


def test_protocol_files_are_told_apart_by_what_is_in_them(own_csv):
  text = 'corpus,emotion,class\nx,joy,a\nx,fear,b\n'
  first = identity.describe(protocol_file.read(own_csv(text)))
  again = identity.describe(protocol_file.read(own_csv(text)))
  other = identity.describe(protocol_file.read(own_csv(text + 'x,rage,b\n')))
  assert first == again != other
