"""A config, resolved once into objects."""

from __future__ import annotations

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import experiment
from mejax.evaluation import selection
from mejax.experiment import model_checks
from mejax.experiment import running
from mejax.experiment import workdir as workdir_lib
from mejax.models.capabilities import Capabilities
from mejax.training import optimizer
from tests import own_parts
from tests.training import setup_trials


@pytest.fixture(scope='module')
def task():
  inputs, labels, subjects = setup_trials.make_arrays(num_subjects=5, n=40)
  return experiment.Task(
    inputs=inputs,
    labels=labels,
    corpus=np.full(40, 'own'),
    subject=subjects,
    clip=np.arange(40).astype(str),
    class_names=('a', 'b', 'c'),
    protocol='Ours.',
    groups=subjects,
  )


def load_config(*changes):
  return experiment.load_config(
    'synthetic:smoke',
    ['num_epochs=2', 'eval_every=1', 'setting.mirror=0', *changes],
  )


def test_a_plan_holds_what_a_config_names(tmp_path, task):
  config = load_config('num_seeds=2', 'num_folds=2', 'selection=last,inner')
  config.inner_folds = 2
  with config.unlocked():
    config.grid.learning_rate = (1e-2, 1e-3)
  plan = experiment.plan(config, task=task, model=own_parts.Linear())
  assert plan.task is task
  assert plan.model == own_parts.Linear()
  assert np.unique(plan.left_out).tolist() == ['part 1 of 2', 'part 2 of 2']
  # Settings x seeds x (outer and inner folds).
  assert len(plan.trials.train) == 2 * 2 * (2 + 2 * 2)
  assert [each.learning_rate for each in plan.settings] == [1e-2, 1e-3]
  assert plan.numbers['seed'].tolist() == [0] * 6 + [1] * 6 + [0] * 6 + [1] * 6
  assert plan.trainer.optimizer is optimizer.OPTIMIZERS[config.optimizer]
  assert plan.rules == ('last', 'inner')
  assert plan.options.eval_every == 1 and plan.options.keep_models
  assert plan.sentence.startswith('Ours. Here they are left out in 2 parts')
  assert plan.data.inputs.shape == task.inputs.shape
  assert plan.place(jax.devices()[:1], tmp_path).round_size <= 24
  assert 'Linear' in str(plan.description['model'])


@pytest.mark.parametrize('even', [False, True])
def test_a_config_says_whether_steps_have_equally_many_examples(task, even):
  config = load_config(f'even_batches={even}', 'batch_size=10', 'num_folds=3')
  plan = experiment.plan(config, task=task, model=own_parts.Linear())
  batches = jax.vmap(plan.trainer.batches, (0, None))
  (steps,) = batches(plan.trials, jnp.int32(0))
  counts = np.asarray((steps.weight > 0).sum(-1))
  np.testing.assert_array_equal(counts.sum(1), (plan.trials.train > 0).sum(1))
  assert (np.ptp(counts, 1).max() <= 1) == even


def test_a_config_says_how_many_examples_are_taken_at_a_time(task):
  plan = experiment.plan(
    load_config('microbatch=3'), task=task, model=own_parts.Linear()
  )
  assert plan.trainer.microbatch == 3


def test_a_plan_knows_the_source_of_what_a_config_names(task, monkeypatch):
  config = load_config('model.attention_fn=tests.own_parts:double_softmax')
  key = 'model.attention_fn'

  def described():
    plan = experiment.plan(config, task=task, model=own_parts.Linear())
    return plan.named_objects

  before = described()
  assert list(before) == [key]
  assert before[key].startswith('tests.own_parts:double_softmax ')
  assert described() == before
  # As if the file had been edited.
  monkeypatch.setattr(own_parts, 'double_softmax', own_parts.no_gate)
  assert described()[key] != before[key]


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ('num_epochs=0', 'num_epochs is 0; expected 1 to'),
    ('batch_size=-1', 'batch_size is -1'),
    ('eval_every=0', 'eval_every is 0'),
    ('microbatch=-1', 'microbatch is -1'),
    ('num_seeds=0', 'num_seeds is 0'),
    ('checkpoint_every_s=nan', 'checkpoint_every_s is nan'),
    ('checkpoint_every_s=-1', 'checkpoint_every_s is -1'),
    ('setting.learning_rate=-1', 'setting.learning_rate is -1'),
    ('setting.learning_rate=inf', 'setting.learning_rate is inf'),
    ('setting.b1=2', 'setting.b1 is 2'),
    ('setting.warmup_fraction=5', 'setting.warmup_fraction is 5'),
    ('seed=2147483648', 'seed is 2147483648'),
    ('selection=inner', 'inner_folds is 1; expected 2 to'),
    ('eval_every=3', 'must divide num_epochs'),
    ('num_seeds=1000000000', 'are 5,000,000,000 trainings; expected at most'),
    ('matmul_precision=bogus', "matmul_precision is 'bogus'"),
    ('selection=', 'selection is empty'),
    ('selection=last,last', 'selection has last twice'),
    ('grid.learning_rate=1e-3,.001', 'grid.learning_rate has 0.001 twice'),
    ('folds_over=clip', "folds_over is 'clip'; expected one of people, clips"),
  ],
)
def test_counts_that_train_nothing_are_refused(task, change, message):
  with pytest.raises(ValueError, match=message):
    config = load_config(change, 'inner_folds=1')
    experiment.plan(config, task=task, model=own_parts.Linear())


