"""Trains models that say something of each frame of a window.

An example is a window of a recording. `Data.extra` has `targets` f32[n t q],
shares between 0 and 1 of q independent channels, and `counted` f32[n t], the
weight of each frame; `Data.labels` is not read.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import PyTree
import optax

from mejax.training import batches as batches_lib
from mejax.training import sample as sample_lib
from mejax.training import trial as trial_lib


@dataclasses.dataclass(frozen=True)
class CurveTrainer(trial_lib.Trainer):
  """The pure functions of one trial.

  Attributes:
    rare: weight of what is there beside what is not, since little is.
    mirror: mirrors inputs; half of the examples of a step are, if it is given.
  """

  rare: float = 1.0
  mirror: Callable[[Array], Array] | None = None

  def sample(
    self,
    state: trial_lib.TrialState,
    trial: trial_lib.Trial,
    data: trial_lib.Data,
    batch: batches_lib.Batch,
  ) -> sample_lib.Sample:
    """Reads the windows of a step; `weight` is that of each frame."""
    key = jax.random.fold_in(jax.random.fold_in(trial.key, 2), state.step)
    inputs = data.inputs[batch.index]
    if self.mirror is not None:
      chosen = jax.random.bernoulli(
        jax.random.fold_in(key, 1), 0.5, batch.index.shape
      )
      inputs = jnp.where(chosen[:, None, None], self.mirror(inputs), inputs)
    targets = data.extra['targets'][batch.index]
    weight = data.extra['counted'][batch.index] * batch.weight[:, None]
    return sample_lib.Sample(
      inputs=inputs,
      targets=targets,
      weight=weight,
      total=jnp.maximum(weight.sum() * targets.shape[-1], 1e-9),
      key=jax.random.fold_in(key, 0),
    )

  def loss(
    self,
    params: PyTree,
    state: trial_lib.TrialState,
    trial: trial_lib.Trial,
    sample: sample_lib.Sample,
  ) -> tuple[Array, PyTree]:
    """Returns the mean cross-entropy over frames and channels."""
    del trial
    (logits, _), collections = self.model.apply(
      {'params': params, **state.collections},
      sample.inputs,
      train=True,
      mutable=list(state.collections),
      rngs={'dropout': sample.key},
    )
    losses = optax.sigmoid_binary_cross_entropy(logits, sample.targets)
    losses *= 1 + (self.rare - 1) * sample.targets
    losses *= sample.weight[..., None]
    return losses.sum() / sample.total, collections

  def predict(
    self,
    state: trial_lib.TrialState,
    trial: trial_lib.Trial,
    inputs: Float[Array, 'b t c'],
  ) -> Float[Array, 'b t q']:
    """Returns the logits of each frame, the mean of both mirror images."""
    del trial
    variables = self.variables(state)
    variables = {'params': variables['params'], **variables['collections']}
    logits = self.model.apply(variables, inputs, train=False)[0]
    if self.mirror is None:
      return logits
    other = self.model.apply(variables, self.mirror(inputs), train=False)[0]
    return (logits + other) / 2
