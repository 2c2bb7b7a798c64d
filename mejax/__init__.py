"""Facial micro-expression recognition in JAX.

The folders:

  cli/              the command line: `mejax demo|prepare|check|spot|...`
  experiment/       a config -> a plan -> a run, its saved models and its report
  pages/            numbers and arrays -> HTML pages
  corpora/          folders and sheets -> clips
  motion/           pixels -> optical flow and strain
  datasets/         clips -> examples on disk -> arrays, labels, views
  models/           ARTNet, HTNet, MMNet, small networks, attention functions
  training/         one training as pure functions, and all folds as one program
  evaluation/       held-out logits -> metrics, intervals, baselines, tables
  files.py          files that are written whole or not at all
  torch_weights.py  weights in PyTorch files, read without running their code
  configs/          default.py lists every value; one file for each experiment;
                    configs/sweeps/ has the spaces of searches

Letters of array shapes, the same everywhere: b batch, t time, a amplification
level, h w pixels, c channel, n token or example, d width, k class, f fold,
s seed, r region. A trial is one training: (fold, seed, setting).
"""

__version__ = '0.3.0.dev0'


def __getattr__(name: str) -> object:
  # Imported on first use, so that `import mejax` stays instant; by name, since
  # modules of all floors read the version here.
  if name in ('spot', 'predict'):
    import importlib

    home = {'spot': 'spotting', 'predict': 'predicting'}[name]
    module = importlib.import_module(f'mejax.experiment.{home}.recordings')
    return getattr(module, name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
