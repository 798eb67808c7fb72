"""hpsearch init: what it makes of tables, and that what it writes runs."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hpsearch.core.frames.rows import decode_inputs
from hpsearch.evaluators.splits import kfold
from hpsearch.runs.load import Overrides, load_study
from hpsearch.starter.study_text import make_study_name
from hpsearch.tasks import table as tables
from hpsearch.training.base import Split
from hpsearch.training.rows import prepare_rows

ODD = ['say "hi"', "it's", "größe in cm", "back\\slash", "{x}", "a", "a", "", "x,y"]


def rows(count=60, seed=0):
    rng = np.random.default_rng(seed)
    for i in range(count):
        number, colour = rng.normal(), ("red", "blue", "green")[i % 3]
        yield number, colour, number + (colour == "red")


@pytest.fixture
def table():
    """Write a CSV file: table(header, rows, "name.csv", delimiter=";")."""

    def write(header, body, name="data.csv", **how):
        with open(name, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, **how)
            writer.writerow(header)
            writer.writerows(body)
        return Path(name)

    return write


@pytest.fixture
def described(hpsearch):
    """Run init and give what it says of the table in JSON."""

    def run(*arguments):
        code, out, err = hpsearch("init", *arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return run


def test_classes_numbers_categories_and_what_is_left_out(table, described):
    body = [
        (i + 1, n, "" if i % 7 == 0 else colour, f"2024-01-{i % 28 + 1:02}", f"text {i}", 1, "",
         "?" if i == 3 else i % 5 / 2, "yes" if value > 0.4 else "no")
        for i, (n, colour, value) in enumerate(rows())
    ]  # fmt: skip
    header = ("id", "n", "colour", "day", "note", "same", "empty", "gaps", "good")
    said = described(table(header, body), "--target", "good")
    assert said["classes"] == ["no", "yes"]
    assert said["numbers"] == ["n", "gaps"]
    assert said["categories"] == ["colour"]
    assert said["dates"] == {"day": "ISO8601"}
    assert said["left_out"] == {
        "id": "a row number",
        "note": "a different text in nearly every row",
        "same": "the same value in all rows",
        "empty": "empty",
    }
    for name, reason in said["left_out"].items():
        assert f"{name!r} is left out: {reason}" in said["notes"]
    data = load_study(Path("studies/data.py"), Overrides()).task.load()
    searched = decode_inputs(data.x, data.frames)
    tested = decode_inputs(data.x_test, data.frames_test)
    assert list(searched) == ["n", "gaps", "colour", "day"]
    assert len(searched) + len(tested) == 60
    assert searched["gaps"].isna().sum() + tested["gaps"].isna().sum() == 1
    assert set(searched["colour"].dropna()) == {"blue", "green", "red"}
    assert searched["colour"].isna().any()
    assert searched["day"].max() < tested["day"].min()


@pytest.mark.parametrize(
    ("cells", "kind", "classes"),
    [
        (lambda i: i % 3, "classification", ["0", "1", "2"]),
        (lambda i: i % 2 == 0, "classification", ["False", "True"]),
        (lambda i: i * 1.5, "regression", []),
        (lambda i: i, "regression", []),
        (lambda i: [2, 10][i % 2], "classification", ["2", "10"]),
    ],
)
def test_what_a_target_is(table, described, cells, kind, classes):
    file = table(("x", "y"), [(n, cells(i)) for i, (n, _, _) in enumerate(rows())])
    assert described(file, "--target", "y")["classes"] == classes
    other = "regression" if kind == "classification" else None
    if other and classes != ["False", "True"]:
        assert described(file, "--target", "y", "--force", "--kind", other)["classes"] == []


def test_a_number_stays_in_its_own_unit_and_is_scaled_in_the_folds(table, described):
    body = [(n, ("", "none", 1000 + 50 * n)[min(i, 2)]) for i, (n, _, _) in enumerate(rows())]
    said = described(table(("x", "y"), body), "--target", "y")
    assert said["notes"] == [
        "2 of 60 rows are left out: they have no 'y'",
        "'x' alone predicts 'y': is it known before 'y' is?",
        "'none' counts as missing in 'y'",
    ]
    task = load_study(Path("studies/data.py"), Overrides()).task
    data = task.load()
    assert len(data.y) + len(data.y_test) == 58
    assert data.y == pytest.approx(1000 + 50 * data.x[:, 0])
    split = Split(np.arange(20), np.arange(20, 40))
    learned = prepare_rows(task, data, split).y
    assert (learned.mean(), learned.std()) == pytest.approx((0, 1))


def test_folds_have_the_same_inputs_and_learn_from_their_own_rows(table, described):
    body = [
        (n if i % 2 else "", "rare" if i == 0 else colour, value > 0)
        for i, (n, colour, value) in enumerate(rows())
    ]
    described(table(("n", "colour", "y"), body), "--target", "y")
    task = load_study(Path("studies/data.py"), Overrides()).task
    data = task.load()
    for split in kfold(len(data.y), 4, classes=None, groups=None, seed=0):
        split = Split(split.train, split.validation)
        prepared = prepare_rows(task, data, split)
        frame = decode_inputs(data.x[split.train], data.frames)
        known = frame["colour"].nunique(dropna=False)
        # A number, whether it is missing, and an input for each category of the training rows.
        assert prepared.x.shape[1] == prepared.x_validation.shape[1] == 2 + known
        assert prepared.x[:, 0].mean() == pytest.approx(0, abs=1e-9)


def test_a_file_from_elsewhere_is_found_too(table, described, tmp_path, monkeypatch):
    file = table(("x", "y"), [(n, v > 0) for n, _, v in rows()]).resolve()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir("work")
    described(file, "--target", "y")
    assert f'Path("{file.as_posix()}")' in Path("studies/data.py").read_text()
    assert load_study(Path("studies/data.py"), Overrides()).task.load().rows == 48


def test_odd_names_are_found_again(table, described):
    body = [[n + i for i in range(len(ODD))] + [value > 0] for n, _, value in rows()]
    said = described(table([*ODD, "ja/nein"], body, "Größe (1).csv"), "--target", "ja/nein")
    assert said["file"] == "studies/größe_1.py"
    assert len(said["numbers"]) == len(ODD)
    assert "'a.1' is the second column of that name in the file" in said["notes"]
    assert load_study(Path("studies/größe_1.py"), Overrides()).task.load().x.shape == (48, len(ODD))


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_separators_and_decimal_commas(table, described, delimiter):
    body = [(f"{n:.3f}".replace(".", ","), value > 0) for n, _, value in rows()]
    assert described(table(("x", "y"), body, delimiter=delimiter), "--target", "y")["numbers"] == [
        "x"
    ]


@pytest.mark.parametrize(
    ("text", "target", "told"),
    [
        ("a\n1\n2\n", "a", "only the column 'a'"),
        ("", "a", "cannot be read as CSV"),
        ("a,b\n", "a", "has no rows"),
        ("a,b\n1,2\n", "c", "there is no column 'c'; name one by --target: 'a', 'b'"),
        ("a,b\n1,2\n", None, "add --target: 'a', 'b'"),
        ("a,b\n" + "1,2\n" * 5, "b", "5 rows have a 'b'; a search needs at least 10"),
        ("a,b\n" + "1,2\n" * 20, "b", "'b' is '2' in all rows"),
        ("a,b\n" + "1,2\n1,3\n" * 20, "b", "no column is left"),
        ("a,b\n" + "".join(f"{i},t{i}\n" for i in range(50)), "b", "too many for classes"),
        ("a,b\n" + "1,2,3\n" * 20, "b", "more cells than the header"),
        (b"a,b\n\xff\xfe,2\n", "b", "is not in UTF-8"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_from_is_told_in_one_line(hpsearch, text, target, told):
    Path("x.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    code, out, err = hpsearch("init", "x.csv", *(["--target", target] if target else []))
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
    assert not Path("studies").exists()


def test_rows_without_a_target_are_not_counted(table, hpsearch):
    body = [(n, "" if i < 2 else v) for i, (n, _, v) in enumerate(rows())]
    code, _, err = hpsearch("init", table(("x", "y"), body), "--target", "y")
    assert code == 0
    assert "2 of 60 rows are left out: they have no 'y'" in err
    assert "58 rows; predict 'y'" in err


def test_a_study_is_replaced_only_by_force(table, described, hpsearch):
    file = table(("x", "y"), [(n, v > 0) for n, _, v in rows()])
    described(file, "--target", "y", "-o", "mine")
    mine = Path("studies/mine.py")
    changed = mine.read_text() + "# changed"
    mine.write_text(changed)
    code, _, err = hpsearch("init", file, "--target", "y", "-o", "mine")
    assert code == 2
    assert "studies/mine.py exists already" in err
    code, _, err = hpsearch("init", file, "--target", "z", "-o", "mine", "--force")
    assert "there is no column 'z'" in err
    assert mine.read_text() == changed
    described(file, "--target", "y", "-o", "mine", "--force")
    assert "# changed" not in mine.read_text()
    mine.write_text("study = Study()")
    code, _, err = hpsearch("init", file, "--target", "y", "-o", "mine", "--force")
    assert code == 2
    assert "not a study that `init` wrote, so it is not overwritten" in err
    assert mine.read_text() == "study = Study()"
    assert hpsearch("init", file, "--target", "y", "-o", "no name")[0] == 2
    assert hpsearch("init", "no.csv", "--target", "y")[0] == 2


def test_on_a_terminal_the_target_is_asked_for(table):
    pty = pytest.importorskip("pty")
    table(("x", "y"), [(n, v > 0) for n, _, v in rows()])
    parent, child = pty.openpty()
    program = "import sys; sys.argv = ['hpsearch', 'init', 'data.csv']; import hpsearch.commands.main as c; c.main()"
    started = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=child,
        stdout=child,
        stderr=subprocess.PIPE,
        text=True,
    )
    with open(parent, "w") as keyboard:
        keyboard.write("2\n")
        keyboard.flush()
        _, told = started.communicate(timeout=60)
    assert started.returncode == 0, told
    assert 'target="y"' in Path("studies/data.py").read_text()


def test_written_studies_are_formatted(table, described):
    names = [*ODD, "long " * 30]
    body = [
        [n, colour, "ab"[i % 2], f"{i % 25} is a value of some length", *[n] * (len(names) - 4), v]
        for i, (n, colour, v) in enumerate(rows(120))
    ]
    described(table([*names, "y"], body), "--target", "y")
    body = [[n, i < 100] for i, (n, _, _) in enumerate(rows(120))]
    described(table(["x", "y"], body, "rare.csv"), "--target", "y")
    rare = Path("studies/rare.py").read_text()
    assert 'metric="average_precision"' in rare
    assert 'class_weight="balanced"' in rare
    assert 'classes=["True", "False"]' in rare  # the rare one is the one that is looked for
    ruff = [sys.executable, "-m", "ruff"]
    for check in (["check"], ["format", "--check"]):
        command = [*ruff, *check, "--isolated", "studies"]
        ended = subprocess.run(command, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    ("stem", "name"),
    [("a b", "a_b"), ("2024", "table_2024"), ("...", "table"), ("class", "class"), ("ÄÖ", "äö")],
)
def test_names_of_studies(stem, name):
    assert make_study_name(Path(f"{stem}.csv")) == name


def check_unit(card, ranked, told):
    """A card, like a ranking, is in the target's own unit."""
    assert card["unit"] is None
    if "classes" in card["test"]:
        return
    (member,), test = card["members"], card["test"]
    assert member["value"] == pytest.approx(ranked["value"])
    assert test["value"] == pytest.approx(test["mae"])
    assert test["against_true"][0]["true"] < 1000 < test["against_true"][-1]["true"]
    true, predicted = np.loadtxt("model/test.csv", delimiter=",", skiprows=1).T
    # Both are written to six digits, some 1000 to a hundredth.
    assert np.abs(true - predicted).mean() == pytest.approx(test["value"], abs=0.01)
    assert true.mean() == pytest.approx(1000, abs=100)
    assert "Values are in the unit of" not in told


