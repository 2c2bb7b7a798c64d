"""The benchmark of an accelerator runs on any, and says what it left out."""

from __future__ import annotations

import json
import subprocess
import sys

import jax
import pytest

pytest.importorskip('torch', reason='needs the extra `torch`')

from mejax import experiment
from mejax.training import placement
from tests import child
from tests.benchmarks import accelerator
from tests.benchmarks import contestants
from tests.benchmarks import fold_training

pytestmark = pytest.mark.unoptimised


CONFIGS = {
  'htnet released': 'htnet_released',
  'cnn': 'cnn',
  'htnet regions_small': 'htnet_regions:small',
  'ststnet': 'ststnet',
  'artnet small': 'artnet:small',
  'mmnet small': 'mmnet_synthetic',
  'sssnet': 'sssnet',
  'resnet small': 'resnet',
  'offapexnet': 'offapexnet',
}


def measure(*arguments):
  accelerator.measure(accelerator.parse(['--small', *arguments]))


def run_code(code):
  """Runs code in a process of its own; returns what it printed."""
  done = subprocess.run(
    [sys.executable, '-c', code],
    env=child.environment(),
    capture_output=True,
    text=True,
    timeout=600,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


@pytest.mark.slow
def test_every_section_is_measured(tmp_path):
  measure('--out', str(tmp_path / 'a.json'))
  told = json.loads((tmp_path / 'a.json').read_text())
  assert set(told['peaks']) == {
    *(f'{name} TFLOP/s' for name in ('float32', 'default', 'bfloat16')), 'GB/s'
  }  # fmt: skip
  assert told['agreement']['cnn']['gradient, highest'] < 1e-4
  modes = {(row['mode'], row['folds']) for row in told['trainings']}
  assert modes == {
    ('PyTorch, eager', 2), *((mode, 2) for mode in ('vmap', 'map'))
  }  # fmt: skip
  for row in told['trainings']:
    second = row['ms'] / 1e3
    # 20 of 24 clips in training, of 32 in a batch: an epoch is a step.
    assert row['trainings/s'] * second * 12 == pytest.approx(1)
    share = row['TFLOP/s'] / told['peaks']['default TFLOP/s']
    assert row['share of peak'] == pytest.approx(share)
    # Parameters and two moments of 24,099 numbers, read and written, are .6 MB;
    # 32 images of 28 pixels are .3 MB.
    least = row['share of bandwidth'] * told['peaks']['GB/s'] * 1e9 * second
    assert 2 * 3 * 4 * 24_099 + 32 * 9408 < least < 1.05e6
  assert [row['pairs'] for row in told['flow']] == [1]


def test_what_has_no_time_is_named(capsys):
  measure('--minutes', '0')
  said = capsys.readouterr().out
  assert 'NOT MEASURED, no time left: flow' in said
  left_out = [line for line in said.splitlines() if 'NOT MEASURED' in line]
  for what in (
    'agreement of cnn',
    'operations of cnn',
    *(
      f'cnn, {mode}, default, 2 folds'
      for mode in ('PyTorch, eager', 'vmap', 'map')
    ),
  ):
    assert any(line.endswith(what) for line in left_out)


@pytest.mark.slow
def test_it_ends_though_a_program_is_still_compiled():
  """Python would wait for the thread, and nobody can interrupt a compiler."""
  code = (
    'import sys, time\n'
    'from tests.benchmarks import accelerator, contestants\n'
    'contestants.Contestant.make = lambda *given: time.sleep(3600)\n'
    'accelerator.measure_flow = lambda *given: []\n'
    'accelerator.measure_peaks = lambda *given: {}\n'
    "sys.argv[1:] = ['--small', '--minutes', '.05']\n"
    'accelerator.run_in_time()\n'
  )
  said = run_code(code)
  assert 'not prepared in time, and still at work' in said
  assert 'NOT MEASURED: the whole of htnet released' in said


@pytest.mark.slow
def test_it_ends_though_a_measurement_hangs():
  code = (
    'import sys, time\n'
    'from tests.benchmarks import accelerator\n'
    'accelerator.measure_peaks = lambda *given: time.sleep(3600)\n'
    'accelerator._LATE = .01\n'
    "sys.argv[1:] = ['--small', '--minutes', '.01']\n"
    'accelerator.run_in_time()\n'
  )
  said = run_code(code)
  assert 'the rest is NOT MEASURED' in said


def test_it_imports_only_models_training_and_motion():
  code = (
    'import sys\n'
    'from tests.benchmarks import accelerator\n'
    "rooms = {name.split('.')[1] for name in sys.modules if 'mejax.' in name}\n"
    'print(*sorted(rooms))\n'
  )
  rooms = set(run_code(code).split())
  assert {'models', 'training', 'motion'} <= rooms
  assert not rooms & {'cli', 'corpora', 'datasets', 'experiment', 'pages'}


def test_both_modes_stand_against_each_other_at_every_number_of_folds():
  line = contestants.line_up(contestants.CASES)
  ranks = [rank for rank, _ in line]
  assert ranks == sorted(ranks)
  for name, case in contestants.CASES.items():
    own = [one for _, one in line if one.name == name]
    for mode in placement.MODES:
      first = case.precisions[0]
      found = {
        one.folds for one in own if (one.mode, one.precision) == (mode, first)
      }
      assert found == ({1, 4, 16} if 'released' in name else {1, 4, 16, 68})
    assert 'PyTorch, eager' in {one.mode for one in own}


@pytest.mark.parametrize('name', contestants.CASES)
def test_a_step_has_a_gradient_for_every_number_of_the_network(name):
  case = contestants.CASES[name].base
  _, step, init, data = contestants.make_step(case, 4)
  state = jax.eval_shape(init, data)
  loss, gradient = jax.eval_shape(step, state, data)
  assert loss.shape == () and gradient == state.params


def test_what_fails_is_named_and_the_others_go_on(capsys):
  def fail():
    raise TypeError('no such thing\nand more')

  jobs = [
    contestants.Job(0, 'bad', fail),
    contestants.Job(1, 'good', lambda: 3),
  ]
  ready = contestants.prepare(contestants.Clock(1.0), jobs, 30)
  assert ready == {'good': 3}
  told = capsys.readouterr().out
  assert told == 'FAILED, bad: TypeError: no such thing\n'


@pytest.mark.parametrize('name', contestants.CASES)
def test_a_model_is_trained_as_its_config_says(name):
  case = contestants.CASES[name]
  config = experiment.load_config(CONFIGS[name])
  assert case.epochs == config.num_epochs
  assert case.base.batch_sizes == (config.batch_size,)
  assert case.base.microbatch == config.microbatch
  assert case.precisions[0] == config.matmul_precision


def test_the_whole_is_extrapolated_from_the_fastest_row():
  def row(mode, ms, precision='highest'):
    row = {'mode': mode, 'ms': ms, 'batch': 256, 'folds': 16}
    return row | {'precision': precision}

  told = accelerator.extrapolate(
    [
      row('PyTorch, eager', 360.0), row('vmap', 36.0), row('map', 72.0),
      row('vmap', 12.0, 'default'),
    ]
  )  # fmt: skip
  # 68 x 800 x 2 steps of 36 ms are 1.088 hours.
  assert '1.09 h (vmap, 16 folds at once); PyTorch 10.88 h' in told


@pytest.mark.parametrize('name', fold_training.CASES)
def test_the_network_in_pytorch_has_the_parameters_of_ours(name):
  import jax
  import jax.numpy as jnp

  case = fold_training.CASES[name]
  model = case.make()
  variables = jax.eval_shape(
    lambda key, x: model.init(key, x, train=False),
    jax.random.key(0),
    jnp.zeros((1, *case.shape)),
  )
  ours = sum(x.size for x in jax.tree.leaves(variables['params']))
  theirs = sum(x.numel() for x in case.make_torch().parameters())
  # MMNet's queries, keys and values have biases in ours, as in the release.
  biases = 2 * 3 * 64 if name == 'mmnet small' else 0
  assert ours - theirs == biases
