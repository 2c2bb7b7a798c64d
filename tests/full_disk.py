"""A disk that is full for whoever writes more than so many bytes."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import resource


@contextlib.contextmanager
def no_larger_file_than(size: int) -> Iterator[None]:
  """Whoever writes one, Python or not, sees an error, as on a full disk."""
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
