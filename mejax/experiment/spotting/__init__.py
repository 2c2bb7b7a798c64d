"""Spots expressions in long recordings, and scores that on databases of them.

recordings.py       one recording, or a folder of them: candidates and a page
pictures.py         shows a candidate
database.py         scores the spotter on a database of long videos
candidate_files.py  reads the candidates of others
kept_tracks.py      keeps what was measured of a recording
"""
