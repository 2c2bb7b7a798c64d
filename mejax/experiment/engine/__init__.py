"""Places units of work on machines: this process, or dask's workers.

options.py   which engine somebody asked for, and whether it can be had
clusters.py  connects to the workers, or starts them
placing.py   hands units out until all are done or given up
worker.py    what a worker does with a unit
chunks.py    the units of a run: its rounds

A unit is plain JSON, done by a function of a module, with data read from disk.
It writes one file, whole or not at all, so that a unit whose file is there is
done, whoever did it. Nothing else is exchanged: the truth is in the folder of a
run or a search, and an engine can be changed, or killed, at any moment.
"""
