"""STSTNet with its published settings: 1,683 parameters, the last epoch.

Its authors' log ends with UF1 .7209, UAR .7250. Data as in htnet_regions.
Command:  mejax train --config ststnet --data_dir DIR --workdir RUN
Variant:  ststnet:smoke  takes seconds; shows that all runs, learns nothing
Time: 12 to 17 minutes a seed on two CPU cores.
Expected result: 5 seeds: UF1 .701 +- .010 (95 % over subjects .641 to .760),
UAR .690 +- .011, together .712; the oracle row (no estimate) has .769.
"""

from mejax.configs import default

VARIANTS = ('smoke',)


def get_config(arg: str = ''):
  config = default.get_config()
  # Flow in 0..255, as published.
  config.view.update(channels='strain_v_u', normalise='none')
  config.model = {'name': 'ststnet', 'preset': 'ststnet'}
  config.update(optimizer='adam', schedule='constant')
  config.setting.learning_rate = 5e-5
  config.update(batch_size=256, num_epochs=800, eval_every=10)
  if arg == 'smoke':
    config.update(num_epochs=2, eval_every=1, num_seeds=1)
  return config
