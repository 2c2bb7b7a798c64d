"""A prepared dataset with frames near onset and apex, made of noise."""

from __future__ import annotations

import pathlib

import numpy as np

from mejax.datasets import builder


def write(
  data_dir: pathlib.Path,
  emotions: tuple[str, ...],
  *,
  corpus: str = 'casme2',
  subjects: int = 3,
  size: int = 40,
  neighbours: int = 4,
  levels: tuple[float, ...] = (1.0,),
) -> list[dict]:
  """Writes the dataset `corpus`: each subject shows each emotion once.

  Returns:
    the examples.
  """
  source = np.random.default_rng(0)

  def frames(count):
    return source.integers(0, 256, (count, size, size, 3), np.uint8)

  def example(subject, emotion):
    onset, apex = frames(neighbours + 1), frames(2 * neighbours + 1)
    return {
      'flow': source.normal(size=(len(levels), size, size, 3)).astype(
        np.float32
      ),
      'landmarks': source.uniform(0, size, (5, 2)).astype(np.float32),
      'onset': onset[0],
      'apex': apex[neighbours],
      'amplified': frames(len(levels)),
      'onset_frames': onset,
      'apex_frames': apex,
      **{
        f'{name}_number': np.int32(number)
        for name, number in (('onset', 40), ('apex', 120), ('offset', 160))
      },
      'emotion': emotion,
      'corpus': corpus,
      'subject': f'{subject:02d}',
      'clip': emotion,
      'apex_source': 'annotated',
    }

  examples = [
    example(subject, emotion)
    for subject in range(subjects)
    for emotion in emotions
  ]
  metadata = {
    'schema_version': builder.SCHEMA_VERSION,
    'corpus': corpus,
    'units': 'pixel',
    'strain': 'made up',
    'flow': {'method': 'made up'},
    'levels': list(levels),
    'size': size,
    'landmark_source': 'made up',
    'skipped': [],
    'clips': [
      '/'.join(each[key] for key in ('corpus', 'subject', 'clip'))
      for each in examples
    ],
  }
  builder.write(
    builder.Config(
      name=corpus,
      number=len(examples),
      examples=lambda start, stop: iter(examples[start:stop]),
      features=examples[0],
      metadata=metadata,
    ),
    data_dir / builder.NAME / corpus / builder.VERSION,
  )
  return examples
