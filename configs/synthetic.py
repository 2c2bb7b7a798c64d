"""The demo: a small HTNet on the rendered faces that mejax makes itself.

Command (makes the faces, prepares them and trains):
  mejax demo
Again, with other values, on the faces of a demo (prepared with --size 64):
  mejax train --config synthetic --data_dir runs/demo/data --workdir RUN

Variants:
  synthetic:smoke  seconds; shows that everything runs, learns nothing

Time: 50 seconds of training on two CPU cores, 20 more to make and prepare the
faces.
Expected result: UF1 .755 +- .019 at the last epoch, 2 seeds, 12 subjects, 108
clips; baselines .693 (PCA and logistic regression) and .695 (RBF-SVM).
"""

import ml_collections

VARIANTS = ('smoke',)


def get_config(arg: str = '') -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()

  # Which examples, which of them count, and what the model sees of them.
  config.dataset = 'synthetic'
  config.protocol = 'synthetic'
  config.view = ml_collections.ConfigDict()
  config.view.name = 'region_mosaic'
  config.view.mode = 'landmarks'
  # Motion relative to that of the whole face: a head that drifts says nothing.
  config.view.normalise = 'centre_std'

  # Fields of the model: a preset, and whatever shall differ from it.
  config.model = ml_collections.ConfigDict()
  config.model.name = 'htnet'
  config.model.preset = 'regions_small'
  # Flow of 64 pixels: each facial region is one block of 8 x 8 tokens.
  config.model.image_size = 64
  config.model.patch_size = 4
  config.model.dim = 16
  config.model.dropout = 0.2

  # Numbers that may differ between trainings of one compiled program.
  config.optimizer = 'adamw'
  config.schedule = 'warmup_cosine'
  config.setting = ml_collections.ConfigDict()
  config.setting.learning_rate = 2e-3
  config.setting.weight_decay = 0.05
  config.setting.b1 = 0.9
  config.setting.b2 = 0.999
  config.setting.label_smoothing = 0.1
  # Share of all steps in which the learning rate rises.
  config.setting.warmup_fraction = 0.1
  # Chance that a face is mirrored left-right, with its flow.
  config.setting.mirror = 0.5
  # Values to try side by side: `config.grid.learning_rate = (1e-3, 3e-4)`
  # trains every fold and seed with both. The first is the one reported.
  config.grid = ml_collections.ConfigDict()

  # Length and repetition.
  config.batch_size = 16
  config.num_epochs = 40
  # Epochs between two looks at the held-out clips; they go into the record.
  config.eval_every = 1
  config.num_seeds = 2
  config.seed = 0
  config.shuffle = True
  # Order before batching: '' as prepared, or 'class_descending'.
  config.order = ''

  # Parts in which people are left out; 0 leaves out one at a time.
  config.num_folds = 0

  # Rules that choose the epoch. 'inner' is honest too, and costs `inner_folds`
  # more trainings per fold.
  config.selection = ('last', 'oracle', 'oracle_f1')
  config.inner_folds = 5

  # How trials share a device: 'vmap' together, 'map' in turn, 'auto' decides.
  config.mode = 'auto'
  config.matmul_precision = 'default'
  config.checkpoint_every_s = 60.0
  # Keep the parameters of every finished trial.
  config.keep_models = True

  if arg == 'smoke':
    config.model.dim = 8
    config.num_epochs = 2
    config.num_seeds = 1
  return config.lock()
