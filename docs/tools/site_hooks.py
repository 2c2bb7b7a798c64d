"""What MkDocs does beside its settings; see mkdocs.yml."""

from __future__ import annotations

import re

# A link to a file of the project that is no page of the site.
_ELSEWHERE = re.compile(
  r'\[([^\]]+)\]\((?:\.\./)+(?:colab|configs|mejax|results|tests|README)[^)]*\)'
)


def on_page_markdown(markdown: str, *, page, config, files) -> str:
  """Makes links to what lies outside of docs/ fit the site."""
  del page, config, files
  # data/README.md is a page of the site, and lies elsewhere.
  markdown = markdown.replace('](../docs/', '](')
  return _ELSEWHERE.sub(r'\1', markdown)
