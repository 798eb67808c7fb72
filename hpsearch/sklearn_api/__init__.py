"""A whole search as a scikit-learn estimator, `KerasSearchCV`."""
