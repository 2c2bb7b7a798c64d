"""The CNN on generated flow alone, which is then applied to real people.

Command:
  mejax pretrain --config generated --workdir RUN
  mejax evaluate RUN --data_dir DIR
Time: TODO
Expected result: TODO
Variants:
  generated:htnet  HTNet on the whole face, face_small
  generated:artnet  ARTNet on three amplification levels, in pixels
  generated:smoke  takes seconds; shows that all runs, learns nothing
"""

from mejax.configs import default

VARIANTS = ('htnet', 'artnet', 'smoke')


def get_config(arg: str = ''):
  config = default.get_config()
  config.view.update(channels='strain_v_u', normalise='centre_std_each')
  config.model = {'name': 'cnn', 'preset': 'cnn', 'readout': 'flat'}
  config.model.num_units = 18
  config.schedule = 'one_cycle'
  config.setting.update(learning_rate=2e-3, weight_decay=0.05, units=1.0)
  config.setting.update(label_smoothing=0.1, warmup_fraction=0.3, mirror=0.5)
  config.setting.update(shift=2.0, test_mirror=0.5)
  config.update(num_folds=10, selection=('last',), even_batches=True)
  config.update(batch_size=64, num_epochs=12, num_seeds=1)
  if arg == 'smoke':
    config.model.preset = 'tiny'
    config.generated.update(people=20, pictures=3)
    config.update(num_epochs=2)
  return config
