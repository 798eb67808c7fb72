import gc
import os
import subprocess
import sys
import time
import uuid
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from hpsearch.commands import main
from hpsearch.store import Url
from hpsearch.training import backend
from hpsearch.training.garbage import paused_garbage_collection

ROOT = Path(__file__).parent.parent
LEFT_OUT = 3  # of a sample's slow tests, one in so many is left out


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--whole", action="store_true", help="run every test, not a sample, compiled as for users"
    )
    parser.addoption("--sample", action="store_true", help="run a sample also of named tests")


def is_sampled(config: pytest.Config) -> bool:
    """Whether to run a sample only: tests that are named on the command line all run."""
    if hasattr(config, "workerinput"):  # one of the processes of `-n 2`
        return bool(config.workerinput["sampled"])
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return bool(config.option.sample or not (named or config.option.whole))


def pytest_report_header(config: pytest.Config) -> str:
    return "of the slow tests a sample, by commit: --whole runs all" if is_sampled(config) else ""


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_configure_node(node: Any) -> None:
    node.workerinput["sampled"] = is_sampled(node.config)


def pytest_configure(config: pytest.Config) -> None:
    if not config.option.whole:
        # Most of the time of a small fit goes into compiling it, and most of that into optimizing.
        os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    # As trainers have it, whichever test starts JAX first: with one device last bits are others.
    os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")
    backend.choose()  # before anything imports Keras
    settings.register_profile("busy", deadline=None)  # other tests run beside
    settings.load_profile("busy")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    with paused_garbage_collection():  # else it takes a tenth longer
        collected = yield
    gc.freeze()  # what was collected stays: later collections of garbage need not look at it
    return collected


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)  # quick ones first
    if is_sampled(config):
        kept = sample_tests(items, named=config.option.sample)
        ids = {item.nodeid for item in kept}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in ids])
        items[:] = kept
    if not os.environ.get("HPSEARCH_DATA"):
        skip = pytest.mark.skip(reason="needs the real data sets in $HPSEARCH_DATA")
        for item in items:
            if item.get_closest_marker("realdata"):
                item.add_marker(skip)


def sample_tests(items: Sequence[pytest.Item], *, named: bool) -> list[pytest.Item]:
    """All quick tests; of the slow ones some, the first variant each, and none that is thorough.

    Thorough are those that take long and whose behaviour a quicker one looks at, too. Of the others
    each commit leaves out other ones, unless they are named: the same commit has the same tests.
    """
    kept, variants = [], set()
    for item in items:
        if item.get_closest_marker("thorough"):
            continue
        if item.get_closest_marker("slow"):
            function = item.nodeid.partition("[")[0]
            if function in variants or not (named or is_drawn(function)):
                continue
            variants.add(function)
        kept.append(item)
    return kept


def is_drawn(function: str) -> bool:
    """Whether a slow test belongs to this commit's sample."""
    return zlib.crc32(f"{read_commit()} {function}".encode()) % LEFT_OUT != 0


@cache
def read_commit() -> str:
    """The commit that is tested; "" where that is not known."""
    try:
        command = ["git", "rev-parse", "HEAD"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test works in an empty folder, with a store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HPSEARCH_STORE", str(tmp_path / "store.db"))
    monkeypatch.setenv("HPSEARCH_BASELINES", "off")  # a test that looks at them says so
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of an empty database: a schema of its own in the one that the tests are given."""
    url = os.environ.get("HPSEARCH_TEST_POSTGRESQL")
    if not url:
        pytest.skip("needs a PostgreSQL server's URL in $HPSEARCH_TEST_POSTGRESQL")
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        yield f"{url}?options=-csearch_path%3D{name}"
        connection.execute("SET client_min_messages = warning")
        connection.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Path | Url:
    """Where there is no store yet, of either kind."""
    if request.param == "sqlite":
        return Path("store.db")
    return Url.parse(request.getfixturevalue("database"))


@pytest.fixture
def hpsearch(capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command in this process: hpsearch("rank", "--json") -> (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["hpsearch", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                main.main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return run


STUDY = """
from hpsearch import *
from hpsearch.tasks import digits
from spaces import mlp

study = Study(
    task=digits.task(),
    space=Space(dropout=Float(0.0, 0.5), optimizer=Choice("adam", "sgd")),
    build=mlp.model(hidden=(8,)),
    searcher=Random(trials=3, epochs=2),
    evaluator=Holdout(rows=300),
)
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a small study file, with replacements: write("x", ("epochs=2", "epochs=3"))."""

    def write(name: str = "small", *changes: tuple[str, str], text: str = STUDY) -> Path:
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend GPUs: gpus(80, 80, free=[79, 1]) puts an `nvidia-smi` on the path that lists them."""

    def pretend(*gibibytes: int, free: Sequence[int] | None = None) -> None:
        rows = [
            f"{i}, GPU-{i}{i}{i}{i}-aaaa, Pretend {total}, {total * 1024}, {left * 1024}"
            for i, (total, left) in enumerate(zip(gibibytes, free or gibibytes, strict=True))
        ]
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        tool = folder / "nvidia-smi"
        tool.write_text("#!/bin/sh\ncat <<EOF\n" + "\n".join(rows) + "\nEOF\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    return pretend


@pytest.fixture
def check_on_tensorflow(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Check that tests pass on TensorFlow: those of a file, or these of its tests.

    They run in a process of their own; of these, too, a sample where one is run.
    """

    def check(*tests: str) -> None:
        sample = ["--sample"] if is_sampled(request.config) else []
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *sample, *tests],
            cwd=ROOT,
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stdout

    return check


def wait_for_checkpoints(count: int) -> None:
    """Wait, a minute at most, until so many lie in the folder in which runs leave them."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(Path("checkpoints").rglob("*.npz"))) < count:
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs, and is not one that ended and was not waited for."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
