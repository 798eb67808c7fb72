"""Where outputs may go: never over a store, a study, a kept model, or anything that is not theirs."""

import json
import os
import shutil
import socket
import sqlite3
import stat
import tempfile
import threading
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from hpsearch import Int, Space
from hpsearch.core.errors import OutputError
from hpsearch.core.outputs import OutputKind, choose_place, is_kept_model, is_store, whole_output
from hpsearch.plots import canvas
from hpsearch.store import Store
from tests.builders import fill_store, make_record

ANYTHING = OutputKind("anything", lambda path: True)
FOLDER = OutputKind("a folder of ours", lambda folder: (folder / "ours").exists(), is_folder=True)

# Commands that write, each without the place to write to.
WRITERS = {
    "report": ("report", "digits", "-o"),
    "compare": ("compare", "1", "-o"),
    "csv": ("export", "csv", "--force", "-o"),
    "parquet": ("export", "parquet", "--force", "-o"),
    "tensorboard": ("export", "tensorboard", "--force", "-o"),
    "optuna": ("export", "optuna", "--force", "-o"),
    "init": ("init", "data.csv", "--target", "y", "--force", "-o"),
    "predict": ("predict", "model", "data.csv", "-o"),
    "completion": ("completion", "bash"),
}
PRECIOUS = (
    "store.db",
    "store.db-wal",
    "store.db-shm",
    "locks/1-2-3",
    "study.py",
    "data.csv",
    "notes.html",
    "picture.png",
    "model/model.json",
    "model/new.csv",
    "model",
    "folder",
    "link.html",
    ".",
    "..",
    "pipe",
    "socket",
    "notes.html/x",
    "x" * 300,
    "",
)


@pytest.fixture
def precious():
    """What a user would not lose, and a store to write of."""
    with Store(Path("store.db"), create=True) as store:
        space = json.dumps(Space(a=Int(0, 9)).to_json())
        fill_store(store, make_record(space=space), 0.5, 0.9)
    Path("study.py").write_text("study = 1")
    Path("data.csv").write_text("x,y\n" + "".join(f"{i / 7},{i}\n" for i in range(30)))
    Path("notes.html").write_text("<!doctype html>mine")
    Path("picture.png").write_bytes(b"\x89PNG of my cat")
    for folder in ("folder", "locks", "model"):
        Path(folder).mkdir()
    Path("locks/1-2-3").write_text("1")
    Path("folder/trials.csv").symlink_to("../data.csv")
    Path("folder/thesis.txt").write_text("years of work")
    index = {"weights": [1.0], "inputs": {"x": [1]}, "columns": ["x"]}
    Path("model/model.json").write_text(json.dumps({**index, "classifies": False, "logits": False}))
    Path("link.html").symlink_to("store.db")
    shutil.copy("store.db", "other.db")
    os.link("other.db", "hard.html")
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as there, sqlite3.connect("store.db") as reader:
        there.bind("socket")
        reader.execute("SELECT count(*) FROM told").fetchall()  # keeps the side files there
        yield
    reader.close()


def contents():
    """All that is there: modes, links and bytes."""
    return {
        path.as_posix(): (
            stat.S_IFMT(path.lstat().st_mode),
            path.readlink() if path.is_symlink() else None,
            path.read_bytes() if path.is_file() and not path.name.endswith("-shm") else None,
        )
        for path in Path().rglob("*")
    }


@pytest.mark.parametrize(
    "writer", [name for name in WRITERS if name not in ("completion", "predict")]
)
def test_nothing_of_somebody_elses_is_written_over(hpsearch, precious, writer):
    before = contents()
    for place in (*PRECIOUS, "hard.html"):
        if writer == "init" and (place == "study.py" or place.isidentifier()):
            continue  # --force says so; and a name is that of a study, in studies/
        if (writer, place) == ("report", "pipe"):
            continue  # it waits for a reader
        code, out, err = hpsearch(*WRITERS[writer], place)
        assert (code, out) == (2, ""), (place, out)
        assert err.count("\n") == 1, (place, err)
        assert contents() == before, place


def test_predictions_go_over_nothing_either(precious):
    from hpsearch.commands.refit import PREDICTIONS

    for place in (*PRECIOUS, "hard.html"):
        if place != "pipe":
            with pytest.raises(OutputError):
                choose_place(Path(place), PREDICTIONS, sources=[Path("data.csv")])


