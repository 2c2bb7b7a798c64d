"""A small network that spots expressions in long recordings.

It reads the signals that `mejax spot` measures, and is compared with spotting
without training on the same people: docs/how_to/train_spotting.md.
Command:  mejax film data/rendered_long --people 16 --seed 100
          mejax train --config spotter --data_dir data --workdir RUN
Variant:  spotter:smoke  takes seconds; shows that all runs, learns nothing
Time: 16 CPU minutes to film, 2 to train.
Expected result: F1 of 16 people held out, network / spotter without training as
it ships: micro .714 / .836, macro .931 / .741, both .819 / .785.
"""

from mejax.configs import default

VARIANTS = ('smoke',)


def get_config(arg: str = ''):
  config = default.get_config()
  config.update(dataset='rendered_long', protocol='spotting')
  config.model = {'name': 'spotter'}
  config.schedule = 'one_cycle'
  config.setting.update(learning_rate=5e-3, weight_decay=0.01)
  config.setting.update(warmup_fraction=0.3)
  config.update(num_folds=4, selection=('inner',), inner_folds=3)
  config.update(batch_size=8, num_epochs=24, eval_every=24, num_seeds=1)
  if arg == 'smoke':
    config.update(num_folds=2, inner_folds=2, num_epochs=1, eval_every=1)
  return config
