"""SVG is well-formed whatever its text and attributes are."""

from __future__ import annotations

from xml.etree import ElementTree

import hypothesis
from hypothesis import strategies

from mejax.pages import svg

# What XML can hold at all.
WORDS = strategies.text(
  strategies.characters(codec='utf-8', exclude_categories=['Cc', 'Cs', 'Cn'])
)


@hypothesis.given(WORDS, WORDS)
def test_words_come_back_as_they_were(text, label):
  drawn = svg.drawing(3, 2.5, svg.element('title', text), label=label)
  tree = ElementTree.fromstring(drawn)
  assert tree.get('aria-label') == label
  assert (tree[0].text or '') == text and len(tree[0]) == 0


def test_attributes_have_hyphens_and_short_numbers_and_may_be_missing():
  drawn = svg.element(
    'text', class_='a', text_anchor='end', x=1 / 3, y=2.0, viewBox='0', r=None
  )
  assert (
    drawn == '<text class="a" text-anchor="end" x="0.33" y="2" viewBox="0"/>'
  )


def test_elements_nest_in_any_iterable():
  inside = [svg.element('b'), (svg.element('i'), ['<'])]
  assert svg.element('g', inside) == '<g><b/><i/>&lt;</g>'
