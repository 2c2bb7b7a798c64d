"""The models in plain PyTorch, as one would write them there."""

from __future__ import annotations

import torch
from torch import nn


class STSTNet(nn.Module):
  """Three convolution branches; see `mejax.models.ststnet`."""

  def __init__(self):
    super().__init__()
    self.branches = nn.ModuleList(
      nn.Sequential(
        nn.Conv2d(3, filters, 3, padding=2),
        nn.ReLU(),
        nn.BatchNorm2d(filters),
        nn.MaxPool2d(3, 3, 1),
        nn.Dropout(0.5),
      )
      for filters in (3, 5, 8)
    )
    self.pool = nn.AvgPool2d(2)
    self.head = nn.Linear(400, 3)

  def forward(self, x):
    x = torch.cat([branch(x) for branch in self.branches], 1)
    return self.head(self.pool(x).flatten(1))


class CNN(nn.Sequential):
  """Two convolutions, a readout of places; see `mejax.models.cnn`."""

  def __init__(self):
    super().__init__(
      nn.Conv2d(3, 32, 5, 2, 2, bias=False),
      nn.BatchNorm2d(32),
      nn.MaxPool2d(2, ceil_mode=True),
      nn.ReLU(),
      nn.Conv2d(32, 64, 3, 1, 1, bias=False),
      nn.BatchNorm2d(64),
      nn.MaxPool2d(2, ceil_mode=True),
      nn.ReLU(),
      nn.Flatten(),
      nn.Dropout(0.5),
      nn.Linear(4 * 4 * 64, 3),
    )


class SSSNet(nn.Sequential):
  """Two convolutions, two linear layers; see `mejax.models.sssnet`."""

  def __init__(self):
    super().__init__(
      nn.Conv2d(3, 32, 5),
      nn.ReLU(),
      nn.MaxPool2d(3),
      nn.BatchNorm2d(32),
      nn.Dropout2d(0.5),
      nn.Conv2d(32, 64, 3),
      nn.ReLU(),
      nn.MaxPool2d(2),
      nn.BatchNorm2d(64),
      nn.Dropout2d(0.5),
      nn.Flatten(),
      nn.Linear(3 * 3 * 64, 256),
      nn.ReLU(),
      nn.Dropout(0.5),
      nn.Linear(256, 3),
    )


class Residual(nn.Module):
  """Two 3x3 convolutions with a shortcut around them."""

  def __init__(self, before: int, width: int, stride: int):
    super().__init__()
    self.body = nn.Sequential(
      nn.Conv2d(before, width, 3, stride, 1, bias=False),
      nn.BatchNorm2d(width),
      nn.ReLU(),
      nn.Conv2d(width, width, 3, 1, 1, bias=False),
      nn.BatchNorm2d(width),
    )
    self.short = nn.Identity()
    if stride > 1 or before != width:
      self.short = nn.Sequential(
        nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)
      )

  def forward(self, x):
    return torch.relu(self.body(x) + self.short(x))


class ResNet(nn.Sequential):
  """A stem and three residual blocks; see `mejax.models.resnet`."""

  def __init__(self):
    super().__init__(
      nn.Conv2d(3, 16, 3, 2, 1, bias=False),
      nn.BatchNorm2d(16),
      nn.ReLU(),
      Residual(16, 16, 1),
      Residual(16, 32, 2),
      Residual(32, 64, 2),
      nn.AdaptiveAvgPool2d(1),
      nn.Flatten(),
      nn.Dropout(0.2),
      nn.Linear(64, 3),
    )


class OffApexNet(nn.Module):
  """A stream of convolutions for u and for v; see `mejax.models.offapexnet`."""

  def __init__(self):
    super().__init__()
    self.streams = nn.ModuleList(
      nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
      )
      for _ in 'uv'
    )
    self.head = nn.Sequential(
      nn.Linear(2 * 7 * 7 * 16, 1024),
      nn.ReLU(),
      nn.Dropout(0.5),
      nn.Linear(1024, 1024),
      nn.ReLU(),
      nn.Dropout(0.5),
      nn.Linear(1024, 3),
    )

  def forward(self, x):
    pairs = zip(self.streams, x[:, :2].split(1, 1), strict=True)
    return self.head(torch.cat([one(y).flatten(1) for one, y in pairs], 1))


