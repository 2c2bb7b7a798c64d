"""HTNet on the whole face, with a readout that keeps where the face moves.

The data are those of htnet_regions. The recipe was chosen on grouped folds of
these people: see docs/recognition.md.
Command:  mejax train --config htnet_face:small --data_dir DIR --workdir RUN
Variants:
  htnet_face:small  84,741 parameters instead of 576,805
  htnet_face:smoke  takes seconds; shows that all runs, learns nothing
Time: :small about 20 minutes a seed on two idle CPU cores.
Expected result: :small, 5 seeds: UF1 .745 +- .009 (95 % over subjects .678 to
.812), results/htnet_face; in five parts .751 and .735. Full size: untrained.
"""

from mejax.configs import default

VARIANTS = ('small', 'smoke')


def get_config(arg: str = ''):
  config = default.get_config()
  config.view.update(channels='strain_v_u', normalise='centre_std_each')
  config.model.update(name='htnet', preset='face', attention_fn='softmax')
  config.model.update(dropout=0.2, readout='flat')
  config.schedule = 'one_cycle'
  config.setting.update(learning_rate=1e-3, weight_decay=0.05)
  config.setting.update(label_smoothing=0.1, warmup_fraction=0.3, mirror=0.5)
  config.setting.update(shift=2.0, mixup=0.4, test_mirror=0.5)
  config.update(num_epochs=30, even_batches=True)
  if arg == 'small':
    config.model.preset = 'face_small'
  if arg == 'smoke':
    config.model.preset = 'tiny'
    config.update(num_epochs=2, num_seeds=1)
  return config