LABELS = [f"label {i}, with a comma" for i in range(500)]


@pytest.mark.parametrize(
    ("columns", "ours"),
    [
        (["class", "p_0", "p_1"], True),
        (["class", "p_1, it says"], True),
        (["predicted"], True),
        (["predicted_0", "predicted_1"], True),
        (["a", "b", "p_a", "p_b"], True),
        ([*LABELS, *(f"p_{name}" for name in LABELS)], True),
        (["class_0", "class_1", "p_0", "p_1"], True),
        (["age, years/predicted", "sex/class", "sex/p_1", "t/a", "t/p_a"], True),
        (["age/predicted", "tags/class_0", "tags/p_0"], True),
        ([], False),
        (["age/predicted"], False),
        (["age/predicted", "mine"], False),
        (["age/predicted", "sex/mine"], False),
        (["class_0", "class_1", "p_0", "p_2"], False),
        (["class"], False),
        (["class", "p_0", "mine"], False),
        (["predicted", "mine"], False),
        (["a", "b", "p_a", "b"], False),
        (["a", "b", "p_a"], False),
        (["x" * 200_000], False),
    ],
)
def test_earlier_predictions_are_known_by_their_header(columns, ours):
    from hpsearch.commands.refit import PREDICTIONS

    pd.DataFrame([[1] * len(columns)], columns=columns).to_csv("out.csv", index=False)
    if ours:
        assert choose_place(Path("out.csv"), PREDICTIONS).name == "out.csv"
    else:
        with pytest.raises(OutputError, match="not a table of predictions"):
            choose_place(Path("out.csv"), PREDICTIONS)


def test_every_command_that_writes_is_tried_here():
    from hpsearch.commands import main

    able = {
        name
        for name, command in main.app.commands.items()
        if any(parameter.name in ("output", "name") and "-o" in parameter.opts
               for parameter in command.params)
    }  # fmt: skip
    tried = {words[0] for words in WRITERS.values()} - {"completion"}
    assert able == tried | {"refit"}  # which has tests of its own, as it trains


def test_earlier_outputs_are_replaced(hpsearch, precious):
    for _ in range(2):
        assert hpsearch("report", "digits", "-o", "r.html")[0] == 0
        assert hpsearch("compare", "1", "-o", "c.svg")[0] == 0
        assert hpsearch("compare", "1", "-o", "c.png")[0] == 0
        assert hpsearch("compare", "1", "-o", "c.pdf")[0] == 0
        for name in ("csv", "parquet", "tensorboard", "optuna"):
            code, _, err = hpsearch(*WRITERS[name], f"an-export-{name}")
            assert code == 0, err
    Path("an-export-csv/mine.txt").touch()
    code, _, err = hpsearch(*WRITERS["csv"], "an-export-csv")
    assert (code, "exists and is not an export as CSV, so it is not" in err) == (2, True)
    assert hpsearch(*WRITERS["parquet"], "an-export-tensorboard")[0] == 2


def test_a_users_own_partial_file_stays(hpsearch, precious):
    mine = [Path(f"{name}.partial") for name in ("r.html", "c.png", "an-export")]
    for path in mine:
        path.write_text("mine")
    assert hpsearch("report", "digits", "-o", "r.html")[0] == 0
    assert hpsearch("compare", "1", "-o", "c.png")[0] == 0
    assert hpsearch(*WRITERS["csv"], "an-export")[0] == 0
    assert [path.read_text() for path in mine] == ["mine"] * 3
    assert not list(Path().glob(".hpsearch-*"))


def test_a_link_to_an_earlier_output_stays_a_link(hpsearch, precious):
    Path("out").mkdir()
    Path("latest.html").symlink_to("out/new.html")
    for _ in range(2):
        assert hpsearch("report", "digits", "-o", "latest.html")[0] == 0
    assert Path("latest.html").is_symlink()
    assert Path("out/new.html").stat().st_size > 1000
    assert hpsearch(*WRITERS["csv"], "out/csv")[0] == 0
    Path("csv").symlink_to("out/csv")
    assert hpsearch(*WRITERS["csv"], "csv")[0] == 0
    assert Path("csv").is_symlink()


