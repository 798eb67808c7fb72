"""Studies that `init` writes: killed and continued, by each trainer, on each backend."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpsearch.runs.load import Overrides, load_study
from hpsearch.training import backend  # noqa: F401  # pytest reads conditions that are texts
from tests.runs.whole_runs import check_continues, journal

pytestmark = pytest.mark.slow

WORDS = "good bad fine slow fast broken late early kind rude help phone call wait".split()


def reviews(rng):
    """Texts, whose vocabulary is searched, beside numbers with gaps, skew and a category."""
    good = rng.random(160) < 0.5
    text = [" ".join([*rng.choice(WORDS, 4), "thanks" if each else "refund"]) for each in good]
    frame = pd.DataFrame({"review": text, "age": rng.normal(50, 9, 160).round(1)})
    frame.loc[::9, "age"] = np.nan
    frame["income"] = np.exp(2 * rng.normal(size=160)).round(2)
    frame["town"] = rng.choice(["north", "south", "east"], 160)
    frame["target"] = np.where(good, "yes", "no")
    return frame, "KFold(4)", "TfidfVectorizer(max_features=vocabulary)"


def sales(rng):
    """Days in order, validated forward, and a target that is learned in another unit."""
    signal = rng.normal(size=160)
    frame = pd.DataFrame({"day": pd.date_range("2022-01-01", periods=160), "ads": signal.round(3)})
    frame["target"] = (500 + 40 * signal + rng.normal(size=160)).round(2)
    return frame, "Forward(4)", "preprocess_y=StandardScaler()"


def write(hpsearch, make):
    """A study that init wrote, made short; all else is as written."""
    frame, evaluator, part = make(np.random.default_rng(0))
    frame.to_csv("table.csv", index=False)
    code, _, err = hpsearch("init", "table.csv", "--target", "target")
    assert code == 0, err
    file = Path("studies/table.py")
    text = file.read_text()
    for old, new in (
        ("Auto(trials=20, max_epochs=30)", "Auto(trials=2, max_epochs=4)"),
        (evaluator, evaluator.replace("4", "2")),
        (part, part),
    ):
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return file


MADE = [reviews, pytest.param(sales, marks=pytest.mark.thorough)]


@pytest.mark.thorough
@pytest.mark.parametrize("make", MADE)
def test_it_is_killed_and_continued_with_an_equal_journal(hpsearch, make):
    check_continues(write(hpsearch, make), 3, "--checkpoint-every", "1")
    assert len(journal("whole.db")[0]) > 2 * 4  # asked and told: it was killed midway


@pytest.mark.skipif("backend.choose() != 'jax'", reason="only JAX trains side by side")
@pytest.mark.parametrize("make", MADE)
def test_side_by_side_its_points_have_the_values_that_they_have_alone(hpsearch, make):
    study = load_study(write(hpsearch, make), Overrides())
    rng = np.random.default_rng(0)
    for point in (study.space.sample(rng) for _ in range(2)):
        alone, together = (
            study.evaluator.evaluate(study.build, point, study.task, epochs=3, engine=engine)
            for engine in ("fit", "gang")
        )
        np.testing.assert_allclose(together.curves, alone.curves, rtol=2e-4)


@pytest.mark.thorough
def test_it_is_so_on_tensorflow_too(check_on_tensorflow):
    name = test_it_is_killed_and_continued_with_an_equal_journal.__name__
    check_on_tensorflow(f"{__file__}::{name}")