class Transformer(nn.Module):
  """Pre-norm attention and MLP over tokens [b, n, d]."""

  def __init__(self, dim: int, heads: int, mlp_mult: int):
    super().__init__()
    self.heads, inner = heads, dim // heads * heads
    self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
    self.qkv = nn.Linear(dim, 3 * inner, bias=False)
    self.out = nn.Linear(inner, dim)
    self.mlp = nn.Sequential(
      nn.Linear(dim, mlp_mult * dim),
      nn.GELU(),
      nn.Linear(mlp_mult * dim, dim),
    )

  def forward(self, x):
    b, n, _ = x.shape
    qkv = self.qkv(self.norms[0](x)).view(b, n, 3, self.heads, -1)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)
    y = nn.functional.scaled_dot_product_attention(query, key, value)
    x = x + self.out(y.transpose(1, 2).reshape(b, n, -1))
    return x + self.mlp(self.norms[1](x))


class HTNet(nn.Module):
  """Blocks of tokens in levels; see `mejax.models.htnet`."""

  def __init__(self, *, patch: int, dim: int, heads: int, depths):
    super().__init__()
    self.levels = len(depths)
    self.embed = nn.Conv2d(3, dim, patch, patch)
    side = 28 // patch // 2 ** (self.levels - 1)
    self.blocks, self.joins = nn.ModuleList(), nn.ModuleList()
    self.positions = nn.ParameterList()
    for level, depth in enumerate(depths):
      width = dim * 2**level
      if level:
        self.joins.append(nn.Conv2d(width // 2, width, 3, padding=1))
      self.positions.append(torch.randn(side**2, 1))
      self.blocks.append(
        nn.Sequential(
          *(Transformer(width, heads * 2**level, 4) for _ in range(depth))
        )
      )
    self.norms = nn.ModuleList(
      nn.LayerNorm(dim * 2**level) for level in range(1, self.levels)
    )
    self.pool = nn.MaxPool2d(3, 2, 1)
    self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3))

  def forward(self, x):
    x = self.embed(x)
    for level in range(self.levels):
      if level:
        x = self.joins[level - 1](x).permute(0, 2, 3, 1)
        x = self.pool(self.norms[level - 1](x).permute(0, 3, 1, 2))
      k = 2 ** (self.levels - 1 - level)
      b, d, n, _ = x.shape
      s = n // k
      x = x.view(b, d, k, s, k, s).permute(0, 2, 4, 3, 5, 1)
      x = x.reshape(b * k * k, s * s, d) + self.positions[level]
      x = self.blocks[level](x).view(b, k, k, s, s, d)
      x = x.permute(0, 5, 1, 3, 2, 4).reshape(b, d, n, n)
    x = self.head[0](x.permute(0, 2, 3, 1)).mean((1, 2))
    return self.head[1](x)


class ContinuousAttention(nn.Module):
  """Residual block that ends in a map; see `mejax.models.mmnet`."""

  def __init__(self, before: int, width: int, stride: int):
    super().__init__()
    self.stride = stride
    self.body = nn.Sequential(
      nn.Conv2d(before, width, 3, stride, 1, bias=False),
      nn.BatchNorm2d(width),
      nn.ReLU(),
      nn.Conv2d(width, width, 1, bias=False),
      nn.BatchNorm2d(width),
    )
    self.short = nn.Identity()
    if stride > 1:
      self.short = nn.Sequential(
        nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)
      )
    self.gate = nn.Sequential(
      nn.Conv2d(2, 1, 1, bias=False), nn.BatchNorm2d(1), nn.Sigmoid()
    )

  def forward(self, x, prior):
    x = torch.relu(self.body(x) + self.short(x))
    seen = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
    gate = self.gate(seen)
    if prior is not None:
      gate = gate * nn.functional.max_pool2d(prior, 3, 2, 1)
    return x * gate, gate


