"""Calls the forms that a model has for other processors, on this one."""

from __future__ import annotations

import jax
import pytest


def pretend(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
  """Lets `platform_dependent` choose as for a platform, such as 'cuda'."""

  def choose(*args, default=None, **forms):
    return forms.get(name, default)(*args)

  monkeypatch.setattr(jax.lax, 'platform_dependent', choose)
