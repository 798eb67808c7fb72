"""The books' figures and networks, and the benchmark that runs their studies."""

import ast
import json
import re
import subprocess

import pytest

from hpsearch.runs.load import Overrides, load_study
from tests.benchmarks.book_figures import FIGURES, OURS, BookFigure, figures_of
from tests.benchmarks.books import __main__ as books
from tests.benchmarks.books import page, work
from tests.benchmarks.books.book_studies import BOOKS, BookStudy
from tests.conftest import ROOT

STUDIES = sorted((ROOT / "studies").glob("*.py"))
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d{2,}(?![\w.])")
PLACE = re.compile(r"^DLQR(, chapter \d+| code, Chapter\d\d/)|^DLWP(, section| notebook) \d\.\d")


@pytest.fixture(autouse=True)
def standing_in(monkeypatch):
    monkeypatch.setenv("HPSEARCH_DATA", "stand-in")


def is_one_of(number, values):
    """Whether a number as it is written is one of these, rounded."""
    decimals = len(number.partition(".")[2])
    return any(round(value, decimals) == float(number) for value in values)


def test_every_figure_names_a_place_in_a_book():
    assert [figure for figure in FIGURES if not PLACE.match(figure.place)] == []
    assert {name for figure in FIGURES for name in figure.studies} <= {b.name for b in BOOKS}


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_figure_of_a_studys_docstring_has_a_place(file):
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    known = [*(figure.value for figure in figures_of(file.stem)), *OURS.get(file.stem, ())]
    shown = {float(n) for n in DECIMAL.findall(text) if not is_one_of(n, known)}
    if shown:  # learning rates and penalties of the book's networks are no results
        points = load_study(file, Overrides()).start or ()
        shown -= {value for point in points for value in point.values()}
    assert not shown, f"enter these in tests/benchmarks/book_figures.py, with their place: {shown}"


def test_every_printed_figure_of_the_readme_has_a_place():
    lines = (ROOT / "studies" / "README.md").read_text().splitlines()
    (head,) = [line for line in lines if line.startswith(f"| {page.HEADER[0]} | {page.HEADER[1]}")]
    column = [name.strip() for name in head.split("|")].index("printed")
    names = {book.name for book in BOOKS}
    rows = [line.split("|") for line in lines if line.startswith("| `")]
    table = [row for row in rows if len(row) == len(page.HEADER) + 2]
    assert {row[1].strip().strip("`") for row in table} == names
    for row in table:
        figures = figures_of(row[1].strip().strip("`"))
        printed = [text.strip() for text in row[column].split("<br>") if text.strip()]
        assert len(printed) == len(figures)
        assert all(p.startswith(f.text) for p, f in zip(printed, figures, strict=True))


