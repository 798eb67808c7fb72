"""Whether a study is known again."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from hpsearch import Data, Float, Space, Study, Task
from hpsearch.core.errors import StudyError
from hpsearch.runs.identity import make_search_record
from tests.fakes import FACTS


class Plain:
    """A transformer whose settings only its code knows."""

    def fit(self, x, y=None):
        return self

    def transform(self, x):
        return x


@pytest.mark.parametrize("preprocess", [PCA(2, random_state=np.random.RandomState(0)), Plain()])
def test_settings_that_no_other_process_can_compare_are_refused(preprocess):
    """Else the search could neither go on nor be refitted."""
    data = Data(np.zeros((8, 3)), np.arange(8) % 2)
    task = Task("t", data, loss="binary_crossentropy", metric="accuracy", preprocess=preprocess)
    study = Study(task=task, space=Space(rate=Float(0, 1)), build=lambda spec, rate: None, name="s")
    with pytest.raises(StudyError, match="preprocess= has settings that cannot be compared with a"):
        make_search_record(study, None, FACTS, "")
    assert make_search_record(study, None, FACTS, "", is_kept=False)  # nobody will ask
    study = Study(
        task=Task("t", data, loss="binary_crossentropy", preprocess=PCA(2, random_state=0)),
        space=study.space,
        build=study.build,
        name="s",
    )
    assert "random_state" in make_search_record(study, None, FACTS, "").training
