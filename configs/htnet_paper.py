"""HTNet with the hierarchy in its paper, on flow of 128 pixels.

The blocks are quarters of each facial area, then the four areas, then the whole
face. In each block 16 tokens attend to each other, where the released sizes
have one; see `mejax/models/htnet.py`. Augmentation is as in artnet.
Command:
  mejax render faces --subjects 48 --clips 12 --seed 2
  mejax prepare synthetic --source faces --data_dir DIR --size 128
    --faces given --remove_head_motion
  mejax train --config htnet_paper:small --config.num_folds=4 --data_dir DIR
    --workdir RUN
Any dataset of 128 pixels works (--config.dataset=NAME and its protocol).
Variants:
  htnet_paper:small  1.4 million parameters instead of 140, 40 epochs, one seed
  htnet_paper:smoke  takes two minutes, because the baselines are not smaller;
                     shows that all runs, learns nothing
Time: :small takes 4 minutes a seed on two CPU cores. The full size has not been
trained; a seed is about 2 PFLOP, so it needs an accelerator.
Expected result: :small, 1 seed, 576 clips of 48 people, twelve left out at a
time: UF1 .924 (95 % over people .903 to .944) at the last epoch. On the same
flow the RBF-SVM has .889, .035 less (.011 to .058).
"""

from mejax.configs import default

VARIANTS = ('small', 'smoke')


def get_config(arg: str = ''):
  config = default.get_config()
  config.dataset = config.protocol = 'synthetic'
  config.view.update(name='region_mosaic', mode='landmarks')
  config.view.normalise = 'centre_std'
  config.model.update(name='htnet', preset='paper', attention_fn='softmax')
  config.model.update(dropout=0.2, drop_path=0.0)
  config.setting.update(learning_rate=1e-3, weight_decay=0.05)
  config.setting.update(label_smoothing=0.1, warmup_fraction=0.1, mirror=0.5)
  config.setting.update(mixup=0.3, scale_jitter=0.5, shift=1.0)
  config.setting.update(ema=0.98, test_mirror=0.5)
  config.batch_size = 16
  if arg == 'small':
    config.model.preset = 'paper_small'
    config.update(num_epochs=40, num_seeds=1)
  if arg == 'smoke':
    config.model.update(preset='paper_tiny', image_size=128)
    config.update(num_epochs=2, num_seeds=1)
  return config
