"""Every value of an experiment, with its type, its default and its meaning.

A config starts from these values and sets those in which it differs:

  from mejax.configs import default

  def get_config(arg: str = ''):
    config = default.get_config()
    config.dataset = 'casme2'
    config.num_epochs = 40
    return config

On the command line `--config.KEY=VALUE` changes one value of a config, for
example --config.num_seeds=2 or --config.setting.mirror=0.5. This file is no
experiment itself: it names no model that is worth training.
"""

import ml_collections

from mejax.training import setting


def get_config(arg: str = '') -> ml_collections.ConfigDict:
  del arg  # There are no variants.
  config = ml_collections.ConfigDict()

  # A dataset that `mejax prepare` made, in the folder of --data_dir.
  config.dataset = 'htnet_release'
  # Which examples count, and the class of each: a name of
  # mejax.datasets.protocols.PROTOCOLS, a CSV file, or `package.module:name`.
  config.protocol = 'megc2019'
  # Order of the examples before batching: '' as prepared, or
  # 'class_descending'.
  config.order = ''

  # What the model sees of an example: a name of mejax.datasets.views.VIEWS or
  # `package.module:name`, and options of that function. Another name drops the
  # options of the old one. normalise='centre_std' makes flow relative to its
  # mean over the image: flow that was stretched from minimum to maximum has no
  # zero of its own, and a head that drifts says nothing.
  config.view = ml_collections.ConfigDict({'name': 'full_flow'})

  # A name of mejax.models.MODELS or `package.module:name`, a preset of that
  # model, and fields that differ from the preset's. Every field can be set on
  # the command line, whether it is listed or not. A field that holds a function
  # is set by a name: `attention_fn` and `level_attention_fn` by one of
  # mejax.models.attention.ATTENTION, `gate` by one of mejax.models.mmnet.GATES,
  # all of them by `package.module:name`. Another model drops these options.
  config.model = ml_collections.ConfigDict({'name': 'htnet'})

  # Direction of a step: 'adam', 'adamw' or 'sgd'; mejax/training/optimizer.py.
  config.optimizer = 'adamw'
  # Course of the learning rate: 'constant', 'warmup_cosine' or 'mmnet';
  # mejax/training/schedule.py.
  config.schedule = 'warmup_cosine'
  # Numbers that may differ between trainings of one compiled program. What each
  # means, its default and its bounds stand in mejax/training/setting.py.
  # Augmentation and regularisation are off here.
  config.setting = ml_collections.ConfigDict(
    {number.name: number.default for number in setting.NUMBERS.values()}
  )
  # Values of the same numbers to try side by side: --config.grid.mirror=0,0.5
  # trains every fold and seed with both. The first is the one that is reported;
  # several lists are combined. An empty one keeps the number of `setting`.
  config.grid = ml_collections.ConfigDict(
    {name: () for name in setting.NUMBERS}
  )

  # Examples in a training step, at most.
  config.batch_size = 32
  # Passes over the training examples.
  config.num_epochs = 60
  # Epochs between two looks at the held-out clips, which go into the record; it
  # must divide `num_epochs`.
  config.eval_every = 1
  # Trainings of each fold, with the seeds `seed`, `seed` + 1, ...
  config.num_seeds = 5
  config.seed = 0
  # Draw a new order of the examples every epoch; else keep that of the data.
  config.shuffle = True

  # Parts in which people are left out; 0 leaves them out one at a time.
  config.num_folds = 0
  # Rules that choose the epoch of a model. 'last' and 'inner' are honest; the
  # two oracles choose on the test subject and are shown for comparison.
  config.selection = ('last', 'oracle', 'oracle_f1')
  # More trainings for each fold, from which the rule 'inner' chooses.
  config.inner_folds = 5

  # How trials share a device: 'vmap' together, 'map' in turn, 'auto' decides.
  config.mode = 'auto'
  # Of JAX: 'highest' computes in full float32 where TF32 is the default.
  config.matmul_precision = 'default'
  # Seconds between two checkpoints, from which a killed run goes on.
  config.checkpoint_every_s = 60.0
  # Keep the parameters of every finished trial: `mejax evaluate` and the
  # pictures of where models looked need them.
  config.keep_models = True
  return config
