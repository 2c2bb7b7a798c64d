"""What MkDocs does beside its settings; see mkdocs.yml."""

from __future__ import annotations


def on_page_markdown(markdown: str, *, page, config, files) -> str:
  """Makes the links of pages that lie elsewhere fit the site."""
  del page, config, files
  return markdown.replace('](../docs/', '](')
