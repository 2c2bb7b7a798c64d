"""MagNet: amplification by a network that tells shape from texture.

Oh, Jaroensri, Kim, Elgharib, Durand, Freeman, Matusik: "Learning-based video
motion magnification" (2018). An encoder splits each frame into texture and
shape, a manipulator amplifies the difference of shapes, and a decoder makes a
frame of the two again.
"""

from __future__ import annotations

from collections.abc import Mapping
import os
from typing import Any

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import PyTree
import numpy as np

from mejax import files
from mejax import torch_weights


class Conv(nn.Module):
  """Convolution without bias; the frame is mirrored at its border."""

  features: int
  size: int = 3
  stride: int = 1

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b p q d']:
    reach = self.size // 2
    widths = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    shape = (self.size, self.size, x.shape[-1], self.features)
    kernel = self.param('kernel', nn.initializers.he_normal(), shape)
    return jax.lax.conv_general_dilated(
      jnp.pad(x, widths, mode='reflect'),
      kernel,
      (self.stride, self.stride),
      'VALID',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )


class Block(nn.Module):
  """Two convolutions whose result is added to what came in."""

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h w c']:
    width = x.shape[-1]
    inside = nn.relu(Conv(width, name='conv_0')(x))
    return x + Conv(width, name='conv_1')(inside)


