"""Made-up records with subject effects and epochs that overfit."""

from __future__ import annotations

import numpy as np

CLASSES = ('negative', 'positive', 'surprise')


def make(
  *,
  corpora=(('casme2', 9, 6.0), ('samm', 10, 5.0), ('smic', 6, 9.0)),
  num_seeds=3,
  num_evaluations=12,
  num_inner=0,
  num_settings=1,
  skill=1.4,
  draw=0,
):
  """A record: trials of a classifier that is better on some subjects.

  Args:
    corpora: name, number of subjects and mean clips a subject of each.
    num_seeds: trainings of every fold.
    num_evaluations: evaluations of every training, one every 5 epochs.
    num_inner: inner folds; 0 for none.
    num_settings: settings; the later ones are a little better.
    skill: how far the right logit stands out.
    draw: which made-up record.
  """
  generator = np.random.default_rng(draw)
  labels, corpus, subject, clip, ease = [], [], [], [], []
  for name, num_subjects, mean in corpora:
    for s in range(num_subjects):
      ability = generator.normal(skill, 0.8)
      share = generator.dirichlet([1.6, 0.7, 0.6])
      for c in range(1 + generator.poisson(mean)):
        labels.append(generator.choice(3, p=share))
        corpus.append(name)
        subject.append(f's{s + 1:02d}')
        clip.append(f'clip{c + 1}')
        ease.append(ability + generator.normal(0, 0.7))
  labels = np.asarray(labels, np.int32)
  corpus, subject = np.asarray(corpus), np.asarray(subject)
  groups = np.char.add(np.char.add(corpus, '/'), subject)
  names, group = np.unique(groups, return_inverse=True)
  ease = np.asarray(ease)

  rows = [
    (setting, seed, fold, inner)
    for setting in range(num_settings)
    for seed in range(num_seeds)
    for fold in range(len(names))
    for inner in range(-1, num_inner)
  ]

  def held_out(fold, inner):
    if inner < 0:
      return np.flatnonzero(group == fold)
    rest = [g for g in range(len(names)) if g != fold]
    return np.flatnonzero(np.isin(group, rest[inner::num_inner]))

  index = [held_out(fold, inner) for _, _, fold, inner in rows]
  width = max(map(len, index))
  time = np.linspace(0, 1, num_evaluations)
  growth = 0.15 + 1.2 * time * np.exp(-0.35 * time)
  logits = np.zeros((len(rows), num_evaluations, width, 3), np.float32)
  padded = np.full((len(rows), width), -1, np.int32)
  loss = np.zeros((len(rows), num_evaluations), np.float32)
  for row, (setting, *_) in enumerate(rows):
    held = index[row]
    padded[row, : len(held)] = held
    noise = generator.normal(0, 1.0, (1, len(held), 3)) + generator.normal(
      0, 0.8, (num_evaluations, 1, 3)
    )
    right = np.eye(3)[labels[held]] * (ease[held] + 0.2 * setting)[:, None]
    logits[row, :, : len(held)] = noise + right * growth[:, None, None]
    loss[row] = 1.1 * np.exp(-3 * time) + 0.05 + generator.normal(0, 0.02)
  setting, seed, fold, inner = np.asarray(rows, np.int32).T
  return {
    'schema_version': np.int32(1),
    'logits': logits,
    'index': padded,
    'fold': fold,
    'inner': inner,
    'seed': seed,
    'setting': setting,
    'epochs': np.arange(5, 5 * num_evaluations + 1, 5).astype(np.int32),
    'train_loss': np.abs(loss),
    'labels': labels,
    'groups': groups,
    'corpus': corpus,
    'subject': subject,
    'clip': np.asarray(clip),
    'fold_names': names,
    'class_names': np.asarray(CLASSES),
  }
