"""Scores what was spotted in long videos: when, and of which type.

events.py    events, videos, and the overlap of intervals
matching.py  which candidate finds which event, by our rule and published ones
scores.py    F1, false alarms a minute, errors in time, average precision
strs.py      the score of spotting and then recognising
budget.py    thresholds from a budget of false alarms; two spotters compared
floors.py    spotters that know nothing or little, to compare with
tables.py    all of it as text

An interval is (onset, offset) in frame numbers, and both frames belong to it:
its length is offset - onset + 1. A candidate can only find an event of its own
type, and one event only. Counts are summed over the whole database, never
averaged over videos, and videos without an event count: their false alarms are
false alarms. Much published code leaves them out.
"""
