"""A store's file that is deleted, linked, damaged, or lies where nobody may write."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from hpsearch import Results
from hpsearch.core.errors import HpsearchError, StoreError, StoreLostError
from hpsearch.core.metric import Metric
from hpsearch.core.plan import Budget, Plan
from hpsearch.core.trial import Suggestion
from hpsearch.store import Heartbeat, Store, list_studies, rank_tasks, read_trial, study_lock
from hpsearch.store.sqlite import Sqlite
from tests.attacks.searches import CHAIN_STUDY, CHAINED
from tests.builders import (
    RECORD,
    fill_store,
    make_outcome,
    make_outcome_with_metrics,
    make_record,
)
from tests.conftest import ROOT

PATH = Path("store.db")


def delete(path):
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


def replace(path):
    delete(path)
    with Store(path, create=True) as other:
        fill_store(other, make_record(study="another's"), 0.1)


@pytest.mark.parametrize(
    "lose",
    [
        delete,
        replace,
        lambda path: path.with_name(f"{path.name}-wal").unlink(),
        lambda path: path.rename("moved.db"),
        lambda path: shutil.rmtree(path.parent),
    ],
)
def test_a_store_that_is_deleted_while_it_is_written_to_is_rescued(lose):
    path = Path("folder", "store.db")
    with Store(path, create=True) as store:
        journal = fill_store(store, RECORD, 0.5, 0.6)
        journal.append_answer(2, Suggestion({"a": 2}, 2))
        lose(path)
        with pytest.raises(StoreLostError, match=r"deleted or replaced .*store\.rescued\.db"):
            journal.append_outcome(2, make_outcome(0.7))
        before = list(journal.events())
    rescued = Path("folder", "store.rescued.db")
    with Store(rescued, create=True) as store:
        assert list(store.journal(1).events())[: len(before)] == before
        assert [row.value for row in rank_tasks(store)[0]] == [0.7, 0.6, 0.5]  # the last one too
        fill_store(store, make_record(study="t"), 0.8)
    if lose is replace:
        with Store(path) as store:
            assert [row["study"] for row in list_studies(store)] == ["another's"]


def test_a_rescued_store_overwrites_no_other():
    for _ in range(2):
        with Store(PATH, create=True) as store:
            journal = fill_store(store, RECORD, 0.5)
            delete(PATH)
            for number in (1, 2):  # the last write is in it, however many there are
                with pytest.raises(StoreLostError):
                    journal.append_answer(number, Suggestion({}, 1))
                journal = store.journal(journal.search)
    for name in ("store.rescued.db", "store.rescued-2.db"):
        with Store(Path(name)) as store:
            assert list_studies(store)[0]["stopped"] == 2


def test_a_store_whose_folder_takes_no_file_any_more_is_rescued_to_another(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "others"))
    other = tmp_path / "others" / "store.rescued.db"
    other.parent.mkdir()
    other.write_text("an earlier one")
    path = Path("folder", "store.db")
    with Store(path, create=True) as store:
        journal = fill_store(store, RECORD, 0.5)
        shutil.rmtree(path.parent)
        path.parent.symlink_to("/proc")  # as if something kept deleting what is written there
        with pytest.raises(StoreLostError, match=r"others/store\.rescued-2\.db"):
            journal.append_answer(1, Suggestion({"a": 2}, 2))
    assert other.read_text() == "an earlier one"
    with Store(other.with_name("store.rescued-2.db")) as store:
        assert [row.value for row in rank_tasks(store)[0]] == [0.5]


def test_a_run_whose_folder_changes_has_lost_nothing(tmp_path, monkeypatch):
    with Store(PATH, create=True) as store:
        journal = store.begin_search(RECORD)
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir("elsewhere")
        assert journal.append_answer(0, Suggestion({}, 1)) == 1


def test_a_store_has_one_owner_by_whatever_name():
    with Store(PATH, create=True) as store:
        fill_store(store, RECORD, 0.5)
    Path("deep").mkdir()
    Path("deep", "link.db").symlink_to(PATH.absolute())
    os.link(PATH, "hard.db")
    for name in ("deep/link.db", "hard.db"):
        with (
            study_lock(PATH, "s"),
            pytest.raises(StoreError, match=f"run by process {os.getpid()};"),
            study_lock(Path(name), "s"),
        ):
            pass


def test_two_that_begin_a_store_at_once_take_turns():
    with (
        study_lock(Path("new", "store.db"), "s"),
        pytest.raises(StoreError, match="is being run"),
        study_lock(Path("new", "store.db"), "s"),
    ):
        pass


def test_a_store_of_two_names_is_refused_and_read_by_its_symbolic_link(hpsearch):
    with Store(PATH, create=True) as store:
        fill_store(store, RECORD, 0.5)
    os.link(PATH, "hard.db")
    for create in (True, False):
        with pytest.raises(StoreError, match=r"a file with 2 names.*symbolic links"):
            Store(Path("hard.db"), create=create)
    assert hpsearch("rank", "--store", "hard.db")[0] == 2
    Path("hard.db").unlink()
    Path("link.db").symlink_to(PATH)
    with Store(Path("link.db"), create=True) as store:
        fill_store(store, make_record(study="t"), 0.6)
    with Store(PATH) as store:
        assert len(rank_tasks(store)[0]) == 2


READ = """
import os
import sys
from pathlib import Path
from hpsearch.core.errors import StoreError
from hpsearch.store import Store, rank_tasks
if os.getuid() == 0:  # who may write everywhere
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    with Store(Path(sys.argv[1])) as store:
        print(*(row.value for row in rank_tasks(store)[0]))
