"""A store in PostgreSQL: outages, leases, errors, and the password that nobody sees."""

import dataclasses
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import psycopg
import pytest

from hpsearch.core.errors import StoreError
from hpsearch.core.trial import Pause, Suggestion
from hpsearch.runs import worker
from hpsearch.store import AskedEvent, Store, Url, parse_place, rank_tasks, study_lock
from tests import fakes
from tests.builders import RECORD, make_outcome, make_record
from tests.conftest import ROOT
from tests.postgres import Network, free_port


@pytest.fixture
def url(database):
    return Url.parse(database)


@pytest.fixture
def network(url):
    between = Network(url.port)
    yield between
    between.close()


@pytest.fixture
def far(url, network):
    """The same store, as seen through a network that can fail."""
    return dataclasses.replace(url, port=network.port)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("hpsearch.store.postgresql.RETRY_SECONDS", 1.0)


@pytest.fixture
def brief(monkeypatch):
    """Leases are lost after a second."""
    monkeypatch.setattr("hpsearch.store.lease.LEASE_SECONDS", 1.0)
    monkeypatch.setattr("hpsearch.store.lease.RENEW_SECONDS", 0.2)


@pytest.mark.parametrize("lost", ["commit", "answer"])
def test_a_connection_lost_at_a_commit_tells_nothing_twice_and_loses_nothing(far, network, lost):
    with Store(far, create=True) as store:
        network.lose = lost
        journal = store.begin_search(RECORD)
        for number in range(3):
            network.lose = lost
            assert journal.append_answer(number, Suggestion({"a": number}, 2)) is not None
            assert network.lose is None
            network.lose = lost
            journal.append_outcome(number, make_outcome(number / 10, folds=2))
        network.lose = lost
        journal.append_answer(3, Pause.DONE)
        network.lose = lost
        journal.append_repeat(0, 1, make_outcome(0.3), 0.3, None)
        assert len(store.searches()) == 1
        events = list(store.journal(journal.search).events())
        assert [type(e).__name__ for e in events] == ["AskedEvent", "ToldEvent"] * 3 + [
            "AskedEvent"
        ]
        assert [e.trial for e in events if isinstance(e, AskedEvent)] == [0, 1, 2, 3]
        assert journal.ended_repeats(0) == {1}


def test_an_outage_is_ridden_out_and_said(far, network):
    said = []
    with Store(far, create=True, say=said.append) as store:
        journal = store.begin_search(RECORD)
        journal.append_answer(0, Suggestion({}, 2))
        network.fail()

        def mend():
            time.sleep(0.8)
            network.down = False

        mending = threading.Thread(target=mend)
        mending.start()
        journal.append_outcome(0, make_outcome(0.5))
        mending.join()
        assert [row.value for row in rank_tasks(store)[0]] == [0.5]
    assert len(said) == 2
    assert "does not answer" in said[0]
    assert "answers again" in said[1]


def test_reading_rides_out_an_outage_too(far, network):
    with Store(far, create=True) as store:
        store.begin_search(RECORD)
        network.fail()
        network.down = False
        assert len(store.searches()) == 1


def test_a_long_outage_ends_in_one_line(far, network, impatient):
    with Store(far, create=True) as store:
        journal = store.begin_search(RECORD)
        network.fail()
        with pytest.raises(StoreError, match="not answered for 1 seconds") as caught:
            journal.append_answer(0, Suggestion({}, 2))
        network.down = False
        assert journal.append_answer(0, Suggestion({}, 2)) == 1  # nothing of it had arrived
    assert "the same command continues" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dead_owner_loses_its_lease_and_writes_no_more(url, far, network, brief):
    """The network of the first owner fails; when it is back, the study is another's."""
    with study_lock(far, "s") as first, Store(far, create=True, fence=first) as store:
        journal = store.begin_search(RECORD)
        network.fail()
        began = time.monotonic()
        with study_lock(url, "s") as second, Store(url, create=True, fence=second) as other:
            assert time.monotonic() - began < 5
            other.journal(journal.search).append_answer(0, Suggestion({}, 2))
            network.down = False
            with pytest.raises(StoreError, match="another run's by now"):
                journal.append_outcome(0, make_outcome(0.5))
            with pytest.raises(StoreError, match="another run's by now"):
                store.begin_search(make_record(seed=1))
            assert len(other.searches()) == 1


def test_a_living_owner_keeps_its_lease(url, brief):
    said = []
    with study_lock(url, "s") as fence, Store(url, create=True, fence=fence) as store:
        time.sleep(1.5)
        with pytest.raises(StoreError, match="is being run by"), study_lock(url, "s", said.append):
            pass
        store.begin_search(RECORD)
    assert "waiting" in said[0]
    began = time.monotonic()
    with study_lock(url, "s"):
        assert time.monotonic() - began < 0.5  # who ends gives it back


