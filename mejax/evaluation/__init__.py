"""Held-out logits to honest numbers, tables and a report.

metrics.py      UF1, UAR, accuracy, confusion matrices, on pooled predictions
selection.py    which evaluation of each training counts: the four rules
bootstrap.py    intervals over subjects, paired comparison of two runs
baselines.py    majority, PCA + logistic regression, RBF-SVM on the same folds
summary.py      metrics.json, predictions.csv and the table in the terminal
report.py       one HTML page for one or several runs
runs.py         what it reads of a workdir
sections.py     what it tells of each run
figures.py      its pictures, as SVG
page.py         its look
"""
