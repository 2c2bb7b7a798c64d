"""Turns clips into examples, stores them with TFDS, and reads them as arrays.

prepare.py         makes a dataset from databases: `mejax prepare`
sources.py         the two sources: frames of databases, ready-made flow
recipe.py          how frames become examples; recipe_options.py its options
staging.py         decodes a clip, finds the face and cuts it out
face_search.py     finds the face in the frames that an example needs
workers.py         the processes that stage clips
frames_to_flow.py  aligns faces, amplifies motion, measures flow
clip_cache.py      makes the arrays of every clip once, and keeps them
clip_counts.py     counts the clips, and says why some are left out
builder.py         writes a dataset with TFDS
generated.py       makes examples of generated flow
rendered.py        reads rendered flow, to be trained on beside it
as_generated.py    makes flow of videos look like those
load.py            reads a dataset as arrays
views.py           model inputs made from flow
frame_pair.py      model inputs made from frames
protocols.py       which clips count, and who is held out together
protocol_file.py   reads a protocol from a table
emotions.py        maps the databases' words for emotions to classes
labelling.py       applies a protocol to examples
backdrop.py        mean face and motion, drawn behind attention maps
check.py           checks a database: `mejax check`; check_long.py long videos
known_truth.py     measures the errors of preparation on rendered faces
"""
