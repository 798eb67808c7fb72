"""Whole studies of frames: Hyperband with k-fold, killed, continued, by workers; refit and predict."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpsearch.core.errors import DataError
from tests.runs.whole_runs import check_continues, check_two_workers_agree

pytestmark = pytest.mark.slow

STUDY = """
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from hpsearch import Data, Float, Hyperband, KFold, Space, Study, Task
from spaces import mlp

def load():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({
        "age": rng.integers(18, 80, 90),
        "wood": rng.choice(["oak", "elm", "ash"], 90),
        "size": pd.Categorical(rng.choice(["S", "M"], 90), ["S", "M", "L"]),
        "wet": rng.random(90) > 0.5,
        "height": rng.normal(size=90).astype("float32"),
    })
    y = pd.Series(np.where(table["height"] + table["wet"] > 0.4, "tall", "short"))
    return Data(table[:70], y[:70], x_test=table[70:].iloc[:, ::-1], y_test=y[70:])

study = Study(
    task=Task("trees", load, "binary_crossentropy", "accuracy", preprocess=make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["wood", "size"]),
        (StandardScaler(), ["age", "height"]),
        remainder="passthrough",
    )),
    space=Space(learning_rate=Float(1e-3, 1e-1, log=True)),
    build=mlp.model(hidden=(4,)),
    searcher=Hyperband(max_epochs=3, eta=3),
    evaluator=KFold(2),
)
"""
NEW = pd.DataFrame(
    {
        "more": [1, 2, 3],
        "height": [0.5, -1.0, 2.0],
        "wet": [True, False, True],
        "size": pd.Categorical(["S", "XL", "M"]),
        "wood": ["oak", "fir", "elm"],
        "age": [20, 30, 40],
    }
)


def test_a_kept_model_reads_frames_and_files_by_names(hpsearch, monkeypatch):
    Path("trees.py").write_text(STUDY)
    assert hpsearch("run", "trees.py", "--inline", "--trials", 1)[0] == 0
    code, out, err = hpsearch("refit", "trees.py", "-o", "model")
    assert code == 0, err
    assert "Accuracy on test rows" in out

    from hpsearch.models import kept
    from hpsearch.models.prediction import predict_rows

    models = kept.load(Path("model"))  # without types to trust
    assert list(models.frames["x"]) == ["age", "wood", "size", "wet", "height"]
    known = models.frames["x"]["size"]
    assert (known.dtype, known.categories) == ("category", ("S", "M", "L"))
    wanted = predict_rows(models, NEW)
    assert wanted.shape == (3, 1)
    as_text = NEW.assign(size=NEW["size"].astype(str), age=NEW["age"].astype(float))
    assert np.array_equal(predict_rows(models, as_text.iloc[:, ::-1]), wanted)

    NEW.to_csv("new.csv", index=False)
    code, _, err = hpsearch("predict", "model", "new.csv", "-o", "out.csv")
    assert code == 0, err
    found = pd.read_csv("out.csv")
    assert found["class"].tolist() == ["tall" if p > 0.5 else "short" for p in wanted[:, 0]]
    assert found["p_tall"].to_numpy() == pytest.approx(wanted[:, 0], abs=1e-6)

    for frame, message in (
        (NEW.drop(columns=["age", "wood"]), "lacks the columns age, wood"),
        (NEW.assign(wet=["yes", "no", "yes"]), "column 'wet'.*yes.* in row 1|'wet' of x is of"),
    ):
        with pytest.raises(DataError, match=message):
            predict_rows(models, frame)
        frame.to_csv("odd.csv", index=False)
        code, _, err = hpsearch("predict", "model", "odd.csv")
        assert code == 2
        assert err.count("\n") == 1
    index = Path("model/model.json")
    index.write_text(index.read_text().replace('"bool"', '"os.system"'))
    code, _, err = hpsearch("predict", "model", "new.csv")
    assert code == 2
    assert "no column can be of the type 'os.system'" in err


@pytest.mark.thorough
def test_it_is_killed_and_continued_and_searched_by_two_workers():
    file = Path("trees.py")
    file.write_text(STUDY)
    check_continues(file, 4, "--checkpoint-every", "1")
    check_two_workers_agree(file)


@pytest.mark.thorough
def test_it_is_so_on_tensorflow_too(check_on_tensorflow):
    check_on_tensorflow(
        f"{__file__}::test_a_kept_model_reads_frames_and_files_by_names",
        f"{__file__}::test_it_is_killed_and_continued_and_searched_by_two_workers",
    )
