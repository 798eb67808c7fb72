"""`KerasSearchCV(cv=)` of pairs and splitters, with a store that keeps its searches."""

import numpy as np
import pytest
from sklearn import model_selection

from hpsearch import Choice, Given, KerasSearchCV, Random, Space
from hpsearch.store import Store

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


def train(run, rate):
    run.restore()

    def predict(rows):
        return np.full((len(rows), 1), rate) + 0.01 * rows[:, :1]

    for epoch in run.epochs():
        run.report(**run.measure(predict))
        run.save({"epoch": epoch})
    return predict


def search(cv, **options):
    return KerasSearchCV(
        train=train, space=Space(rate=Choice(0.2, 0.8)), searcher=Random(trials=2, epochs=2),
        loss="binary_crossentropy", cv=cv, **options,
    )  # fmt: skip


def test_a_splitter_its_pairs_and_given_find_the_same():
    splitter = model_selection.StratifiedKFold(3)
    pairs = list(splitter.split(X, Y))
    tables = [search(cv).fit(X, Y).cv_results_ for cv in (splitter, pairs, Given(pairs))]
    for table in tables[1:]:
        for fold in range(3):
            column = f"split{fold}_test_score"
            assert table[column].tolist() == tables[0][column].tolist()
    assert search(model_selection.LeavePGroupsOut(1)).fit(X, Y, np.arange(60) % 4).n_splits_ == 4


def test_a_fit_goes_on_though_its_splitter_has_no_seed(tmp_path):
    for _ in range(2):
        splitter = model_selection.ShuffleSplit(2, test_size=0.3)
        search(splitter, store=tmp_path / "store.db").fit(X, Y)
    with Store(tmp_path / "store.db") as store:
        (record,) = store.searches()
        assert store.journal(record.id).count_complete() == 2


def test_rows_on_both_sides_are_refused():
    with pytest.raises(ValueError, match="fold 0 trains on row 0 and validates on it too"):
        search([(np.arange(60), np.arange(60))]).fit(X, Y)
    with pytest.raises(ValueError, match="names row 60, and the data has 60 rows"):
        search([(np.arange(50), np.arange(50, 61))]).fit(X, Y)
