"""Knows a corpus however its name is written.

Whoever asks for the people of `CASME II` means those of `casme2`: under two
names a model would be tested on people whom it was trained on.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from mejax import corpora
from mejax.corpora import people

NAMES = tuple(
  dict.fromkeys(
    (
      *corpora.CORPORA,
      *corpora.LONG_VIDEOS,
      *people.SAME_PEOPLE,
      *people.SAME_PEOPLE.values(),
      # Of people whom mejax makes up for a training.
      'generated',
      'rendered_long',
    )
  )
)
# CAS(ME)^2 is no spelling of CASME II: the power, or the brackets, tell.
_SQUARED = re.compile(
  r'(cas\W*\(me\)\W*[2²]|casme\W*(\^\W*2|²))(?![0-9])([\W_]*long)?'
)
_ROMAN = re.compile('(?<=casme)i{1,3}')
# Names that authors have for corpora and parts of them, as `_key` has them.
_ALIASES = {
  'casme1': 'casme',
  'casme3a': 'casme3',
  'casme3parta': 'casme3',
  'casme3partc': 'casme3_c',
  '4dme': 'fourdme',
  'smice': 'smic',
  'smichs': 'smic',
  'smicehs': 'smic',
  'smichse': 'smic',
  'smicevis': 'smic_vis',
  'smicvise': 'smic_vis',
  'smicenir': 'smic_nir',
  'smicnire': 'smic_nir',
}


@functools.cache
def common(name: str) -> str:
  """Returns the same for all spellings of a corpus.

  It is the name that mejax has for it, as `casme2` for `CASME II`; for a corpus
  that mejax does not know, the letters and digits, as `mylab` for `My-Lab`.
  """
  key = _key(name)
  return _known().get(key, key) or name


def _key(name: str) -> str:
  """Returns letters and digits of a name, numbers in Arabic digits."""
  text = _SQUARED.sub('casme2long', people.folded(name))
  text = unicodedata.normalize('NFKC', text)
  text = ''.join(sign for sign in text if sign.isalnum())
  text = _ROMAN.sub(lambda match: str(len(match[0])), text)
  return re.sub('longvideos?$', 'long', text)


@functools.cache
def _known() -> dict[str, str]:
  return {_key(name): name for name in NAMES} | _ALIASES
