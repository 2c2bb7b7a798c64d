"""What a resumed round finds in its log."""

from __future__ import annotations

import json
import struct
import time

import pytest
from tensorboardX.proto import event_pb2

from mejax.training import log
from tests import full_disk

# The last line is one that a kill cut short.
DAMAGED = ('[1]', '7', '{"round": 0}', 'null', '\0', '{"round": 0, "win')


def _open(folder, *, number=0, window=0):
  return log.Log(folder, number=number, window=window, eval_every=5)


def _lines(folder):
  text = (folder / 'log.jsonl').read_text()
  return [json.loads(line) for line in text.splitlines()]


def test_evaluations_that_are_redone_and_damaged_lines_are_cut(tmp_path):
  first = _open(tmp_path)
  for window in range(3):
    first.write(window, {'train_loss': float(window)})
  first.close()
  path = tmp_path / 'log.jsonl'
  path.write_text(path.read_text() + ''.join(f'{line}\n' for line in DAMAGED))
  path.write_bytes(path.read_bytes() + b'\xff\xfe\n')
  second = _open(tmp_path, window=2)
  second.write(2, {'train_loss': 9.0})
  second.close()
  assert [line['train_loss'] for line in _lines(tmp_path)] == [0.0, 1.0, 9.0]
  assert [line['epoch'] for line in _lines(tmp_path)] == [5, 10, 15]


def test_rounds_before_are_kept(tmp_path):
  for number in (0, 1):
    one = _open(tmp_path, number=number)
    one.write(0, {'train_loss': 1.0})
    one.close()
  assert [line['round'] for line in _lines(tmp_path)] == [0, 1]


def test_logs_of_rounds_that_others_trained_are_moved_to_their_places(tmp_path):
  def write(folder, number, windows, *, begin=0):
    folder.mkdir(parents=True, exist_ok=True)
    one = _open(folder, number=number, window=begin)
    for window in windows:
      one.write(window, {'train_loss': float(10 * number + window)})
    one.close()

  write(tmp_path, 1, range(3))
  other = tmp_path / 'other'
  # It went on with round 1 from an earlier checkpoint, and began round 0.
  write(other / 'a', 1, range(2, 4), begin=2)
  write(other / 'b', 0, range(2))
  text = (other / 'b/log.jsonl').read_text()
  (other / 'b/log.jsonl').write_text(text + ''.join(DAMAGED))
  for name in 'ab':
    log.collect(other / name, tmp_path)
  assert [line['train_loss'] for line in _lines(tmp_path)] == [
    0.0,
    1.0,
    10.0,
    11.0,
    12.0,
    13.0,
  ]
  assert len([*tmp_path.glob('tensorboard/round_1/*')]) == 2
  assert len([*tmp_path.glob('tensorboard/round_0/*')]) == 1
  assert not [*other.iterdir()]


def _events(path):
  """What a file for TensorBoard holds: records with a length before each."""
  content, found = path.read_bytes(), []
  while content:
    (size,) = struct.unpack('<Q', content[:8])
    found.append(event_pb2.Event.FromString(content[12 : 12 + size]))
    content = content[16 + size :]
  return found


def test_tensorboard_is_told_to_drop_what_is_redone_and_no_more(tmp_path):
  one = _open(tmp_path, number=3, window=2)
  one.write(2, {'train_loss': 0.25, 'uf1': 0.5})
  # What is written is there before the end.
  (path,) = tmp_path.glob('tensorboard/round_3/*')
  version, start, values = _events(path)
  one.close()
  assert version.file_version == 'brain.Event:2'
  assert start.session_log.status == event_pb2.SessionLog.START
  assert start.step == 11  # Epochs 5 and 10 stay, 15 is redone.
  assert values.step == 15
  assert {x.tag: x.simple_value for x in values.summary.value} == {
    'train_loss': 0.25,
    'uf1': 0.5,
  }


def test_two_lives_in_one_second_write_two_files(tmp_path, monkeypatch):
  monkeypatch.setattr(time, 'time', lambda: 1.7e9)
  for window in range(2):
    one = _open(tmp_path, window=window)
    one.write(window, {'train_loss': 1.0})
    one.close()
  assert len([*tmp_path.glob('tensorboard/round_0/*')]) == 2


def test_a_full_disk_is_told_and_nobody_waits(tmp_path):
  one = _open(tmp_path)
  words = 'log.jsonl cannot be written.*\nMake'
  with full_disk.no_larger_file_than(2000):
    with pytest.raises(OSError, match=words):
      for window in range(1000):
        one.write(window, {'train_loss': 1.0})
    one.close()
