"""What switches augmentations on, and trainings with all of them at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.training import augment
from mejax.training import sample as sample_lib
from mejax.training import setting as setting_lib
from mejax.training import trial as trial_lib
from tests.training import setup_trials as given

_STACK = sample_lib.Layout('mosaic', levels=2, u_channel=2, centred=True)
_FRAMES = sample_lib.Layout('frames')


def _sample(count=6):
  source = np.random.default_rng(0)
  targets = np.eye(3, dtype=np.float32)[np.arange(count) % 3]
  return sample_lib.Sample(
    inputs=jnp.asarray(source.normal(size=(count, 2, 4, 4, 3)), jnp.float32),
    targets=jnp.asarray(targets),
    weight=jnp.ones(count),
    class_share=jnp.array([1.0, 2.0, 3.0]),
    extra={'window': jnp.arange(count)},
  )


@pytest.mark.parametrize('name', given.OF_FLOW)
def test_each_is_switched_on_by_the_number_of_its_name(name):
  ((number, apply),) = augment.compose([name], _STACK)
  assert number == setting_lib.STREAMS[name]
  before, key = _sample(), jax.random.key(0)
  off = apply(key, before, trial_lib.Setting())
  jax.tree.map(np.testing.assert_array_equal, off, before)
  after = apply(key, before, trial_lib.Setting(**{name: 1.0}))
  changed = [
    field
    for field in ('inputs', 'targets', 'weight')
    if (getattr(after, field) != getattr(before, field)).any()
  ]
  expected = {'balance': ['weight'], 'mixup': ['inputs', 'targets']}
  assert changed == expected.get(name, ['inputs'])
  jax.tree.map(np.testing.assert_array_equal, after.extra, before.extra)


def test_every_number_is_of_a_setting_and_seeds_one_augmentation():
  numbers = list(setting_lib.STREAMS.values())
  assert len(set(numbers)) == len(numbers) and 0 not in numbers
  for name in setting_lib.STREAMS:
    assert getattr(trial_lib.Setting(), name) == 0


@pytest.mark.parametrize(
  ('name', 'layout', 'message'),
  [
    ('mirror', sample_lib.Layout(), 'negates the horizontal flow'),
    (
      'mirror',
      sample_lib.Layout('image', u_channel=2, centred=False),
      'centre_std',
    ),
    ('mirror', sample_lib.Layout('mosaic', centred=True), 'landmarks'),
    ('shift', sample_lib.Layout(), 'not known what the inputs are'),
    ('scale_jitter', sample_lib.Layout('image'), 'multiplies motion'),
    ('scale_jitter', _FRAMES, 'multiplies motion'),
    ('region_dropout', _FRAMES, 'motion of regions'),
    ('level_dropout', _FRAMES, 'motion of levels'),
    (
      'level_dropout',
      sample_lib.Layout('mosaic', u_channel=2, centred=True),
      'one level only',
    ),
  ],
)
def test_what_does_not_fit_the_inputs_is_refused(name, layout, message):
  with pytest.raises(ValueError, match=message):
    augment.compose([name], layout)


def test_frames_mirror_without_a_sign_and_are_0_beyond_their_border():
  frames = _sample().inputs
  np.testing.assert_array_equal(
    augment.flip(_FRAMES)(frames), frames[..., ::-1, :]
  )
  ((_, shift),) = augment.compose(['shift'], _FRAMES)
  before = _sample().replace(inputs=jnp.ones((50, 2, 4, 4, 3)))
  after = shift(jax.random.key(0), before, trial_lib.Setting(shift=2.0))
  assert set(np.unique(after.inputs)) == {0.0, 1.0}


def _one(trials, i=0):
  return jax.tree.map(lambda x: x[i], trials)


def test_others_do_not_change_the_draws_of_one():
  inputs, labels, groups = given.make_arrays()
  data = given.make_data(given.make_stacks(inputs), labels)
  setting = trial_lib.Setting(scale_jitter=0.5)
  trial = _one(given.make_trials(groups, setting=setting))

  def loss(names):
    trainer = given.make_trainer(groups, augment=augment.compose(names, _STACK))

    @jax.jit
    def first(trial, data):
      state = trainer.init(trial, data)
      batch = _one(trainer.batches(trial, jnp.int32(0))[0])
      return trainer.loss(
        state.params, state, trial, trainer.sample(state, trial, data, batch)
      )[0]

    return float(first(trial, data))

  alone = loss(['scale_jitter'])
  assert alone == pytest.approx(loss(given.OF_FLOW), rel=1e-5)
  assert alone != pytest.approx(loss([]), rel=1e-3)


def test_extras_reach_augmentations_with_their_examples():
  inputs, labels, groups = given.make_arrays()
  seen = {}

  def look(key, sample, setting):
    seen.update(inputs=sample.inputs, number=sample.extra['number'])
    return sample

  trainer = given.make_trainer(groups, augment=((99, look),))
  trial = _one(given.make_trials(groups))
  data = given.make_data(inputs, labels).replace(
    extra={'number': jnp.arange(len(inputs))}
  )
  state = trainer.init(trial, data)
  batch = _one(trainer.batches(trial, jnp.int32(0))[0])
  trainer.loss(
    state.params, state, trial, trainer.sample(state, trial, data, batch)
  )
  np.testing.assert_array_equal(seen['number'], batch.index)
  np.testing.assert_array_equal(seen['inputs'], inputs[seen['number']])


# Trainings with everything switched on keep every promise of a plain one.


@pytest.fixture(scope='module')
def arrays():
  inputs, labels, groups = given.make_arrays()
  return given.make_stacks(inputs), labels, groups


def _train(arrays, *, trials=None, trainer=None, **options):
  inputs, labels, groups = arrays
  trainer = trainer or given.make_full_trainer(groups)
  if trials is None:
    trials = given.make_trials(groups, setting=given.EVERYTHING)
  return given.train(trainer, trials, inputs, labels, **options)


@pytest.fixture(scope='module')
def together(arrays):
  return {mode: _train(arrays, mode=mode) for mode in ('map', 'vmap')}


def _same_bits(first, second):
  jax.tree.map(np.testing.assert_array_equal, first, second)


def test_all_at_once_learns_and_map_equals_vmap_to_rounding(together):
  (_, logits, losses), (_, other, other_losses) = together.values()
  assert np.isfinite(losses).all() and (losses[:, -1] < losses[:, 0]).all()
  np.testing.assert_allclose(losses, other_losses, atol=1e-4)
  assert (logits.argmax(-1) == other.argmax(-1)).all()


def test_all_at_once_alone_equals_among_all_bit_for_bit(arrays, together):
  trials = given.make_trials(arrays[2], setting=given.EVERYTHING)
  alone = _train(
    arrays, trials=jax.tree.map(lambda x: x[4:5], trials), mode='map'
  )
  _same_bits(alone, jax.tree.map(lambda x: x[4:5], together['map']))


@pytest.mark.parametrize('mode', ['map', 'vmap'])
def test_all_at_once_chunked_equals_whole(arrays, together, mode):
  _same_bits(_train(arrays, mode=mode, counts=(1, 2)), together[mode])


@pytest.mark.parametrize(
  ('mode', 'poison'), [('map', 'nan'), ('vmap', 'noise')]
)
def test_all_at_once_lets_nothing_of_a_held_out_subject_through(
  arrays, together, mode, poison
):
  inputs, labels, groups = arrays
  victim = 3
  held_out = groups == np.unique(groups)[victim]
  changed, other_labels = inputs.copy(), labels.copy()
  noise = 1e3 * np.random.default_rng(1).normal(size=inputs[held_out].shape)
  changed[held_out] = noise if poison == 'noise' else np.nan
  other_labels[held_out] = (labels[held_out] + 1) % 3
  states = _train((changed, other_labels, groups), mode=mode)[0]
  before = together[mode][0]
  _same_bits(*(_one(state, victim) for state in (states, before)))
  # The test can fail: every other fold trains on that subject.
  kernel = states.average.sums['params']['Dense_0']['kernel']
  old = before.average.sums['params']['Dense_0']['kernel']
  assert (kernel != old).any((1, 2)).sum() == len(kernel) - 1


def test_all_at_0_among_others_is_the_plain_training(arrays):
  groups = arrays[2]
  plain = given.make_trials(groups)
  options = {'trials': plain, 'mode': 'map'}
  compiled_in = _train(arrays, **options)
  left_out = _train(arrays, trainer=given.make_trainer(groups), **options)
  np.testing.assert_allclose(compiled_in[2], left_out[2], atol=1e-4)
  assert (compiled_in[1].argmax(-1) == left_out[1].argmax(-1)).all()


def test_weights_count_the_folds_own_training_labels_only(arrays):
  _, labels, groups = arrays
  seen = {}

  def look(key, sample, setting):
    seen['share'] = sample.class_share
    return sample

  trainer = given.make_trainer(groups, augment=((99, look),))
  data = given.make_data(arrays[0], labels)
  for i, name in enumerate(np.unique(groups)):
    trial = _one(given.make_trials(groups), i)
    state = trainer.init(trial, data)
    batch = _one(trainer.batches(trial, jnp.int32(0))[0])
    trainer.loss(
      state.params, state, trial, trainer.sample(state, trial, data, batch)
    )
    expected = np.bincount(labels[groups != name], minlength=3)
    np.testing.assert_array_equal(seen['share'], expected)
