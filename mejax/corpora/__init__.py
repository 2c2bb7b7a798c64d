"""Databases as they lie on disk, read into clips.

Each reader is a module with `read(root, **options) -> Iterator[Clip]`. The
table names modules instead of importing them, so that listing the corpora
needs none of the libraries that reading one does.
"""

CORPORA = {
  'htnet_release': 'mejax.corpora.htnet_release',
  'synthetic': 'mejax.corpora.synthetic',
}
