"""Names by which people know search methods, beside those of our classes."""

from hpsearch.core.option_text import Alias

ALIASES: dict[str, Alias] = {
    "cmaes": Alias("Bayes", {"sampler": "cmaes"}, "covariance matrix adaptation, by Optuna"),
    "gp": Alias("Bayes", {"sampler": "gp"}, "a Gaussian process, by Optuna"),
    "grow": Alias("GrowThenRegularize", {}, "grow a model until it overfits, then regularize it"),
    "kerastuner": Alias("KerasTunerHyperband", {}, "KerasTuner's Hyperband"),
    "nsga2": Alias("Genetic", {}, "NSGA-II, by Optuna"),
    "qmc": Alias("Bayes", {"sampler": "qmc"}, "a quasi-random sequence, by Optuna"),
    "sha": Alias("Hyperband", {"brackets": 1}, "successive halving: Hyperband's first bracket"),
    "tpe": Alias("Bayes", {"sampler": "tpe"}, "tree-structured Parzen estimators, by Optuna"),
}
"""By name, the method and the options that the name stands for. `tpe` is `bayes:sampler=tpe`."""

ABSENT = {
    "bohb": "bohb, Hyperband's brackets with points of a TPE model, is not among the methods; auto "
    "also learns from short trials, hyperband has the brackets, and tpe the model",
}
"""Names of known methods that we do not have, and what is nearest."""