class MMNet(nn.Module):
  """Motion and position branches; the sizes are those of the release."""

  def __init__(
    self,
    *,
    size: int = 224,
    stem: tuple[int, int] = (180, 128),
    widths: tuple[int, ...] = (128, 128, 256, 512),
    mlp_mult: int = 4,
    num_classes: int = 5,
  ):
    super().__init__()
    self.side, width = size // 16, widths[-1]
    self.stem = nn.Sequential(
      nn.Conv2d(3, stem[0], 3, 2, 1, bias=False),
      nn.BatchNorm2d(stem[0]),
      nn.ReLU(),
      nn.Conv2d(*stem, 3, 1, 1, bias=False),
      nn.BatchNorm2d(stem[1]),
      nn.ReLU(),
    )
    sizes = zip((stem[1], *widths), widths, (1, 2, 2, 2), strict=False)
    self.blocks = nn.ModuleList(ContinuousAttention(*size) for size in sizes)
    self.embed = nn.Linear(3, width)
    self.position = nn.Parameter(0.02 * torch.randn(self.side**2, width))
    self.transformer = nn.Sequential(
      *(Transformer(width, 4, mlp_mult) for _ in range(2)), nn.LayerNorm(width)
    )
    self.head = nn.Linear(width * self.side**2, num_classes)

  def forward(self, pair):
    onset, apex = pair.unbind(1)
    x, prior = self.stem(apex - onset), None
    for block in self.blocks:
      x, prior = block(x, prior)
    side = (self.side, self.side)
    small = nn.functional.interpolate(onset, size=side, mode='bilinear')
    tokens = self.embed(small.flatten(2).transpose(1, 2)) + self.position
    tokens = self.transformer(tokens).transpose(1, 2).unflatten(2, side)
    return self.head((x + tokens).flatten(1))


class ARTNet(nn.Module):
  """Places, levels, regions; see `mejax.models.artnet`."""

  def __init__(
    self,
    *,
    levels: tuple[float, ...],
    side: int,
    patch: int,
    dim: int,
    heads: int,
    depth: int,
  ):
    super().__init__()
    self.patch, self.split = patch, side // patch // 2
    tokens = self.split**2
    self.register_buffer('scale', torch.tensor(levels).log()[:, None])
    self.embed = nn.Linear(patch * patch * 3, dim)
    self.place = nn.Parameter(0.5 * torch.randn(tokens, dim))
    self.region = nn.Parameter(0.5 * torch.randn(4, 1, dim))
    self.encoder, self.across_levels, self.across_regions = (
      nn.Sequential(*(Transformer(dim, heads, 4) for _ in range(depth)))
      for _ in range(3)
    )
    self.gather = nn.Linear(tokens * dim, dim)
    self.alpha = nn.Sequential(
      nn.Linear(1, dim, bias=False), nn.GELU(), nn.Linear(dim, dim, bias=False)
    )
    self.norm, self.pool = nn.LayerNorm(dim), nn.Linear(dim, 1, bias=False)
    self.head = nn.Linear(dim, 3)

  def forward(self, x):
    (b, a, c), n, p = x.shape[:3], self.split, self.patch
    x = x.view(b, a, c, 2, n, p, 2, n, p).permute(0, 1, 3, 6, 4, 7, 5, 8, 2)
    x = self.embed(x.reshape(b, a, 4, n * n, p * p * c))
    x = x + self.place + self.region
    d = x.shape[-1]
    x = self.gather(self.encoder(x.flatten(0, 2)).flatten(1)).view(b, a, 4, d)
    x = x + self.alpha(self.scale)[:, None]
    x = self.across_levels(x.transpose(1, 2).reshape(-1, a, d))
    x = x.view(b, 4, a, d).transpose(1, 2)
    x = self.norm(self.across_regions(x.reshape(-1, 4, d)).view(b, a * 4, d))
    return self.head((self.pool(x).softmax(1) * x).sum(1))
