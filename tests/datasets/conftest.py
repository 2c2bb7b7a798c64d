"""A small HTNet tree and its dataset, made once."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mejax.corpora import synthetic
from mejax.datasets import load
from mejax.datasets import prepare
from tests.corpora import htnet_tree


@pytest.fixture(scope='session')
def rendered(tmp_path_factory):
  """Seven frames of a rendered face from onset to apex, RGB u8[96, 96, 3]."""
  folder = tmp_path_factory.mktemp('rendered') / 'faces'
  synthetic.write(
    folder,
    num_subjects=1,
    clips_per_subject=1,
    size=96,
    difficulty=0.0,
    progress=False,
  )
  clip = next(synthetic.read(folder))
  last = clip.frame_numbers.index(clip.apex)
  return [
    cv2.imread(str(clip.frames[i]), cv2.IMREAD_COLOR_RGB)
    for i in np.linspace(0, last, 7).round().astype(int)
  ]


@pytest.fixture
def tree(tmp_path):
  """A clone of the HTNet repository with five clips."""
  folder = tmp_path / 'clone'
  folder.mkdir()
  htnet_tree.write_tree(folder)
  return folder


@pytest.fixture(scope='session')
def small(tmp_path_factory):
  """Examples of such a clone with landmarks, and how they were written."""
  folder = tmp_path_factory.mktemp('small')
  images = htnet_tree.write_tree(folder / 'clone')
  points = htnet_tree.write_landmarks(folder / 'points.csv')
  prepare.prepare(
    'htnet_release',
    source=folder / 'clone',
    options={'landmarks': folder / 'points.csv'},
    data_dir=folder / 'data',
    progress=False,
  )
  return load.load_examples('htnet_release', folder / 'data'), images, points


@pytest.fixture(scope='session')
def released(released_dir):
  """The 442 examples of the real release, through prepare and load."""
  return load.load_examples('htnet_release', released_dir)
