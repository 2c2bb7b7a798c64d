"""What a resumed round finds in its log."""

from __future__ import annotations

import json

import tensorboardX

from mejax.training import log

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


def test_tensorboard_is_told_to_drop_what_is_redone_and_no_more(
  tmp_path, monkeypatch
):
  asked = {}
  monkeypatch.setattr(
    tensorboardX,
    'SummaryWriter',
    lambda folder, purge_step: asked.update(folder=folder, step=purge_step),
  )
  _open(tmp_path, number=3, window=2)
  assert asked['folder'].endswith('round_3')
  assert asked['step'] == 11  # Epochs 5 and 10 stay, 15 is redone.
