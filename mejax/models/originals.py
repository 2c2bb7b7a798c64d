"""Tables of names: the place of each entry of an original's `state_dict`.

There is one table for each published model. It is explicit, so that nothing is
guessed: every entry either has a place and an order of axes here, or is listed
as one that the original creates but never reads.
"""

from __future__ import annotations

from collections.abc import Callable
import fnmatch
import functools
from typing import Any
from typing import NamedTuple

from jaxtyping import PyTree
import numpy as np

from mejax.models import htnet
from mejax.models import mmnet
from mejax.models import ststnet


class AxisOrder(NamedTuple):
  """How the axes of an array are reordered.

  Attributes:
    ours: converts an array of the original to our order.
    theirs: converts an array of ours back.
  """

  ours: Callable[[np.ndarray], np.ndarray]
  theirs: Callable[[np.ndarray], np.ndarray]


AS_IS = AxisOrder(lambda x: x, lambda x: x)
LINEAR = AxisOrder(lambda x: x.T, lambda x: x.T)
CONV = AxisOrder(  # [out, in, row, column] to [row, column, in, out]
  lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1)
)
POINTWISE = AxisOrder(  # A 1x1 convolution, which is a linear layer here.
  lambda x: x[:, :, 0, 0].T, lambda x: x.T[:, :, None, None]
)
CHANNEL = AxisOrder(  # A vector that the original keeps as [1, c, 1, 1].
  lambda x: x.reshape(-1), lambda x: x.reshape(1, -1, 1, 1)
)


class Entry(NamedTuple):
  """The place of an entry of a `state_dict` in our variables.

  Attributes:
    paths: path of the array, collection first; several if the entry is cut into
      equal parts along its first axis. None is a part that our model lacks,
      because neither reads it; on the way back it is zero.
    order: order of axes of each part.
  """

  paths: tuple[str | None, ...]
  order: AxisOrder

  def ours(self, value: np.ndarray) -> dict[str, np.ndarray]:
    """Converts an array of the original to our arrays, by path."""
    parts = np.split(value, len(self.paths))
    return {
      path: np.ascontiguousarray(self.order.ours(part))
      for path, part in zip(self.paths, parts, strict=True)
      if path is not None
    }

  def theirs(self, variables: PyTree) -> np.ndarray:
    """Picks our arrays and converts them to the one of the original."""
    return np.concatenate(self._parts(variables))

  def shape(self, variables: PyTree) -> tuple[int, ...]:
    """Returns the shape of `theirs` without making it."""
    parts = self._parts(variables)
    return (sum(map(len, parts)), *parts[0].shape[1:])

  def _parts(self, variables):
    there = {
      path: self.order.theirs(np.asarray(_follow(variables, path)))
      for path in self.paths
      if path is not None
    }
    missing = np.zeros_like(next(iter(there.values())))
    return [there.get(path, missing) for path in self.paths]


Table = dict[str, Entry]


class Original(NamedTuple):
  """A published model whose weights can be converted.

  Attributes:
    table: builds the table of names for one of our models.
    inputs: returns the shape of one input of our model.
    preset: the preset that equals the published model.
    unused: patterns of names that the original creates but never reads.
    published: for each published form the config with its data, protocol and
      view, mapped to the names of its classes.
    caution: how the authors chose the weights that they kept.
  """

  table: Callable[[Any], Table]
  inputs: Callable[[Any], tuple[int, ...]]
  preset: str
  unused: tuple[str, ...]
  published: dict[str, tuple[str, ...]]
  caution: str

  def never_reads(self, entry: str) -> bool:
    """Returns whether the original creates this entry but never reads it."""
    return any(fnmatch.fnmatchcase(entry, each) for each in self.unused)


def _follow(variables: PyTree, path: str) -> Any:
  return functools.reduce(
    lambda tree, key: tree[key], path.split('/'), variables
  )


def _entry(path: str, order: AxisOrder) -> Entry:
  return Entry((path,), order)


def _layer(theirs: str, ours: str, order: AxisOrder) -> Table:
  """Returns the entries of a linear layer or convolution: weight and bias."""
  return {
    f'{theirs}.weight': _entry(f'params/{ours}/kernel', order),
    f'{theirs}.bias': _entry(f'params/{ours}/bias', AS_IS),
  }


