"""Runs one study by the commands that a user has: its book's networks, its search, its refit."""

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.core.files import write_whole
from tests.benchmarks.books.book_studies import BookStudy
from tests.benchmarks.books.measured import find
from tests.benchmarks.product_commands import command

SPARE = 3.0
"""How many times its minutes a command may take before it is killed: it should have stopped."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is trained.

    Args:
        seeds: of the book's networks.
        repeats: of the search's three best trials.
        trials, epochs: the most of a search; None: the study's.
    """

    seeds: int = 10
    repeats: int = 2
    trials: int | None = None
    epochs: int | None = None


def read_facts(book: BookStudy, folder: Path) -> dict[str, Any]:
    """What is noted of a study: its minutes by part, its card, why it failed."""
    noted = folder / f"{book.name}.json"
    return json.loads(noted.read_text()) if noted.exists() else {}


def forget_done(book: BookStudy, folder: Path) -> None:
    """Let a study go on where its minutes ended."""
    if facts := read_facts(book, folder):
        _write_facts(book, folder, facts | {"done": []})


def _write_facts(book: BookStudy, folder: Path, facts: dict[str, Any]) -> None:
    write_whole(folder / f"{book.name}.json", json.dumps(facts, indent=1))


def work(book: BookStudy, folder: Path, scale: float, extent: Extent) -> dict[str, Any]:
    """Do what is not done yet of a study. A part that fails is noted.

    The search goes on without the book's networks, but nothing is refitted, and no test opened,
    before the search is done.

    Args:
        scale: by which its minutes are multiplied.
    """
    facts = read_facts(book, folder)
    parts = {"networks": _train_networks, "search": _search, "refit": _refit}
    facts["failed"] = []
    for (part, do), minutes in zip(parts.items(), book.minutes, strict=True):
        done = facts.get("done", ())
        if part in done or (part == "refit" and "search" not in done):
            continue
        with _noted(facts, part):
            do(book, folder, minutes * scale, extent, facts)
        facts["machine"] = machine()
        _write_facts(book, folder, facts)
    return facts


@contextmanager
def _noted(facts: dict[str, Any], part: str) -> Iterator[None]:
    """Note how long a part took, and that it is done or why not."""
    began = time.monotonic()
    why = facts.setdefault("failed", [])
    try:
        yield
    except subprocess.TimeoutExpired as error:
        why.append(f"{part}: killed after {error.timeout / 60:.0f} minutes")
    except subprocess.CalledProcessError as error:
        why.append(f"{part}: exit code {error.returncode}")
    except Exception as error:  # the study's own, or a file that is missing: the others go on
        why.append(f"{part}: {error}")
    else:
        facts.setdefault("done", []).append(part)
    minutes = facts.setdefault("minutes", {})
    minutes[part] = minutes.get(part, 0.0) + (time.monotonic() - began) / 60


def _train_networks(
    book: BookStudy, folder: Path, minutes: float, extent: Extent, facts: dict[str, Any]
) -> None:
    """The start points, with many seeds: the first trials of a random search.

    Where the study's own searcher is `Random` with as many epochs, they are its own first trials.
    """
    count = len(book.list_networks())
    if not count:
        return
    epochs = extent.epochs or book.epochs or book.load().most_epochs
    random = f"random:trials={count},epochs={epochs}"
    repeats = f"{min(extent.seeds, book.seeds) - 1}", "--finalists", f"{count}"
    _run(book, folder, minutes, "--searcher", random, "--repeats", *repeats)


def _search(
    book: BookStudy, folder: Path, minutes: float, extent: Extent, facts: dict[str, Any]
) -> None:
    given = {"--trials": extent.trials, "--epochs": extent.epochs, "--repeats": extent.repeats}
    options = [text for name, n in given.items() if n is not None for text in (name, str(n))]
    _run(book, folder, minutes, *book.search, *options)  # of an option given twice the last counts
    if find(book, folder) is None:  # so that the next run goes on with it
        raise ValueError("no trial ended in its minutes")


def _run(book: BookStudy, folder: Path, minutes: float, *options: str) -> None:
    hours = "--hours", f"{minutes / 60:.5f}"
    file = f"studies/{book.name}.py"
    command(folder, "run", file, *book.options, *options, *hours, minutes=_latest(minutes))


def _refit(
    book: BookStudy, folder: Path, minutes: float, extent: Extent, facts: dict[str, Any]
) -> None:
    """Train the best point on all rows but the test's, and open the test: once."""
    models = folder / "models" / book.name
    shutil.rmtree(models, ignore_errors=True)  # of a refit that was killed
    arguments = f"studies/{book.name}.py", *book.backend, *book.refit, "--output", str(models)
    text = command(folder, "refit", *arguments, "--json", minutes=_latest(minutes))
    facts["card"] = json.loads(text)


def _latest(minutes: float) -> float:
    return 5.0 + SPARE * minutes


def machine() -> str:
    """What trained, in words."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = "with" if shutil.which("nvidia-smi") else "without"
    return f"{cores} cores ({platform.machine()}) {gpu} a GPU"
