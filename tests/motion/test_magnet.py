"""MagNet is compared with the same layers in PyTorch; its weights are read.

The names of the PyTorch module are those of the public version; a file of its
weights was not at hand.
"""

from __future__ import annotations

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.motion import magnet
from mejax.motion import magnify
from tests import compiling

torch = pytest.importorskip('torch')
nn = torch.nn


class Cba(nn.Module):
  def __init__(self, ins, outs, size=3, stride=1, relu=True):
    super().__init__()
    self.pad = nn.ReflectionPad2d(size // 2)
    self.conv2d = nn.Conv2d(ins, outs, size, stride, bias=False)
    self.relu = relu

  def forward(self, x):
    x = self.conv2d(self.pad(x))
    return x.relu() if self.relu else x


class ResBlk(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.cba_1 = Cba(width, width)
    self.cba_2 = Cba(width, width, relu=False)

  def forward(self, x):
    return x + self.cba_2(self.cba_1(x))


def _blocks(width, number):
  return nn.Sequential(*(ResBlk(width) for _ in range(number)))


class Encoder(nn.Module):
  def __init__(self):
    super().__init__()
    self.cba_1, self.cba_2 = Cba(3, 16, 7), Cba(16, 32, stride=2)
    self.resblks = _blocks(32, 3)
    self.texture_cba = Cba(32, 32, stride=2)
    self.texture_resblks = _blocks(32, 2)
    self.motion_cba = Cba(32, 32)
    self.motion_resblks = _blocks(32, 2)

  def forward(self, x):
    x = self.resblks(self.cba_2(self.cba_1(x)))
    texture = self.texture_resblks(self.texture_cba(x))
    return texture, self.motion_resblks(self.motion_cba(x))


class Manipulator(nn.Module):
  def __init__(self, size):
    super().__init__()
    self.g = Cba(32, 32, size)
    self.h_conv = Cba(32, 32, relu=False)
    self.h_resblk = ResBlk(32)

  def forward(self, a, b, factor):
    return b + self.h_resblk(self.h_conv(self.g(b - a) * factor))


class Decoder(nn.Module):
  def __init__(self):
    super().__init__()
    self.up = nn.Upsample(scale_factor=2)
    self.resblks = _blocks(64, 9)
    self.cba_1, self.cba_2 = Cba(64, 32), Cba(32, 3, 7, relu=False)

  def forward(self, texture, motion):
    x = self.resblks(torch.cat([self.up(texture), motion], 1))
    return self.cba_2(self.cba_1(self.up(x)))


class Reference(nn.Module):
  def __init__(self, size):
    super().__init__()
    self.encoder, self.decoder = Encoder(), Decoder()
    self.manipulator = Manipulator(size)

  def forward(self, a, b, factor):
    _, before = self.encoder(a)
    texture, after = self.encoder(b)
    return self.decoder(texture, self.manipulator(before, after, factor))


@pytest.fixture(scope='module', params=[3, 7])
def reference(request):
  torch.manual_seed(0)
  module = Reference(request.param).eval()
  with torch.no_grad():  # As they start, what comes out is nearly nothing.
    for kernel in module.parameters():
      kernel *= 1.4
  return module


@pytest.fixture(scope='module')
def small():
  """Returns the initial parameters of a small network."""
  module = magnet.MagNet(
    width=4, num_blocks=1, num_branch_blocks=1, num_decoder_blocks=1
  )
  frames = jnp.zeros((1, 16, 16, 3))
  init = jax.jit(module.init, compiler_options=compiling.options())
  return init(jax.random.key(0), frames, frames, jnp.float32(1))['params']


def _pair(*shape, seed=0):
  source = np.random.default_rng(seed)
  onset = source.uniform(size=(*shape, 3)).astype(np.float32)
  apex = onset + 0.05 * source.normal(size=onset.shape).astype(np.float32)
  return onset, np.clip(apex, 0, 1)


def test_the_network_is_that_of_pytorch_with_its_weights(reference, tmp_path):
  file = tmp_path / 'weights.pth'
  state = {f'module.{name}': x for name, x in reference.state_dict().items()}
  torch.save({'state_dict': state}, file)
  params = magnet.from_torch(file)
  onset, apex = (2 * x - 1 for x in _pair(2, 32, 24))
  with torch.no_grad():
    expected = reference(
      *(torch.tensor(x.transpose(0, 3, 1, 2)) for x in (onset, apex)), 2.5
    )
  found = jax.jit(magnet.network(params).apply)(
    {'params': params}, onset, apex, 2.5
  )
  expected = expected.numpy().transpose(0, 2, 3, 1)
  assert expected.std() > 0.05
  # Some thirty layers with sums of up to 576 products each.
  np.testing.assert_allclose(
    found, expected, rtol=0, atol=1e-4 * abs(expected).max()
  )


def test_all_that_is_wrong_with_weights_is_listed():
  state = {
    name: x.numpy().copy() for name, x in Reference(3).state_dict().items()
  }
  state['encoder.cba_1.conv2d.bias'] = np.zeros(16)
  del state['decoder.cba_2.conv2d.weight']
  state['encoder.cba_2.conv2d.weight'] = np.zeros((8, 16, 3, 3))
  state['manipulator.g.conv2d.weight'] = np.zeros(7)
  with pytest.raises(ValueError) as error:
    magnet.convert(state)
  for words in (
    'unknown: encoder.cba_1.conv2d.bias',
    'missing: decoder.cba_2.conv2d.weight',
    'encoder.cba_2.conv2d.weight is (8, 16, 3, 3), expected (32, 16, 3, 3)',
    'manipulator.g.conv2d.weight is (7,), expected (32, 32, 3, 3)',
  ):
    assert words in str(error.value)


def test_a_file_that_would_run_code_is_not_opened(tmp_path):
  file = tmp_path / 'weights.pth'
  torch.save({'state_dict': Reference(3)}, file)
  with pytest.raises(
    ValueError, match=r'weights\.pth .* holds more than weights'
  ):
    magnet.from_torch(file)


@pytest.mark.parametrize('content', [b'', b'these are no weights at all'])
def test_a_damaged_file_is_refused_by_its_name(content, tmp_path):
  file = tmp_path / 'weights.pth'
  with pytest.raises(FileNotFoundError):
    magnet.from_torch(file)
  file.write_bytes(content)
  with pytest.raises(ValueError, match=r'weights\.pth is damaged'):
    magnet.from_torch(file)


@pytest.mark.parametrize('content', [[1, 2], {'epoch': 3}])
def test_a_file_of_something_else_says_what_to_save(content, tmp_path):
  file = tmp_path / 'weights.pth'
  torch.save(content, file)
  with pytest.raises(ValueError, match=r'state_dict.*model\.state_dict\(\)'):
    magnet.from_torch(file)


def test_parameters_come_back_from_a_file(small, tmp_path):
  file = tmp_path / 'magnet.npz'
  magnet.save_params(file, small)
  assert [path.name for path in tmp_path.iterdir()] == ['magnet.npz']
  jax.tree.map(np.testing.assert_array_equal, magnet.load_params(file), small)


def test_half_a_network_is_refused(small, tmp_path):
  flat = flax.traverse_util.flatten_dict(small)
  flat.pop(('decoder', 'frame', 'kernel'))
  magnet.save_params(
    tmp_path / 'x.npz', flax.traverse_util.unflatten_dict(flat)
  )
  with pytest.raises(ValueError, match='does not hold all parameters'):
    magnet.load_params(tmp_path / 'x.npz')
  for params in ({'kernel': np.zeros(3)}, {}):
    with pytest.raises(ValueError, match='those of a MagNet'):
      magnify.learned(*_pair(16, 16), alpha=2, params=params)


def test_learned_needs_parameters_and_says_where_they_come_from():
  with pytest.raises(ValueError, match='from_torch.*magnet_training'):
    magnify.learned(*_pair(16, 16), alpha=2)


def test_learned_does_nothing_at_1_and_where_nothing_moves(small):
  onset, apex = _pair(18, 21)
  learned = magnify.MAGNIFY['learned']
  same = learned(onset, apex, alpha=1, params=small)
  np.testing.assert_array_equal(same, apex)
  still = learned(apex, apex, alpha=5, params=small)
  # Two passes through the decoder, which may round differently; frames are in
  # [0, 1] and a grey level of 255 is 4e-3.
  np.testing.assert_allclose(still, apex, rtol=0, atol=1e-5)
  moved = np.asarray(learned(onset, apex, alpha=5, params=small))
  assert moved.shape == apex.shape
  assert np.abs(moved - apex).max() > 1e-3


def test_learned_batches_are_each_pair_under_jit_and_vmap(small):
  onset, apex = _pair(4, 18, 21)

  def function(a, b):
    return magnify.learned(a, b, alpha=3, params=small)

  alone = np.stack([function(*pair) for pair in zip(onset, apex, strict=True)])
  deep = jax.jit(function)(*(x.reshape(2, 2, 18, 21, 3) for x in (onset, apex)))
  for batch in (deep.reshape(alone.shape), jax.vmap(function)(onset, apex)):
    np.testing.assert_allclose(batch, alone, atol=1e-4)