def _query_key_value(
  ours: str, leaf: str, order: AxisOrder, *, unread: bool = False
) -> Entry:
  """Returns the entry of a projection that is one array there, three here.

  With `unread` our model has the value alone.
  """
  query, key, value = (
    f'{ours}/{part}/{leaf}' for part in ('query', 'key', 'value')
  )
  return Entry((None, None, value) if unread else (query, key, value), order)


def _batch_norm(theirs: str, ours: str) -> Table:
  """Returns the entries of a batch norm: gain, offset, running statistics."""
  return {
    f'{theirs}.weight': _entry(f'params/{ours}/scale', AS_IS),
    f'{theirs}.bias': _entry(f'params/{ours}/bias', AS_IS),
    f'{theirs}.running_mean': _entry(f'batch_stats/{ours}/mean', AS_IS),
    f'{theirs}.running_var': _entry(f'batch_stats/{ours}/var', AS_IS),
  }


def htnet_table(model: htnet.HTNet) -> Table:
  """Returns the table for wangzhifengharrison/HTNet, commit 91cf4bda.

  It was verified against the authors' model, through golden/htnet. Our names of
  parameters call a hierarchy a level.
  """

  def norm(theirs, ours):
    return {
      f'{theirs}.g': _entry(f'params/{ours}/scale', CHANNEL),
      f'{theirs}.b': _entry(f'params/{ours}/bias', CHANNEL),
    }

  unread = model.block_tokens == 1 and not model.unread_weights
  table = _layer('to_patch_embedding.1', 'embed', POINTWISE)
  for hierarchy, depth in enumerate(model.depths):
    pos_emb = f'params/pos_emb{hierarchy}'
    table[f'layers.{hierarchy}.0.pos_emb'] = _entry(pos_emb, AS_IS)
    for block in range(depth):
      at, ours = (
        f'layers.{hierarchy}.0.layers.{block}',
        f'level{hierarchy}_block{block}',
      )
      table |= norm(f'{at}.0.norm', f'{ours}/attention_norm')
      table[f'{at}.0.fn.to_qkv.weight'] = _query_key_value(
        f'params/{ours}/attention', 'kernel', POINTWISE, unread=unread
      )
      table |= _layer(f'{at}.0.fn.to_out.0', f'{ours}/attention/out', POINTWISE)
      table |= norm(f'{at}.1.norm', f'{ours}/mlp_norm')
      table |= _layer(f'{at}.1.fn.net.0', f'{ours}/mlp/inner', POINTWISE)
      table |= _layer(f'{at}.1.fn.net.3', f'{ours}/mlp/outer', POINTWISE)
    if hierarchy < len(model.depths) - 1:
      table |= _layer(
        f'layers.{hierarchy}.1.0', f'aggregate{hierarchy}/conv', CONV
      )
      table |= norm(f'layers.{hierarchy}.1.1', f'aggregate{hierarchy}/norm')
  table |= norm('mlp_head.0', 'head_norm')
  return table | _layer('mlp_head.2', 'head', LINEAR)


def ststnet_table(model: ststnet.STSTNet) -> Table:
  """Returns the table for the PyTorch version of christy1206/STSTNet.

  The names are from public copies of that code, which agree; no weight file of
  its authors was at hand to verify them.
  """
  table: Table = {}
  for branch in range(len(model.branches)):
    table |= _layer(f'conv{branch + 1}', f'conv{branch}', CONV)
    table |= _batch_norm(f'bn{branch + 1}', f'norm{branch}')
  return table | _layer('fc', 'head', LINEAR)


