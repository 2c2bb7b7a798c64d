"""A linear classifier on flow, 7,059 parameters: the simplest model.

Data and settings are those of htnet_regions, fixed before any test score.
Command:  mejax train --config linear --data_dir DIR --workdir RUN
Variant:  linear:smoke  takes seconds; shows that all runs, learns nothing
Time: a quarter of a minute a seed on two idle CPU cores.
Expected result: 5 seeds, UF1 .651 +- .005 (.588 to .714), together .644.
"""

from mejax.configs import default

VARIANTS = ('smoke',)


def get_config(arg: str = ''):
  config = default.get_config()
  config.view.update(channels='strain_v_u', normalise='centre_std')
  config.model = {'name': 'linear', 'preset': 'linear'}
  config.setting.update(learning_rate=1e-3, weight_decay=0.05)
  config.setting.update(label_smoothing=0.1, warmup_fraction=0.1, mirror=0.5)
  if arg == 'smoke':
    config.update(num_epochs=2, num_seeds=1)
  return config