except StoreError as error:
    print(error)
"""


@pytest.fixture
def public():
    """A folder that anybody may look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="becomes another user")
@pytest.mark.parametrize("ended", ["killed", "closed"])
def test_trials_in_the_wal_of_a_folder_that_may_only_be_read_are_read(public, ended):
    with Store(public / "made.db", create=True) as store:
        fill_store(store, RECORD, 0.5)
    with Store(public / "made.db", create=True) as store:
        fill_store(store, make_record(study="t"), 0.6)  # into the WAL
        for name in ("", "-wal") if ended == "killed" else ():
            shutil.copyfile(public / f"made.db{name}", public / f"store.db{name}")
    if ended == "closed":
        shutil.copyfile(public / "made.db", public / "store.db")
    public.chmod(0o555)
    before = sorted((path.name, path.stat().st_size) for path in public.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", READ, public / "store.db"],
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("0.6 0.5\n", "")
    assert sorted((path.name, path.stat().st_size) for path in public.iterdir()) == before


def test_a_busy_database_is_not_taken_for_one_that_nobody_writes_to(monkeypatch):
    monkeypatch.setattr("hpsearch.store.sqlite._WAIT", 0.05)
    with Store(PATH, create=True) as store:
        fill_store(store, RECORD, 0.5)
    with closing(sqlite3.connect(PATH, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="database is locked"):
            Store(PATH)


@pytest.mark.parametrize("place", ["file/store.db", "x" * 300 + ".db", "f/" * 3 + "x" * 300])
def test_where_no_store_can_be_is_one_line(place, hpsearch):
    Path("file").write_text("no folder")
    with pytest.raises(StoreError) as caught, study_lock(Path(place), "s"):
        pass
    assert "\n" not in str(caught.value)
    for create in (True, False):
        with pytest.raises(StoreError):
            Store(Path(place), create=create)
    code, out, err = hpsearch("rank", "--store", place)
    assert (code, out, len(err.splitlines())) == (2, "", 1)


BEGIN = """
import fcntl
import os
import resource
import sqlite3
import sys
from pathlib import Path
from hpsearch.core.errors import StoreError
from hpsearch.store import Store, study_lock
if sys.argv[2] == "full disk":  # a limit on what one file may hold stands in for its end
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
elif os.getuid() == 0:  # who may write everywhere
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
place = Path(sys.argv[1])
for begin in (lambda: study_lock(place, "s").__enter__(), lambda: Store(place, create=True)):
    try:
        print("begun", begin())
    except StoreError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="becomes another user")
@pytest.mark.parametrize("what", ["full disk", "read-only folder"])
def test_where_a_store_cannot_begin_is_one_line(public, what):
    if what == "read-only folder":
        public.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", BEGIN, public / "store.db", what],
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    locked, opened = done.stdout.splitlines()
    assert "store.db cannot be written: " in locked
    assert "store.db cannot be opened as a store: " in opened
    assert "by --store" in locked
    assert "by --store" in opened
    assert done.stderr == ""
    left = [path for path in public.rglob("*") if path.is_file() and path.stat().st_size]
    assert not left


def test_a_store_is_no_pipe_or_folder():
    os.mkfifo("pipe")
    Path("folder").mkdir()
    for place in ("pipe", "folder"):
        with pytest.raises(StoreError, match=f"{place} is not a file; name another by --store"):
            Store(Path(place), create=True)
    assert sorted(path.name for path in Path().iterdir()) == ["folder", "pipe"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("CREATE TABLE t (a)", "another program"),
        ("PRAGMA user_version = 99", "of version 99"),
        ("DROP TABLE curves", "damaged"),
        (None, "malformed"),
    ],
)
def test_a_refused_store_leaves_no_connection_open(change, message):
    if message != "another program":
        with Store(PATH, create=True) as store:
            fill_store(store, RECORD, 0.5)
    if change is None:
        PATH.write_bytes(PATH.read_bytes()[:50] + bytes(5000))
    else:
        with closing(sqlite3.connect(PATH)) as other:
            other.executescript(change)
    for create in (True, False):
        with pytest.raises(StoreError, match=message):
            Store(PATH, create=create)
    if sys.platform == "linux":
        opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                  if os.path.islink(f"/proc/self/fd/{fd}")]  # fmt: skip
        assert not [name for name in opened if name.startswith(str(PATH.absolute()))]


DEEP = "[" * 100_000 + "]" * 100_000
DAMAGES = {
    "a table is missing": "DROP TABLE curves",
    "a column is missing": "ALTER TABLE told DROP COLUMN device",
    "an endless view": "ALTER TABLE told RENAME TO told_; CREATE VIEW told AS WITH RECURSIVE n(i) "
    "AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS search, i AS seq, i AS trial, 0.5 AS "
    "value, 0.1 AS se, 1 AS best_epoch, 1 AS epochs, 1 AS parameters, 1.0 AS seconds, 1 AS "
    "peak_bytes, '' AS failure, '' AS message, '' AS detail, 1.0 AS at, '' AS device, 1.0 AS "
    "started FROM n",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON told BEGIN DELETE FROM told; END",
    "deep JSON in a point": f"UPDATE asked SET params = '{DEEP}'",
    "deep JSON in a curve": f"UPDATE curves SET validation = '{DEEP}'",
    "40 MB of JSON": "UPDATE asked SET params = '{\"a\": \"' || hex(zeroblob(20000000)) || '\"}'",
    "no JSON": "UPDATE asked SET params = '{'; UPDATE curves SET validation = 'x'",
    "another JSON": "UPDATE asked SET params = '7'; UPDATE curves SET validation = '{}'",
    "a text for a value": "UPDATE told SET value = 'high'",
    "a blob for a text": "UPDATE searches SET task = x'ff00'",
    "no UTF-8": "UPDATE asked SET params = CAST(x'7b22ff227d' AS TEXT)",
    "a plan that is none": "UPDATE runs SET planned = '-1'",
    "a schema that is no text": "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = "
    "CAST(x'435245415445205441424c4520746f6c6420c2207828' AS TEXT) WHERE name = 'told'",
    "an epoch that no curve has": "UPDATE told SET best_epoch = 1000000",
    "another value": "UPDATE told SET value = 0.7 WHERE trial = 1",
    "another value of a fold": "UPDATE curves SET value = 0.7 WHERE trial = 1 AND fold = 0",
    "another digit of a curve": "UPDATE curves SET validation = replace(validation, '0.', '1.')",
    "another point": "UPDATE asked SET params = '{\"a\": 2}' WHERE trial = 1",
    "another direction": "UPDATE searches SET direction = 'min'",
    "another repeat": "UPDATE repeats SET value = 0.9",
    "rows of no search": "DELETE FROM searches",
    "told, never asked": "DELETE FROM asked WHERE trial = 1",
    "an event is missing": "DELETE FROM told WHERE seq = (SELECT min(seq) FROM told)",
    "put aside for itself": "INSERT INTO retired (search, successor) VALUES (1, 1)",
}


def looks():
    """All that is read of a store, as text."""
    with Store(PATH) as store:
        found = [
            rank_tasks(store),
            list_studies(store),
            read_trial(store, 1),
            *store.journal(1).events(),
        ]
    results = Results(PATH)
    frames = results.trials, results.curves, results.repeats, results.failures
    return repr((found, results.points)) + "".join(frame.to_csv() for frame in frames)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_refused_in_one_line(damage, hpsearch):
    with Store(PATH, create=True) as store:
        journal = fill_store(store, RECORD, 0.5, 0.6, folds=2)
        journal.append_repeat(0, 1, make_outcome(0.7, folds=2), 0.6, 0.1)
        Heartbeat(store, journal.search, Plan(2, 4, 4), Budget(), workers=1)
    with closing(sqlite3.connect(PATH)) as db:
        db.executescript(DAMAGES[damage])
        db.commit()
    before = PATH.read_bytes()
    with pytest.raises(StoreError) as caught:
        looks()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    for command in (["rank"], ["show", 1], ["studies"], ["watch", "--json"]):
        code, _, err = hpsearch(*command)
        assert code in (0, 2)
        assert (code == 0) or len(err.splitlines()) == 1, err
    assert PATH.read_bytes() == before


def test_a_store_with_flipped_bits_or_cut_is_read_as_it_was_or_refused_in_one_line():
    with Store(PATH, create=True) as store:
        journal = fill_store(store, RECORD, *(n / 100 for n in range(40)), folds=2)
        journal.append_repeat(0, 1, make_outcome(0.7, folds=2), 0.6, 0.1)
        journal = store.journal(journal.search, [Metric("f1", "max")])
        for number in range(40, 60):
            journal.append_answer(number, Suggestion({"a": number}, 2))
            curves = [[number / 99, number / 98], [number / 97, number / 96]]
            journal.append_outcome(number, make_outcome_with_metrics(curves, {"f1": curves}))
    whole, dice = PATH.read_bytes(), random.Random(0)
    right, said = looks(), []
    for round_ in range(150):
        spoilt = bytearray(whole)
        if round_ % 5 == 0:
            del spoilt[dice.randrange(100, len(spoilt)) :]
        else:
            spoilt[dice.randrange(len(spoilt))] ^= 1 << dice.randrange(8)
        delete(PATH)
        PATH.write_bytes(spoilt)
        try:
            assert looks() == right
        except HpsearchError as error:
            said.append(str(error))
    assert len(said) >= 30  # those that are cut, and more
    assert not [text for text in said if "\n" in text or len(text) > 400]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="as the driver is")
def test_a_run_whose_store_is_deleted_says_so_and_what_is_rescued_goes_on(tmp_path):
    Path("study.py").write_text(CHAIN_STUDY.replace("SEARCHER", "Random(trials=300, epochs=10)"))
    command = [
        sys.executable,
        "-c",
        CHAINED[1],
        "study.py",
        "--devices",
        "cpu:2",
        "--store",
        "store.db",
    ]
    how = {"env": {**os.environ, "PYTHONPATH": str(ROOT)}, "text": True, "stderr": subprocess.PIPE}
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, **how)
    deadline = time.monotonic() + 60
    while not PATH.exists() or told_in(PATH) < 5:
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    delete(PATH)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 2
    assert "deleted or replaced" in err.splitlines()[-1]
    before = told_in(Path("store.rescued.db"))
    assert before >= 5
    Path("store.rescued.db").rename(PATH)
    again = subprocess.Popen([*command, "--total-epochs", "20"], stdout=subprocess.DEVNULL, **how)
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert told_in(PATH) > before


def told_in(path):
    try:
        with Store(path) as store:
            return sum(row["trials"] for row in list_studies(store))
    except StoreError:  # it is being made
        return 0


def test_a_new_store_waits_for_who_makes_it_at_this_moment(tmp_path, monkeypatch):
    """Two runs that begin together open it in the same instant."""
    check = Sqlite._check_or_create

    def check_while_another_begins(self, path, *, create):
        check(self, path, create=create)
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.2, other.close).start()

    monkeypatch.setattr(Sqlite, "_check_or_create", check_while_another_begins)
    path = tmp_path / "store.db"
    with Store(path, create=True):
        assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)
