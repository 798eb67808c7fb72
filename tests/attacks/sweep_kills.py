"""Kill sweeps of several studies, again and again; each journal is that of the study run alone.

Slots are lent for a moment only, so that they change hands all the time.
"""

import os
import random
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.attacks import kills, processes
from tests.attacks.commands import ROOT, throw_away
from tests.attacks.figures import Figures
from tests.attacks.searches import CHAIN_STUDY, LIMIT, journal

KILLS = 10  # of one sweep
SWEEPS = 4
MOST_RUNS = 40  # until it must have ended
SECONDS = {"chain": 6.0, "fit": 40.0}  # within which the parent is killed
# For which slots are lent: workers that train take seconds to start, and a busy machine is slower.
STRETCH = {"chain": 0.6, "fit": 10.0}

# The study file itself replaces the training, because each study has a process of its own.
CHAIN = "from hpsearch.runs import worker\nfrom tests import fakes\n"
CHAIN += "worker.prepare_from_file = fakes.prepare_chain\n" + CHAIN_STUDY
SHORT_STRETCHES = (
    "import sys; from hpsearch.executors import lending;"
    "lending.LEAST_STRETCH = {stretch}; lending._STARTS = 0.0;"
    "sys.argv[1:1] = ['run'];"
    "from hpsearch.commands.main import main\nif __name__ == '__main__': main()"
)
CHAINS = {
    "bands": CHAIN.replace("SEARCHER", "Hyperband(max_epochs=9, eta=3)"),
    "drawn": CHAIN.replace("SEARCHER", "Random(trials=30, epochs=30)"),
    "longer": CHAIN.replace("SEARCHER", "Random(trials=5, epochs=300)"),
    "bands2": CHAIN.replace("SEARCHER", "Hyperband(max_epochs=27, eta=3)"),
}
TRAINED = {
    "bands": kills.STUDY,
    "drawn": kills.STUDY.replace("Hyperband(max_epochs=4, eta=2)", "Random(trials=8, epochs=5)"),
    "longer": kills.STUDY.replace("Hyperband(max_epochs=4, eta=2)", "Random(trials=3, epochs=40)"),
}


@dataclass
class Sweep:
    """Studies in a folder, run together or each alone. stretch: seconds for which slots are lent."""

    folder: Path
    studies: Mapping[str, str]
    options: Sequence[str] = ()
    stretch: float = 0.5
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.studies.items():
            (self.folder / f"{name}.py").write_text(text)
        self.mark = uuid.uuid4().hex

    def start(self, *names: str, store: str = "store.db") -> "subprocess.Popen[str]":
        """Start a run of these studies; of all, if none is named."""
        files = [f"{name}.py" for name in names or self.studies]
        program = ("-c", SHORT_STRETCHES.format(stretch=self.stretch))
        return subprocess.Popen(
            [sys.executable, *program, *files, "--store", store, *self.options],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "HPSEARCH_MARK": self.mark,
                "TMPDIR": str(self.folder),  # the locks of devices
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for_end(self, run: "subprocess.Popen[str]") -> tuple[str, str]:
        """What a run printed. Raises TimeoutExpired where no trial ended for LIMIT seconds."""
        ended, since = -1, time.monotonic()
        while True:
            try:
                return run.communicate(timeout=5.0)
            except subprocess.TimeoutExpired:
                if (now := self._count_ended()) != ended:
                    ended, since = now, time.monotonic()
                if time.monotonic() - since > LIMIT:
                    raise

    def _count_ended(self) -> int:
        place = f"file:{self.folder / 'store.db'}?mode=ro"  # it may not have begun one yet
        with suppress(sqlite3.Error), closing(sqlite3.connect(place, uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM told").fetchone()[0])
        return 0

    def journals(self, store: str = "store.db") -> dict[str, list[str]]:
        return {name: journal(self.folder / store, study=name) for name in self.studies}

    def journals_alone(self) -> dict[str, list[str]]:
        """The journals of undisturbed runs, one study after the other."""
        for name in self.studies:
            run = self.start(name, store="alone.db")
            out, err = run.communicate(timeout=LIMIT)
            assert run.returncode == 0, (out, err)
        return self.journals("alone.db")


def kill_sweep(sweep: Sweep, times: int, seconds: float, dice: random.Random) -> list[str]:
    """Kill a sweep's parent at random instants, then let it end; what is wrong, a line each."""
    wrong: list[str] = []
    for number in range(MOST_RUNS):
        run = sweep.start()
        kill_after = dice.uniform(0.2, seconds) if number < times else None
        try:
            if kill_after is None:
                out, err = sweep.wait_for_end(run)
            else:
                out, err = run.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            run.kill()
            out, err = run.communicate()
            sweep.log.append("killed" + (f" after {kill_after:.1f} s" if kill_after else ""))
            if not processes.no_orphans(sweep.mark, 20.0):
                wrong.append("a process outlives its sweep by 20 s")
                processes.kill_family(sweep.mark)
            if kill_after is None:
                return [*wrong, f"no trial ended for {LIMIT:g} s: {out[-1000:]} {err[-1000:]}"]
            continue
        if run.returncode == 0:
            return wrong
        return [*wrong, f"exit code {run.returncode}: {out[-1000:]} {err[-1000:]}"]
    return [*wrong, f"not done after {MOST_RUNS} runs"]


def _attack(how: str, sample: int | None, seed: int) -> Figures:
    studies, options = {
        "chain": (CHAINS, ("--devices", "cpu:2")),
        "fit": (TRAINED, ("--devices", "cpu:2", "--engine", "fit", "--checkpoint-every", "1")),
    }[how]
    figures = Figures("sweep_kills")
    with throw_away() as folder:
        wanted = Sweep(folder / "alone", studies, options).journals_alone()
        for number in range(sample or SWEEPS):
            dice = random.Random(f"{seed} {number}")
            sweep = Sweep(folder / f"killed-{number}", studies, options, STRETCH[how])
            wrong = kill_sweep(sweep, KILLS, SECONDS[how], dice)
            found = sweep.journals() if not wrong else wanted
            wrong += [
                f"the journal of {name} differs" for name in found if found[name] != wanted[name]
            ]
            for line in wrong:
                figures.add("wrong value", f"{number}: sweep by {how}", f"{line}\n  {sweep.log}")
            for _ in range(KILLS - len(wrong)):
                figures.add("equal", f"{number}: sweep by {how}", "")
    return figures


def kill_chains(sample: int | None, seed: int) -> Figures:
    """Sweeps whose training is a chain of hashes."""
    return _attack("chain", sample, seed)


def kill_fits(sample: int | None, seed: int) -> Figures:
    """Sweeps that train, by `--engine fit`."""
    return _attack("fit", sample, seed)


ATTACKS = {"chain": kill_chains, "fit": kill_fits}
