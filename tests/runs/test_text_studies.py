"""Whole studies of texts: Hyperband with k-fold, killed, continued, by workers; refit and predict."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpsearch.core.errors import HpsearchError
from tests.runs.whole_runs import check_continues, check_two_workers_agree

pytestmark = pytest.mark.slow

STUDY = """
import numpy as np

from hpsearch import Choice, Data, Float, Hyperband, KFold, Space, Study, Task
from spaces import text

def load():
    rng = np.random.default_rng(0)
    y = rng.choice(["cats", "dogs"], 90)
    texts = [
        " ".join([f"{topic}{n}" for n in rng.integers(0, 5, 4)] + [f"w{n}" for n in rng.integers(0, 30, 4)])
        for topic in y
    ]
    return Data(texts[:70], y[:70], x_test=np.array(texts[70:]), y_test=y[70:])

def preprocess(vocabulary, length):
    import keras

    return keras.layers.TextVectorization(max_tokens=vocabulary, output_sequence_length=length)

study = Study(
    task=Task("pets", load, "binary_crossentropy", "accuracy", preprocess=preprocess),
    space=Space(
        vocabulary=Choice(20, 40), length=Choice(6, 8), learning_rate=Float(1e-2, 1e-1, log=True)
    ),
    build=text.model(words="vocabulary", kind="bag"),
    searcher=Hyperband(max_epochs=3, eta=3),
    evaluator=KFold(2),
)
"""
NEW = ["cats0 cats1 cats2 w1", "dogs0 dogs1 dogs3, dogs4", ""]


def test_a_kept_model_reads_texts_and_files_of_them(hpsearch):
    Path("pets.py").write_text(STUDY)
    assert hpsearch("run", "pets.py", "--inline", "--trials", 1)[0] == 0
    code, out, err = hpsearch("refit", "pets.py", "-o", "model")
    assert code == 0, err
    assert "Accuracy on test rows" in out

    from hpsearch.models import kept
    from hpsearch.models.prediction import predict_rows

    models = kept.load(Path("model"))  # without types to trust
    wanted = predict_rows(models, NEW)
    assert wanted.shape == (3, 1)
    for same in (np.array(NEW), pd.Series(NEW)):
        np.testing.assert_array_equal(predict_rows(models, same), wanted)
    with pytest.raises(HpsearchError, match="x holds texts, and none in row 1"):
        predict_rows(models, ["a", None])
    with pytest.raises(HpsearchError, match=r"wants rows of shape \(\), got rows of shape \(2,\)"):
        predict_rows(models, np.zeros((3, 2)))

    pd.DataFrame({"number": [1, 2, 3], "text": NEW}).to_csv("new.csv", index=False)
    Path("lines.txt").write_text("".join(f"{text}\n" for text in NEW))
    for file in ("new.csv", "lines.txt"):
        code, _, err = hpsearch("predict", "model", file, "-o", "out.csv")
        assert code == 0, err
        found = pd.read_csv("out.csv")
        assert found["p_dogs"].to_numpy() == pytest.approx(wanted[:, 0], abs=1e-6)
    pd.DataFrame({"a": NEW, "b": NEW}).to_csv("odd.csv", index=False)
    code, _, err = hpsearch("predict", "model", "odd.csv")
    assert (code, err.count("\n")) == (2, 1)
    assert "odd.csv needs a column 'text', or a single one, and has a, b" in err


@pytest.mark.thorough
def test_it_is_killed_and_continued_and_searched_by_two_workers():
    file = Path("pets.py")
    file.write_text(STUDY)
    check_continues(file, 4, "--checkpoint-every", "1")
    check_two_workers_agree(file)


@pytest.mark.thorough
def test_it_is_so_on_tensorflow_too(check_on_tensorflow):
    check_on_tensorflow(
        f"{__file__}::test_a_kept_model_reads_texts_and_files_of_them",
        f"{__file__}::test_it_is_killed_and_continued_and_searched_by_two_workers",
    )