def mmnet_table(model: mmnet.MMNet) -> Table:
  """Returns the table for muse1998/MMNet, commit 7b62fa9.

  It was verified against the authors' network, through golden/mmnet.
  """
  side, width = model.image_size // mmnet.SHRINK, model.widths[-1]

  def by_channel(x):
    """Reorders inputs from (row, column, channel) to (channel, row, column)."""
    return x.reshape(side, side, width, -1).transpose(3, 2, 0, 1)

  # The last layer reads a flattened map: channels first there, last here.
  flattened = AxisOrder(
    lambda x: (
      x.reshape(-1, width, side, side).transpose(2, 3, 1, 0).reshape(-1, len(x))
    ),
    lambda x: by_channel(x).reshape(x.shape[-1], -1),
  )

  def conv(theirs, ours, order=CONV):
    return {f'{theirs}.weight': _entry(f'params/{ours}/kernel', order)}

  table = conv('conv_act.0', 'stem0/conv')
  table |= _batch_norm('conv_act.1', 'stem0/norm')
  table |= conv('main_branch.conv1', 'stem1/conv')
  table |= _batch_norm('main_branch.bn1', 'stem1/norm')
  for i in range(len(model.widths)):
    at, ours = f'main_branch.layer{i + 1}.0', f'block{i}'
    table |= conv(f'{at}.conv1', f'{ours}/wide/conv')
    table |= _batch_norm(f'{at}.bn1', f'{ours}/wide/norm')
    table |= conv(f'{at}.conv2', f'{ours}/conv', POINTWISE)
    table |= _batch_norm(f'{at}.bn2', f'{ours}/norm')
    table |= conv(f'{at}.attn.0', f'{ours}/gate/conv', POINTWISE)
    table |= _batch_norm(f'{at}.attn.1', f'{ours}/gate/norm')
    if i:
      table |= conv(f'{at}.downsample.0', f'{ours}/short', POINTWISE)
      table |= _batch_norm(f'{at}.downsample.1', f'{ours}/short_norm')
  table |= {
    'main_branch.fc.weight': _entry('params/head/kernel', flattened),
    'main_branch.fc.bias': _entry('params/head/bias', AS_IS),
  }
  return table | _position_table(model)


def _position_table(model: mmnet.MMNet) -> Table:
  """Returns the entries of MMNet's transformer."""

  def norm(theirs, ours):
    return {
      f'{theirs}.weight': _entry(f'params/{ours}/scale', AS_IS),
      f'{theirs}.bias': _entry(f'params/{ours}/bias', AS_IS),
    }

  embedding = AxisOrder(lambda x: x[0], lambda x: x[None])
  table = {'vit_pos.pos_embed': _entry('params/position/position', embedding)}
  table |= _layer('vit_pos.patch_embed.proj', 'position/embed', POINTWISE)
  for i in range(model.depth):
    at, ours = f'vit_pos.blocks.{i}', f'position/block{i}'
    table |= norm(f'{at}.norm1', f'{ours}/attention_norm')
    for theirs, leaf, order in (
      ('weight', 'kernel', LINEAR),
      ('bias', 'bias', AS_IS),
    ):
      table[f'{at}.attn.qkv.{theirs}'] = _query_key_value(
        f'params/{ours}', leaf, order
      )
    table |= _layer(f'{at}.attn.proj', f'{ours}/out', LINEAR)
    table |= norm(f'{at}.norm2', f'{ours}/mlp_norm')
    table |= _layer(f'{at}.mlp.fc1', f'{ours}/inner', LINEAR)
    table |= _layer(f'{at}.mlp.fc2', f'{ours}/outer', LINEAR)
  return table | norm('vit_pos.norm', 'position/norm')


_THREE = ('negative', 'positive', 'surprise')
_COUNTERS = '*.num_batches_tracked'

ORIGINALS: dict[str, Original] = {
  'htnet': Original(
    table=htnet_table,
    inputs=lambda model: (model.image_size, model.image_size, 3),
    preset='released',
    unused=(),
    published={'htnet_released': _THREE},
    caution='The released HTNet code keeps the weights of the epoch that is'
    ' best on the held-out subject.',
  ),
  'mmnet': Original(
    table=mmnet_table,
    inputs=lambda model: (2, model.image_size, model.image_size, 3),
    preset='released-5',
    unused=(
      'timeembed',
      'pos.*',
      'head.1.weight',
      'vit_pos.cls_token',
      'vit_pos.head.*',
      'vit_pos.to_Mask.*',
      _COUNTERS,
    ),
    published={
      'mmnet_casme2': (
        'happiness',
        'repression',
        'disgust',
        'surprise',
        'others',
      ),
      'mmnet_casme2:3': ('happiness', 'surprise', 'negative'),
    },
    caution='The released MMNet code keeps no weights, and reports the epoch'
    ' that is best on the held-out subject.',
  ),
  'ststnet': Original(
    table=ststnet_table,
    inputs=lambda model: (28, 28, 3),
    preset='ststnet',
    unused=(_COUNTERS,),
    published={'ststnet': _THREE},
    caution='The log that its authors published is of the last epoch.',
  ),
}
