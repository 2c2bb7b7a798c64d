"""A small CNN on flow that keeps where a face moves.

The data are those of htnet_regions. The recipe was chosen on grouped folds of
these people, even batches against steps of one example: docs/recognition.md.
Command:  mejax train --config cnn --data_dir DIR --workdir RUN
Variant:  cnn:smoke  takes seconds; shows that all runs, learns nothing
Time: 2 minutes a seed on one busy CPU core.
Expected result: 5 seeds, UF1 .741 +- .004 (95 % over subjects .674 to .805),
UAR .732; seeds together .745.
"""

from mejax.configs import default

VARIANTS = ('smoke',)


def get_config(arg: str = ''):
  config = default.get_config()
  config.view.update(channels='strain_v_u', normalise='centre_std_each')
  config.model = {'name': 'cnn', 'preset': 'cnn', 'readout': 'flat'}
  config.schedule = 'one_cycle'
  config.setting.update(learning_rate=2e-3, weight_decay=0.05)
  config.setting.update(label_smoothing=0.1, warmup_fraction=0.3, mirror=0.5)
  config.setting.update(shift=2.0, mixup=0.4, test_mirror=0.5)
  config.update(num_epochs=12, even_batches=True)
  if arg == 'smoke':
    config.model.preset = 'tiny'
    config.update(num_epochs=2, num_seeds=1)
  return config