NETWORKS = {
    "boston_kfold": [([64, 64], "rmsprop", 1), ([64, 64], "rmsprop", 16)],
    "imdb_dropout": [([16, 16], "rmsprop", 512)] * 2,
    "imdb_l2": [([16, 16], "rmsprop", 512)] * 2,
    "imdb_size": [([16, 16], "rmsprop", 512), ([4, 4], "rmsprop", 512)],
    "mnist_dropout": [([512, 256, 128], "adam", 30)] * 2,
    "mnist_hyperband": [([512, 256, 128], "adadelta", 100)],
    "mnist_l2": [([512, 256, 128], "adam", 30)],
    "reuters_width": [([64, 64], "rmsprop", 512), ([64, 4], "rmsprop", 128)],
    "seizure_accuracy": [([128, 64, 64, 32, 16], "adam", 32)],
    "seizure_auc": [([128, 64, 64, 32, 16], "adam", 32)],
    "seizure_grouped": [([128, 64, 64, 32, 16], "adam", 32)],
    "wine_depth": [([32], "adam", 32), ([32, 32, 32, 32, 16], "adam", 32)],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_books_networks_are_the_first_trials(name):
    from hpsearch.training.base import ModelSpec
    from hpsearch.training.building import build_model

    study = load_study(ROOT / "studies" / f"{name}.py", Overrides())
    assert study.first_points == list(study.start)
    task, data = study.task, study.task.load()
    units = task.output_units(data.y)
    spec = ModelSpec(data.x.shape[1:], units, task.activation, task.loss, [])
    found = []
    for point in study.start:
        params = {key: value for key, value in point.items() if key != "batch_size"}
        model = build_model(study.build, spec, params, seed=0)
        dense = [layer for layer in model.layers if type(layer).__name__ == "Dense"]
        assert {layer.activation.__name__ for layer in dense[:-1]} == {"relu"}
        optimizer = type(model.optimizer).__name__.lower()
        rate = 1.0 if optimizer == "adadelta" else 0.001
        assert float(model.optimizer.learning_rate) == pytest.approx(rate)
        found.append(([layer.units for layer in dense[:-1]], optimizer, point["batch_size"]))
    assert found == NETWORKS[name]


@pytest.mark.slow
def test_the_books_convolutional_network_has_its_weights():
    from hpsearch.training.base import ModelSpec
    from hpsearch.training.building import build_model

    study = load_study(ROOT / "studies" / "mnist_cnn.py", Overrides())
    spec = ModelSpec((28, 28, 1), 10, "softmax", study.task.loss, [])
    params = {name: value for name, value in study.start[0].items() if name != "batch_size"}
    # As the source prints its summary (DLWP notebook 5.1, cell 6).
    assert build_model(study.build, spec, params, seed=0).count_params() == 93_322


def test_a_verdict_uses_both_errors():
    figure = BookFigure(("a",), 0.8, "accuracy", "test", "here", rows=100)  # an error of 0.04
    card = {"test": {"alone_mean": 0.9, "alone_se": 0.03}}
    assert page._verdict(figure, card, None) == ": beyond by 2.0 errors"
    card = {"test": {"alone_mean": 0.76, "alone_se": 0.03}}
    assert page._verdict(figure, card, None) == ": level within one error"
    unknown = BookFigure(("a",), 0.8, "MAE", "test", "here")
    assert page._verdict(unknown, card, None) == ""


ONE, TWO = (BookStudy(name, "DLQR 1", "rows", (1, 2, 1)) for name in ("wine_depth", "imdb_l2"))


@pytest.fixture
def commands(monkeypatch):
    """The commands that are run, which succeed but for those of the first study."""
    ran = []

    def command(folder, *arguments, minutes):
        ran.append((*arguments, minutes))
        if "studies/wine_depth.py" in arguments:
            raise subprocess.CalledProcessError(2, arguments)
        return json.dumps({"test": None})

    monkeypatch.setattr(work, "command", command)
    monkeypatch.setattr(work, "find", lambda book, folder: "a trial")
    return ran


def test_a_search_of_which_no_trial_ended_goes_on_with_the_next_run(
    commands, tmp_path, monkeypatch
):
    monkeypatch.setattr(work, "find", lambda book, folder: None)
    for _ in range(2):
        books.run_all([TWO], tmp_path, 8.0, work.Extent(), tmp_path / "README.md")
    assert [line[0] for line in commands] == ["run", "run", "run"]  # the second run only searches
    assert work.read_facts(TWO, tmp_path)["failed"] == ["search: no trial ended in its minutes"]


def test_a_study_that_fails_is_named_and_the_rest_goes_on(commands, tmp_path, capsys):
    readme = tmp_path / "README.md"
    books.run_all([ONE, TWO], tmp_path, 8.0, work.Extent(), readme)
    # The test is not opened before the search is done.
    assert [line[0] for line in commands if "studies/wine_depth.py" in line] == ["run", "run"]
    assert [line[0] for line in commands if "studies/imdb_l2.py" in line] == ["run", "run", "refit"]
    why = ["networks: exit code 2", "search: exit code 2"]
    assert work.read_facts(ONE, tmp_path)["failed"] == why
    assert f"failed: {', '.join(why)}" in readme.read_text()
    assert "[2/2] imdb_l2: done" in capsys.readouterr().out
    commands.clear()
    books.run_all([ONE, TWO], tmp_path, 8.0, work.Extent(), readme)  # goes on with what is missing
    assert {line[1] for line in commands} == {"studies/wine_depth.py"}


def test_what_time_there_is_is_shared_by_the_studies_minutes(commands, tmp_path):
    books.run_all([ONE, TWO], tmp_path, 4.0, work.Extent(), tmp_path / "README.md")
    hours = [float(line[line.index("--hours") + 1]) for line in commands if line[0] == "run"]
    # Half of their minutes; the first study fails at once, so that the second gets its share too.
    assert [60 * each for each in hours] == pytest.approx([0.5, 1, 1, 2], abs=0.01)


def test_studies_that_have_no_time_left_are_named(commands, tmp_path, capsys):
    books.run_all([ONE, TWO], tmp_path, 0.0, work.Extent(), tmp_path / "README.md")
    assert commands == []
    assert "wine_depth and what follows were not run" in capsys.readouterr().out


@pytest.mark.slow
def test_a_study_is_run_from_its_networks_to_the_page(tmp_path):
    small = ["--seeds", "3", "--repeats", "1", "--trials", "3", "--epochs", "2"]
    places = ["--folder", str(tmp_path), "--readme", str(tmp_path / "README.md")]
    books.main(["wine_depth", *small, *places])
    text = (tmp_path / "README.md").read_text()
    (row,) = [line for line in text.splitlines() if line.startswith("| `wine_depth` | DLQR")]
    cells = dict(zip(page.HEADER, (cell.strip() for cell in row.split("|")[1:-1]), strict=True))
    assert cells["metric"] == "mae"
    assert cells["trials"] == "3 of 32"
    assert cells["best found"]
    assert cells["book's network"].count("(3 seeds)") == 2  # one hidden layer, and five
    assert " ± " in cells["test"]
    assert "failed" not in cells["minutes"]
    assert "| `mnist_gan` | DLQR 13 | MNIST, images |  | not run |" in text
