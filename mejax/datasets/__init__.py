"""Clips to examples, examples to a TFDS dataset, and back as arrays.

prepare.py         databases to a dataset: `mejax prepare`
sources.py         the two sources: frames of databases, ready-made flow
recipe.py          how frames become examples
staging.py         one clip: decode, find the face, cut it out
workers.py         the processes that stage clips
frames_to_flow.py  faces to flow: align, amplify, measure
clip_cache.py      makes the arrays of every clip once, and keeps them
clip_counts.py     how many clips there are, and why some are left out
builder.py         writes a dataset with TFDS
load.py            reads a dataset as arrays
views.py           the input of a model, made of flow
frame_pair.py      the input of a model, made of frames
protocols.py       which clips count, and who is held out together
emotions.py        words for emotions to classes
labelling.py       applies a protocol to examples
backdrop.py        mean face and motion, drawn behind maps of places
check.py           which parts of a database are there: `mejax check`
known_truth.py     errors of preparation on rendered faces
"""
