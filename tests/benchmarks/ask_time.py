"""What does an ask of `Auto` cost? `python -m tests.benchmarks.ask_time`.

Seven numbers and a choice, one trial in flight; by the number of trials told: the median and the longest
of the next 20 asks, and of the tells between them, in milliseconds.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # before NumPy is loaded

import statistics
import time

from hpsearch import Auto, Choice, Float, Space
from hpsearch.core.trial import Observation, Suggestion

MARKS, NEXT = (50, 100, 200, 500, 1000), 20


def main() -> None:
    names = {f"x{i}": Float(0.0, 1.0) for i in range(7)}
    space = Space(**names, optimizer=Choice("sgd", "adam", "rmsprop"))
    search = Auto(trials=1000, max_epochs=81).start(space, seed=0)
    asks, tells = [], []
    for trial in range(MARKS[-1] + NEXT):
        begun = time.perf_counter()
        answer = search.ask(trial)
        asks.append(1e3 * (time.perf_counter() - begun))
        assert isinstance(answer, Suggestion)
        away = [float(answer.params[name]) - 0.1 * i for i, name in enumerate(names)]
        loss = sum(d * d for d in away) + (answer.params["optimizer"] == "sgd") + 1 / answer.epochs
        begun = time.perf_counter()
        search.tell(trial, Observation(loss))
        tells.append(1e3 * (time.perf_counter() - begun))
    print("trials told   ask: median, longest   tell: median, longest (ms)")
    for mark in MARKS:
        some = [part[mark : mark + NEXT] for part in (asks, tells)]
        cells = [f"{statistics.median(s):8.1f} {max(s):8.1f}" for s in some]
        print(f"{mark:11} {'   '.join(cells)}")
    print(f"all {len(asks)} asks and tells: {(sum(asks) + sum(tells)) / 1e3:.1f} s")


if __name__ == "__main__":
    main()
