"""Says what motions in recordings are most like.

recordings.py  recordings and a saved model -> a table
results.py     looks at one recording after the other; keeps what is finished
writing.py     writes the table, the pictures and the page
labels.py      who is in a recording, and whom a model may be asked of
events.py      which stretches of a recording are looked at
frames.py      the frames of these stretches, as clips
making.py      how a model's inputs are made of the frames of a video
looking.py     where motion decides what a model says
rows.py        the rows of the table
showing.py     pictures of an event, and what the page shows
annotating.py  a copy of a video with what was said of it
live.py        looks at a camera while it runs
watching.py    what is known of it, and what is recognised meanwhile
streams.py     opens a camera, or a recorded stream in its place
live_view.py   draws what is known at a frame
window.py      shows it in a window
shipped.py     the model that ships with mejax
"""