def test_a_lease_that_ran_out_is_still_its_owner_s_while_nobody_wants_it(far, network, brief):
    with study_lock(far, "s") as fence, Store(far, create=True, fence=fence) as store:
        network.fail()
        time.sleep(1.3)
        network.down = False
        store.begin_search(RECORD)
        assert [search.study for search in store.searches()] == [RECORD.study]


@pytest.fixture
def refused(hpsearch):
    """The one line by which a command refuses this store."""

    def refused(url, *command):
        code, out, err = hpsearch(*(command or ["rank"]), "--store", url)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        return err

    return refused


def test_what_cannot_be_reached_or_used_is_told_in_a_line(database, refused):
    url = Url.parse(database)
    secret = url.password
    there = f"postgresql://{url.user}:{secret}@{url.host}"
    told = {
        f"{there}:{free_port()}/x": "cannot be reached .*the server runs",
        f"postgresql://{url.user}:wr0ng@{url.host}:{url.port}/postgres": "ATH|password",
        f"{there}:{url.port}/nowhere": "does not exist.*createdb",
        database: "there is no store in .*; run a study first",
        f"mysql://me:{secret}@h/x": "not a URL of 'mysql'",
        f"postgresql://me:{secret}/@{url.host}/x": "in a password, write @ as %40",
        f"postgresql://me:a@{secret}@{url.host}:p{secret}/x": "in a password, write @ as %40",
        f"postgresql://me:{secret}#@{url.host}/x": "in a password, write @ as %40",
        f"postgresql://h.invalid/x?password={secret}": "cannot be reached",
    }
    for address, expected in told.items():
        line = refused(address)
        assert re.search(expected, line), line
        assert secret not in line
        assert "wr0ng" not in line


def test_a_password_may_be_written_in_the_url_s_own_way():
    url = parse_place("postgresql://ann%40lab:p%40ss%2Fw@db:5/x%20y?sslmode=require")
    assert (url.user, url.password, url.database) == ("ann@lab", "p@ss/w", "x y")
    assert dict(url.query) == {"sslmode": "require"}
    assert "ss" not in repr(url) + str(url).replace("ssl", "")


@pytest.mark.parametrize("way", ["PGPASSWORD", "PGPASSFILE", "?password="])
def test_a_password_need_not_be_in_the_url_s_usual_place(database, way, monkeypatch, tmp_path):
    url = Url.parse(database)
    if way == "PGPASSFILE":
        (tmp_path / "pgpass").write_text(f"*:*:*:{url.user}:{url.password}\n")
        (tmp_path / "pgpass").chmod(0o600)
        monkeypatch.setenv(way, str(tmp_path / "pgpass"))
    elif way == "PGPASSWORD":
        monkeypatch.setenv(way, url.password)
    bare = database.replace(f":{url.password}@", "@")
    if way == "?password=":
        bare += f"&password={url.password}"
    with Store(parse_place(bare), create=True) as store:
        store.begin_search(RECORD)
    assert url.password not in str(parse_place(bare)) + repr(parse_place(bare))


def test_without_rights_it_says_whom_to_ask(database, refused):
    url = Url.parse(database)
    role = f"r{uuid.uuid4().hex}"
    with psycopg.connect(database, autocommit=True) as connection:
        schema = connection.execute("SELECT current_schema()").fetchone()[0]
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'weak'")
        try:
            connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
            poor = dataclasses.replace(url, user=role, password="weak")
            with pytest.raises(StoreError, match=r"permission denied for schema.*CREATE"):
                Store(poor, create=True)
            with Store(url, create=True) as store:
                store.begin_search(RECORD)
            with pytest.raises(StoreError, match=r"permission denied for table hpsearch.*GRANT"):
                Store(poor)
            connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}")
            with Store(poor) as store:  # to read is enough to rank
                assert len(store.searches()) == 1
            with (
                pytest.raises(StoreError, match=r"cannot be written .permission denied"),
                Store(poor, create=True) as store,
            ):
                store.begin_search(RECORD)
        finally:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")


