"""`hpsearch compare`, and the numbers it draws."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from hpsearch import Results
from hpsearch.core.errors import ReportError
from hpsearch.core.trial import Curve, Failure, Outcome, Score, Suggestion
from hpsearch.results import overlay
from hpsearch.store import Store
from tests.builders import make_record


def curve(*values):
    down = tuple(value / 2 for value in values)
    return Curve(down, values, down, tuple(value * 10 for value in values), rows=5)


def told(*folds):
    return Outcome(Score(min(folds[0].validation), None, 1, folds), seconds=1.0, n_weights=7)


@pytest.fixture
def store():
    with Store(Path("store.db"), create=True) as store:
        journal = store.begin_search(make_record(measure="mae", direction="min"))
        for number, (units, values) in enumerate(((8, (4.0, 2.0, 3.0)), (16, (5.0, 1.0, 0.5)))):
            journal.append_answer(number, Suggestion({"units": units, "dropout": 0.25}, 3))
            journal.append_outcome(number, told(curve(*values)))
        journal.append_answer(2, Suggestion({"units": 32, "dropout": 0.25}, 3))
        journal.append_outcome(2, Outcome(failure=Failure("nan", "loss became nan")))
        journal.append_answer(3, Suggestion({"units": 64, "dropout": 0.25}, 3))
        other = store.begin_search(make_record(study="other", task="mnist", evaluator="KFold(2)"))
        other.append_answer(0, Suggestion({"units": 8}, 3))
        other.append_outcome(0, told(curve(0.5, 0.7, 0.6), curve(0.7, 0.9, 0.6)))
        yield store


def test_the_legend_says_what_differs(hpsearch, store):
    code, out, err = hpsearch("compare", 1, 2)
    assert (code, err) == (0, "")
    assert "trial 1: units=8  best mae 2.0000 at epoch 2" in out
    assert "trial 2: units=16  best mae 0.5000 at epoch 3" in out
    assert "drawn into compare.png" in out
    with Image.open("compare.png") as picture:
        assert picture.width > 1000


def test_json_has_the_drawn_numbers(hpsearch, store):
    code, out, err = hpsearch(
        "compare", 2, 1, "--json", "--smooth", 0.5, "--skip", 1, "-o", "x.svg"
    )
    drawn = json.loads(out)
    assert code == 0
    assert "drawn into x.svg" in err
    assert {"metric", "direction", "smooth", "skip", "file", "trials"} == set(drawn)
    assert [t["trial"] for t in drawn["trials"]] == [2, 1]
    first = drawn["trials"][1]
    assert first["validation"] == [4.0, 2.0, 3.0]
    assert first["training"] == [2.0, 1.0, 1.5]
    assert first["smoothed"] == [2.0, 2.5]
    assert (first["best_epoch"], first["best_value"], first["std"]) == (2, 2.0, None)
    assert ElementTree.parse("x.svg").getroot().tag.endswith("svg")


def test_a_picture_has_no_date_and_so_is_the_same_again(hpsearch, store):
    pictures = []
    for name in ("a.svg", "b.svg"):
        assert hpsearch("compare", 1, 2, "-o", name)[0] == 0
        pictures.append(Path(name).read_bytes())
    assert pictures[0] == pictures[1]


def test_the_loss_and_one_trial_alone(hpsearch, store):
    drawn = json.loads(hpsearch("compare", 1, "--loss", "--training", "--smooth", 0, "--json")[1])
    assert (drawn["metric"], drawn["direction"]) == ("loss", "min")
    assert drawn["trials"][0]["validation"] == [40.0, 20.0, 30.0]
    assert drawn["trials"][0]["smoothed"] == []


def test_folds_are_averaged_with_a_band(store):
    (line,) = overlay.overlay_curves(Results(), [5]).lines
    np.testing.assert_allclose(line.validation, [0.6, 0.8, 0.6])
    np.testing.assert_allclose(line.std, [np.sqrt(0.02), np.sqrt(0.02), 0.0], atol=1e-12)
    assert (line.best_epoch, line.folds) == (2, 2)  # the highest, for accuracy
    figure = Results().compare(5)
    assert len(figure.axes[0].collections) == 1
    assert "SD over folds" in figure.axes[0].texts[0].get_text()


def test_repeats_are_averaged_as_far_as_all_reach(store):
    journal = store.journal(2)
    journal.append_repeat(0, 1, told(curve(0.3, 0.5), curve(0.5, 0.9)), 0.75, None)
    (line,) = overlay.overlay_curves(Results(), [5]).lines
    np.testing.assert_allclose(line.validation, [0.5, 0.75])
    seen = [np.std(folds, ddof=1) for folds in ((0.4, 0.6), (0.6, 0.9))]
    np.testing.assert_allclose(line.std, seen)
    assert line.trainings == 2


def test_the_drawn_lines_are_the_numbers(store):
    drawn = overlay.overlay_curves(Results(), [1, 2], skip=1)
    raw, smooth = Results().compare(1, 2, skip=1).axes
    for line, own in zip(drawn.lines, (raw.lines[0], raw.lines[2]), strict=True):
        assert own.get_ydata().tolist() == line.validation
    for line, own in zip(drawn.lines, (smooth.lines[0], smooth.lines[2]), strict=True):
        assert own.get_ydata().tolist() == line.smoothed
        assert list(own.get_xdata()) == [2, 3]
    best = raw.lines[1]
    assert (best.get_xdata().tolist(), best.get_ydata().tolist()) == ([2], [2.0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((1, 99), "there is no trial 99 here"),
        ((3,), "trial 3 has no curves, it is failed (nan); leave it out"),
        ((4,), "trial 4 has no curves, it is stopped; leave it out"),
        ((1, 5), "within one metric, and here are trial 1 mae, trial 5 accuracy"),
        ((1, 5, "--loss"), "within one task, and here are trial 1 digits, trial 5 mnist"),
        ((1, "-o", "x.bmp"), "a picture's file ends in .png, .svg, .pdf, got 'x.bmp'"),
        ((1, "-o", "no/x.png"), "no/x.png cannot be written"),
        ((1, "--skip", 3), "the shortest of these curves has 3 epochs; leave out 0 to 2"),
        ((1, "--smooth", 1), "1.0 is not in the range 0<=x<1"),
        ((), "Missing argument 'TRIALS|STUDIES...'"),
    ],
)
def test_mistakes_are_told_in_one_line(hpsearch, store, arguments, said):
    code, out, err = hpsearch("compare", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not list(Path().glob("*.png*"))


def test_a_notebook_must_name_trials(store):
    with pytest.raises(ReportError, match="name the trials"):
        Results().compare()


def test_a_best_epoch_among_the_first_stays_in_the_picture(store):
    """The scale leaves the first epochs out, where curves begin far off; not what is marked."""
    journal = store.begin_search(make_record(study="third", measure="mae", direction="min"))
    journal.append_answer(0, Suggestion({"units": 8}, 40))
    journal.append_outcome(0, told(curve(0.01, *[5.0 + 0.1 * epoch for epoch in range(39)])))
    for ax in (Results().compare(6).axes[0], Results().plot_curves(6).axes[0]):
        assert ax.get_ylim()[0] < 0.01
