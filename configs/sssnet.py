"""SSSNet: two convolutions and two linear layers, 169,603 parameters.

The paper gives the layers, but not all of the training. Data and settings are
those of htnet_regions, fixed before any test score.
Command:  mejax train --config sssnet --data_dir DIR --workdir RUN
Variant:  sssnet:smoke  takes seconds; shows that all runs, learns nothing
Time: about 13 minutes of one busy CPU core a seed.
Expected result: 5 seeds, UF1 .717 +- .006 (95 % .649 to .791), together .713.
"""

from mejax.configs import default

VARIANTS = ('smoke',)


def get_config(arg: str = ''):
  config = default.get_config()
  config.view.update(channels='strain_v_u', normalise='centre_std')
  config.model = {'name': 'sssnet', 'preset': 'sssnet'}
  config.setting.update(learning_rate=1e-3, weight_decay=0.05)
  config.setting.update(label_smoothing=0.1, warmup_fraction=0.1, mirror=0.5)
  if arg == 'smoke':
    config.model.preset = 'tiny'
    config.update(num_epochs=2, num_seeds=1)
  return config
