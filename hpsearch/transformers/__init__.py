"""Transformers for `Task(preprocess=)` beside scikit-learn's: of windows over series, and of times."""
