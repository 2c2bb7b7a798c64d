"""STSTNet: three shallow convolution branches, 1,683 parameters.

Liong et al., "Shallow Triple Stream Three-dimensional CNN (STSTNet) for
micro-expression recognition", FG 2019. The input is strain, v, u in 0..255,
28x28. A branch is a 3x3 convolution with padding 2, ReLU, batch norm, max-pool
3 with stride 3 and padding 1, dropout; the branches are joined, average-pooled
by 2 and read linearly.

The model is memory traffic rather than arithmetic, and is trained hundreds of
thousands of steps, so it is computed in another order than it is told:
- All 16 filters at once. A pool window (a cell) sees 5x5 pixels; the 9
  convolution outputs in it are one matrix product with the kernel at 9 offsets.
- Batch norm is affine in each channel, so the maximum is taken before it (the
  minimum where its gain is negative).
- The batch is the last axis: everything elementwise runs over contiguous rows.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
import numpy as np

from mejax.models import layers
from mejax.models.capabilities import Capabilities

CELLS = 10  # cells a side: 30 convolution outputs by 3

# Output (row, column) of cell (i, j) that lies in the map: -1 is padding.
INSIDE = np.ones((3, 3, CELLS, CELLS), bool)
INSIDE[0, :, 0, :] = INSIDE[:, 0, :, 0] = False


class STSTNet(nn.Module):
  """The whole model.

  Attributes:
    num_classes: k.
    branches: filters of each branch.
    dropout: rate behind each branch.
  """

  num_classes: int = 3
  branches: tuple[int, ...] = (3, 5, 8)
  dropout: float = 0.5

  capabilities = Capabilities(takes_mask=True)

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, 'b h w c'],
    *,
    train: bool,
    mask: Bool[Array, 'b'] | None = None,
  ) -> tuple[Float[Array, 'b k'], dict[str, Any]]:
    """Logits, and the joined branches `[b, 10, 10, 16]` as `features`."""
    if inputs.shape[1:] != (28, 28, 3):
      raise ValueError(
        f'STSTNet got inputs of shape {inputs.shape}; expected [b, 28, 28, 3]'
      )
    weights, norms = [], []
    for i, filters in enumerate(self.branches):
      weights.append(layers.Weights((3, 3, 3, filters), name=f'conv{i}')())
      norms.append(layers.BatchNorm(filters, name=f'norm{i}'))
    kernel, bias = (jnp.concatenate(x, -1) for x in zip(*weights, strict=True))
    sign = jnp.concatenate([jnp.where(n.scale < 0, -1.0, 1.0) for n in norms])
    largest, sums, squares = pool_cells(
      cell_outputs(inputs, kernel, bias), sign[:, None, None]
    )
    batch = moments(sums, squares, mask) if train else None
    gain, offset = self._affine(norms, batch)
    x = largest * (sign * gain)[:, None, None] + offset[:, None, None]
    x = layers.Dropout(self.dropout)(x, train=train)
    # The average-pool is folded into the kernel that reads it.
    half, filters = CELLS // 2, len(x)
    kernel, bias = layers.Weights(
      (filters * half**2, self.num_classes), name='head'
    )()
    kernel = kernel.reshape(filters, half, half, -1)
    kernel = kernel.repeat(2, 1).repeat(2, 2).reshape(filters, CELLS**2, -1) / 4
    logits = jnp.einsum('cnk,cnb->kb', kernel, x).T + bias
    features = x.reshape(-1, CELLS, CELLS, len(inputs)).transpose(3, 1, 2, 0)
    return logits, {'features': features}

  def _affine(self, norms, batch):
    """Gain and offset of all filters, from each branch's batch norm."""
    parts, start = [], 0
    for norm in norms:
      own = slice(start, start := start + norm.features)
      mine = batch and (batch[0][own], batch[1][own], batch[2])
      parts.append(norm.affine(mine))
    return (jnp.concatenate(x) for x in zip(*parts, strict=True))


