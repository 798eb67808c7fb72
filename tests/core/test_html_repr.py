"""How objects show themselves: in one line, and in notebooks."""

from xml.etree import ElementTree

import numpy as np

from hpsearch import Choice, Data, Float, Holdout, Int, KFold, Random, Space, Study, Task
from hpsearch.core import html_repr
from hpsearch.core.trial import Curve, Score

SPACE = Space(
    units=Int(8, 64, log=True),
    kind=Choice("<b>", "&"),
    momentum=Float(0.0, 0.9, when={"kind": "<b>"}),
)


def build(spec):
    raise NotImplementedError


def study(**changes):
    task = Task("<script>", Data([[0.0]], [0.0]), loss="mse", metric="mae")
    return Study(task=task, space=SPACE, build=build, searcher=Random(2, 3), **changes)


def rows(html):
    return [[cell.text for cell in row] for row in ElementTree.fromstring(html).iter("tr")]


def test_a_space_is_a_table_of_ranges_and_conditions():
    assert rows(SPACE._repr_html_()) == [
        ["parameter", "range", "exists only when"],
        ["units", "Int(8, 64, log=True)", None],
        ["kind", "Choice('<b>', '&')", None],
        ["momentum", "Float(0.0, 0.9)", "kind is '<b>'"],
    ]


def test_data_says_what_there_is_without_its_values():
    x, y = np.zeros((40, 5, 2), "float32"), np.arange(40)
    data = Data(x, y, x[:3], y[:3], times=y, times_test=[50, 51, 52])
    assert repr(data) == "Data(40 rows and 3 of the test, x: (5, 2) float32, y: () int64, times)"
    many = Data({"a": x, "b": y[:, None]}, y, validation_rows=4)
    assert repr(many) == (
        "Data(40 rows, the last 4 to validate on, x: {a: (5, 2) float32, b: (1,) int64}, "
        "y: () int64)"
    )
    streams = Data.streams(lambda seed, size: [(x, y)], lambda seed, size: [(x, y)])
    assert repr(streams).startswith("Data(streams, x: (5, 2) float32, y: ()")
    assert repr(Data(["a fine film", "dull"], [0, 1])).startswith("Data(2 rows, x: ")


def test_a_study_says_what_it_is_without_its_data():
    own = study(name="mine", evaluator=Holdout(rows=5), patience=3, start=[])
    text = repr(own)
    assert text.startswith("Study('mine', task=<script>, space=Space(units=Int(8, 64, log=True)")
    assert "searcher=Random(trials=2, epochs=3), evaluator=Holdout(rows=5" in text
    assert text.endswith("seed=0, patience=3)")
    html = own._repr_html_()
    assert "<script>" not in html
    facts = dict(rows(f"<div>{html}</div>")[:4])
    assert facts["task"] == "<script>: mae, minimum is best"
    assert "space" not in facts
    assert html.endswith(SPACE._repr_html_())


def test_a_score_has_its_metrics_at_the_best_epoch():
    def curve(first, second):
        f1 = {"train": (0.0, 0.0), "validation": (first, second)}
        return Curve(validation=(0.5, 0.7), metrics={"<b>": f1})

    score = Score(0.7, 0.1, 2, (curve(0.9, 0.25), curve(0.9, 0.75)))
    assert score.metrics_at_best == {"<b>": [0.25, 0.75]}
    assert "<br>&lt;b&gt;: 0.2500, 0.7500</p>" in score._repr_html_()
    without = Score(0.7, 0.1, 2, (Curve(validation=(0.5, 0.7)),))
    assert without.metrics_at_best == {}
    assert "<br>folds: 0.7000</p>" in without._repr_html_()


def test_a_score_shows_its_error_its_epoch_and_its_curve():
    folds = [Curve(validation=(0.1, 0.5, 0.4)), Curve(validation=(0.3, 0.7, 0.6, 0.9))]
    score = Score(0.6, 0.1, 2, tuple(folds))
    assert repr(score) == "Score(0.6000 ± 0.1000 at epoch 2 of 3, 2 folds)"
    html = f"<div>{score._repr_html_()}</div>".replace("<br>", "<br/>")
    picture = ElementTree.fromstring(html).find("svg")
    assert "folds: 0.5000, 0.7000" in html
    lines = [line.get("points").split() for line in picture.iter("polyline")]
    assert [len(line) for line in lines] == [3, 3, 3]  # two folds and their mean
    mark = picture.find("circle")
    assert f"{mark.get('cx')},{mark.get('cy')}" == lines[-1][1]


def test_a_score_of_one_split_has_no_error():
    score = Score(0.5, None, 1, (Curve(validation=(0.5,)),))
    assert repr(score) == "Score(0.5000 at epoch 1 of 1, 1 fold)"
    assert score._repr_html_().count("<polyline") == 1


def test_a_curve_with_nan_and_a_wild_start_is_drawn():
    values = [1e9, float("nan"), *([1.0, 2.0] * 10)]
    (line,) = ElementTree.fromstring(html_repr.curves_svg([values], 2)).iter("polyline")
    heights = [float(point.split(",")[1]) for point in line.get("points").split()]
    assert len(heights) == len(values) - 1
    assert max(heights[1:]) - min(heights[1:]) > 50  # the start does not flatten the rest


def test_kfold_is_in_the_table():
    assert "KFold(folds=3" in study(evaluator=KFold(3))._repr_html_()


def test_a_score_without_folds_can_be_printed():
    assert repr(Score(0.5, None, 1, ())) == "Score(0.5000 at epoch 1 of 0, 0 folds)"
