"""The configs of MMNet: the released settings, and a run on frames."""

from __future__ import annotations

import numpy as np
import pytest

from mejax import experiment
from mejax.experiment import configuration
from mejax.experiment import resolve
from mejax.experiment import workdir as workdir_lib
from mejax.models import attention
from mejax.training import folds as folds_lib
from tests import own_parts
from tests.configs import programs
from tests.datasets import frames_dataset

pytestmark = pytest.mark.unoptimised

EMOTIONS = {
  'mmnet_casme2:smoke': ('happiness', 'disgust', 'others'),
  'mmnet_casme2:3_smoke': ('happiness', 'surprise', 'fear', 'others'),
  'mmnet_synthetic:smoke': ('negative', 'positive', 'surprise'),
}


def test_settings_are_the_released_ones():
  for name, decay, batch, epochs, degrees, pixels in (
    ('mmnet_casme2', 0.6, 32, 74, 3, 15),
    ('mmnet_casme2:3', 0.7, 24, 99, 4, 4),
  ):
    config = configuration.load_config(name)
    setting = config.setting
    assert (config.batch_size, config.num_epochs) == (batch, epochs)
    assert (config.optimizer, config.schedule) == ('adamw', 'mmnet')
    assert (setting.learning_rate, setting.weight_decay) == (8e-4, decay)
    assert (setting.rotation, setting.shift) == (degrees, pixels)
    assert (setting.mirror, setting.jitter) == (0.5, 1.0)
    assert config.view.size == 224


def test_gate_and_attention_of_a_config_may_be_ones_own():
  config = configuration.load_config(
    'mmnet_casme2:smoke',
    ['model.gate=tests.own_parts:no_gate', 'model.attention_fn=talking_heads'],
  )
  model = resolve.make_model(config, 5)
  assert model.gate is own_parts.no_gate
  assert model.attention_fn is attention.TalkingHeads
  config.model.gate = 'none'
  with pytest.raises(
    ValueError, match="Unknown gate 'none'. Known names: continuous"
  ):
    resolve.make_model(config, 5)


def outputs(config) -> int:
  """Outputs of the network; two of the five for three classes are spare."""
  return 3 if config.dataset == 'synthetic' else 5


@pytest.mark.parametrize('spec', EMOTIONS)
def test_smoke_is_a_program_of_frames_with_all_outputs(spec, tmp_path):
  config = configuration.load_config(spec)
  frames_dataset.write(tmp_path, EMOTIONS[spec], corpus=config.dataset)
  logits = programs.trace(config, tmp_path)
  assert logits.shape == (3, 2, 3, outputs(config))


def test_a_model_of_ones_own_trains_on_the_frames_of_the_config(tmp_path):
  spec = 'mmnet_casme2:smoke'
  frames_dataset.write(tmp_path / 'data', EMOTIONS[spec])
  metrics = experiment.train(
    configuration.load_config(spec),
    data_dir=tmp_path / 'data',
    workdir=tmp_path / 'run',
    model=own_parts.Linear(num_classes=5),
  )
  assert metrics['selection']['last']['full']['n'] == 9
  record = workdir_lib.load_npz(tmp_path / 'run/record.npz')
  assert np.isfinite(record['logits']).all()


@pytest.mark.slow
@pytest.mark.parametrize('spec', EMOTIONS)
def test_smoke_trains_on_frames_and_tells_all_outputs(spec, tmp_path):
  config = configuration.load_config(spec)
  frames_dataset.write(tmp_path / 'data', EMOTIONS[spec], corpus=config.dataset)
  metrics = experiment.train(
    config, data_dir=tmp_path / 'data', workdir=tmp_path / 'run'
  )
  assert metrics['selection']['last']['full']['n'] == 9
  record = workdir_lib.load_npz(tmp_path / 'run/record.npz')
  assert record['logits'].shape == (3, 2, 3, outputs(config))
  assert np.isfinite(record['logits']).all()


def test_frames_stay_u8_and_baselines_read_the_flow(tmp_path):
  written = frames_dataset.write(tmp_path, EMOTIONS['mmnet_casme2:smoke'])
  config = configuration.load_config('mmnet_casme2:smoke')
  task = resolve.load_task(config, tmp_path)
  assert task.inputs.dtype == np.uint8
  assert task.inputs.shape == (9, 2, 32, 32, 3)
  assert task.layout.kind == 'frames' and task.layout.windows
  assert (task.extra['windows'] == [3, 3, 0]).all()
  flow = [example['flow'][0] for example in written]
  np.testing.assert_array_equal(task.baseline_inputs, np.stack(flow))


def test_baselines_read_the_flow_of_the_level_that_is_shown(tmp_path):
  written = frames_dataset.write(
    tmp_path, EMOTIONS['mmnet_casme2:smoke'], levels=(1.0, 4.0)
  )
  config = configuration.load_config('mmnet_casme2:smoke')
  config.view = {'name': 'frame_pair', 'level': 1}
  task = resolve.load_task(config, tmp_path)
  flow = [example['flow'][1] for example in written]
  np.testing.assert_array_equal(task.baseline_inputs, np.stack(flow))


def test_a_model_with_too_few_outputs_is_refused(tmp_path):
  frames_dataset.write(tmp_path, EMOTIONS['mmnet_casme2:3_smoke'])
  config = configuration.load_config('mmnet_casme2:3_smoke')
  task = resolve.load_task(config, tmp_path)
  folds = folds_lib.leave_one_group_out(task.groups)
  model = resolve.make_model(config, 2)
  with pytest.raises(ValueError, match=r'expected \(1, 5\)'):
    resolve.make_trainer(config, task, folds, model)
