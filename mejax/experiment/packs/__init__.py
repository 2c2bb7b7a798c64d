"""Saved models: one folder holds all that the use of a model needs.

saved.py         reads trained models: of a run, converted or saved
packing.py       a finished run -> a saved model, with describing.py, what is
                 told of it, and card.py, its card
packed.py        reads a saved model, with packed_files.py, its files, and
                 modules.py, its module
exporting.py     its function, for places that have only JAX
recipes.py       how the data of a model are made
trained_on.py    how clips differ from those that a model was trained on
seen.py          whom a model has seen
starting.py      trainings that start from a model
"""