@pytest.mark.slow
@pytest.mark.parametrize("target", ["good", "price"])
def test_the_written_study_runs_and_its_model_predicts_the_file(table, described, hpsearch, target):
    body = [
        ("" if i % 11 == 0 else n, "" if i % 13 == 0 else colour, f'{"ab"[i % 2]} "x"',
         "yes" if value > 0.4 else "no" if target == "good" else 1000 + 50 * value)
        if target == "good" else (n, colour, f'{"ab"[i % 2]} "x"', 1000 + 50 * value)
        for i, (n, colour, value) in enumerate(rows(100))
    ]  # fmt: skip
    file = table(("größe in cm", "colour", 'a "b"', target), body, delimiter=";")
    study = described(file, "--target", target)["file"]
    code, told, err = hpsearch("run", study, "--inline", "--trials", 1, "--epochs", 40)
    assert code == 0, err
    assert "standard deviations" not in told
    code, out, err = hpsearch("refit", study, "-o", "model", "--seeds", 1, "--json")
    assert code == 0, err
    check_unit(json.loads(out), json.loads(hpsearch("rank", "--json")[1])[0], err)
    new = [(*row[:3],) for row in body] + [
        (
            "",
            "never seen",
            "",
        )
    ]
    code, out, err = hpsearch(
        "predict", "model", table(("größe in cm", "colour", 'a "b"'), new, "new.csv")
    )
    assert code == 0, err
    found = list(csv.DictReader(out.splitlines()))
    assert len(found) == 101
    if target == "good":
        assert list(found[0]) == ["class", "p_no", "p_yes"]
        right = [row["class"] == line[3] for row, line in zip(found, body, strict=False)]
        assert np.mean(right) > 0.8
    else:
        told = np.array([float(row["predicted"]) for row in found[:100]])
        true = np.array([line[3] for line in body])
        assert np.abs(told - true).mean() < 0.5 * true.std()
    code, _, err = hpsearch("predict", "model", table(("colour",), [("red",)], "less.csv"))
    assert code == 2
    assert "less.csv lacks the columns " in err
    code, _, err = hpsearch("predict", "nomodel", "new.csv")
    assert (code, err.count("\n"), "there is no model folder nomodel" in err) == (2, 1, True)


