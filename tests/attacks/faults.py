"""Full disks, and clocks that jump, while a search runs.

Everything is real but the training: an epoch is a link in a chain of hashes, so that what a search
finds shows whether anything was lost.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.attacks import kills
from tests.attacks.commands import judge, run, throw_away, unclear
from tests.attacks.figures import Figures, draw
from tests.attacks.searches import CHAIN_STUDY, CHAINED, End, Search

SEARCHER = "Hyperband(max_epochs=27, eta=3)"  # some seconds
OPTIONS = ("--devices", "cpu:2", "--checkpoint-every", "1")
HOUR = 3600.0

CLOCK = """
import os, time
real = time.time
def shifted():
    try:
        with open(os.environ["HPSEARCH_CLOCK"]) as file:
            return real() + float(file.read() or 0)
    except OSError:
        return real()
time.time = shifted
"""

Verdict = tuple[str, str]
Case = Callable[[Path], Verdict]


def chained(folder: Path, *options: str, searcher: str = SEARCHER, **how: object) -> Search:
    """A search that trains chains of hashes."""
    study = CHAIN_STUDY.replace("SEARCHER", searcher)
    return Search(folder, study, (*OPTIONS, *options), CHAINED, **how)  # type: ignore[arg-type]


def undisturbed(search: Search) -> list[str]:
    """What a search finds that nothing befalls."""
    end = search.start().end()
    assert end.code == 0, end
    return search.journal()


def refused(end: End) -> Verdict | None:
    """What is wrong with how a run ended that could not go on; None: it said so in one line."""
    if end.code is None:
        return "hang", "it never ends"
    if "Traceback" in end.err:
        return "traceback", end.err[-2000:]
    if end.code == 0:
        return "wrongly accepted", f"exit code 0: {end.out[-500:]}"
    if end.code != 2 or unclear(end.err):
        return "unclear", f"exit code {end.code}, {unclear(end.err)}: {end.err[-1000:]}"
    return ("unclear", "a worker outlives its run by 20 s") if end.orphans else None


def goes_on(search: Search, wanted: list[str]) -> Verdict:
    """Run it again, now that nothing is in its way: it has to end as if nothing ever was."""
    end = search.start().end()
    if end.code != 0:
        return "wrongly refused", f"again: exit code {end.code}: {end.err[-1000:]}"
    return ("equal", "") if search.journal() == wanted else ("wrong value", "another journal")


# Full disks.


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A disk that is full soon; raises PermissionError where this user may mount none."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode != 0:
        raise PermissionError(f"no disk can be mounted at {folder}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """Leave so many kilobytes; returns the file that takes the rest."""
    filler = disk / "filler"
    try:
        with open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass  # that is what it is to be
    if leave:
        os.truncate(filler, max(0, filler.stat().st_size - leave * 1024))
    return filler


def full_from_the_start(folder: Path, leave: int) -> Verdict:
    """No store yet, and no room for one."""
    wanted = undisturbed(chained(folder / "whole"))
    with small_disk(folder / "disk", 20_000) as disk:
        there = ("--checkpoints", str(folder / "checkpoints"))
        search = chained(folder / "case", *there, store=str(disk / "store.db"))
        filler = fill(disk, leave)
        end = search.start().end()
        if wrong := refused(end):
            return wrong
        filler.unlink()
        return goes_on(search, wanted)


def full_after_some_trials(folder: Path, leave: int) -> Verdict:
    wanted = undisturbed(chained(folder / "whole"))
    with small_disk(folder / "disk", 20_000) as disk:
        there = ("--checkpoints", str(folder / "checkpoints"))
        search = chained(folder / "case", *there, store=str(disk / "store.db"))
        run = search.start()
        run.wait_for_lines(3)
        filler = fill(disk, leave)
        if wrong := refused(run.end()):
            return wrong
        ranked = chained_rank(search)
        if ranked is not None:
            return ranked
        filler.unlink()
        return goes_on(search, wanted)


def chained_rank(search: Search) -> Verdict | None:
    """What is wrong with a ranking of what a search has found so far; None: nothing."""
    ended = run(["rank", "--store", search.store, "--json"], search.folder)
    verdict, seen = judge(ended, "works", writes=["*"])
    return None if verdict == "works" else (verdict, seen)


def full_of_checkpoints(folder: Path, engine: str) -> Verdict:
    """Real training, whose checkpoints find no room, though the store does."""
    options = (*kills.ALWAYS, "--engine", engine, "--searcher", "random:trials=4,epochs=4")
    wanted = undisturbed(Search(folder / "whole", kills.STUDY, options))
    with small_disk(folder / "disk", 20_000) as disk:
        search = Search(
            folder / "case", kills.STUDY, (*options, "--checkpoints", str(disk / "there"))
        )
        filler = fill(disk)
        if wrong := refused(search.start().end()):
            return wrong
        filler.unlink()
        return goes_on(search, wanted)


# Clocks.


def clock_jumps(folder: Path, jumps: tuple[float, ...], killed: bool) -> Verdict:
    """The clock jumps while a search runs, and it may be killed under a wrong clock."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(CLOCK)
    clock = folder / "clock"
    clock.write_text("0")
    repeats = ("--repeats", "3")
    whole = chained(folder / "whole", *repeats)
    wanted = undisturbed(whole)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    env = {"PYTHONPATH": f"{folder / 'site'}{os.pathsep}{root}", "HPSEARCH_CLOCK": str(clock)}
    search = chained(folder / "case", *repeats, env=env)
    running = search.start()
    for jump in jumps:
        running.wait_for_lines(running.lines + 3)
        clock.write_text(str(jump))
    if killed:
        running.process.kill()
        running.end()
        for command in (("watch", "study"), ("watch", "study", "--json"), ("studies", "--json")):
            ended = run([*command, "--store", "store.db"], search.folder, limit=30.0)
            verdict, seen = judge(ended, "works", writes=["*"])
            if verdict != "works":
                return verdict, f"after a kill under a clock {jumps[-1]:+g} s away: {seen}"
            if '"running_now": true' in ended.out:
                return "wrong value", "it is killed, and runs according to `watch --json`"
        clock.write_text("0")
        running = search.start()
    end = running.end()
    if end.code != 0:
        return ("traceback" if "Traceback" in end.err else "unclear"), end.err[-2000:]
    if search.journal() != wanted:
        return "wrong value", "another journal"
    rankings = [
        run(["rank", "--store", "store.db", "--json"], each.folder).out for each in (search, whole)
    ]
    return ("equal", "") if _without_seconds(rankings[0]) == _without_seconds(rankings[1]) else (
        "wrong value", f"{rankings[0][:500]} instead of {rankings[1][:500]}")  # fmt: skip


