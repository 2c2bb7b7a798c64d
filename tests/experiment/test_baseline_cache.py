"""Baselines are computed once for data and folds, and kept with the data."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mejax.evaluation import baselines
from mejax.experiment import baseline_cache
from mejax.experiment import configuration
from mejax.experiment import resolve
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.task import Task
from mejax.training import sample
from tests.datasets import frames_dataset

FLOW = sample.Layout('image', u_channel=0)


def make_task(home, *, seed=0, **changes):
  """Flow of five people, whose classes differ a little."""
  generator = np.random.default_rng(seed)
  labels = np.tile([0, 1, 2, 0], 5)
  inputs = generator.normal(size=(20, 6, 6, 3)) + labels[:, None, None, None]
  people = np.repeat(list('abcde'), 4)
  return dataclasses.replace(
    Task(
      inputs=inputs.astype(np.float32),
      labels=labels,
      corpus=np.full(20, 'own'),
      subject=people,
      clip=np.arange(20).astype(str),
      class_names=('x', 'y', 'z'),
      protocol='One.',
      groups=people,
      layout=FLOW,
      home=home,
    ),
    **changes,
  )


@pytest.fixture
def count_fits(monkeypatch):
  """Lists the shapes of inputs that baselines are computed of."""
  seen, compute = [], baselines.baselines

  def counted(inputs, *args, **options):
    seen.append(inputs.shape)
    return compute(inputs, *args, **options, progress=False)

  monkeypatch.setattr(baselines, 'baselines', counted)
  return seen


def read(task):
  return baseline_cache.read_or_fit(task, task.groups)


def assert_equal(first, second):
  assert first.keys() == second.keys()
  for name, array in first.items():
    np.testing.assert_array_equal(array, second[name], err_msg=name)


def only_file(home):
  (path,) = (home / 'baselines').iterdir()
  return path


def test_the_second_run_on_the_same_data_reads_what_the_first_computed(
  tmp_path, count_fits
):
  task = make_task(tmp_path)
  first = read(task)
  # Another view of the same clips: the baselines still read the flow.
  other = dataclasses.replace(
    task, inputs=task.inputs[:, :2], baseline_inputs=task.inputs
  )
  assert_equal(first, read(other))
  assert len(count_fits) == 1
  assert only_file(tmp_path).suffix == '.npz'
  assert_equal(
    first,
    baselines.baselines(
      task.inputs, task.labels, groups=task.groups, u_channel=0
    ),
  )


@pytest.mark.parametrize(
  'change',
  [
    {'seed': 1},
    {'labels': np.tile([1, 0, 2, 0], 5)},
    {'groups': np.tile(list('abcd'), 5)},
    {'class_names': ('x', 'y', 'z', 'w')},
    {'layout': sample.Layout()},
  ],
  ids=lambda change: next(iter(change)),
)
def test_other_data_folds_or_classes_have_baselines_of_their_own(
  tmp_path, count_fits, change
):
  read(make_task(tmp_path))
  read(make_task(tmp_path, **change))
  assert len(count_fits) == 2
  assert len(list((tmp_path / 'baselines').iterdir())) == 2


def test_another_recipe_is_computed_again(tmp_path, count_fits, monkeypatch):
  read(make_task(tmp_path))
  monkeypatch.setattr(baselines, 'RECIPE', baselines.RECIPE + 1)
  read(make_task(tmp_path))
  assert len(count_fits) == 2


def flip_a_bit(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


def cut(path):
  path.write_bytes(path.read_bytes()[:-40])


def exchange(path):
  arrays = workdir_lib.load_npz(path)
  workdir_lib.save_npz(path, arrays | {'key': np.array('0' * 32)})


def lack_one(path):
  arrays = workdir_lib.load_npz(path)
  del arrays['lda']
  workdir_lib.save_npz(path, arrays)


def contradict(path):
  arrays = workdir_lib.load_npz(path)
  workdir_lib.save_npz(path, arrays | {'lda': np.zeros_like(arrays['lda'])})


@pytest.mark.parametrize(
  'damage', [flip_a_bit, cut, exchange, lack_one, contradict]
)
def test_a_damaged_file_is_reported_and_made_again(
  tmp_path, count_fits, capsys, damage
):
  task = make_task(tmp_path)
  first = read(task)
  path = only_file(tmp_path)
  whole = workdir_lib.load_npz(path)
  damage(path)
  assert_equal(first, read(task))
  assert len(count_fits) == 2
  shown = capsys.readouterr().out
  assert str(path) in shown and 'computed again' in shown
  assert_equal(whole, workdir_lib.load_npz(path))
  read(task)
  assert len(count_fits) == 2


def test_nothing_is_kept_through_a_link(tmp_path, count_fits, capsys):
  (tmp_path / 'mine').mkdir()
  (tmp_path / 'data').mkdir()
  (tmp_path / 'data/baselines').symlink_to(tmp_path / 'mine')
  read(make_task(tmp_path / 'data'))
  assert 'not kept for other runs: ' in capsys.readouterr().out
  assert list((tmp_path / 'mine').iterdir()) == []


def test_a_data_folder_that_cannot_be_written_costs_only_time(
  tmp_path, count_fits, capsys
):
  (tmp_path / 'baselines').write_text('A file in place of the folder.')
  found = read(make_task(tmp_path))
  assert 'not kept for other runs' in capsys.readouterr().out
  assert_equal(found, read(make_task(None)))
  assert len(count_fits) == 2


def test_a_run_keeps_its_own_copy_unless_its_recipe_is_old(
  tmp_path, count_fits
):
  task = make_task(tmp_path / 'data')
  workdir = tmp_path / 'run'
  workdir.mkdir()
  old = {'majority': np.zeros(20, np.int32), 'pca_logistic': task.labels}
  workdir_lib.save_npz(workdir / workdir_lib.BASELINES, old)
  found = baseline_cache.of_run(workdir, task, task.groups)
  assert 'lda' in found and 'pca_logistic' not in found
  workdir_lib.save_npz(workdir / workdir_lib.BASELINES, found)
  assert_equal(found, baseline_cache.of_run(workdir, task, task.groups))
  assert len(count_fits) == 1


@pytest.mark.parametrize(
  'levels, chosen', [((1.0,), 0), ((4.0, 1.0, 2.0), 1), ((4.0, 2.0), 1)]
)
def test_baselines_read_the_original_motion_whatever_the_view_is(
  tmp_path, levels, chosen
):
  emotions = ('happiness', 'disgust', 'surprise', 'repression', 'others')
  written = frames_dataset.write(tmp_path, emotions, levels=levels)
  true = np.stack([example['flow'][chosen] for example in written])
  config = configuration.load_config('mmnet_casme2:smoke')
  tasks = []
  for view in (
    {'name': 'full_flow', 'normalise': 'centre'},
    {'name': 'region_mosaic', 'level': len(levels) - 1},
    {'name': 'frame_pair'},
  ):
    config.view = view
    task = resolve.load_task(config, tmp_path)
    assert task.baseline_u_channel == 0 and task.home == tmp_path
    order = [
      next(
        i
        for i, example in enumerate(written)
        if (example['subject'], example['clip']) == (subject, clip)
      )
      for subject, clip in zip(task.subject, task.clip, strict=True)
    ]
    np.testing.assert_array_equal(task.baseline_inputs, true[order])
    tasks.append(task)
  keys = {baseline_cache.identify(task, task.groups) for task in tasks}
  assert len(keys) == 1
