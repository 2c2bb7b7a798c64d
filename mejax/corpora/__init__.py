"""Reads databases from disk as clips.

Each reader is a module with a `CORPUS` (see `corpus.Corpus`). The table names
modules instead of importing them, so that listing the corpora needs none of the
libraries that reading one does. A corpus of your own is given as
`package.module:name` in the same places.
"""

CORPORA = {
  'casme': 'mejax.corpora.casme',
  'casme2': 'mejax.corpora.casme2',
  'casme3': 'mejax.corpora.casme3',
  'fourdme': 'mejax.corpora.fourdme',
  'mmew': 'mejax.corpora.mmew',
  'samm': 'mejax.corpora.samm',
  'smic': 'mejax.corpora.smic',
  'htnet_release': 'mejax.corpora.htnet_release',
  'synthetic': 'mejax.corpora.synthetic',
  'video': 'mejax.corpora.video',
}