def test_loss_and_metric_agree_and_the_searcher_is_the_default(table, described):
    from hpsearch import Study

    described(table(("x", "y"), [(n, 1000 + v) for n, _, v in rows()]), "--target", "y")
    study = load_study(Path("studies/data.py"), Overrides())
    assert (study.task.loss, study.task.metric) == ("mae", "mae")
    assert "preprocess_y=StandardScaler()" in Path("studies/data.py").read_text()
    default = Study(
        task=study.task, space=study.space, build=study.build, evaluator=study.evaluator
    )
    assert type(study.searcher) is type(default.searcher)


def test_studies_of_earlier_versions_are_the_same_search(table):
    path = table(("x", "y"), [(n, v) for n, _, v in rows()])
    number = tables.task("t", path, target="y", numbers=("x",))
    assert (number.loss, number.metric, number.outputs) == ("mse", "mae", None)
    classes = {"target": "y", "numbers": ("x",), "classes": ("a", "b", "c")}
    assert tables.task("t", path, **classes).outputs is None
    assert tables.task("t", path, **classes, ordered="oldest first").outputs == 3


@pytest.mark.parametrize(
    ("values", "skewed"),
    [
        (lambda rng: rng.lognormal(10, 1, 400), True),
        (lambda rng: rng.lognormal(-9, 1, 400), True),
        (lambda rng: rng.negative_binomial(1, 0.05, 400), True),
        (lambda rng: rng.standard_t(2, 400) ** 3, True),
        (lambda rng: rng.normal(1000, 50, 400), False),
        (lambda rng: rng.uniform(0, 1, 400), False),
        (lambda rng: rng.poisson(20, 400), False),
    ],
)
def test_a_skewed_number_is_learned_by_its_logarithm_and_told_in_its_own_unit(
    table, described, values, skewed
):
    y = values(np.random.default_rng(0))
    x = np.random.default_rng(1).normal(size=len(y))
    said = described(table(("x", "y"), zip(x, y, strict=True)), "--target", "y")
    assert ("'y' is skewed, so its logarithm is learned" in said["notes"]) == skewed
    assert ("np.arcsinh" in Path("studies/data.py").read_text()) == skewed
    task = load_study(Path("studies/data.py"), Overrides()).task
    data = task.load()
    assert np.sort(np.concatenate([data.y, data.y_test])) == pytest.approx(np.sort(y))
    split = Split(np.arange(200), np.arange(200, 300))
    learned = prepare_rows(task, data, split).y
    assert (learned.mean(), learned.std()) == pytest.approx((0, 1))


