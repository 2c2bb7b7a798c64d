"""Facial micro-expression recognition in JAX.

Read the package in the order in which the data goes:

  cli/              `mejax demo|prepare|check|train|...`: thin verbs
  experiment.py     config -> data, model, folds, run, floors, report
  apply.py          models that have learnt -> their held-out clips, a table
  saved.py          models of a run, and converted weights of the originals
  assemble.py       what a config names: model, trainer, trials
  task.py           inputs, labels and people of a run
  configuration.py  `--config NAME:variant --config.key=value` -> locked config
  workdir.py        the files of a run
  whole_file.py     how a file is written: whole or not at all
  pth.py            files of PyTorch weights, read without running code
  identity.py       what an object of a user's own is, told again in a new run
  corpora/          folders and sheets -> clips
  motion/           pixels -> optical flow and strain
  datasets/         clips -> examples on disk -> arrays, labels, views
  models/           HTNet, MMNet, small baselines, attention as a function
  training/         one training as pure functions, and all folds as one program
  evaluation/       held-out logits -> metrics, intervals, floors, report
  configs/          one file per experiment

Letters of array shapes, the same everywhere: b batch, t time, a amplification
level, h w pixels, c channel, n token or example, d width, k class, f fold,
s seed, r region. A trial is one training: (fold, seed, setting).
"""

__version__ = '0.1.0'