def cell_outputs(
  inputs: Float[Array, 'b 28 28 c'],
  kernel: Float[Array, '3 3 c d'],
  bias: Float[Array, 'd'],
) -> Float[Array, '9 d n b']:
  """The 30x30 convolution outputs (padding 2), sorted by cell.

  Cell (i, j) of the n = 100 holds rows 3i - 1 .. 3i + 1 and as many columns.
  Row -1, which the pool pads, carries row 29, which it leaves out but batch
  norm counts: the input is continued periodically. So do columns.
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
  offsets = [
    jnp.pad(kernel, ((row, 2 - row), (column, 2 - column), (0, 0), (0, 0)))
    for row in range(3)
    for column in range(3)
  ]
  d = kernel.shape[-1]
  taps = jnp.stack(offsets).reshape(9, -1, d)
  taps = jnp.concatenate([taps, jnp.tile(bias, (9, 1, 1))], 1)
  taps = jnp.swapaxes(taps, 1, 2).reshape(9 * d, -1)
  outputs = taps @ window.reshape(len(window), -1)
  return outputs.reshape(9, d, CELLS**2, -1)


@jax.custom_vjp
def pool_cells(
  outputs: Float[Array, '9 d n b'], sign: Float[Array, 'd 1 1']
) -> tuple[Float[Array, 'd n b'], Float[Array, 'd b'], Float[Array, 'd b']]:
  """What pool and batch norm need of x = relu(outputs), in one pass.

  Its gradient is written out because XLA's, through a maximum over a leading
  axis, is 40 times slower on a CPU. Like PyTorch's it goes to the first of
  equals.

  Returns:
    the largest sign * x of each cell inside the map, and over all its 900
    places the sum of x and of x squared.
  """
  return _pool_cells(outputs, sign)[0]


def _pool_cells(outputs, sign):
  def merge(one, other):
    sums = (a + b for a, b in zip(one[2:], other[2:], strict=True))
    return *layers.first_largest(one[:2], other[:2]), *sums

  x = nn.relu(outputs)
  inside = jnp.where(INSIDE.reshape(9, 1, -1, 1), sign * x, -jnp.inf)
  place = lax.broadcasted_iota(jnp.int32, x.shape, 0)
  zero = jnp.zeros((), x.dtype)
  start = (zero - jnp.inf, jnp.int32(0), zero, zero)
  largest, place, total, square = lax.reduce(
    (inside, place, x, jnp.square(x)), start, merge, (0,)
  )
  return (largest, total.sum(1), square.sum(1)), (outputs, sign, place)


def _pool_cells_backward(saved, gradients):
  outputs, sign, place = saved
  largest, total, square = gradients
  here = place == lax.broadcasted_iota(jnp.int32, outputs.shape, 0)
  gradient = jnp.where(here, sign * largest, 0) + total[:, None]
  gradient += 2 * outputs * square[:, None]
  return jnp.where(outputs > 0, gradient, 0), jnp.zeros_like(sign)


pool_cells.defvjp(_pool_cells, _pool_cells_backward)


def moments(
  sums: Float[Array, 'd b'],
  squares: Float[Array, 'd b'],
  mask: Bool[Array, 'b'] | None,
) -> tuple[Float[Array, 'd'], Float[Array, 'd'], Float[Array, '']]:
  """Mean, biased variance and count of the samples that `mask` marks."""
  weight = layers.row_weights(mask, sums.shape[1])
  count = weight.sum() * INSIDE.size
  # Statistics are not for the short numbers of an accelerator's matrix units.
  mean, square = (
    jnp.dot(x, weight, precision=lax.Precision.HIGHEST) / count
    for x in (sums, squares)
  )
  return mean, jnp.maximum(square - jnp.square(mean), 0), count


PRESETS: dict[str, dict[str, Any]] = {'ststnet': {}}


def make(preset: str = 'ststnet', **overrides: Any) -> STSTNet:
  """STSTNet of a preset.

  Raises:
    ValueError: unknown preset.
    TypeError: unknown field.
  """
  if preset not in PRESETS:
    raise ValueError(f'no STSTNet preset {preset!r}; there are {list(PRESETS)}')
  fields = PRESETS[preset] | overrides
  if 'branches' in fields:
    fields['branches'] = tuple(fields['branches'])
  return STSTNet(**fields)
