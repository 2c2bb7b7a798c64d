"""The network for spotting is trained, and scored on people held out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import cli
from mejax.evaluation.spotting.events import Event
from mejax.evaluation.spotting.events import Video
from mejax.experiment import configuration
from mejax.experiment import running
from mejax.experiment.packs import seen as seen_lib
from mejax.experiment.spotting import kept_tracks
from mejax.experiment.spotting import signal_sets
from mejax.experiment.spotting import trained as trained_lib
from mejax.experiment.spotting import training
from mejax.experiment.spotting import windows as windows_lib
from tests import made_signals

SMALL = [
  'num_folds=2', 'inner_folds=2', 'num_epochs=30', 'eval_every=30',
  'spotting.window=256', 'spotting.margin=63', 'folds=all', 'batch_size=4',
]  # fmt: skip


@pytest.fixture(scope='module')
def home(tmp_path_factory):
  """Six people; each has three short and two long movements, at other times.

  The folder of these people of a database has the name of rendered ones.
  """
  folder = tmp_path_factory.mktemp('data')
  write_set(folder / 'rendered_long')
  return folder


def write_set(folder):
  videos = []
  for person in range(6):
    generator = np.random.default_rng([person, 1])
    starts = 40 + 110 * np.arange(5) + generator.integers(0, 40, 5)
    kinds = generator.permutation(['micro'] * 3 + ['macro'] * 2)
    lengths = [12 if kind == 'micro' else 40 for kind in kinds]
    spans = [
      (int(a), int(a + n - 1)) for a, n in zip(starts, lengths, strict=True)
    ]
    video = Video(
      subject=f'p{person}',
      name='one',
      num_frames=600,
      fps=30.0,
      truths=tuple(
        Event(onset=a, apex=(a + b) // 2, offset=b, type=str(kind))
        for (a, b), kind in zip(spans, kinds, strict=True)
      ),
    )
    kept_tracks.kept(
      signal_sets.path_of(folder, video),
      lambda person=person, spans=spans: made_signals.tracks(person, spans),
      source='made up',
    )
    videos.append(video)
  signal_sets.write(folder, videos, corpus='casme2_long')


@pytest.fixture(scope='module')
def run(home, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('run') / 'run'
  config = configuration.load_config('spotter', SMALL)
  metrics = running.train(config, data_dir=home, workdir=workdir)
  return workdir, metrics


def test_network_finds_clear_movements_of_people_held_out(run):
  workdir, metrics = run
  ours = metrics['scores']['network']
  assert ours['micro']['truths'] == 18 and ours['macro']['truths'] == 12
  assert ours['overall']['f1'] > 0.8
  text = (workdir / 'scores.txt').read_text()
  assert '6 videos of 6 people, 2.0 minutes' in text
  assert 'left out in 2 parts' in text
  assert (metrics['recordings'], metrics['people']) == (6, 6)


def test_the_same_call_shows_the_same_numbers_and_trains_nothing(
  run, home, capsys
):
  workdir, metrics = run
  config = configuration.load_config('spotter', SMALL)
  again = running.train(config, data_dir=home, workdir=workdir)
  assert again == metrics
  assert 'compiling' not in capsys.readouterr().err


def test_both_spotters_have_thresholds_of_the_budget(run):
  _, metrics = run
  assert metrics['budget'] == 0.5
  assert set(metrics['scores']) == {
    'network', 'untrained', 'untrained, as shipped',
  }  # fmt: skip
  paired = metrics['paired']['untrained']['micro']
  assert paired['low'] <= paired['f1'] <= paired['high']
  ours, other = (
    metrics['scores'][name]['micro']['f1'] for name in ('network', 'untrained')
  )
  assert paired['f1'] == pytest.approx(ours - other)


def test_spotter_of_everybody_spots_in_a_new_recording(run, tmp_path):
  workdir, _ = run
  spotter = trained_lib.read(workdir)
  tracks = made_signals.tracks(77, [(300, 311)], length=600)
  found = spotter.spot(tracks)
  assert [(c.type, abs(c.onset - 300) <= 3) for c in found] == [('micro', True)]
  # Windows do not show: all of it at once gives the same curve.
  whole = spotter._replace(length=1024)
  np.testing.assert_allclose(
    whole.curves(tracks), spotter.curves(tracks), atol=1e-4
  )
  high = spotter.spot(tracks, thresholds={'micro': 1.1, 'macro': 1.1})
  assert high == []
  other = spotter._replace(thresholds={'micro': 0.9, 'macro': 0.9})
  assert other.digest != spotter.digest


def test_who_was_seen_is_told_by_the_corpus_and_not_by_the_folder(run):
  told = trained_lib.read(run[0]).told
  names = np.array([f'p{person}' for person in range(6)])
  people = seen_lib.people_of(np.full(6, 'casme2_long'), names)
  assert set(told['seen']['people']) == set(people.tolist())
  assert not told['data']['rendered']
  (licence,) = told['licences']
  assert licence.startswith('CAS(ME)^2: the licence of its authors')


def test_people_held_out_change_no_weight_of_their_fold(home, tmp_path):
  config = configuration.load_config(
    'spotter:smoke', ['spotting.window=256', 'spotting.margin=63']
  )
  recordings = signal_sets.read(home / 'rendered_long')
  windows = windows_lib.cut_all(recordings, length=256, margin=63)
  plan = training.make_plan(config, recordings, windows)
  fold = int(np.flatnonzero(plan.numbers['inner'] < 0)[0])
  out = np.asarray(plan.folds.test[fold])
  changed = plan.data.replace(
    inputs=plan.data.inputs.at[out].set(np.nan),
    extra={k: v.at[out].set(np.nan) for k, v in plan.data.extra.items()},
  )
  trial = jax.tree.map(lambda x: x[fold], plan.trials)

  @jax.jit
  def train(data):
    state = plan.trainer.init(trial, data)
    for stack in plan.trainer.batches(trial, jnp.int32(0)):
      for i in range(len(stack.index)):
        batch = jax.tree.map(lambda x, i=i: x[i], stack)
        (_, collections), gradients = jax.value_and_grad(
          plan.trainer.loss, has_aux=True
        )(
          state.params,
          state,
          trial,
          plan.trainer.sample(state, trial, data, batch),
        )
        state = plan.trainer.apply_gradients(
          state, trial, gradients, collections, batch
        )
    return state.params

  one, other = train(plan.data), train(changed)
  assert all(
    (a == b).all()
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
  )


@pytest.mark.parametrize(
  'change, message',
  [
    ('selection=last', 'expected only inner'),
    ('eval_every=1', 'after which the people who are held out'),
    ('spotting.margin=300', 'margins that leave a middle'),
    ('model.name=cnn', 'expected spotter'),
  ],
)
def test_config_that_does_not_fit_is_refused(home, tmp_path, change, message):
  config = configuration.load_config('spotter', [change])
  with pytest.raises(ValueError, match=message):
    running.train(config, data_dir=home, workdir=tmp_path / 'x')


def test_command_trains_and_missing_signals_are_told(tmp_path, capsys):
  call = ['train', '--config', 'spotter:smoke', '--workdir']
  call += [str(tmp_path / 'run'), '--data_dir', str(tmp_path)]
  assert cli.main(call) == 2
  assert 'mejax film' in capsys.readouterr().err