def test_tables_of_others_are_left_alone(database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE told (mine TEXT)")
        with pytest.raises(StoreError, match="tables of another program"):
            Store(Url.parse(database), create=True)
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        assert connection.execute(tables).fetchall() == [("told",)]


def test_a_missing_driver_is_named(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    line = refused("postgresql://me:hidden@127.0.0.1:1/x")
    assert "pip install 'hpsearch[postgresql]'" in line
    assert "hidden" not in line


def test_two_stores_of_one_database_s_name_have_files_of_their_own(database, url):
    """Whoever reads checkpoints of another store would go on from another trial's."""
    names = []
    for _ in range(2):
        with Store(url, create=True) as store:
            names.append(store.name)
            assert store.folder == Path(".hpsearch")
        with Store(url) as store:
            assert store.name == names[-1]
            every = store.db.query(
                "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
            )
        tables = ", ".join(table for (table,) in every)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(f"DROP TABLE {tables} CASCADE")
            connection.execute("DROP SEQUENCE searches_id, asked_id, openings_id, runs_id")
    assert names[0] != names[1]
    assert all(name.startswith("postgres-") for name in names)


STUDY = """
from hpsearch import *

study = Study(
    task=Task("chain", lambda: None, loss="mse", metric="mae"),
    space=Space(a=Float(0.0, 1.0), b=Choice("x", "y")),
    build=lambda spec, **params: None,
    searcher=Hyperband(max_epochs=4, eta=2),
)
"""


def everything(url):
    """All that a store's tables hold, as text."""
    with Store(url) as store:
        tables = store.db.query(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        )
        assert {"asked", "leases", "hpsearch"} <= {table for (table,) in tables}
        return "".join(str(list(store.db.query(f"SELECT * FROM {t}"))) for (t,) in tables)


def test_the_password_is_in_no_output_no_file_and_not_in_the_store(
    database, hpsearch, monkeypatch, tmp_path
):
    monkeypatch.setattr(worker, "prepare_from_file", fakes.prepare_chain)
    Path("study.py").write_text(STUDY)
    url = Url.parse(database)
    monkeypatch.setenv("HPSEARCH_STORE", database)
    seen = ""
    commands = [
        ["run", "study.py", "--inline"],
        ["run", "study", "--inline", "--searcher", "random:trials=2,epochs=1", "--json"],
        ["run", "study.py", "--inline", "--fresh", "--debug"],
        ["rank"], ["rank", "--json"], ["studies"], ["show", "1"], ["plan", "study"],
    ]  # fmt: skip
    for command in commands:
        code, out, err = hpsearch(*command)
        assert code == 0, err
        seen += out + err
    for command in (["show", "999"], ["rank", "none"], ["plan", "nothing"]):
        code, out, err = hpsearch(*command, "--debug")
        assert code == 2
        seen += out + err
    assert url.password not in everything(url)
    with Store(url, create=True) as store:
        store.db.write(lambda: store.db.execute("UPDATE hpsearch SET version = 99"))
    seen += "".join(hpsearch("rank", "--debug")[1:])
    monkeypatch.setenv("HPSEARCH_STORE", database.replace(f":{url.port}/", f":{free_port()}/"))
    code, out, err = hpsearch("rank", "--debug")
    assert "Traceback" in err
    seen += out + err
    assert ":***@" in seen
    assert url.password not in seen
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or url.password.encode() not in path.read_bytes()


@pytest.mark.slow
def test_the_password_is_in_no_model_and_on_no_card(database, hpsearch, write, tmp_path):
    file, password = write(), Url.parse(database).password
    seen = ""
    for command in (["run", file, "--inline", "--trials", 2], ["refit", file, "--seeds", 1]):
        code, out, err = hpsearch(*command, "--store", database, "--epochs", 1)
        assert code == 0, err
        seen += out + err
    assert re.search(r"checkpoints: .* in .*\.hpsearch/checkpoints/postgres-\w{8}-1", seen)
    assert list(tmp_path.glob(".hpsearch/models/postgres-*/*/card.md"))
    assert password not in seen + everything(parse_place(database))
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or password.encode() not in path.read_bytes()


def test_two_runs_may_make_one_store_at_the_same_time(database):
    """Whoever waits for the other sees what that made, whatever its connection had looked up."""
    code = f"""
import sys, time
from hpsearch.store import Store, Url, postgresql

read, run = postgresql.Postgresql._read_identity, postgresql.run_statements
def read_and_wait(self):
    found = read(self)
    if self._within is None:
        print("ready", flush=True)
        sys.stdin.readline()
    return found
def run_slowly(*arguments):
    time.sleep(0.3)  # the other waits for this one by now
    run(*arguments)
postgresql.Postgresql._read_identity = read_and_wait
postgresql.run_statements = run_slowly
with Store(Url.parse({database!r}), create=True) as store:
    print(store.name)
"""
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for _ in range(2)
    ]
    for maker in makers:
        assert maker.stdout.readline() == "ready\n"
    for maker in makers:
        maker.stdin.write("\n\n")
        maker.stdin.flush()
    ended = [maker.communicate() for maker in makers]
    assert [err for _, err in ended] == ["", ""]
    assert len({out for out, _ in ended}) == 1
