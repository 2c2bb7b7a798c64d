"""Reading a dataset, and refusing what is none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from mejax.datasets import builder
from mejax.datasets import load
from mejax.datasets import prepare
from tests.corpora import htnet_tree


@pytest.fixture
def dataset(tree, tmp_path):
  prepare.prepare(
    'htnet_release', source=tree, data_dir=tmp_path, progress=False
  )
  return tmp_path


def test_a_dataset_that_is_not_there_names_the_command_that_makes_it(tmp_path):
  source = '--source YOUR_HTNET_RELEASE'
  command = f'mejax prepare htnet_release {source} --data_dir {tmp_path}'
  for read in (load.load_examples, load.read_metadata):
    with pytest.raises(FileNotFoundError) as error:
      read('htnet_release', tmp_path)
    assert command in str(error.value)


def test_a_folder_of_another_schema_version_is_refused(dataset):
  folder = dataset / builder.NAME / 'htnet_release'
  (folder / builder.VERSION).rename(folder / '0.0.0')
  for read in (load.load_examples, load.read_metadata):
    with pytest.raises(ValueError) as error:
      read('htnet_release', dataset)
    message = str(error.value)
    assert 'schema version 0.0.0' in message
    assert f'--data_dir {dataset} --overwrite' in message


@pytest.mark.parametrize('version', [0, None])
def test_metadata_of_another_schema_version_is_refused(dataset, tree, version):
  file = load.dataset_folder('htnet_release', dataset) / 'metadata.json'
  values = json.loads(file.read_text())
  file.write_text(json.dumps(values | {'schema_version': version}))
  for read in (load.load_examples, load.read_metadata):
    with pytest.raises(ValueError) as error:
      read('htnet_release', dataset)
    message = str(error.value)
    assert f'schema version {version}' in message
    assert f'--data_dir {dataset} --overwrite' in message
  # What the message says to do mends it.
  prepare.prepare(
    'htnet_release',
    source=tree,
    data_dir=dataset,
    overwrite=True,
    progress=False,
  )
  assert len(load.load_examples('htnet_release', dataset)['clip']) == 5


FILES = (
  'array_record', 'dataset_info.json', 'digests.json', 'features.json',
  'metadata.json',
)  # fmt: skip
HOW = ('missing', 'empty', 'cut off', 'flipped')


def _damage(folder, file, how):
  """Damages the only file with such a name, and returns its path."""
  (path,) = folder.glob(f'*{file}*')
  content = path.read_bytes()
  middle = len(content) // 2
  if how == 'missing':
    path.unlink()
  elif how == 'empty':
    path.write_bytes(b'')
  elif how == 'cut off':
    path.write_bytes(content[:middle])
  else:
    flipped = bytes([content[middle] ^ 1])
    path.write_bytes(content[:middle] + flipped + content[middle + 1 :])
  return path


@pytest.mark.parametrize(
  ('file', 'how'),
  [
    (file, how)
    for file in FILES
    for how in HOW
    if (file, how) != ('digests.json', 'missing')  # See the next test.
  ],
)
def test_a_damaged_file_is_named_with_what_may_be_deleted(dataset, file, how):
  folder = load.dataset_folder('htnet_release', dataset)
  path = _damage(folder, file, how)
  with pytest.raises((ValueError, FileNotFoundError)) as error:
    load.load_examples('htnet_release', dataset)
  words = str(error.value)
  assert '\n' not in words
  assert 'may be deleted: the `mejax prepare` command' in words
  if (how, file) == ('flipped', 'digests.json'):
    # A digest or a name that is damaged looks like a file that is.
    assert words.startswith(str(folder))
    assert 'is missing' in words or 'is damaged' in words
  else:
    assert words.startswith(str(path))
    assert 'is missing' in words if how == 'missing' else 'is damaged' in words


@pytest.mark.parametrize('how', HOW)
def test_damage_in_an_older_dataset_is_noticed(dataset, how):
  folder = load.dataset_folder('htnet_release', dataset)
  (folder / builder.DIGESTS).unlink()
  assert len(load.load_examples('htnet_release', dataset)['clip']) == 5
  _damage(folder, 'array_record', how)
  for read in (load.load_examples, lambda *at: list(load.Examples(*at))):
    with pytest.raises((ValueError, FileNotFoundError), match='be deleted'):
      read('htnet_release', dataset)


def test_strings_are_strings_and_all_columns_are_as_long(dataset):
  examples = load.load_examples('htnet_release', dataset)
  for key in ('emotion', 'corpus', 'subject', 'clip', 'apex_source'):
    assert examples[key].dtype.kind == 'U'
  assert {len(column) for column in examples.values()} == {5}
  assert set(examples['apex_source']) == {''}
  assert examples['flow'].flags.writeable
  assert np.isfinite(examples['landmarks']).all()


def test_one_example_is_a_row_of_all(dataset):
  everything = load.load_examples('htnet_release', dataset)
  examples = load.Examples('htnet_release', dataset)
  assert len(examples) == 5
  for i in (3, 0, -1):
    example = examples[i]
    assert example.keys() == everything.keys()
    for key, column in everything.items():
      np.testing.assert_array_equal(example[key], column[i])
  with pytest.raises(IndexError):
    examples[5]
  columns = [everything[key] for key in ('corpus', 'subject', 'clip')]
  expected = ['/'.join(names) for names in zip(*columns, strict=True)]
  assert examples.identities() == expected


def test_views_and_protocols_need_neither_opencv_nor_tfds(root):
  program = (
    'import sys, mejax.datasets.views, mejax.datasets.protocols\n'
    'heavy = {"cv2", "tensorflow_datasets", "jax"} & set(sys.modules)\n'
    'sys.exit(", ".join(heavy) or None)'
  )
  done = subprocess.run(
    [sys.executable, '-c', program], cwd=root, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr


def test_reading_and_writing_import_no_tensorflow(root):
  program = (
    'import sys, mejax.datasets.prepare, mejax.datasets.load\n'
    'sys.exit("tensorflow" in sys.modules)'
  )
  assert (
    subprocess.run([sys.executable, '-c', program], cwd=root).returncode == 0
  )


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  return htnet_tree.prepare_tree(tmp_path_factory.mktemp('made'))


@pytest.fixture
def copied(made, tmp_path):
  return shutil.copytree(made, tmp_path / 'data')


def _reversed(clips):
  return clips[::-1]


@pytest.mark.parametrize(
  ('name', 'change', 'said'),
  [
    ('metadata.json', {'clips': _reversed}, 'it lists .* in the place of'),
    ('metadata.json', {'clips': lambda clips: clips[1:]}, 'metadata.json 4 cl'),
    ('metadata.json', {'clips': lambda _: {}}, 'clips is {}; expected a list'),
    ('metadata.json', {'units': lambda _: None}, 'units is None; expected a t'),
    ('metadata.json', {'levels': lambda _: ['x']}, "is 'x'; expected an integ"),
    ('metadata.json', {'skipped': lambda _: ['a']}, "is 'a'; expected an obje"),
    ('metadata.json', {'warnings': lambda _: {'a': 5}}, 'a is 5; expected a l'),
    ('metadata.json', {'levels': lambda _: []}, 'no level, or a size'),
    ('metadata.json', {'levels': lambda _: [1.0, 2.0]}, 'it has 2 levels, the'),
    ('metadata.json', {'size': lambda _: -5}, 'no level, or a size'),
    ('metadata.json', {'fps': lambda _: 'x'}, "fps is 'x'; expected an object"),
    ('metadata.json', {'counts': lambda _: 3}, 'counts is 3; expected an obje'),
    ('dataset_info.json', {'splits': lambda _: 5}, 'splits is 5; expected a l'),
  ],
)
def test_files_that_do_not_fit_each_other_are_refused_by_name(
  copied, name, change, said
):
  path = load.dataset_folder('htnet_release', copied) / name
  content = json.loads(path.read_text())
  for key, function in change.items():
    content[key] = function(content[key])
  path.write_text(json.dumps(content))
  # Older datasets have none; in others, they alone refuse every change.
  (path.parent / builder.DIGESTS).unlink()
  with pytest.raises(ValueError, match=said):
    load.load_examples('htnet_release', copied)
  with pytest.raises(ValueError, match=said):
    load.Examples('htnet_release', copied)[0]


@pytest.mark.parametrize(
  'change', [{'units': 'pixel'}, {'notes': {'a': []}}, {'my own': 'a word'}]
)
def test_metadata_that_were_changed_are_refused(copied, change):
  path = load.dataset_folder('htnet_release', copied) / builder.METADATA
  content = json.loads(path.read_text())
  assert content | change != content
  path.write_text(json.dumps(content | change))
  for read in (load.read_metadata, load.load_examples, load.Examples):
    with pytest.raises(ValueError, match='metadata.json is damaged .it is not'):
      read('htnet_release', copied)


@pytest.mark.parametrize(
  ('change', 'said'),
  [
    ({'shardLengths': ['3']}, 'it counts 3 examples, metadata.json 5 clips'),
    ({'shardLengths': ['9999']}, 'it counts 9999 examples, metadata.json 5 cl'),
    ({'shardLengths': ['1'] * 10**4}, 'it counts 10000 examples'),
    ({'shardLengths': ['7', '-2']}, 'it counts 5 examples'),
    (
      {'filepathTemplate': '../../{FILENAME}'},
      'it names files of another folder',
    ),
  ],
)
def test_examples_are_as_many_as_clips_and_lie_in_the_folder(
  copied, change, said
):
  path = load.dataset_folder('htnet_release', copied) / 'dataset_info.json'
  content = json.loads(path.read_text())
  content['splits'][0] |= change
  path.write_text(json.dumps(content))
  with pytest.raises(ValueError, match=f'dataset_info.json is damaged .{said}'):
    load.load_examples('htnet_release', copied)


def test_a_pipe_among_the_files_of_a_dataset_is_refused(copied):
  folder = load.dataset_folder('htnet_release', copied)
  (shard,) = folder.glob('*array_record*')
  shard.unlink()
  os.mkfifo(shard)
  with pytest.raises(ValueError, match='it is a pipe or a device'):
    load.load_examples('htnet_release', copied)
