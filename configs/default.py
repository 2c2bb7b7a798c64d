"""Defines every value of an experiment, with its type, default and meaning.

A config starts from these values and sets those that differ:

  from mejax.configs import default

  def get_config(arg: str = ''):
    config = default.get_config()
    config.dataset = 'casme2'
    config.num_epochs = 40
    return config

On the command line `--config.KEY=VALUE` changes one value of a config, for
example --config.num_seeds=2 or --config.setting.mirror=0.5. This file is not an
experiment: its model and settings are only a start.
"""

import ml_collections

from mejax.training import setting


def get_config(arg: str = '') -> ml_collections.ConfigDict:
  del arg  # There are no variants.
  config = ml_collections.ConfigDict()

  # Name of a dataset that `mejax prepare` made, in the folder --data_dir.
  config.dataset = 'htnet_release'
  # Which examples count, and the class of each: a name of
  # mejax.datasets.protocols.PROTOCOLS, a CSV file, or `package.module:name`.
  config.protocol = 'megc2019'
  # Order of the examples before batching: '' as prepared, or
  # 'class_descending'.
  config.order = ''

  # The view, which makes model inputs from examples: a name of
  # mejax.datasets.views.VIEWS or `package.module:name`, and its options. A new
  # name drops the options of the old one. normalise='centre_std' subtracts the
  # mean over the image from flow, because flow that was stretched from minimum
  # to maximum has no zero, and a drift of the head carries no information.
  config.view = ml_collections.ConfigDict({'name': 'full_flow'})

  # The model: a name of mejax.models.MODELS or `package.module:name`, a preset
  # of that model, and fields that differ from the preset's. Every field can be
  # set on the command line, even if it is not listed. A field that holds a
  # function is set by a name: `attention_fn` and `level_attention_fn` by one of
  # mejax.models.attention.ATTENTION, `gate` by one of mejax.models.mmnet.GATES,
  # all of them by `package.module:name`. A new name drops these options.
  config.model = ml_collections.ConfigDict({'name': 'htnet'})

  # Optimiser: 'adam', 'adamw', 'sgd', or 'adam_bf16', 'adamw_bf16', which keep
  # the first moment in bfloat16; see mejax/training/optimizer.py.
  config.optimizer = 'adamw'
  # Schedule of the learning rate: 'constant', 'warmup_cosine', 'one_cycle' or
  # 'mmnet'; see mejax/training/schedule.py.
  config.schedule = 'warmup_cosine'
  # Numbers that may differ between trainings of one compiled program. Their
  # meaning, defaults and bounds are defined in mejax/training/setting.py.
  # Augmentation and regularisation are off by default.
  config.setting = ml_collections.ConfigDict(
    {number.name: number.default for number in setting.NUMBERS.values()}
  )
  # Values of the same numbers to try side by side: --config.grid.mirror=0,0.5
  # trains every fold and seed with both. The first is reported. Several lists
  # are combined. An empty list keeps the number of `setting`.
  config.grid = ml_collections.ConfigDict(
    {name: () for name in setting.NUMBERS}
  )

  # Largest number of examples in a training step.
  config.batch_size = 32
  # Whether the examples of an epoch are spread evenly over its steps. Otherwise
  # each step is filled before the next, and the last may follow one example.
  config.even_batches = False
  # Largest number of examples whose gradient is computed at a time; those of a
  # step are added up. 0 takes all of a step together. Few examples stay in a
  # CPU's caches (16 make HTNet 1.3 to 1.6 times as fast), and many need memory.
  # Numbers differ by rounding, and by the draws of dropout. Models with batch
  # norm take 0 only.
  config.microbatch = 0
  # Passes over the training examples.
  config.num_epochs = 60
  # Epochs between two evaluations on the held-out clips, whose logits go into
  # the record; it must divide `num_epochs`.
  config.eval_every = 1
  # Digest of the model that training starts from, which `--init MODEL` sets; ''
  # for weights that are drawn.
  config.init = ''
  # Number of trainings of each fold, with the seeds `seed`, `seed` + 1, ...
  config.num_seeds = 5
  config.seed = 0
  # Whether every epoch draws a new order of the examples.
  config.shuffle = True

  # Which models are trained: 'held_out', one for each fold, or 'all', one more
  # that is trained on everybody. That one is to be used (`mejax pack`), and the
  # folds say how good it may be on people that it has not seen.
  config.folds = 'held_out'
  # Number of parts in which people are left out; 0 leaves them out one by one.
  config.num_folds = 0
  # What the folds divide: 'people', or 'clips' for comparison only. In folds
  # over clips the people of each held-out clip are trained on as well, so every
  # number has a warning. There are `num_folds` of them, or as many as people.
  config.folds_over = 'people'
  # Rules that choose the epoch of a model. 'last' and 'inner' are honest; the
  # two oracles choose on the test subject and are only shown for comparison.
  config.selection = ('last', 'oracle', 'oracle_f1')
  # Inner folds, by which the rule 'inner' chooses; each is another training.
  config.inner_folds = 5

  # Pictures that `mejax pretrain` generates to train on, see
  # mejax/datasets/generated.py; other verbs do not read this. It trains on the
  # people of all `num_folds` parts but the first, and reports on that one.
  config.generated = ml_collections.ConfigDict()
  # Version of the generator, so that a run is not continued under another.
  config.generated.version = 2
  # Number of made-up people.
  config.generated.people = 1000
  # Number of pictures of each.
  config.generated.pictures = 8
  # Seed of people and pictures.
  config.generated.seed = 0
  # Side in pixels.
  config.generated.size = 28
  # What is cut out: 'released' as in the flow images of HTNet, or 'aligned' as
  # by `mejax prepare`.
  config.generated.crop = 'released'
  # Amplification factors.
  config.generated.levels = (1.0,)
  # 'pixel', or 'minmax255' for channels that are stretched one by one.
  config.generated.units = 'minmax255'
  # Size of all that is no expression; 1 is usual.
  config.generated.disturbance = 1.0
  # How much people and their faces differ; 1 is usual.
  config.generated.variety = 1.0
  # How the skin follows a muscle: 'points', around places, or 'lines', towards
  # the end of it that is fixed.
  config.generated.pulling = 'points'
  # Name of a dataset of rendered faces, whose measured flow is added; '' for
  # none. docs/generated.md says how it is prepared.
  config.generated.rendered = ''
  # Number of pictures that are cut out of each of its clips.
  config.generated.cuts = 1

  # How the network for spotting is trained (the protocol 'spotting'); other
  # protocols do not read this. Its dataset is a folder that `mejax film` or
  # `mejax score_spotting` wrote.
  config.spotting = ml_collections.ConfigDict()
  # False alarms of each type a minute that thresholds leave in training people.
  config.spotting.budget = 0.5
  # Frames of a window, thirty a second.
  config.spotting.window = 512
  # Frames at each end of a window that are seen, but not told of.
  config.spotting.margin = 64

  # How trials share a device: 'vmap' together, 'map' in turn, 'auto' decides.
  config.mode = 'auto'
  # Precision of matrix products in JAX: 'highest' is full float32, also where
  # TF32 is the default. To compute in bfloat16, set model.dtype.
  config.matmul_precision = 'default'
  # Seconds between two checkpoints, from which a killed run continues; more, if
  # saving one takes over a twentieth of them. 0 saves as often as possible.
  config.checkpoint_every_s = 60.0
  # Whether to keep the parameters of every trial: `mejax evaluate` and the maps
  # of where models looked need them.
  config.keep_models = True
  return config
