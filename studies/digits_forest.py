"""How deep should the trees of a random forest on digits be? An epoch adds ten trees."""

from hpsearch import Choice, Hyperband, Int, KFold, Space, Study
from hpsearch.tasks import digits
from hpsearch.training import sklearn_model


def forest(max_depth, max_features, min_samples_leaf):
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        max_depth=max_depth, max_features=max_features, min_samples_leaf=min_samples_leaf
    )


study = Study(
    task=digits.task(),
    space=Space(
        max_depth=Int(4, 20),
        max_features=Choice("sqrt", "log2"),
        min_samples_leaf=Int(1, 10, log=True),
    ),
    train=sklearn_model(forest, by="n_estimators", step=10),
    searcher=Hyperband(max_epochs=9, eta=3),
    evaluator=KFold(3),
)
