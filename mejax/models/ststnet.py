"""STSTNet: three shallow convolution branches, 1,683 parameters.

Liong et al., "Shallow Triple Stream Three-dimensional CNN (STSTNet) for
micro-expression recognition", FG 2019. The input is strain, v, u in 0..255,
28x28. A branch is a 3x3 convolution with padding 2, ReLU, batch norm, max-pool
3 with stride 3 and padding 1, dropout; the branches are joined, average-pooled
by 2 and read linearly.

Memory traffic limits the model, not arithmetic, and an experiment trains it for
hundreds of thousands of steps. So it is computed in another order than the
paper describes, with the same result:
- All 16 filters at once. A pool window (a cell) sees 5x5 pixels; its 9
  convolution outputs are one matrix product with the kernel at 9 offsets.
- Batch norm is affine in each channel, so the maximum is taken before it (the
  minimum where its gain is negative).
- The batch is the last axis, so that everything elementwise runs over
  contiguous rows.
- A TPU does this for one of the nine outputs after the other.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import Any

import flax.linen as nn
import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Num
import numpy as np

from mejax.models import base
from mejax.models import dtypes as dtypes_lib
from mejax.models import layers
from mejax.models import pooling
from mejax.models.capabilities import Capabilities

CELLS = 10  # Cells a side: 30 convolution outputs, by 3.

# True if output (row, column) of cell (i, j) lies in the map: row -1 does not.
INSIDE = np.ones((3, 3, CELLS, CELLS), bool)
INSIDE[0, :, 0, :] = INSIDE[:, 0, :, 0] = False


class STSTNet(base.Model):
  """The whole model.

  Attributes:
    num_classes: k.
    branches: number of filters of each branch.
    dropout: rate behind each branch.
  """

  num_classes: int = 3
  branches: tuple[int, ...] = (3, 5, 8)
  dropout: float = 0.5

  capabilities = Capabilities(takes_mask=True)

  @nn.compact
  def __call__(
    self,
    inputs: Num[Array, 'b h w c'],
    *,
    train: bool | None = None,
    mask: Bool[Array, 'b'] | None = None,
  ) -> tuple[Float[Array, 'b k'], dict[str, Any]]:
    """Computes logits, and the joined branches as `features`, [b, 10, 10, 16].

    Raises:
      ValueError: the inputs have another shape, or `train` is needed.
    """
    base.check_layout(self, inputs)
    if inputs.shape[1:] != (28, 28, 3):
      raise ValueError(
        f'STSTNet got inputs of shape {inputs.shape}; expected [b, 28, 28, 3]'
      )
    train = base.settle_train(self, train)
    inputs, dtypes = dtypes_lib.settle(inputs, self.dtype, self.param_dtype)
    weights, norms = [], []
    for i, filters in enumerate(self.branches):
      shape = (3, 3, 3, filters)
      weights.append(layers.Weights(shape, dtypes, name=f'conv{i}')())
      norms.append(layers.BatchNorm(filters, dtypes=dtypes, name=f'norm{i}'))
    kernel, bias = (jnp.concatenate(x, -1) for x in zip(*weights, strict=True))
    # Under a negative gain the largest output is the smallest after the norm.
    sign = jnp.concatenate([jnp.where(n.scale < 0, -1.0, 1.0) for n in norms])
    # Statistics are sums in the wide dtype, and XLA reduces operands of one.
    sign = sign.astype(dtypes.wide.dtype)
    # Chosen when the program is compiled; it leaves no branch in it.
    largest, sums, squares = lax.platform_dependent(
      *cell_inputs(inputs, kernel, bias),
      sign,
      tpu=pool_by_place,
      default=pool_at_once,
    )
    batch = moments(sums, squares, mask) if train else None
    gain, offset = self._affine(norms, batch)
    x = largest * (sign * gain)[:, None, None] + offset[:, None, None]
    x = x.astype(dtypes.dtype)
    x = layers.Dropout(self.dropout)(x, train=train)
    # The average-pool is folded into the kernel that reads its output: the four
    # cells of a pool window share a weight, a quarter of the kernel's.
    half, filters = CELLS // 2, len(x)
    kernel, bias = layers.Weights(
      (filters * half**2, self.num_classes), dtypes.wide, name='head'
    )()
    kernel = kernel.reshape(filters, half, half, -1)
    kernel = kernel.repeat(2, 1).repeat(2, 2).reshape(-1, self.num_classes) / 4
    rows = x.reshape(len(kernel), -1).astype(kernel.dtype)
    logits = (kernel.T @ rows).T + bias
    features = x.reshape(filters, CELLS, CELLS, -1).transpose(3, 1, 2, 0)
    return logits, {'features': features}

  def _affine(self, norms, batch):
    """Joins gain and offset of the branches' batch norms."""
    parts, start = [], 0
    for norm in norms:
      own = slice(start, start := start + norm.features)
      mine = batch and (batch[0][own], batch[1][own], batch[2])
      parts.append(norm.affine(mine))
    return (jnp.concatenate(x) for x in zip(*parts, strict=True))


