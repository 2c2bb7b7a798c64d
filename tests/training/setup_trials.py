"""A small leave-one-subject-out training that the tests of this room share."""

from __future__ import annotations

from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mejax.training import augment
from mejax.training import batches
from mejax.training import folds as folds_lib
from mejax.training import optimizer
from mejax.training import placement
from mejax.training import sample
from mejax.training import schedule
from mejax.training import setting as setting_lib
from mejax.training import trial

NUM_EPOCHS = 6
EVAL_EVERY = 2
BATCH = 16


# The others change frames.
OF_FLOW = tuple(
  name for name in setting_lib.STREAMS if name not in ('jitter', 'rotation')
)
# Every number that augments or regularises, on.
EVERYTHING = trial.Setting(
  learning_rate=1e-2,
  weight_decay=0.1,
  warmup_fraction=0.1,
  label_smoothing=0.1,
  mirror=0.5,
  shift=1.0,
  scale_jitter=0.3,
  region_dropout=0.2,
  level_dropout=0.3,
  balance=0.7,
  mixup=0.4,
  ema=0.8,
  test_mirror=0.5,
)


class Tiny(nn.Module):
  """All that can go wrong between trials: dropout and batch statistics."""

  @nn.compact
  def __call__(self, inputs, *, train: bool, mask=None) -> tuple[Any, dict]:
    x = inputs.reshape(inputs.shape[0], -1)
    x = nn.Dense(16, use_bias=False)(x)
    rows = None if mask is None else mask[:, None]
    x = nn.BatchNorm(use_running_average=not train)(x, mask=rows)
    x = nn.Dropout(0.2, deterministic=not train)(nn.gelu(x))
    return nn.Dense(3)(x), {}


def make_arrays(num_subjects: int = 9, n: int = 60):
  """Subjects of different sizes, so that one fold has an all-padding step."""
  source = np.random.default_rng(0)
  inputs = source.normal(size=(n, 4, 4, 3)).astype(np.float32)
  labels = source.integers(0, 3, n).astype(np.int32)
  inputs[..., 0] += labels[:, None, None]
  sizes = np.full(num_subjects, (n - 20) // (num_subjects - 1))
  sizes[0] = n - sizes[1:].sum()
  groups = np.repeat([f's{i}' for i in range(num_subjects)], sizes)
  return inputs, labels, groups


def make_stacks(inputs):
  """Mosaics of two amplification levels, [n a h w c]."""
  return np.stack([inputs, 2 * inputs], 1)


def make_full_trainer(groups, **changes) -> trial.Trainer:
  """With all that augments and regularises compiled in, for stacks."""
  layout = sample.Layout('mosaic', levels=2, u_channel=2, centred=True)
  options = {
    'augment': augment.compose(OF_FLOW, layout),
    'in_use': frozenset({'ema'}),
    'flip': augment.flip(layout),
  }
  return make_trainer(groups, **(options | changes))


def make_data(inputs, labels) -> trial.Data:
  return trial.Data(jnp.asarray(inputs), jnp.asarray(labels))


def make_trials(groups, *, setting=None, seed: int = 0):
  """Trials of all folds with one seed and setting."""
  folds = folds_lib.leave_one_group_out(groups)
  count = len(folds.outer)
  setting = setting or trial.Setting(
    learning_rate=1e-2, weight_decay=0.1, warmup_fraction=0.1
  )
  key = jax.random.key(seed)
  keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(count))
  return trial.Trial(
    key=keys,
    train=jnp.asarray(folds.train),
    held_out=jnp.asarray(folds_lib.held_out_index(folds.test)),
    setting=jax.tree.map(lambda x: jnp.full(count, x, jnp.float32), setting),
  )


def make_trainer(groups, **changes) -> trial.Trainer:
  train = folds_lib.leave_one_group_out(groups).train
  options = {
    'model': Tiny(),
    'num_classes': 3,
    'num_epochs': NUM_EPOCHS,
    'batch_sizes': batches.epoch_batch_sizes(train, BATCH),
    'optimizer': optimizer.OPTIMIZERS['adamw'],
    'schedule': schedule.SCHEDULES['warmup_cosine'],
    'takes_mask': True,
  }
  return trial.Trainer(**(options | changes))


def make_parts(model):
  """The trainer of a model without batch statistics, its trials, and data."""
  inputs, labels, groups = make_arrays()
  trainer = make_trainer(groups, model=model, takes_mask=False, num_epochs=4)
  return trainer, make_trials(groups), make_data(inputs, labels)


def train(trainer, trials, inputs, labels, *, mode, counts=(3,), width=None):
  """States, logits and losses after calls of `counts` windows each."""
  size = len(trials.train)
  width = width or (size if mode == 'vmap' else 1)
  devices = jax.devices()[:1]
  program = placement.place(
    trainer,
    placement.Placement(mode, width, size),
    devices=devices,
    eval_every=EVAL_EVERY,
    max_windows=max(counts),
  )
  data = program.put_data(make_data(inputs, labels))
  spread = program.put_trials(trials)
  states = program.init(trials, data)
  logits, losses, window = [], [], 0
  for count in counts:
    states, new_logits, new_losses = program.run_chunk(
      states, spread, data, window, count
    )
    logits.append(np.asarray(new_logits)[:size, :count])
    losses.append(np.asarray(new_losses)[:size, :count])
    window += count
  states = jax.tree.map(lambda x: np.asarray(x)[:size], states)
  return states, np.concatenate(logits, 1), np.concatenate(losses, 1)
