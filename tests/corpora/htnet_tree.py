"""A small clone of the HTNet repository, with noise in place of its images."""

from __future__ import annotations

import csv
import pathlib

import cv2
import numpy as np

from mejax.datasets import prepare

FLOW = 'datasets/STSNet_whole_norm_u_v_os'
SHEET = 'combined_3_class2_for_optical_flow.csv'
POINTS = ('leye', 'reye', 'nose', 'lmouth', 'rmouth')
# Dataset, subject, clip, label, as the real sheet writes them.
ROWS = (
  ('casme2', 'sub01', 'EP02_01f', '1'),
  ('casme2', 'sub02', 'EP01_11f', '0'),
  ('smic', 's01', 's01_ne_01', '0'),
  ('smic', 's01', 's01_sur_02', '2'),
  ('samm', '006', '006_1_2', '2'),
)


def write_tree(root: pathlib.Path) -> dict[tuple[str, str, str], np.ndarray]:
  """Writes the tree and returns the (u, v, strain) image of each clip."""
  generator = np.random.default_rng(0)
  (root / FLOW).mkdir(parents=True)
  write_sheet(root, ROWS)
  images = {}
  for dataset, subject, clip, _ in ROWS:
    noise = cv2.GaussianBlur(generator.normal(size=(28, 28, 3)), None, 2)
    low, high = noise.min((0, 1)), noise.max((0, 1))
    image = np.rint((noise - low) / (high - low) * 255).astype(np.uint8)
    cv2.imwrite(str(flow_file(root, subject, clip)), image[..., ::-1])
    images[dataset, subject, clip] = image
  return images


def prepare_tree(folder: pathlib.Path) -> pathlib.Path:
  """Writes and prepares the tree below a folder; returns the data folder."""
  write_tree(folder / 'clone')
  prepare.prepare(
    'htnet_release', source=folder / 'clone', data_dir=folder / 'data'
  )
  return folder / 'data'


def flow_file(root: pathlib.Path, subject: str, clip: str) -> pathlib.Path:
  return root / FLOW / f'{subject}_{clip} .png'


def face_file(row) -> str:
  """The image of the face at the apex, as the real sheet names it."""
  return f'{row[1]}_{row[2]}.jpg'


def write_sheet(root: pathlib.Path, rows, columns=None):
  columns = columns or ('dataset', 'sub', 'filename_o', 'label')
  extra = ('apex', 'imagename', 'sub_filename')
  with (root / SHEET).open('w', newline='') as file:
    writer = csv.writer(file)
    writer.writerow([*columns, *extra])
    writer.writerows([*row, '', face_file(row), ''] for row in rows)


def write_landmarks(
  path: pathlib.Path, rows=ROWS, *, crops: bool = True
) -> dict[tuple[str, str, str], tuple[np.ndarray, np.ndarray]]:
  """Writes landmarks of the clips; returns points and crop points."""
  generator = np.random.default_rng(1)
  columns = [f'{p}_{axis}' for p in POINTS for axis in 'xy']
  header = ['dataset', 'subject', 'clip', *columns]
  if crops:
    header += [f'released_crop_{c}' for c in columns]
  made = {}
  with path.open('w', newline='') as file:
    writer = csv.writer(file)
    writer.writerow(header)
    for dataset, subject, clip, _ in rows:
      points = generator.uniform(5, 23, size=(5, 2)).round(2)
      crop = generator.integers(7, 22, size=(5, 2))
      values = [*points.ravel(), *(crop.ravel() if crops else ())]
      writer.writerow([dataset, subject, clip, *values])
      made[dataset, subject, clip] = points, crop
  return made