def cell_inputs(
  inputs: Float[Array, 'b 28 28 c'],
  kernel: Float[Array, '3 3 c d'],
  bias: Float[Array, 'd'],
) -> tuple[Float[Array, '9 d p'], Float[Array, 'p m']]:
  """Returns two factors of the 30x30 convolution outputs (padding 2) by cell.

  Cell (i, j) of the n = 100 holds rows 3i - 1 to 3i + 1, and columns likewise.
  The pool pads row -1 and leaves out row 29, but batch norm counts row 29. So
  row 29 is computed in the place of row -1, by continuing the input
  periodically.

  Returns:
    the weights of each place in a cell; the pixels of each cell and example,
    m = n * b.
  """
  x = inputs.transpose(3, 1, 2, 0)
  for axis in (1, 2):
    last = lax.slice_in_dim(x, 27, 28, axis=axis)
    zero = jnp.zeros_like(last)
    x = jnp.concatenate([last, zero, zero, x, zero], axis)
  stop = 3 * CELLS
  window = [
    x[:, row : row + stop - 2 : 3, column : column + stop - 2 : 3]
    for row in range(5)
    for column in range(5)
  ]
  # The last row of ones carries the bias.
  window = jnp.concatenate([*window, jnp.ones_like(window[0][:1])])
  # The kernel at each of its nine places in the 5x5 pixels, zero around it.
  offsets = [
    jnp.pad(kernel, ((row, 2 - row), (column, 2 - column), (0, 0), (0, 0)))
    for row in range(3)
    for column in range(3)
  ]
  taps = jnp.stack(offsets).reshape(9, -1, kernel.shape[-1])
  taps = jnp.concatenate([taps, jnp.tile(bias, (9, 1, 1))], 1)
  return jnp.swapaxes(taps, 1, 2), window.reshape(len(window), -1)


def _with_derivative(change: Callable) -> Callable[[Callable], Callable]:
  """Gives a pool the derivative of its results but the last, the place.

  Args:
    change: outputs, sign, place, and a change of the outputs, to the change of
      the results.
  """

  def decorate(pool):
    pool = jax.custom_jvp(pool)

    @pool.defjvp
    def derivative(primals, tangents):
      outputs, sign = primals
      *pooled, place = pool(outputs, sign)
      # What an integer changes by has no values.
      still = jax.custom_derivatives.zero_from_primal(place)
      changes = change(outputs, sign, place, tangents[0])
      return (*pooled, place), (*changes, still)

    return pool

  return decorate


def pool_at_once(
  taps: Float[Array, '9 d p'],
  window: Float[Array, 'p m'],
  sign: Float[Array, 'd'],
) -> tuple[Float[Array, 'd n b'], Float[Array, 'd b'], Float[Array, 'd b']]:
  """Reduces x = relu(taps @ window) to the input of pool and batch norm.

  The derivative is written out because XLA's gradient of a maximum over a
  leading axis is 40 times slower on a CPU. Among equals the first gets the
  whole gradient, as in PyTorch. The sign has none: it is piecewise constant.

  Returns:
    the largest sign * x of each cell inside the map; the sum of x and the sum
    of x squared over all 900 places.
  """
  outputs = (taps.reshape(-1, len(window)) @ window).astype(sign.dtype)
  outputs = outputs.reshape(*taps.shape[:2], CELLS**2, -1)
  return _pool_cells(outputs, sign[:, None, None])[:3]


