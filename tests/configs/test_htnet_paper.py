"""The config of HTNet's hierarchy: flow of 128 pixels, attention in it all."""

from __future__ import annotations

import pytest

from mejax import experiment
from mejax.experiment import configuration
from mejax.experiment import resolve
from tests.configs import programs
from tests.datasets import frames_dataset

pytestmark = pytest.mark.unoptimised

EMOTIONS = ('negative', 'positive', 'surprise')


def test_smoke_is_a_program_for_any_dataset_of_128_pixels(tmp_path):
  frames_dataset.write(
    tmp_path, EMOTIONS, corpus='synthetic', size=128, neighbours=0
  )
  config = configuration.load_config('htnet_paper:smoke')
  assert programs.trace(config, tmp_path).shape == (3, 2, 3, 3)


@pytest.mark.slow
def test_smoke_runs_on_any_dataset_of_128_pixels(tmp_path):
  frames_dataset.write(
    tmp_path / 'data', EMOTIONS, corpus='synthetic', size=128, neighbours=0
  )
  config = configuration.load_config('htnet_paper:smoke')
  metrics = experiment.train(
    config, data_dir=tmp_path / 'data', workdir=tmp_path / 'run'
  )
  assert metrics['selection']['last']['full']['n'] == 9


def test_every_variant_reads_the_mosaic_and_has_tokens_to_attend(tmp_path):
  frames_dataset.write(
    tmp_path, EMOTIONS, corpus='synthetic', size=128, neighbours=0
  )
  for variant in ('', ':small', ':smoke'):
    config = configuration.load_config(f'htnet_paper{variant}')
    task = resolve.load_task(config, tmp_path)
    model = resolve.make_model(config, len(task.class_names))
    assert task.inputs.shape[1:3] == (model.image_size, model.image_size)
    levels = len(model.depths)
    assert levels == 3
    tokens = (model.image_size // model.patch_size // 2 ** (levels - 1)) ** 2
    assert tokens == 16
