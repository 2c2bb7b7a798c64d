"""How a model of generated flow does on rendered videos of people it never saw.

  mejax render FACES --subjects 48 --clips 6 --seed 40
  mejax prepare synthetic --source FACES --size 64 --data_dir DATA
  python -m tests.benchmarks.rendered_people RUN --faces FACES --data_dir DATA

The whole chain is at work: faces are found in the frames and aligned, flow is
measured, and classes and action units are told. Prints each unit that is
rendered, and recognition of people in thirds by the colour of the skin, the
width of the face, the depth of its folds and, of faces that were rendered with
--ages, their age, with 95 % intervals over people.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import pathlib

from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Integer
from jaxtyping import Shaped
import numpy as np
from scipy import special

from mejax.corpora import synthetic
from mejax.corpora.faces import muscles
from mejax.datasets import load
from mejax.datasets import protocols
from mejax.evaluation import bootstrap
from mejax.evaluation import metrics
from mejax.evaluation import selection
from mejax.evaluation import units as units_lib
from mejax.experiment import applying
from mejax.experiment import resolve
from mejax.experiment import task as task_lib
from mejax.experiment import unit_scores
from mejax.experiment.packs import saved as saved_lib

# Where people are divided; the names of the parts.
GROUPS = {
  'tone': ('skin: dark', 'skin: medium', 'skin: light'),
  'width': ('face: narrow', 'face: medium', 'face: wide'),
  'folds': ('folds: shallow', 'folds: medium', 'folds: deep'),
  'age': ('age: young', 'age: middle', 'age: old'),
}


def read_units(
  faces: pathlib.Path, people: Shaped[np.ndarray, ' n']
) -> Float[np.ndarray, 'n u']:
  """Returns which of `muscles.NAMES` each clip, `subject/clip`, shows."""
  shown = {
    f'{clip.subject}/{clip.name}': {
      str(unit.number) for unit in clip.action_units
    }
    for clip in synthetic.read(faces)
  }
  return np.array(
    [[name in shown[clip] for name in muscles.NAMES] for clip in people], float
  )


def thirds(
  looks: Mapping[str, Mapping[str, float]],
  subject: Shaped[np.ndarray, ' n'],
) -> dict[str, Bool[np.ndarray, ' n']]:
  """Returns the clips of each third of the people, by its name.

  Without `mejax render --ages` people have no age.
  """
  known = next(iter(looks.values()))
  found = {}
  for look, names in GROUPS.items():
    if look not in known:
      continue
    people = sorted(looks, key=lambda name, look=look: looks[name][look])
    parts = np.array_split(np.array(people), len(names))
    found |= {
      name: np.isin(subject, part)
      for name, part in zip(names, parts, strict=True)
    }
  return found


def row(
  name: str,
  labels: Integer[np.ndarray, ' n'],
  said: Integer[np.ndarray, ' n'],
  subject: Shaped[np.ndarray, ' n'],
) -> str:
  """Returns number of people, UF1 with its interval, and UAR, as a row."""
  matrices = bootstrap.group_confusion(
    labels, said[None], subject, num_classes=3
  )
  low, high = bootstrap.interval(matrices, metrics.uf1_of)
  uf1, uar = (
    f(labels, said, num_classes=3) for f in (metrics.uf1, metrics.uar)
  )
  return (
    f'| {name} | {len(np.unique(subject))} | {uf1:.3f} ({low:.3f} to'
    f' {high:.3f}) | {uar:.3f} |'
  )


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument('run', type=pathlib.Path)
  parser.add_argument('--faces', type=pathlib.Path, required=True)
  parser.add_argument('--data_dir', type=pathlib.Path, required=True)
  parser.add_argument('--dataset', default='synthetic')
  args = parser.parse_args()
  examples = load.load_examples(args.dataset, args.data_dir)
  metadata = load.read_metadata(args.dataset, args.data_dir)
  saved = saved_lib.read_models(args.run)
  reading = resolve.find_reading(
    saved.config, protocol=protocols.PROTOCOLS['synthetic']
  )
  clips = task_lib.make_clips(
    examples, metadata, view=reading['view'], options=reading['options']
  )
  if saved.packed:
    said = saved.packed.log_probabilities(clips.inputs).argmax(-1)
    shares = saved.packed.predict_units(clips.inputs)
    thresholds = saved.packed.thresholds
  else:
    logits, told = applying.apply_folds(
      saved, clips, keep=lambda out: out['units']
    )
    said = selection.probabilities(logits).mean(0).argmax(-1)
    shares = special.expit(told).mean(0)
    (thresholds,) = unit_scores.read(args.run)['thresholds'].values()
  labels = np.array(
    [saved.classes.index(word) for word in examples['emotion'].tolist()]
  )
  subject = examples['subject']
  names = np.char.add(np.char.add(subject, '/'), examples['clip'])
  truth = read_units(args.faces, names)
  rendered = np.flatnonzero(truth.any(0))
  numbers = units_lib.score(
    shares[:, rendered],
    truth[:, rendered],
    np.array(muscles.NAMES)[rendered].tolist(),
    np.array(thresholds)[rendered],
  )
  print(units_lib.format_scores(numbers))
  print('\n| people | number | UF1 (95 %) | UAR |\n|---|---|---|---|')
  print(row('all', labels, said, subject))
  for name, mask in thirds(synthetic.looks(args.faces), subject).items():
    print(row(name, labels[mask], said[mask], subject[mask]))


if __name__ == '__main__':
  main()
