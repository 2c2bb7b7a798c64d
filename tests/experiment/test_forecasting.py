"""Runs that are weighed for hardware that is not at hand."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import pathlib
import subprocess

import pytest

from mejax import cli
from mejax import experiment
from mejax.experiment import forecasting
from tests import child
from tests.corpora import htnet_tree


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  return htnet_tree.prepare_tree(tmp_path_factory.mktemp('forecast'))


def call(device, data_dir, *more):
  arguments = ['--config', 'linear:smoke', '--device', device]
  return cli.main(['forecast', *arguments, '--data_dir', str(data_dir), *more])


def test_forecast_for_the_cores_at_hand_trains_nothing(data_dir, capsys):
  assert call('cpu', data_dir, '--config.num_epochs=3') == 0
  shown = capsys.readouterr().out
  for part in (
    'trials of 3 epochs',
    'mode map',
    'state: ',
    'GFLOP, and ',
    'GB with its caches, as XLA counts',
    'collectives between devices: none',
    'Nothing was trained.',
  ):
    assert part in shown


@pytest.mark.skipif(
  importlib.util.find_spec('libtpu') is None, reason='needs libtpu'
)
def test_forecast_for_a_tpu_is_compiled_without_one(data_dir, capsys):
  assert call('v5e:2x2', data_dir) == 0
  shown = capsys.readouterr().out
  assert 'on 4 TPUs (TPU v5 lite), mode vmap' in shown
  assert 'collectives between devices: none' in shown
  assert 'GB with that on the chip, as XLA counts' in shown
  assert 'least time of all: ' in shown
  assert 'TFLOP/s in bfloat16, and 819 GB/s' in shown


@pytest.mark.skipif(
  importlib.util.find_spec('libtpu') is None, reason='needs libtpu'
)
def test_a_topology_that_does_not_exist_is_refused(data_dir, capsys):
  assert call('v5e:3x5', data_dir) == 2
  assert 'v5e:3x5' in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(
  not forecasting.has_cuda(), reason='needs the CUDA plugin of JAX'
)
def test_forecast_for_gpus_is_compiled_without_one(data_dir, capsys):
  assert call('a100:2', data_dir) == 0
  shown = capsys.readouterr().out
  assert 'on 2 GPUs (NVIDIA A100-SXM4-80GB), mode vmap' in shown
  assert 'memory: ' in shown
  assert 'operations are those of one trial as it is traced' in shown
  assert 'least time of all: ' in shown
  assert 'TFLOP/s in TensorFloat-32, and 2039 GB/s' in shown
  assert 'collectives between devices: none' in shown


def test_a_gpu_without_its_compiler_is_refused_with_the_command_that_helps(
  data_dir, capsys, monkeypatch
):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  assert call('a100', data_dir) == 2
  version = importlib.metadata.version('jax')
  assert (
    f'pip install --no-deps jax-cuda13-plugin=={version}'
    f' jax-cuda13-pjrt=={version}'
  ) in capsys.readouterr().err


@pytest.mark.parametrize(
  'device',
  ['v9:2x2', 'v5e', 'v5e:big', 'cpu:2', '', 'a100:0', 'a100:', 'a100:2x2'],
)
def test_an_unknown_device_is_refused_with_those_that_are_known(
  device, data_dir, capsys
):
  assert call(device, data_dir) == 2
  told = capsys.readouterr().err
  assert 'expected cpu, or a TPU' in told and 'a100' in told


def test_a_tpu_without_libtpu_is_refused_with_the_command_that_helps(
  data_dir, capsys, monkeypatch
):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  assert call('v5e:2x2', data_dir) == 2
  assert "pip install 'mejax[tpu]'" in capsys.readouterr().err


def test_data_that_are_not_prepared_are_named(tmp_path, capsys):
  assert call('cpu', tmp_path) == 2
  assert 'mejax prepare' in capsys.readouterr().err


def test_a_compiler_that_takes_too_long_is_stopped(data_dir):
  config = experiment.load_config('linear:smoke')
  with pytest.raises(
    ValueError, match='more than 0 s for cpu, and was stopped before it'
  ):
    experiment.forecast(config, device='cpu', data_dir=data_dir, limit_s=0.1)


def test_a_compiler_that_is_stopped_leaves_what_is_known(
  data_dir, monkeypatch, capsys
):
  def run(arguments, **options):
    answer = pathlib.Path(arguments[-1])
    answer.with_suffix('.stage').write_text('while asleep, begun after 1 s')
    answer.with_suffix('.known').write_text('a line')
    raise subprocess.TimeoutExpired(arguments, options['timeout'])

  monkeypatch.setattr(subprocess, 'run', run)
  config = experiment.load_config('linear:smoke')
  with pytest.raises(ValueError, match='stopped while asleep, begun after 1 s'):
    experiment.forecast(config, device='cpu', data_dir=data_dir)
  assert capsys.readouterr().out.endswith('Known by then:\na line\n')


@pytest.mark.parametrize(
  ('last', 'stage', 'known', 'unknown'),
  [
    (1, 'the call that trains a round', ('state: ', 'GB'), ('memory: ',)),
    (2, 'an epoch', ('memory: ', 'collectives'), ('GFLOP', 'compiled in')),
  ],
)
def test_a_compiler_that_ends_tells_how_far_it_came(
  last, stage, known, unknown, data_dir, monkeypatch, tmp_path, capsys
):
  # A compiler that ends the process, as libtpu does, at its first program or at
  # its second.
  (tmp_path / 'sitecustomize.py').write_text(
    'import itertools, os\n'
    'from jax import stages\n'
    'calls, compile = itertools.count(1), stages.Lowered.compile\n'
    'stages.Lowered.compile = lambda *args, **options: (\n'
    f'  os._exit(7) if next(calls) == {last} else compile(*args, **options)\n'
    ')\n'
  )
  monkeypatch.setenv('PYTHONPATH', f'{tmp_path}:{child.ROOT}')
  config = experiment.load_config('linear:smoke')
  words = (
    f'ended with code 7 while compiling {stage} of 1 trial'
    r'\(s\) at once on a device.*, begun after \d+ s: '
  )
  with pytest.raises(ValueError, match=words):
    experiment.forecast(config, device='cpu', data_dir=data_dir)
  shown = capsys.readouterr().out.partition('Known by then:')[2]
  assert all(each in shown for each in known)
  assert not any(each in shown for each in unknown)


def test_a_compiler_that_crashes_is_told_with_its_last_lines(
  data_dir, monkeypatch
):
  # As libtpu does: it ends the process.
  monkeypatch.setattr(
    forecasting, 'ENVIRONMENT', {'PYTHONPATH': '', 'PYTHONHOME': '/nowhere'}
  )
  config = experiment.load_config('linear:smoke')
  with pytest.raises(
    ValueError, match='ended with code 1 before it had begun: .*encodings'
  ):
    experiment.forecast(config, device='cpu', data_dir=data_dir)
