"""What a page says and holds, read by Python's own parser."""

from __future__ import annotations

import base64
import collections
import html.parser

import cv2
from hypothesis import strategies
import numpy as np

# What a page must show as it is.
SCRIPT = '</svg></style><script>alert(1)</script><b x="{{ title }}{% raw %}'
MARKUP = strategies.text('<>&"\'/ {}%#a!-', min_size=1, max_size=12)
VOID = {'meta', 'img', 'br', 'hr', 'input', 'link'}


class Page(html.parser.HTMLParser):
  """Text, pictures and links of a page; refuses tags that are not closed."""

  def __init__(self, text: str):
    super().__init__()
    self.open, self.images, self.links, self.anchors = [], [], [], []
    self.legends, self.words = [], []
    self.feed(text)
    self.close()
    assert self.open == []

  def handle_starttag(self, tag, attrs):
    values = dict(attrs)
    if tag not in VOID:
      self.open.append(tag)
    if tag == 'img':
      self.images.append((values['alt'], values['src']))
    if 'href' in values:
      self.links.append(values['href'])
    if 'id' in values:
      self.anchors.append(values['id'])
    if values.get('class') == 'legend':
      self.legends.append((values['data-flow'], values['data-strain']))

  def handle_startendtag(self, tag, attrs):
    self.handle_starttag(tag, attrs)
    if tag not in VOID:
      self.open.pop()

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    if 'style' not in self.open:
      self.words.append(data)

  @property
  def text(self) -> str:
    """All words, one space between two."""
    return ' '.join(' '.join(self.words).split())

  def pictures(self, alt: str) -> list[np.ndarray]:
    """RGB of the pictures that are called so."""
    return [decode(src) for called, src in self.images if called == alt]


class _Tags(html.parser.HTMLParser):
  def __init__(self, text: str):
    super().__init__()
    self.found = collections.Counter()
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    self.found[tag, *sorted(name for name, _ in attrs)] += 1


def count_tags(text: str) -> collections.Counter:
  """How often each tag, with the names of its attributes, is in a page."""
  return _Tags(text).found


def decode(source: str) -> np.ndarray:
  """RGB of the `src` of an image."""
  data = base64.b64decode(source.partition('base64,')[2], validate=True)
  return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
