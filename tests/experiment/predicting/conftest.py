"""What tests of predictions share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mejax.datasets import clip_cache


@pytest.fixture(scope='module')
def small() -> Iterator[None]:
  """Measures the flow of two faces together: that is enough here."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(clip_cache, 'BATCH', {'cpu': 2})
    yield
