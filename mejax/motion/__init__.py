"""Computes motion from pixels, by pure functions from arrays to arrays.

faces.py        finds the face of a clip, with detection.py (YuNet), mesh.py
                (FaceMesh), face_models.py (their files) and upright.py (turned
                faces)
scenes.py       tells a scene cut from motion; stillness.py noise from motion
oddities.py     frames that are shown twice, and a picture that is turned
alignment.py    from points of a face to the aligned face
warp.py         images moved by a matrix or a flow
head.py         the motion of the whole face
apex.py         finds the frame of the largest movement
glance.py       how a face moves now, for the eye
spotting/       spots expressions in a long recording
magnify.py      amplification, with pyramid.py, phases.py and magnet.py
flow.py         optical flow and strain; tvl1.py is our TV-L1
regions.py      the four facial regions, and the eyelids
"""