def _without_seconds(ranking: str) -> list[object]:
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "trial")}
        for row in json.loads(ranking)
    ]


def cases() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for leave in (0, 8, 60):
        found[f"a disk with {leave} kB left at the start"] = lambda folder, leave=leave: (
            full_from_the_start(folder, leave)
        )
        found[f"a disk with {leave} kB left after some trials"] = lambda folder, leave=leave: (
            full_after_some_trials(folder, leave)
        )
    for engine in ("fit", "auto"):
        found[f"no room for checkpoints by {engine}"] = lambda folder, engine=engine: (
            full_of_checkpoints(folder, engine)
        )
    for jumps in ((48 * HOUR,), (-24 * HOUR,), (HOUR, -HOUR, 0.0), (-HOUR,), (1e9,)):
        for killed in (False, True):
            found[f"a clock that jumps by {jumps} s{', and a kill' * killed}"] = (
                lambda folder, jumps=jumps, killed=killed: clock_jumps(folder, jumps, killed)
            )
    return found


def try_each(cases: dict[str, Case], sample: int | None, seed: int) -> Figures:
    """Each fault once, in a folder of its own."""
    figures = Figures("faults")
    for name, case in draw(list(cases.items()), sample, seed):
        with throw_away() as folder:
            try:
                verdict, detail = case(folder)
            except PermissionError as error:
                print(f"left out: {name}: {error}")
                continue
            figures.add(verdict, name, detail)
    return figures


ATTACKS = {"faults": lambda sample, seed: try_each(cases(), sample, seed)}
