"""Weights and inputs of the released MMNet, by formula.

No weight is stored: each follows from its name in the release and its place in
the array, through splitmix64.
"""

from __future__ import annotations

import math
import zlib

import numpy as np

WIDTHS = (128, 128, 256, 512)
HEAD = (5, 512, 14, 14)


def uniform(name, count):
  """Splitmix64 of (crc32(name) << 32) + k, k = 0 .. count - 1, in [0, 1)."""
  with np.errstate(over='ignore'):
    z = np.arange(count, dtype=np.uint64)
    z += np.uint64(zlib.crc32(name.encode()) << 32)
    z += np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
  return (z >> np.uint64(11)) * 2.0**-53


def signed(name, shape):
  return 2 * uniform(name, math.prod(shape)).reshape(shape) - 1


def tensor(name, shape):
  """A parameter or running statistic of the release, float32."""
  s = signed(name, shape)
  leaf = name.rsplit('.', 1)[-1]
  if leaf == 'running_mean':
    s = 0.2 * s
  elif leaf == 'running_var':
    s = 1 + 0.5 * s
  elif leaf == 'pos_embed':
    s = 0.5 * s
  elif shape == (1, 2, 1, 1):
    s = np.array([0.8, -0.25]).reshape(shape) + 0.1 * s
  elif len(shape) > 1:
    gain = 1 if name.startswith('vit_pos.') or '.fc.' in name else 5
    s = s * math.sqrt(3 * gain / math.prod(shape[1:]))
  elif leaf == 'weight':
    s = 1 + 0.5 * s
  else:
    s = (2 + 0.5 * s) if name.endswith('.attn.1.bias') else 0.2 * s
  return s.astype(np.float32)


def pairs():
  """Two pairs (onset, apex), f32[2, 2, 224, 224, 3]."""
  b, c, h, w = np.ogrid[:2, :3, :224, :224]
  shape = (2, 3, 224, 224)
  wave = np.sin(2 * np.pi * (h * (b + 1) / 56 + c / 3))
  onset = wave * np.cos(2 * np.pi * w * (c + 1) / 75)
  onset = onset + 0.3 * signed('onset', shape)
  away = (h - 80 - 20 * b) ** 2 + (w - 120 + 15 * b) ** 2
  bump = np.exp(-away / (2 * 18.0**2))
  motion = (2 - 0.4 * c) * bump * np.cos(2 * np.pi * (h + w) / 23)
  motion = motion + 0.5 * signed('motion', shape)
  frames = np.stack([onset, onset + motion], 1).astype(np.float32)
  return frames.transpose(0, 1, 3, 4, 2)


def shapes(depth, mlp_mult):
  """Shape of every tensor of the release that its network uses."""
  found = {}

  def norm(name, width, *, running=True):
    leaves = ['weight', 'bias']
    leaves += ['running_mean', 'running_var'] if running else []
    found.update({f'{name}.{leaf}': (width,) for leaf in leaves})

  def linear(name, *shape):
    found[f'{name}.weight'] = shape
    found[f'{name}.bias'] = shape[:1]

  found['conv_act.0.weight'] = (180, 3, 3, 3)
  norm('conv_act.1', 180)
  found['main_branch.conv1.weight'] = (128, 180, 3, 3)
  norm('main_branch.bn1', 128)
  before = 128
  for i, width in enumerate(WIDTHS, 1):
    at = f'main_branch.layer{i}.0'
    found[f'{at}.conv1.weight'] = (width, before, 3, 3)
    norm(f'{at}.bn1', width)
    found[f'{at}.conv2.weight'] = (width, width, 1, 1)
    norm(f'{at}.bn2', width)
    found[f'{at}.attn.0.weight'] = (1, 2, 1, 1)
    norm(f'{at}.attn.1', 1)
    if i > 1:
      found[f'{at}.downsample.0.weight'] = (width, before, 1, 1)
      norm(f'{at}.downsample.1', width)
    before = width
  linear('main_branch.fc', 5, math.prod(HEAD[1:]))
  found['vit_pos.pos_embed'] = (1, 196, 512)
  linear('vit_pos.patch_embed.proj', 512, 3, 1, 1)
  for i in range(depth):
    at = f'vit_pos.blocks.{i}'
    norm(f'{at}.norm1', 512, running=False)
    linear(f'{at}.attn.qkv', 1536, 512)
    linear(f'{at}.attn.proj', 512, 512)
    norm(f'{at}.norm2', 512, running=False)
    linear(f'{at}.mlp.fc1', 512 * mlp_mult, 512)
    linear(f'{at}.mlp.fc2', 512, 512 * mlp_mult)
  norm('vit_pos.norm', 512, running=False)
  return found
