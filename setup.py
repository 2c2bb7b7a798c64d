"""Packaging of mejax: ranges, not pins."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(
  r"^__version__ = '(.+)'$", (ROOT / 'mejax/__init__.py').read_text(), re.M
).group(1)

setuptools.setup(
  name='mejax',
  version=VERSION,
  description='Facial micro-expression recognition in JAX: every fold of a '
  'leave-one-subject-out experiment trained in one program, reported honestly.',
  long_description=(ROOT / 'README.md').read_text(),
  long_description_content_type='text/markdown',
  # MIT is that of a model in mejax/assets.
  license='Apache-2.0 AND MIT',
  license_files=['LICENSE', 'mejax/assets/*.LICENSE'],
  classifiers=[
    'Intended Audience :: Science/Research',
    'Programming Language :: Python :: 3',
    'Topic :: Scientific/Engineering :: Artificial Intelligence',
  ],
  keywords='micro-expression recognition jax flax optical-flow',
  packages=setuptools.find_packages(include=['mejax', 'mejax.*']),
  # mejax/configs is a link to configs/, so that `--config NAME` finds the same
  # files in a checkout, in a wheel and in an editable install.
  package_data={
    'mejax': [
      'assets/*',
      'assets/recogniser/*',
      'assets/spotter/*',
      'configs/*.py',
      'configs/sweeps/*.py',
      'corpora/*.csv',
      'pages/templates/*',
    ]
  },
  python_requires='>=3.11',
  install_requires=[
    'absl-py>=2.1',
    'array_record>=0.8',
    'clu>=0.0.12',
    # For serialising what `jax.export` exports.
    'flatbuffers>=24.3',
    'flax>=0.12',
    # TFDS imports it without declaring it.
    'importlib_resources>=6.4',
    'jax>=0.10',
    'jaxtyping>=0.3',
    'jinja2>=3.1',
    'markupsafe>=2.1',
    'ml-collections>=1.0',
    'numpy>=2.0',
    'opencv-python>=4.14,<5',
    'openpyxl>=3.1',
    'optax>=0.2.6',
    'orbax-checkpoint>=0.12,<1',
    'pandas>=2.2',
    'safetensors>=0.8',
    'scikit-learn>=1.5',
    'scipy>=1.11',
    'shtab>=1.7',
    'tensorboardX>=2.6.2',
    'tensorflow-datasets>=4.9.10',
    'threadpoolctl>=3.5',
    'tqdm>=4.66',
    'xlrd>=2.0',
  ],
  extras_require={
    # CUDA 13 needs driver 580 and a Turing GPU (T4) or newer, CUDA 12 driver
    # 525.
    'cuda12': ['jax[cuda12]>=0.10'],
    'cuda13': ['jax[cuda13]>=0.10'],
    # The newest of them.
    'cuda': ['jax[cuda13]>=0.10'],
    'tpu': ['jax[tpu]>=0.10'],
    # What `mejax sweep` searches with; it brings a database library along.
    'search': ['optuna>=5.0'],
    # What `--engine dask` and batch systems need. Keys of the connections are
    # made by cryptography.
    'cluster': [
      'cryptography>=42',
      'dask-jobqueue>=0.9',
      'distributed>=2026.1',
    ],
    # The site of docs/: `mkdocs build --strict`.
    'docs': [
      'mkdocs>=1.6,<2',
      'mkdocs-material>=9.6,<10',
      'mkdocstrings-python>=2.0',
    ],
    'notebooks': ['ipykernel>=6.29', 'nbclient>=0.10', 'nbformat>=5.10'],
    'torch': ['torch>=2.4'],
    'test': [
      'beartype>=0.19',
      'cryptography>=42',
      'dask-jobqueue>=0.9',
      'distributed>=2026.1',
      # To open datasets as data/README.md shows it.
      'grain>=0.2.10',
      'hypothesis>=6.100',
      'import-linter>=2.1',
      'ipykernel>=6.29',
      # To read tables that mejax writes as Markdown.
      'markdown>=3.6',
      # For the photographs of faces inside this and scikit-image.
      'matplotlib>=3.8',
      'nbclient>=0.10',
      'mkdocs>=1.6,<2',
      'mkdocs-material>=9.6,<10',
      'mkdocstrings-python>=2.0',
      'nbformat>=5.10',
      'optuna>=5.0',
      'pytest>=8.2',
      'pytest-xdist>=3.6',
      'ruff>=0.9',
      'scikit-image>=0.24',
      'setuptools>=77',
    ],
  },
  entry_points={'console_scripts': ['mejax = mejax.cli:run']},
)
