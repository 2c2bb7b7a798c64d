"""Spots small movements of a face in a long recording, without training.

tracks.py      from frames to signals: shots, segments, and how they are joined
places.py      sixteen regions of a face, and the points that stand for them
following.py   follows these points through a segment
head.py        what the head does as a whole, fitted and removed
lids.py        blinks, and what the lids drag along, which is removed
run.py         signals of a stretch, its noise, and what else happens in it
bumps.py       regions that move away and come back
candidates.py  bumps that belong together: onset, apex, offset, type, score
inputs.py      what a network reads of the signals
curves.py      what a network says for each frame -> candidates
live.py        the same while a recording goes on, from past frames only

An analysed frame is one of about thirty a second; distances are shares of that
between the eyes.
"""