# The gradient needs the outputs and places, not the masks made of them.
@functools.partial(jax.checkpoint, prevent_cse=False)
def _change_cells(outputs, sign, place, change):
  """Returns by how much the three results of `pool_at_once` change.

  The maximum changes with the place that won, the sum with all places, the sum
  of squares with each, times 2 x.
  """
  change = jnp.where(outputs > 0, change, 0)
  squares = 2 * (outputs * change).sum((0, 2))
  sums = change.sum((0, 2))
  here = place == lax.broadcasted_iota(jnp.int32, outputs.shape, 0)
  return sign * jnp.where(here, change, 0).sum(0), sums, squares


@_with_derivative(_change_cells)
def _pool_cells(outputs, sign):
  """Returns what `pool_at_once` does, and the place of the largest."""

  def merge(one, other):
    sums = (a + b for a, b in zip(one[2:], other[2:], strict=True))
    return *pooling.first_largest(one[:2], other[:2]), *sums

  x = nn.relu(outputs)
  inside = jnp.where(INSIDE.reshape(9, 1, -1, 1), sign * x, -jnp.inf)
  place = lax.broadcasted_iota(jnp.int32, x.shape, 0)
  zero = jnp.zeros((), x.dtype)
  start = (zero - jnp.inf, jnp.int32(0), zero, zero)
  # One reduction of four operands reads the outputs once; four would read them
  # four times, and memory traffic is what a step costs.
  largest, place, total, square = lax.reduce(
    (inside, place, x, jnp.square(x)), start, merge, (0,)
  )
  return largest, total.sum(1), square.sum(1), place


def pool_by_place(
  taps: Float[Array, '9 d p'],
  window: Float[Array, 'p m'],
  sign: Float[Array, 'd'],
) -> tuple[Float[Array, 'd n b'], Float[Array, 'd b'], Float[Array, 'd b']]:
  """Does the same, one place after the other, in the form for TPUs.

  For each trial of 256 examples a TPU's compiler then needs 21 MiB of temporary
  memory in place of 117: it would store a joint array of nine places, and what
  the gradient makes of it, in several layouts. For the same reason cells and
  examples stay one axis, for 100 cells fill no whole tiles. A CPU takes twice
  as long for this form.
  """
  outputs = tuple((tap @ window).astype(sign.dtype) for tap in taps)
  largest, total, square = (
    x.reshape(len(x), CELLS**2, -1)
    for x in _pool_places(outputs, sign[:, None])[:3]
  )
  return largest, total.sum(1), square.sum(1)


# The gradient needs the outputs and places, not the masks made of them.
@functools.partial(jax.checkpoint, prevent_cse=False)
def _change_places(outputs, sign, place, changes):
  """Does what `_change_cells` does."""
  winner = total = square = 0
  for number, (x, change) in enumerate(zip(outputs, changes, strict=True)):
    change = jnp.where(x > 0, change, 0)
    winner += jnp.where(place == number, change, 0)
    total, square = total + change, square + x * change
  return sign * winner, total, 2 * square


@_with_derivative(_change_places)
def _pool_places(outputs, sign):
  """Returns the largest, both sums over the places, and the largest's place."""
  places, total, square = [], 0, 0
  for place, inside in enumerate(INSIDE.reshape(9, -1, 1)):
    x = nn.relu(outputs[place])
    total, square = total + x, square + jnp.square(x)
    inside = jnp.broadcast_to(inside, (CELLS**2, x.shape[1] // CELLS**2))
    x = jnp.where(inside.reshape(-1), sign * x, -jnp.inf)
    places.append((x, jnp.int32(place)))
  largest, place = functools.reduce(pooling.first_largest, places)
  return largest, total, square, place


def moments(
  sums: Float[Array, 'd b'],
  squares: Float[Array, 'd b'],
  mask: Bool[Array, 'b'] | None,
) -> tuple[Float[Array, 'd'], Float[Array, 'd'], Float[Array, '']]:
  """Returns mean, biased variance and count of the examples that count.

  Args:
    sums: sum over the places of each channel and example.
    squares: sum of squares.
    mask: examples that count; all of them if None, or if it marks none.
  """
  weight = layers.row_weights(mask, sums.shape[1])
  count = weight.sum() * INSIDE.size
  # Accelerators' matrix units round too coarsely for a difference of squares.
  mean, square = (
    jnp.dot(x, weight, precision=lax.Precision.HIGHEST) / count
    for x in (sums, squares)
  )
  return mean, jnp.maximum(square - jnp.square(mean), 0), count


PRESETS: dict[str, dict[str, Any]] = {'ststnet': {}}
