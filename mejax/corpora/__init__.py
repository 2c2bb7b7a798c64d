"""Reads databases from disk as clips.

  corpus.py          a database to read: its name, options and `read`
  database.py        reads a label sheet and folders of frames into clips
  casme.py, ...      one database each
  video.py           the user's own recordings (recordings.py, and unread.py
                     for other files) and label sheet
  annotated.py       a row of a sheet and its frames -> a clip
  clip.py            the clip
  people.py          who is who, however the names are written, and
                     corpus_names.py which corpus
  sheets.py          finds a label sheet and its columns
  spreadsheets.py    spreadsheets and CSV files as cells
  cells.py           the text of a cell; text_files.py encodings
  repairs.py         known errors of published sheets, in repairs.csv
  frames.py          frame files and folders; frame_numbers.py their numbers
  decode.py          frames as arrays, with depth.py (bits of a pixel),
                     pixel_shape.py (square pixels), decoder_log.py (what
                     decoders print) and isolated.py, where files may crash it
  timing.py          numbers of a video's frames, with containers.py;
                     frame_rate.py their rate
  action_units.py    FACS codes
  long_videos.py     long videos with annotated events; casme2_long.py,
                     casme3_long.py, casme3_c_long.py and samm_long.py read them
  release_counts.py  how much of each database was published
  synthetic.py       the rendered corpus; faces/ draws its faces

Each reader is a module with a `CORPUS` (see `corpus.Corpus`). The table names
modules instead of importing them, so that listing the corpora needs none of the
libraries that reading one does. A corpus of your own is given as
`package.module:name` in the same places.
"""

CORPORA = {
  'casme': 'mejax.corpora.casme',
  'casme2': 'mejax.corpora.casme2',
  'casme3': 'mejax.corpora.casme3',
  'dfme': 'mejax.corpora.dfme',
  'fourdme': 'mejax.corpora.fourdme',
  'mmew': 'mejax.corpora.mmew',
  'samm': 'mejax.corpora.samm',
  'smic': 'mejax.corpora.smic',
  'htnet_release': 'mejax.corpora.htnet_release',
  'synthetic': 'mejax.corpora.synthetic',
  'video': 'mejax.corpora.video',
}

# Databases of long videos, in which events are to be spotted. Each is a module
# with a `DATABASE` (see `long_videos.LongDatabase`).
LONG_VIDEOS = {
  'casme2_long': 'mejax.corpora.casme2_long',
  'casme3_c_long': 'mejax.corpora.casme3_c_long',
  'casme3_long': 'mejax.corpora.casme3_long',
  'samm_long': 'mejax.corpora.samm_long',
}
