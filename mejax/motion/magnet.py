"""MagNet: amplification by a network that separates shape from texture.

Oh, Jaroensri, Kim, Elgharib, Durand, Freeman, Matusik: "Learning-based video
motion magnification" (2018). An encoder splits each frame into texture and
shape, a manipulator amplifies the difference of shapes, and a decoder joins
texture and shape into a frame.
"""

from __future__ import annotations

from collections.abc import Mapping
import os
import pathlib
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


class MirroredConv(nn.Module):
  """A convolution without bias that mirrors the frame at its border."""

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


class ResidualBlock(nn.Module):
  """A residual block of two convolutions."""

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h w c']:
    width = x.shape[-1]
    inside = nn.relu(MirroredConv(width, name='conv_0')(x))
    return x + MirroredConv(width, name='conv_1')(inside)


class Encoder(nn.Module):
  """Splits a frame into texture and shape."""

  width: int
  num_blocks: int
  num_branch_blocks: int

  @nn.compact
  def __call__(
    self, frames: Float[Array, 'b h w 3']
  ) -> tuple[Float[Array, 'b p q d'], Float[Array, 'b r s d']]:
    """Returns texture at a quarter of the resolution and shape at a half."""
    x = nn.relu(MirroredConv(self.width // 2, 7, name='stem')(frames))
    x = nn.relu(MirroredConv(self.width, stride=2, name='down')(x))
    for i in range(self.num_blocks):
      x = ResidualBlock(name=f'block_{i}')(x)
    texture = nn.relu(MirroredConv(self.width, stride=2, name='texture')(x))
    shape = nn.relu(MirroredConv(self.width, name='shape')(x))
    for i in range(self.num_branch_blocks):
      texture = ResidualBlock(name=f'texture_block_{i}')(texture)
      shape = ResidualBlock(name=f'shape_block_{i}')(shape)
    return texture, shape


class Manipulator(nn.Module):
  """Adds the amplified difference of two shapes to the second."""

  size: int

  @nn.compact
  def __call__(
    self,
    before: Float[Array, 'b h w d'],
    after: Float[Array, 'b h w d'],
    gain: Float[Array, ''] | Float[Array, 'b 1 1 1'],
  ) -> Float[Array, 'b h w d']:
    width = after.shape[-1]
    change = nn.relu(
      MirroredConv(width, self.size, name='difference')(after - before)
    )
    change = MirroredConv(width, name='conv')(gain * change)
    return after + ResidualBlock(name='block')(change)


class Decoder(nn.Module):
  """Joins texture and shape into a frame."""

  num_blocks: int

  @nn.compact
  def __call__(
    self, texture: Float[Array, 'b p q d'], shape: Float[Array, 'b r s d']
  ) -> Float[Array, 'b h w 3']:
    x = jnp.concatenate([_twice(texture), shape], -1)
    for i in range(self.num_blocks):
      x = ResidualBlock(name=f'block_{i}')(x)
    x = nn.relu(MirroredConv(shape.shape[-1], name='conv')(_twice(x)))
    return MirroredConv(3, 7, name='frame')(x)


def _twice(x: Float[Array, 'b h w c']) -> Float[Array, 'b p q c']:
  """Repeats every pixel in a square of 2 x 2."""
  return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)


class MagNet(nn.Module):
  """The network; frames are in [-1, 1] and their sides are multiples of 4.

  The defaults are those of the paper.

  Attributes:
    width: channels of the encoder.
    difference: size of the kernel that reads the difference of shapes: 7 in the
      paper, 3 in public PyTorch weights.
    num_blocks: residual blocks before texture and shape separate.
    num_branch_blocks: residual blocks of texture and of shape.
    num_decoder_blocks: residual blocks of the decoder.
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
    """Returns the amplified apex, as in the paper.

    `gain` is alpha - 1, the factor of the difference of shapes.
    """
    return self.both(onset, apex, gain)[0]

  def both(
    self,
    onset: Float[Array, 'b h w 3'],
    apex: Float[Array, 'b h w 3'],
    gain: Float[Array, ''] | Float[Array, 'b 1 1 1'],
  ) -> tuple[Float[Array, 'b h w 3'], Float[Array, 'b h w 3']]:
    """Returns the amplified apex, and the apex encoded and decoded as it is."""
    _, before = self.encoder(onset)
    texture, after = self.encoder(apex)
    moved = self.decoder(texture, self.manipulator(before, after, gain))
    return moved, self.decoder(texture, after)


def network(params: PyTree) -> MagNet:
  """Returns the network that fits the names and shapes of parameters.

  Raises:
    ValueError: the parameters belong to another kind of network.
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


def parameter_shapes(
  module: MagNet,
) -> dict[tuple[str, ...], tuple[int, ...]]:
  """Returns names and shapes of the network's parameters."""
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
  """Reads parameters that `save_params` wrote.

  Raises:
    ValueError: the file does not hold all parameters of a MagNet.
  """
  arrays = files.read_npz(pathlib.Path(path), hint='Restore it from a copy.')
  flat = {name: jnp.asarray(array) for name, array in arrays.items()}
  params = flax.traverse_util.unflatten_dict(flat, sep='/')
  found = {tuple(name.split('/')): leaf.shape for name, leaf in flat.items()}
  if found != parameter_shapes(network(params)):
    raise ValueError(f'{path} does not hold all parameters of a MagNet')
  return params


# From our names of convolutions to those in the public PyTorch weights. Blocks
# have the same numbers in both.
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
  """Returns the name that our parameter has in the public PyTorch weights."""
  room, part, *inside, _ = name
  stem = part.rstrip('0123456789')
  theirs = TORCH_NAMES[f'{room}/{stem}'] + part[len(stem) :]
  for block in inside:
    theirs += f'.cba_{int(block[-1]) + 1}'
  return theirs + '.conv2d.weight'


def convert(state: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Converts a state dict of the public PyTorch version to our parameters.

  Raises:
    ValueError: entries are unknown, missing or of another shape; the message
      lists all of them.
  """
  state = {name.removeprefix('module.'): x for name, x in state.items()}
  first = np.shape(state.get('manipulator.g.conv2d.weight'))
  module = MagNet(difference=first[-1] if len(first) == 4 else 3)
  wanted = {
    torch_name(name): (name, shape)
    for name, shape in parameter_shapes(module).items()
  }
  problems = [f'unknown: {name}' for name in state if name not in wanted]
  flat = {}
  for theirs, (name, shape) in wanted.items():
    if theirs not in state:
      problems.append(f'missing: {theirs}')
      continue
    # PyTorch's order is [out, in, row, column].
    came, expected = np.shape(state[theirs]), (*shape[:1:-1], *shape[:2])
    if came != expected:
      problems.append(f'{theirs} is {came}, expected {expected}')
      continue
    kernel = np.transpose(state[theirs], (2, 3, 1, 0))
    flat[name] = jnp.asarray(kernel, jnp.float32)
  if problems:
    raise ValueError('not weights of MagNet:\n  ' + '\n  '.join(problems))
  return flax.traverse_util.unflatten_dict(flat)


def from_torch(path: str | os.PathLike) -> dict[str, Any]:
  """Reads parameters from a PyTorch file.

  Raises:
    OSError: the file cannot be read.
    ValueError: PyTorch is missing, the file holds more than weights (see
      `torch_weights.read_state_dict`), or entries do not fit; `convert` lists
      them.
  """
  return convert(torch_weights.read_state_dict(path))