def test_a_plan_that_is_carried_out_is_the_run_of_its_config(task, tmp_path):
  config, model = load_config(), own_parts.Linear()
  plan = experiment.plan(config, task=task, model=model)
  metrics = running.train_plan(plan, workdir=tmp_path / 'plan')
  again = experiment.train(
    config, task=task, model=model, workdir=tmp_path / 'train'
  )
  assert metrics == again
  first, second = (
    workdir_lib.load_npz(tmp_path / name / 'record.npz')
    for name in ('plan', 'train')
  )
  last = selection.select(first, 'last').logits
  np.testing.assert_array_equal(last, selection.select(second, 'last').logits)


def test_a_plan_needs_data(task):
  for options in ({}, {'task': task, 'data_dir': 'data'}):
    with pytest.raises(ValueError, match='either data_dir or task'):
      experiment.plan(load_config(), **options)


class Masked(nn.Module):
  """Batch statistics; what it declares is a field, so that tests vary it."""

  capabilities: Capabilities = Capabilities()

  @nn.compact
  def __call__(self, inputs, *, train: bool, mask=None):
    x = inputs.reshape(len(inputs), -1)
    rows = None if mask is None else mask[:, None]
    x = nn.BatchNorm(use_running_average=not train)(x, mask=rows)
    return nn.Dense(3)(x), {}


def test_the_trainer_masks_padding_for_a_model_that_declares_it(task):
  model = Masked(Capabilities(takes_mask=True))
  assert experiment.plan(
    load_config(), task=task, model=model
  ).trainer.takes_mask


def test_batch_statistics_without_a_declaration_are_refused(task, tmp_path):
  with pytest.raises(ValueError, match='Masked.*declare.*takes_mask=True'):
    experiment.train(
      load_config(), task=task, model=Masked(), workdir=tmp_path / 'run'
    )


class Unmasked(nn.Module):
  capabilities = Capabilities(takes_mask=True)

  @nn.compact
  def __call__(self, inputs, *, train: bool):
    return nn.Dense(3)(inputs.reshape(len(inputs), -1)), {}


class Spare(nn.Module):
  capabilities = Capabilities(spare_outputs=1)

  @nn.compact
  def __call__(self, inputs, *, train: bool):
    return nn.Dense(3)(inputs.reshape(len(inputs), -1)), {}


@pytest.mark.parametrize(
  ('model', 'message'),
  [
    (Unmasked(), 'Unmasked declares takes_mask.*Add `mask=None`'),
    (Spare(), r'\(1, 3\).*expected \(1, 4\).*spare_outputs'),
    (Masked(Capabilities(shows='heat')), "shows 'heat'; known forms"),
    (Masked(Capabilities(shows='gates')), "has no 'gates', 'attention'"),
    (Masked(Capabilities(levels=())), 'no field for those of the data'),
  ],
)
def test_a_wrong_declaration_is_refused_before_training(task, model, message):
  with pytest.raises(ValueError, match=message):
    experiment.plan(load_config(), task=task, model=model)


class Untold(nn.Module):
  @nn.compact
  def __call__(self, inputs):
    return nn.Dense(3)(inputs.reshape(len(inputs), -1)), {}


class Bare(nn.Module):
  @nn.compact
  def __call__(self, inputs, *, train: bool):
    return nn.Dense(3)(inputs.reshape(len(inputs), -1))


@pytest.mark.parametrize(
  ('model', 'message'),
  [
    (Untold(), r'Untold cannot be told whether it trains.*add `\*, train`'),
    (Bare(), r'Bare returns \w+; expected the logits and a dict.*logits, {}'),
  ],
)
def test_a_net_as_flax_has_it_is_told_what_is_missing(task, model, message):
  with pytest.raises(ValueError, match=message):
    experiment.plan(load_config(), task=task, model=model)


def test_shapes_of_outputs_cost_no_computation(task):
  logits, out = model_checks.output_shapes(own_parts.Linear(), task)
  assert logits.shape == (1, 3) and out == {}
