"""What does an ask of `Auto` cost? `python -m tests.benchmarks.ask_time`.

Seven numbers and a choice, with 1 and 16 trials in flight; by the number of trials told: the median and
the longest of the next 20 asks, and of the tells between them, in milliseconds of processor time.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # before NumPy is loaded

import statistics
import time

from hpsearch import Auto, Choice, Float, Space
from hpsearch.core.trial import Observation, Suggestion

MARKS, NEXT = (50, 100, 200, 500, 1000), 20


def main() -> None:
    for in_flight in (1, 16):
        asks, tells = drive(in_flight)
        print(f"{in_flight} in flight")
        print("trials told   ask: median, longest   tell: median, longest (ms)")
        for mark in MARKS:
            some = [asks[mark + in_flight :][:NEXT], tells[mark:][:NEXT]]
            cells = [f"{statistics.median(s):8.1f} {max(s):8.1f}" for s in some]
            print(f"{mark:11} {'   '.join(cells)}")
        print(f"all {len(asks)} asks and tells: {(sum(asks) + sum(tells)) / 1e3:.1f} s", flush=True)


def drive(in_flight: int) -> tuple[list[float], list[float]]:
    """The time of each ask that was answered by a trial, and of each tell; the oldest ends first."""
    names = {f"x{i}": Float(0.0, 1.0) for i in range(7)}
    space = Space(**names, optimizer=Choice("sgd", "adam", "rmsprop"))
    search = Auto(trials=1000, max_epochs=81).start(space, seed=0)
    asks: list[float] = []
    tells: list[float] = []
    running: list[tuple[int, Suggestion]] = []
    while len(tells) < MARKS[-1] + NEXT:
        if len(running) < in_flight:
            begun = time.process_time()
            answer = search.ask(len(asks))
            took = time.process_time() - begun
            if isinstance(answer, Suggestion):
                running.append((len(asks), answer))
                asks.append(1e3 * took)
                continue
        trial, done = running.pop(0)
        away = [float(done.params[name]) - 0.1 * i for i, name in enumerate(names)]
        loss = sum(d * d for d in away) + (done.params["optimizer"] == "sgd") + 1 / done.epochs
        begun = time.process_time()
        search.tell(trial, Observation(loss))
        tells.append(1e3 * (time.process_time() - begun))
    return asks, tells


if __name__ == "__main__":
    main()