DATES = {
    "2024-02-{:02}": lambda i: (i + 1,),
    "{:02}.{:02}.2024": lambda i: (i % 28 + 1, i // 28 + 1),
    "{:02}/{:02}/2024": lambda i: (i // 28 + 1, i % 28 + 1),
    "2024-01-05 {}:{:02}": lambda i: (8 + i // 10, i % 10),
}


@pytest.mark.parametrize("pattern", DATES)
@pytest.mark.parametrize("newest", [False, True], ids=["oldest first", "newest first"])
def test_rows_in_the_order_of_a_date_are_split_by_it(table, described, pattern, newest):
    count = 28 if "02-" in pattern else 100
    body = [
        (n, pattern.format(*DATES[pattern](i)), i * 1.5) for i, (n, _, _) in enumerate(rows(count))
    ]
    said = described(table(("x", "when", "y"), body[::-1] if newest else body), "--target", "y")
    (ordered,) = said["notes"]
    assert ordered.startswith(
        f"rows are in the order of 'when', {'newest' if newest else 'oldest'} first: "
    )
    study = load_study(Path("studies/data.py"), Overrides())
    data = study.task.load()
    assert (np.diff(np.concatenate([data.y, data.y_test])) > 0).all()
    assert len(data.y_test) == round(0.2 * count)
    splits = study.evaluator.splits(study.task, data, seed=0)
    assert len(splits) == 4
    for split in splits:
        assert split.train.max() < split.validation.min()


def test_rows_in_no_order_are_sorted_and_a_year_is_a_time(table, described):
    shuffled = np.random.default_rng(0).permutation(60)
    body = [
        (n, f"2024-{i // 28 + 1:02}-{i % 28 + 1:02}", v > 0)
        for (n, _, v), i in zip(rows(), shuffled, strict=True)
    ]
    file = table(("x", "when", "y"), body)
    said = described(file, "--target", "y")
    assert said["notes"][0].startswith("rows are sorted by 'when'")
    data = load_study(Path("studies/data.py"), Overrides()).task.load()
    assert (np.diff(data.times) > np.timedelta64(0)).all()
    said = described(file, "--target", "y", "--time", "none", "--force")
    assert said["time"] is None
    assert "time=" not in Path("studies/data.py").read_text()
    body = [(n, 1960 + i // 3, i % 3) for i, (n, _, _) in enumerate(rows())]
    described(table(("x", "year", "y"), body), "--target", "y", "--force")
    study = load_study(Path("studies/data.py"), Overrides())
    assert 'time="year"' in Path("studies/data.py").read_text()
    assert study.task.load().times.max() == 1960 + 47 // 3
    assert study.task.output_units(study.task.load().y) == 3


@pytest.mark.parametrize("between", [",", ";"])
def test_wide_files_are_read_as_others_are(table, between, monkeypatch):
    from hpsearch.tasks import csv_tables

    names = [*ODD, "a.1", " b ", "NA", "", "x,y"]
    body = [
        ["1", " 2 ", "NA", "", "?", " ?", "x ", 'say "hi"', "1,5", "-1.#IND", "null", "None", "nan", "0"],
        [],
        ["1"],
        ["a\nb", *["2,5"] * 13],
    ]  # fmt: skip
    file = table(names, body, delimiter=between)
    long = csv_tables.read_table(file)
    monkeypatch.setattr(csv_tables, "_MANY_COLUMNS", 1)
    wide = csv_tables.read_table(file)
    assert list(wide) == list(long)
    assert wide.astype(object).where(wide.notna(), None).to_numpy().tolist() == (
        long.astype(object).where(long.notna(), None).to_numpy().tolist()
    )
    assert csv_tables.to_number_table(wide) == pytest.approx(
        np.column_stack([csv_tables.to_numbers(long[name]) for name in long]), nan_ok=True
    )


def test_studies_is_no_folder(table, hpsearch):
    file = table(("x", "y"), [(n, v > 0) for n, _, v in rows()])
    Path("studies").write_text("mine")
    code, out, err = hpsearch("init", file, "--target", "y")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "studies/data.py cannot be written: Not a directory" in err
    for name in ("x" * 300, "a\nb", "a" * 200 + "/" + "b" * 200, "", "x.txt", "\0"):
        code, out, err = hpsearch("init", file, "--target", "y", "-o", name)
        assert (code, out, err.count("\n")) == (2, "", 1), (name, err)
    assert Path("studies").read_text() == "mine"
    Path("studies").unlink()
    code, out, err = hpsearch("init", file, "--target", "y", "-o", "x" * 300)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert "File name too long" in err
    assert not Path("studies").exists()


@pytest.mark.slow
def test_a_skewed_target_in_the_order_of_time_is_predicted_in_its_own_unit(
    table, described, hpsearch
):
    body = [
        (n, f"{2000 + i // 12}-{i % 12 + 1:02}-01", 300 * np.exp(2 * n))
        for i, (n, _, _) in enumerate(rows(150))
    ]
    file = table(("x", "when", "price"), body)
    said = described(file, "--target", "price")
    assert said["left_out"] == {"x": "the target in other words"}
    study = described(file, "--target", "price", "--keep", "x", "--force")["file"]
    code, out, err = hpsearch("run", study, "--inline", "--searcher", "random:trials=1,epochs=40")
    assert code == 0, err
    code, out, err = hpsearch("refit", study, "-o", "model", "--seeds", 1, "--json")
    assert code == 0, err
    card = json.loads(out)
    true, predicted = np.loadtxt("model/test.csv", delimiter=",", skiprows=1).T
    assert true == pytest.approx([line[2] for line in body[-30:]], rel=1e-4)
    assert card["test"]["mae"] == pytest.approx(np.abs(true - predicted).mean(), rel=1e-3)
    code, out, err = hpsearch("predict", "model", file)
    assert code == 0, err
    told = np.array([float(row["predicted"]) for row in csv.DictReader(out.splitlines())])
    assert told[-30:] == pytest.approx(predicted, rel=1e-3)
    y = np.array([line[2] for line in body])
    assert np.abs(told - y).mean() < 0.6 * np.abs(np.median(y) - y).mean()


@pytest.mark.parametrize("option", ["--text", "--keep"])
def test_an_option_that_means_the_target_is_refused(hpsearch, option):
    Path("t.csv").write_text("x,kind\n" + "".join(f"{i / 3},{'ab'[i % 2]}\n" for i in range(40)))
    code, _, err = hpsearch("init", "t.csv", "--target", "kind", option, "kind")
    assert code == 2
    assert f"'kind' is the target; name another column by {option}" in err