def test_devices_and_pipes_are_written_into(hpsearch, precious):
    code, out, err = hpsearch("report", "digits", "-o", "/dev/stdout")
    assert code == 0, err
    assert out.startswith("<!doctype html>")
    assert hpsearch("report", "digits", "-o", "/dev/null")[0] == 0
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_bytes()))
    reader.start()
    assert hpsearch("report", "digits", "-o", "pipe")[0] == 0
    reader.join(30)
    assert read[0].startswith(b"<!doctype html>")
    assert stat.S_ISFIFO(Path("pipe").stat().st_mode)
    code, out, err = hpsearch("report", "digits", "-o", "/dev/full")
    assert (code, err.count("\n"), "No space left" in err) == (2, 1, True)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no folder below /dev")
def test_files_below_dev_are_files_like_any_other(hpsearch, precious):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        store, written = Path(folder, "store.db"), Path(folder, "r.html")
        shutil.copy("store.db", store)
        before = store.read_bytes()
        code, _, err = hpsearch("report", "digits", "-o", store)
        assert (code, "is a store of searches" in err) == (2, True)
        assert store.read_bytes() == before
        for _ in range(2):
            assert hpsearch("report", "digits", "-o", written)[0] == 0
        assert written.read_bytes().count(b"<!doctype html>") == 1


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="descriptors have no names")
def test_an_open_file_is_written_into_unless_it_is_a_store(hpsearch, precious):
    with open("log.txt", "wb") as log, open("other.db", "rb") as other:
        log.write(b"before\n")
        log.flush()
        assert hpsearch("report", "digits", "-o", f"/dev/fd/{log.fileno()}")[0] == 0
        assert Path("log.txt").read_bytes().startswith(b"before\n<!doctype html>")
        before = Path("other.db").read_bytes()
        code, _, err = hpsearch("report", "digits", "-o", f"/dev/fd/{other.fileno()}")
        assert (code, "is a store of searches" in err) == (2, True)
        assert Path("other.db").read_bytes() == before


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_a_users_own_figure_is_not_replaced(ending):
    own, ours = Path(f"fig1{ending}"), Path(f"compare{ending}")
    Figure().savefig(own)
    before = own.read_bytes()
    with pytest.raises(OutputError, match="not a picture that hpsearch drew"):
        canvas.write_picture(canvas.new_figure(), own)
    assert own.read_bytes() == before
    for _ in range(2):
        canvas.write_picture(canvas.new_figure(), ours)


def test_a_folder_is_there_until_the_new_one_is_whole(monkeypatch):
    old = Path("old")
    old.mkdir()
    (old / "ours").write_text("1")

    def write(text):
        with whole_output(choose_place(old, FOLDER), FOLDER) as partial:
            assert (old / "ours").read_text() == "1"
            partial.mkdir()
            (partial / "ours").write_text(text)
            if text == "fails":
                raise OSError("full")

    with pytest.raises(OutputError):
        write("fails")
    assert (old / "ours").read_text() == "1"
    real = os.rename

    def refuse_the_second(source, target):
        if Path(target) == old.resolve() and (Path(source) / "ours").read_text() == "2":
            raise OSError("busy")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse_the_second)
        with pytest.raises(OutputError, match="busy"):
            write("2")
    assert (old / "ours").read_text() == "1"
    write("3")
    assert (old / "ours").read_text() == "3"
    assert [path.name for path in Path().iterdir()] == ["old"]


def test_what_comes_meanwhile_is_not_replaced():
    def write():
        with whole_output(Path("x"), FOLDER) as partial:
            partial.mkdir()
            Path("x").mkdir()
            Path("x/mine").touch()

    with pytest.raises(OutputError, match="so it is not overwritten"):
        write()
    assert Path("x/mine").exists()


def test_stores_and_kept_models_are_known_by_what_they_hold(precious):
    assert is_store(Path("hard.html"))
    assert is_kept_model(Path("model"))
    with sqlite3.connect("foreign.db") as other:
        other.execute("CREATE TABLE t (a)")
    other.close()
    assert not is_store(Path("foreign.db"))
    assert not is_store(Path("pipe"))
    shutil.copytree("model", "tampered")
    Path("tampered/model.json").write_text("[" * 100_000)
    assert not is_kept_model(Path("tampered"))
    Path("tampered/model.json").unlink()
    os.mkfifo("tampered/model.json")
    assert not is_kept_model(Path("tampered"))
