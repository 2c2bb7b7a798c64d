"""Makes HTML pages from numbers and arrays.

run.py          the page of one finished run, or of several side by side
finished_run.py  what the pages show of a run
calibration.py  how sure models are, and how often right
cost.py         what a training took
search.py       the page of a search
dataset.py      the overview of a dataset
clip.py         the contact sheet of one clip
spotting.py     the page of what was spotted in recordings
predicting.py   the page of what motions in recordings are most like
ceiling.py      what no model reaches, and what may hold scores back
figures.py      pictures that stand alone, for a notebook
score_tables.py the scores of a run as rows of tables
charts.py       the charts of a run
bars.py         bars of people and of classes
levels.py       the table and chart of amplification levels
attention.py    maps of where models looked
pictures.py     arrays as colours, arrows and points, and as image data
svg.py          elements of SVG, escaped
frame.py        renders templates
notice.py       the notice on responsible use
templates/      HTML templates and style sheets
"""
