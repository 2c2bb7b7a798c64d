"""What a page says and holds, read by Python's own parser."""

from __future__ import annotations

import base64
import html.parser

import cv2
import numpy as np

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


def decode(source: str) -> np.ndarray:
  """RGB of the `src` of an image."""
  data = base64.b64decode(source.partition('base64,')[2], validate=True)
  return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
