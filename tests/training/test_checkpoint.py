"""What is read from a checkpoint is what was saved, or it is refused."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
import tensorstore

from mejax import limits
from mejax.training import checkpoint
from tests import child
from tests import full_disk

TREE = {
  'params': {
    'kernel': np.arange(3000, dtype=np.float32).reshape(2, 30, 50),
    'count': np.array([3, 4], np.int32),
  },
  'collections': {},
}


def _flip(folder, generator):
  """Flips a bit of a random file; large files more often."""
  paths = sorted(path for path in folder.rglob('*') if path.is_file())
  sizes = [path.stat().st_size for path in paths]
  path = generator.choices(paths, sizes)[0]
  content = bytearray(path.read_bytes())
  content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
  path.write_bytes(bytes(content))


def _equal(first, second):
  return jax.tree.structure(first) == jax.tree.structure(second) and all(
    np.array_equal(a, b)
    for a, b in zip(
      jax.tree.leaves(first), jax.tree.leaves(second), strict=True
    )
  )


def test_a_flipped_bit_of_a_kept_model_is_refused_or_harmless(tmp_path):
  generator, refused = random.Random(0), 0
  for number in range(12):
    path = tmp_path / f'model_{number}'
    checkpoint.save_tree(path, TREE)
    _flip(path, generator)
    try:
      assert _equal(checkpoint.load_tree(path), {**TREE, 'collections': {}})
    except ValueError as error:
      assert f'{path} is damaged' in str(error)
      refused += 1
  assert refused


def test_the_digest_sees_values_names_types_and_shapes():
  x = np.arange(6, dtype=np.float32)
  trees = [
    {'a': x},
    {'b': x},
    {'a': x.reshape(2, 3)},
    {'a': x.view(np.int32)},
    {'a': np.nextafter(x, np.float32(9))},
    {'a': x[::-1]},
    {'a': {'a': x}},
  ]
  assert len({checkpoint.digest(tree) for tree in trees}) == len(trees)
  # Not how the memory is laid out.
  turned = np.asfortranarray(x.reshape(2, 3))
  assert checkpoint.digest({'a': turned}) == checkpoint.digest(trees[2])


def test_weights_of_an_older_mejax_are_read_with_a_remark(tmp_path, capsys):
  with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(tmp_path / 'old', {'a': np.ones(3)})
  checkpoint.load_tree(tmp_path / 'old')
  assert 'without digests' in capsys.readouterr().out


def _saved_round(tmp_path, *, steps):
  saved = checkpoint.Round(tmp_path, 0)
  assert not saved.open()
  for step in steps:
    saved.save(step, {'x': np.full(100, step, np.float32)})
    saved.close() if step == steps[-1] else None
  return tmp_path / 'checkpoints/round_0'


def _damage(folder, how):
  for path in folder.rglob('*'):
    if path.is_file() and path.parent.name == 'd':
      if how == 'missing':
        path.unlink()
      elif how == 'empty':
        path.write_bytes(b'')
      elif how == 'cut off':
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
      else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 16
        path.write_bytes(bytes(content))


@pytest.mark.parametrize('how', ['missing', 'empty', 'cut off', 'flipped'])
def test_instead_of_a_damaged_checkpoint_the_one_before_is_used(
  tmp_path, capsys, how
):
  folder = _saved_round(tmp_path, steps=[1, 2])
  _damage(folder / '2', how)
  saved = checkpoint.Round(tmp_path, 0)
  assert saved.open()
  like = {'x': jax.ShapeDtypeStruct((100,), np.float32)}
  step, tree = saved.restore(like)
  assert step == 1 and (tree['x'] == 1).all()
  shown = capsys.readouterr().out
  assert f'{folder / "2"} is damaged' in shown or 'is missing' in shown
  saved.save(2, {'x': np.full(100, 2, np.float32)})
  saved.close()
  _damage(folder / '1', how)
  _damage(folder / '2', how)
  saved = checkpoint.Round(tmp_path, 0)
  saved.open()
  assert saved.restore(like) == (0, None)
  saved.close()


def test_a_full_disk_is_one_sentence_and_costs_only_the_last_checkpoint(
  tmp_path, capfd
):
  noise = np.random.default_rng(0).normal(size=100_000)
  saved = checkpoint.Round(tmp_path, 0)
  saved.open()
  saved.save(1, {'x': noise})
  saved._manager.wait_until_finished()
  words = 'round_0 cannot be written to: .*\nMake room.* resumes'
  with (
    full_disk.no_larger_file_than(100_000),
    pytest.raises(OSError, match=words),
  ):
    saved.save(2, {'x': noise + 1})
    saved.close()
  with full_disk.no_larger_file_than(100_000):
    with pytest.raises(OSError, match='model cannot be written to.*\nMake'):
      checkpoint.save_tree(tmp_path / 'model', {'x': noise})
  assert 'Traceback' not in ''.join(capfd.readouterr())
  saved = checkpoint.Round(tmp_path, 0)
  assert saved.open()
  step, tree = saved.restore({'x': jax.ShapeDtypeStruct(noise.shape, float)})
  assert step == 1 and (tree['x'] == noise).all()
  saved.close()


def test_what_is_told_of_a_full_disk_has_no_traceback(tmp_path):
  """In a process of its own, because pytest takes what is logged."""
  program = (
    'import pathlib, sys\n'
    'import numpy as np\n'
    'from mejax.training import checkpoint\n'
    'from tests import full_disk\n'
    'with full_disk.no_larger_file_than(100_000):\n'
    '  noise = np.random.default_rng(0).normal(size=100_000)\n'
    '  try:\n'
    '    checkpoint.save_tree(pathlib.Path(sys.argv[1]), {"x": noise})\n'
    '  except OSError as error:\n'
    '    print(error)\n'
  )
  done = subprocess.run(
    [sys.executable, '-c', program, str(tmp_path / 'model')],
    env=child.environment(),
    capture_output=True,
    text=True,
  )
  assert 'model cannot be written to' in done.stdout
  assert 'Traceback' not in done.stderr


def test_a_model_that_claims_far_more_than_it_holds_is_refused(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(limits, 'LARGEST_ARRAYS', 2**20)
  checkpoint.save_tree(tmp_path / 'zeros', {'x': np.zeros(2**21)})
  monkeypatch.setattr(
    ocp.StandardCheckpointer, 'restore', lambda *_: pytest.fail('it was read')
  )
  words = 'zeros is damaged .it claims arrays of .* MiB of files'
  with pytest.raises(ValueError, match=words):
    checkpoint.load_tree(tmp_path / 'zeros')
  monkeypatch.undo()
  # Without the limit it is read, and so is a large one that holds its bytes.
  assert checkpoint.load_tree(tmp_path / 'zeros')['x'].shape == (2**21,)
  monkeypatch.setattr(limits, 'LARGEST_ARRAYS', 2**10)
  noise = np.random.default_rng(0).normal(size=10_000)
  checkpoint.save_tree(tmp_path / 'noise', {'x': noise})
  assert (checkpoint.load_tree(tmp_path / 'noise')['x'] == noise).all()


@pytest.mark.parametrize('key', ['shape', 'chunks'])
def test_a_state_whose_header_claims_149_gib_is_not_read(tmp_path, capsys, key):
  folder = _saved_round(tmp_path, steps=[1, 2])
  place = folder / '2/default'
  store = tensorstore.KvStore.open(
    {'driver': 'ocdbt', 'base': f'file://{place}/'}
  ).result()
  header = json.loads(store.read('x/.zarray').result().value)
  header[key] = [40_000_000_000]
  store.write('x/.zarray', json.dumps(header).encode()).result()
  saved = checkpoint.Round(tmp_path, 0)
  saved.open()
  step, _ = saved.restore({'x': jax.ShapeDtypeStruct((100,), np.float32)})
  assert step == 1
  assert 'claims arrays of 149 GiB' in capsys.readouterr().out
  saved.close()


def test_a_damaged_result_of_a_round_is_named(tmp_path):
  saved = checkpoint.Round(tmp_path, 0)
  saved.open()
  saved.finish({'logits': np.arange(500.0)}, None)
  path = tmp_path / 'checkpoints/round_0.npz'
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(bytes(content))
  with pytest.raises(ValueError, match='round_0.npz is damaged.*be deleted'):
    saved.result()
