"""Terminals that close, shrink, suspend; streams that are closed, full, or that nobody reads.

A run that this ends is run again; in the end its trials are those of a run that nothing disturbed.
Training is a chain of hashes: each value depends on all epochs before it.
"""

import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from tests.attacks.cases import UNTRAINED, furnish
from tests.attacks.commands import ROOT, end_group, run, short, throw_away
from tests.attacks.figures import Figures, draw
from tests.attacks.terminal import Terminal

SEARCH = ["run", "study.py", "--trials", "4", "--epochs", "40"]
RUN = [*SEARCH, "--devices", "cpu"]
INLINE = [*SEARCH, "--inline"]
_BEGUN = b"trial"  # a run prints it when the first of its trials has ended, or in its panel


def _disturb(
    arguments: list[str], act: Callable[[Terminal], None], folder: Path
) -> tuple[str, str]:
    """Run in a terminal, and do something to it while trials run."""
    terminal = Terminal(UNTRAINED, arguments, folder)
    try:
        if not terminal.read_until(_BEGUN):
            return "hang", f"it printed nothing of a trial: {terminal.output[-300:]!r}"
        act(terminal)
        code = terminal.wait()
        if code is None:
            return "hang", f"{terminal.output[-300:]!r}"
        if b"Traceback" in terminal.output:
            return "traceback", f"{terminal.output[-600:]!r}"
        if code not in (0, 130, -signal.SIGHUP):
            return "unclear", f"exit {code}: {terminal.output[-300:]!r}"
    finally:
        terminal.end()
    return _continued(folder, f"exit {code}")


def _continued(folder: Path, seen: str) -> tuple[str, str]:
    """The same command once more: it ends well, and all values are those of an undisturbed run."""
    again = run([*INLINE, "--quiet"], folder, module=UNTRAINED, env={"HPSEARCH_STORE": "store.db"})
    if again.code != 0:
        return "traceback", f"{seen}, and then {again.code}: {again.err[-500:]}"
    return (
        ("equal", seen)
        if _values(folder) == undisturbed()
        else ("wrong value", f"{seen}; {_values(folder)}")
    )


def _values(folder: Path) -> list[tuple[str, float]]:
    """Point and value of each trial of the study that ran."""
    with sqlite3.connect(folder / "store.db") as connection:
        found = connection.execute(
            "SELECT params, value FROM asked JOIN told USING (search, trial) JOIN searches ON "
            "searches.id = search WHERE study = 'study' AND params IS NOT NULL ORDER BY trial"
        ).fetchall()
    connection.close()
    return [tuple(row) for row in found]


@cache
def undisturbed() -> list[tuple[str, float]]:
    with throw_away() as folder:
        furnish(folder)
        run([*INLINE, "--quiet"], folder, module=UNTRAINED, env={"HPSEARCH_STORE": "store.db"})
        values = _values(folder)
        assert len(values) == 4, values
        return values


def _close(terminal: Terminal) -> None:
    terminal.close()


def _resize(sizes: tuple[tuple[int, int], ...], terminal: Terminal) -> None:
    for lines, columns in sizes:
        terminal.resize(lines, columns)
        terminal.read_until(b"nothing prints this", 0.3)


def _suspend(seconds: float, terminal: Terminal) -> None:
    terminal.signal(signal.SIGTSTP)
    time.sleep(seconds)
    terminal.resize(5, 20)
    terminal.signal(signal.SIGCONT)


def _keys(keys: bytes, terminal: Terminal) -> None:
    terminal.write(keys)


