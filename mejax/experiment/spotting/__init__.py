"""Spots expressions in long recordings, and scores that on databases of them.

recordings.py       one recording, or a folder of them: candidates and a page
pictures.py         shows a candidate
turning.py          turns a picture back that lies on its side
several_faces.py    which of them is followed
remarks.py          what a recording cannot show, in words
recognising.py      the class of a candidate: spot, then recognise
database.py         scores the spotter on a database of long videos
candidate_files.py  reads the candidates of others
kept_tracks.py      keeps what was measured of a recording
signal_sets.py      folders of such recordings, with what happens in each
filming.py          such a folder of rendered people
windows.py          recordings cut into windows for a network, and joined again
training.py         trains the network, leaving people out
comparing.py        scores it, and the spotter without training beside it
trained.py          a trained network, which is read from a folder
packing.py          writes that folder, with card.py, its card
"""