class Encoder(nn.Module):
  width: int
  num_blocks: int
  num_branch_blocks: int

  @nn.compact
  def __call__(
    self, frames: Float[Array, 'b h w 3']
  ) -> tuple[Float[Array, 'b p q d'], Float[Array, 'b r s d']]:
    """Texture at a quarter of the resolution, shape at a half."""
    x = nn.relu(Conv(self.width // 2, 7, name='stem')(frames))
    x = nn.relu(Conv(self.width, stride=2, name='down')(x))
    for i in range(self.num_blocks):
      x = Block(name=f'block_{i}')(x)
    texture = nn.relu(Conv(self.width, stride=2, name='texture')(x))
    shape = nn.relu(Conv(self.width, name='shape')(x))
    for i in range(self.num_branch_blocks):
      texture = Block(name=f'texture_block_{i}')(texture)
      shape = Block(name=f'shape_block_{i}')(shape)
    return texture, shape


class Manipulator(nn.Module):
  size: int

  @nn.compact
  def __call__(
    self,
    before: Float[Array, 'b h w d'],
    after: Float[Array, 'b h w d'],
    gain: Float[Array, ''] | Float[Array, 'b 1 1 1'],
  ) -> Float[Array, 'b h w d']:
    width = after.shape[-1]
    change = nn.relu(Conv(width, self.size, name='difference')(after - before))
    change = Conv(width, name='conv')(gain * change)
    return after + Block(name='block')(change)


class Decoder(nn.Module):
  num_blocks: int

  @nn.compact
  def __call__(
    self, texture: Float[Array, 'b p q d'], shape: Float[Array, 'b r s d']
  ) -> Float[Array, 'b h w 3']:
    x = jnp.concatenate([_twice(texture), shape], -1)
    for i in range(self.num_blocks):
      x = Block(name=f'block_{i}')(x)
    x = nn.relu(Conv(shape.shape[-1], name='conv')(_twice(x)))
    return Conv(3, 7, name='frame')(x)


def _twice(x: Float[Array, 'b h w c']) -> Float[Array, 'b p q c']:
  """Every pixel four times."""
  return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)


class MagNet(nn.Module):
  """The network; frames are in [-1, 1], sides multiples of 4.

  `gain` is alpha - 1: what is added to the shape of the second frame. The
  defaults are those of the paper. `difference` is the size of the kernel that
  sees the difference of shapes: 7 in the paper, 3 in public PyTorch weights.
  """

  width: int = 32
  difference: int = 7
  num_blocks: int = 3
  num_branch_blocks: int = 2
  num_decoder_blocks: int = 9

  def setup(self):
    self.encoder = Encoder(self.width, self.num_blocks, self.num_branch_blocks)
    self.manipulator = Manipulator(self.difference)
    self.decoder = Decoder(self.num_decoder_blocks)

  def __call__(
    self,
    onset: Float[Array, 'b h w 3'],
    apex: Float[Array, 'b h w 3'],
    gain: Float[Array, ''] | Float[Array, 'b 1 1 1'],
  ) -> Float[Array, 'b h w 3']:
    """The amplified apex, as the paper has it."""
    return self.both(onset, apex, gain)[0]

  def both(
    self,
    onset: Float[Array, 'b h w 3'],
    apex: Float[Array, 'b h w 3'],
    gain: Float[Array, ''] | Float[Array, 'b 1 1 1'],
  ) -> tuple[Float[Array, 'b h w 3'], Float[Array, 'b h w 3']]:
    """The amplified apex, and the apex taken apart and decoded again."""
    _, before = self.encoder(onset)
    texture, after = self.encoder(apex)
    moved = self.decoder(texture, self.manipulator(before, after, gain))
    return moved, self.decoder(texture, after)


def network(params: PyTree) -> MagNet:
  """The network that parameters belong to, read off their names and shapes.

  Raises:
    ValueError: parameters of something else.
  """
  try:
    encoder, decoder = params['encoder'], params['decoder']
    module = MagNet(
      width=encoder['down']['kernel'].shape[-1],
      difference=params['manipulator']['difference']['kernel'].shape[0],
      num_blocks=sum(name.startswith('block_') for name in encoder),
      num_branch_blocks=sum(name.startswith('shape_block') for name in encoder),
      num_decoder_blocks=sum(name.startswith('block_') for name in decoder),
    )
  except (KeyError, TypeError, AttributeError, IndexError) as error:
    raise ValueError(
      f'params must be those of a MagNet, but lack {error}; load_params or '
      'from_torch read a file'
    ) from error
  return module


def shapes(module: MagNet) -> dict[tuple[str, ...], tuple[int, ...]]:
  """Names and shapes of the network's parameters."""
  frames = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  gain = jax.ShapeDtypeStruct((), jnp.float32)
  made = jax.eval_shape(module.init, jax.random.key(0), frames, frames, gain)
  flat = flax.traverse_util.flatten_dict(made['params'])
  return {name: leaf.shape for name, leaf in flat.items()}


def save_params(path: str | os.PathLike, params: PyTree) -> None:
  """Writes parameters to a NumPy archive, whole or not at all."""
  flat = flax.traverse_util.flatten_dict(params, sep='/')
  with files.writing(path, 'wb') as file:
    np.savez(file, **{name: np.asarray(leaf) for name, leaf in flat.items()})


def load_params(path: str | os.PathLike) -> dict[str, Any]:
  """Parameters that `save_params` wrote.

  Raises:
    ValueError: parameters of something else.
  """
  with np.load(path) as file:
    flat = {name: jnp.asarray(file[name]) for name in file.files}
  params = flax.traverse_util.unflatten_dict(flat, sep='/')
  found = {tuple(name.split('/')): leaf.shape for name, leaf in flat.items()}
  if found != shapes(network(params)):
    raise ValueError(f'{path} holds no whole set of parameters of a MagNet')
  return params


# Where a convolution of ours is in the public PyTorch weights, whose blocks are
# numbered as ours.
TORCH_NAMES = {
  'encoder/stem': 'encoder.cba_1',
  'encoder/down': 'encoder.cba_2',
  'encoder/block_': 'encoder.resblks.',
  'encoder/texture_block_': 'encoder.texture_resblks.',
  'encoder/texture': 'encoder.texture_cba',
  'encoder/shape_block_': 'encoder.motion_resblks.',
  'encoder/shape': 'encoder.motion_cba',
  'manipulator/difference': 'manipulator.g',
  'manipulator/conv': 'manipulator.h_conv',
  'manipulator/block': 'manipulator.h_resblk',
  'decoder/block_': 'decoder.resblks.',
  'decoder/conv': 'decoder.cba_1',
  'decoder/frame': 'decoder.cba_2',
}


def torch_name(name: tuple[str, ...]) -> str:
  """The public PyTorch name of a parameter of ours."""
  room, part, *inside, _ = name
  stem = part.rstrip('0123456789')
  theirs = TORCH_NAMES[f'{room}/{stem}'] + part[len(stem) :]
  for block in inside:
    theirs += f'.cba_{int(block[-1]) + 1}'
  return theirs + '.conv2d.weight'


def convert(state: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Parameters from a state dict of the public PyTorch version, as arrays.

  Raises:
    ValueError: entries that are unknown, missing or of another shape; all of
      them are listed.
  """
  state = {name.removeprefix('module.'): x for name, x in state.items()}
  first = np.shape(state.get('manipulator.g.conv2d.weight'))
  module = MagNet(difference=first[-1] if len(first) == 4 else 3)
  wanted = {torch_name(name): (name, s) for name, s in shapes(module).items()}
  problems = [f'unknown: {name}' for name in state if name not in wanted]
  flat = {}
  for theirs, (name, shape) in wanted.items():
    if theirs not in state:
      problems.append(f'missing: {theirs}')
      continue
    # [out, in, row, column] there.
    came, expected = np.shape(state[theirs]), (*shape[:1:-1], *shape[:2])
    if came != expected:
      problems.append(f'{theirs} is {came}, expected {expected}')
      continue
    kernel = np.transpose(state[theirs], (2, 3, 1, 0))
    flat[name] = jnp.asarray(kernel, jnp.float32)
  if problems:
    raise ValueError('no weights of MagNet:\n  ' + '\n  '.join(problems))
  return flax.traverse_util.unflatten_dict(flat)


def from_torch(path: str | os.PathLike) -> dict[str, Any]:
  """Parameters from a PyTorch file of a user.

  Raises:
    OSError: the file cannot be read.
    ValueError: PyTorch is missing, the file holds more than weights (see
      `torch_weights.read_state_dict`), or entries do not fit; `convert` lists
      them.
  """
  return convert(torch_weights.read_state_dict(path))