def _streams(
    shell: str, arguments: list[str], codes: tuple[int, ...], folder: Path
) -> tuple[str, str]:
    """Run by a shell with redirections; {} is the command. The last line is its exit code."""
    command = f"{shlex.quote(sys.executable)} -m {UNTRAINED} {shlex.join(arguments)}"
    line = shell.replace("{}", command)
    process = subprocess.Popen(
        ["bash", "-c", f"{line}; echo ${{PIPESTATUS[0]}} >code"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HPSEARCH_STORE": "store.db"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, err = process.communicate(timeout=90)
    except subprocess.TimeoutExpired:
        return "hang", line
    finally:
        end_group(process)
    code = int((folder / "code").read_text())
    seen = f"{short(line, 300)} -> exit {code}: {err.decode(errors='replace')[-300:]}"
    if b"Traceback" in err or b"Exception ignored" in err:
        return "traceback", seen
    if code not in codes:
        return "unclear", seen
    if arguments[0] == "run":
        return _continued(folder, seen)
    return ("clear" if code else "works"), seen


def _prompt(answer: bytes, codes: tuple[int, ...], folder: Path) -> tuple[str, str]:
    """`init` asks for the target; somebody answers badly."""
    terminal = Terminal(UNTRAINED, ["init", "table.csv"], folder)
    try:
        if not terminal.read_until(b"predicted"):
            return "hang", f"it did not ask: {terminal.output[-300:]!r}"
        terminal.write(answer)
        code = terminal.wait(10)
        if code is None and b"\x03" in answer:
            # Python notices a Ctrl-C just before it begins to read only when it has read. A person
            # presses it again.
            terminal.write(b"\x03")
            code = terminal.wait(20)
        seen = f"{terminal.output[-400:]!r}"
    finally:
        terminal.end()
    if code is None:
        return "hang", seen
    if b"Traceback" in terminal.output:
        return "traceback", seen
    return (
        ("clear" if code else "works", seen)
        if code in codes
        else ("unclear", f"exit {code}: {seen}")
    )


def cases() -> dict[str, Callable[[Path], tuple[str, str]]]:
    acts = {
        "closes": _close,
        "shrinks to 1 x 1": partial(_resize, ((1, 1),)),
        "has no size": partial(_resize, ((0, 0),)),
        "grows without end": partial(_resize, ((65535, 65535),)),
        "changes all the time": partial(_resize, ((1, 200), (200, 1), (2, 2), (24, 80)) * 5),
        "is suspended": partial(_suspend, 2.0),
        "is suspended at once": partial(_suspend, 0.1),
        "gets Ctrl-C": partial(_keys, b"\x03"),
        "gets Ctrl-C twice": partial(_keys, b"\x03\x03"),
        "gets Ctrl-S and Ctrl-Q": partial(_keys, b"\x13\x11"),
        "gets noise": partial(_keys, b"\xff\xfe\x1b[A\x04q\n"),
    }
    found: dict[str, Callable[[Path], tuple[str, str]]] = {}
    for how, arguments in (("workers", RUN), ("inline", INLINE)):
        for name, act in acts.items():
            found[f"a terminal that {name}, {how}"] = partial(_disturb, arguments, act)
    refused = (2, 141, -13)
    shells = {
        "stdout closed": ("{} >&-", (0, *refused)),
        "stderr closed": ("{} 2>&-", (0, *refused)),
        "both closed": ("{} >&- 2>&-", (0, *refused)),
        "stdin closed": ("{} <&-", (0,)),
        "all closed": ("{} <&- >&- 2>&-", (0, *refused)),
        "stdout full": ("{} >/dev/full", refused),
        "stderr full": ("{} 2>/dev/full", (0, *refused)),
        "a reader of one line": ("{} | head -1", (0, *refused)),
        "a reader that is gone": ("{} | true", (0, *refused)),
        "errors read by one that is gone": ("{} 2> >(true)", (0, *refused)),
    }
    commands = {"run": INLINE, "rank": ["rank"], "studies": ["studies"], "report": ["report", "filled"],
                "show": ["show", "1"], "export": ["export", "csv"], "rank --json": ["rank", "--json"],
                "--help": ["--help"]}  # fmt: skip
    for name, arguments in commands.items():
        for how, (shell, codes) in shells.items():
            # What prints nothing on stdout does not notice that it is full.
            fine = (0, *codes) if name == "export" else codes
            found[f"{name} with {how}"] = partial(_streams, shell, arguments, fine)
    answers = {"nothing": (b"\n", (0,)), "an end": (b"\x04", (2, 130)), "Ctrl-C": (b"\x03", (130,)),
               "a number too large": (b"99\n\x03", (130,)), "text": (b"abc\n\x03", (130,)),
               "odd bytes": (b"\xff\xfe\n\x03", (2, 130)), "a unicode digit": ("٣\n\x03".encode(), (0, 130))}  # fmt: skip
    for name, (answer, codes) in answers.items():
        found[f"init answered by {name}"] = partial(_prompt, answer, codes)
    return found


def attack_terminals(sample: int | None, seed: int) -> Figures:
    figures, shown = Figures("terminals"), time.monotonic()
    chosen = draw(list(cases().items()), sample, seed)
    for name, attempt in chosen:
        with throw_away() as folder:
            furnish(folder)
            verdict, detail = attempt(folder)
        figures.add(verdict, name, detail)
        if time.monotonic() > shown + 10:
            shown = time.monotonic()
            print(f"terminals: {figures.tried} of {len(chosen)}", file=sys.stderr, flush=True)
    return figures


ATTACKS = {"terminals": attack_terminals}
