"""Computes metrics from held-out logits.

metrics.py         UF1, UAR, accuracy, confusion matrices, on pooled predictions
selection.py       four rules that choose which evaluation of a training counts
bootstrap.py       intervals over subjects, paired comparison of two runs
baselines.py       majority, LDA, logistic regression, RBF-SVM on the same folds
inner_products.py  principal components and kernels of a fold, for them
best_baseline.py   the one that models are compared with
summary.py         metrics.json
predictions.py     predictions.csv
together.py        several models together
ceiling.py         clips that no model gets right; fewer people in training
table.py           the table of a run in the terminal
attention.py       maps of where a model looks
levels.py          how much a model reads of each amplification level
spotting/          scores of what was spotted in long videos
"""
