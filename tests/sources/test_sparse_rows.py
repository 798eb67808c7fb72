import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD

from hpsearch import Data, Task
from hpsearch.training.base import Split
from hpsearch.training.rows import prepare_rows

FEW = np.where(np.random.default_rng(2).random((80, 12)) < 0.2, 1.5, 0)
SPLIT = Split(np.arange(0, 80, 2), np.arange(1, 80, 2))


class SparseOnly(BaseEstimator, TransformerMixin):
    """Notes what it is fitted on, and takes nothing dense."""

    fitted_on: list = []  # noqa: RUF012

    def fit(self, x, y=None):
        assert scipy.sparse.issparse(x)
        self.fitted_on.append((x.toarray().tolist(), y.tolist()))
        return self

    def transform(self, x):
        assert scipy.sparse.issparse(x)
        return x * 2


def prepare(preprocess=None):
    data = Data(scipy.sparse.csr_matrix(FEW), np.arange(80) % 2)
    task = Task("few", data, "binary_crossentropy", preprocess=preprocess)
    return prepare_rows(task, data, SPLIT)


def test_preprocessing_gets_the_sparse_training_rows_of_its_fold():
    SparseOnly.fitted_on.clear()
    rows = prepare(SparseOnly())
    assert SparseOnly.fitted_on == [(FEW[::2].tolist(), [0] * 40)]
    assert isinstance(rows.x[:3], np.ndarray)
    assert rows.x[[5, 1]].tolist() == (2 * FEW[[10, 2]]).tolist()
    assert rows.x_validation[-1].tolist() == (2 * FEW[79]).tolist()


def test_projections_are_those_of_scikit_learn():
    rows = prepare(TruncatedSVD(3, random_state=0))
    wanted = TruncatedSVD(3, random_state=0).fit(scipy.sparse.csr_matrix(FEW[::2]))
    assert rows.x.shape == (40, 3)
    np.testing.assert_allclose(rows.x[:], wanted.transform(FEW[::2]), rtol=1e-9)


def test_models_get_rows_dense():
    rows = prepare()
    assert rows.x[4:6].tolist() == FEW[[8, 10]].tolist()
