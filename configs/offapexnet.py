"""OFF-ApexNet: one convolution stream for u, one for v, 2,664,475 parameters.

The paper gives the layers, but not all of the training. Data and settings are
those of htnet_regions, with larger batches and fewer epochs, fixed before any
test score.
Command:  mejax train --config offapexnet --data_dir DIR --workdir RUN
Variant:  offapexnet:smoke  takes seconds; shows that all runs, learns nothing
Time: about 15 minutes of one busy CPU core a seed.
Expected result: 5 seeds, UF1 .721 +- .013 (.662 to .778), together .724.
"""

from mejax.configs import default

VARIANTS = ('smoke',)


def get_config(arg: str = ''):
  config = default.get_config()
  config.view.update(channels='u_v_strain', normalise='centre_std')
  config.model = {'name': 'offapexnet', 'preset': 'offapexnet'}
  config.setting.update(learning_rate=1e-3, weight_decay=0.05)
  config.setting.update(label_smoothing=0.1, warmup_fraction=0.1, mirror=0.5)
  config.update(batch_size=64, num_epochs=30)
  if arg == 'smoke':
    config.model.preset = 'tiny'
    config.update(num_epochs=2, num_seeds=1)
  return config
