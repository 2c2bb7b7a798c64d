"""A residual network of three blocks on flow, 77,587 parameters.

Data and settings are those of htnet_regions, fixed before any test score.
Command:  mejax train --config resnet --data_dir DIR --workdir RUN
Variant:  resnet:smoke  takes seconds; shows that all runs, learns nothing
Time: about 13 minutes of one busy CPU core a seed.
Expected result: 5 seeds, UF1 .673 +- .013 (95 % .614 to .731), together .700.
"""

from mejax.configs import default

VARIANTS = ('smoke',)


def get_config(arg: str = ''):
  config = default.get_config()
  config.view.update(channels='strain_v_u', normalise='centre_std')
  config.model = {'name': 'resnet', 'preset': 'small'}
  config.setting.update(learning_rate=1e-3, weight_decay=0.05)
  config.setting.update(label_smoothing=0.1, warmup_fraction=0.1, mirror=0.5)
  if arg == 'smoke':
    config.model.preset = 'tiny'
    config.update(num_epochs=2, num_seeds=1)
  return config
