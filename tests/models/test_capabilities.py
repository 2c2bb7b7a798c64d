"""What models declare of themselves, and how a wrong declaration is refused."""

from __future__ import annotations

from flax import linen as nn
import pytest

from mejax import models
from mejax.models import capabilities
from mejax.models.capabilities import Capabilities
from tests import own_parts


def test_a_model_that_declares_nothing_has_the_defaults():
  assert capabilities.declared_by(own_parts.Linear()) == Capabilities()


@pytest.mark.parametrize(
  ('name', 'fields', 'expected'),
  [
    ('linear', {}, Capabilities()),
    ('offapexnet', {}, Capabilities()),
    ('cnn', {}, Capabilities(takes_mask=True)),
    ('resnet', {}, Capabilities(takes_mask=True)),
    ('sssnet', {}, Capabilities(takes_mask=True)),
    ('ststnet', {}, Capabilities(takes_mask=True)),
    ('htnet', {}, Capabilities(shows='hierarchies')),
    (
      'mmnet',
      {'preset': 'released-3'},
      Capabilities(takes_mask=True, spare_outputs=2, shows='gates'),
    ),
  ],
)
def test_models_declare_what_they_have(name, fields, expected):
  model = models.make(name, **fields)
  assert capabilities.declared_by(model) == expected


def test_artnet_declares_its_levels_and_that_it_is_a_reconstruction():
  assert capabilities.declared_by(models.make('artnet')).levels == ()
  model = models.make('artnet', levels=(1.0, 4.0))
  found = capabilities.declared_by(model)
  assert found.levels == (1, 4) and found.shows == 'levels'
  assert 'reconstruction from the abstract' in found.caution


def test_a_declaration_of_another_type_is_an_error():
  class Wrong(nn.Module):
    capabilities = {'takes_mask': True}

  with pytest.raises(ValueError, match=r'Wrong.capabilities is a dict; expect'):
    capabilities.declared_by(Wrong())


def test_levels_need_a_field_that_the_data_can_fill():
  class Wrong(nn.Module):
    capabilities = Capabilities(levels=())

  with pytest.raises(ValueError, match='no field.*levels: tuple'):
    capabilities.declared_by(Wrong())
