"""Data larger than memory: `python -m tests.benchmarks.larger_than_memory [PART ...]`.

The rows are pictures of uint8 that a source makes when they are read (20 GB), and those of a memory
map in a temporary folder (a fifth of that). Parts, all by default:

- search: `python -m hpsearch run` of 2 trials in 5 folds by two workers, under a memory limit: so
  many bytes for each process (RLIMIT_DATA; `ulimit -v` is no use, since JAX reserves addresses that
  it does not use), or, with `--cgroup FOLDER` of a control group that you may change, for all of
  them together. Then once more, killed (SIGKILL) after its first checkpoint and continued: is the
  journal the same?
- speed: seconds of an epoch by hpsearch, and by `model.fit` over a plain `PyDataset` that reads the
  same rows in minibatches of the same size, with `workers=1` or 4, whichever is faster; in turns,
  medians. Beside other work, look at the seconds of a processor.
- memory: the most memory (PSS of all processes, sampled) of such a search, by what holds the rows.
"""

import argparse
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch import Source
from tests.attacks.searches import journal

ROOT = Path(__file__).parents[2]
SIDE = 64
ROW_BYTES = SIDE * SIDE * 3
BATCH = 128
PARTS = ("search", "speed", "memory")

STUDY = """
import os
import numpy as np
from hpsearch import Choice, Data, KFold, Random, Space, Study, Task
from tests.benchmarks.larger_than_memory import Pictures, build, classes_of

KIND, ROWS, FILE = os.environ["KIND"], int(os.environ["ROWS"]), os.environ["FILE"]

def load():
    y = classes_of(np.arange(ROWS))
    if KIND == "source":
        return Data(Pictures(ROWS), y)
    return Data(np.load(FILE, mmap_mode="r" if KIND == "memory map" else None), y)

study = Study(
    name="large",
    task=Task("large", load, loss="sparse_categorical_crossentropy", metric="accuracy"),
    space=Space(filters=Choice(2, 4)),
    build=build,
    searcher=Random(trials=2, epochs=1),
    evaluator=KFold(5),
    start=(),
)
"""


def classes_of(numbers: Any) -> Any:
    """The class of each row, as if at random."""
    return (numbers * 2654435761 % 2**32 >> 7) % 10


def make_pictures(numbers: Any) -> Any:
    """Pictures that depend on their numbers alone: a hash, and a bright stripe of the class."""
    words = np.arange(ROW_BYTES // 8, dtype=np.uint64)
    mixed = numbers.astype(np.uint64)[:, None] * np.uint64(0x9E3779B97F4A7C15) + words
    mixed ^= mixed >> np.uint64(29)
    pictures = mixed.view(np.uint8).reshape(len(numbers), SIDE, SIDE, 3)
    pictures[np.arange(len(numbers)), 6 * classes_of(numbers)] = 255
    return pictures


class Pictures(Source):
    """So many pictures, which are made when they are read."""

    def __init__(self, rows: int) -> None:
        self.count = rows

    def __len__(self) -> int:
        return self.count

    def rows(self, indices: Any) -> Any:
        return make_pictures(indices)


def build(spec: Any, filters: int = 4) -> Any:
    import keras

    model = keras.Sequential(
        [
            keras.Input(spec.input_shape),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(filters, 4, strides=4, activation="relu"),
            keras.layers.Conv2D(2 * filters, 4, strides=4, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(spec.outputs, spec.activation),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-3), spec.loss, metrics=spec.metrics)
    return model


def write_map(path: Path, rows: int) -> None:
    """Write the pictures as an `.npy` file."""
    shape = (rows, SIDE, SIDE, 3)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    for start in range(0, rows, 4096):
        array[start : start + 4096] = make_pictures(np.arange(start, min(start + 4096, rows)))
    array.flush()


class Limit:
    """Limits the memory of processes.

    Args:
        gigabytes: how much.
        cgroup: the folder of a control group in which one for the processes is made; None: each
            process is limited.
    """

    def __init__(self, gigabytes: float, cgroup: Path | None) -> None:
        self.bytes = int(gigabytes * 2**30)
        self.folder = None
        if cgroup is not None:
            self.folder = cgroup / f"larger-than-memory-{os.getpid()}"
            self.folder.mkdir()
            version_2 = (self.folder / "memory.max").exists()
            file = "memory.max" if version_2 else "memory.limit_in_bytes"
            (self.folder / file).write_text(str(self.bytes))

    def apply(self) -> None:
        """In a process that is just starting."""
        if self.folder is not None:
            (self.folder / "cgroup.procs").write_text("0")
        else:
            resource.setrlimit(resource.RLIMIT_DATA, (self.bytes, self.bytes))

    def remove(self) -> None:
        if self.folder is not None:
            self.folder.rmdir()

    def __str__(self) -> str:
        what = "for each process (RLIMIT_DATA)" if self.folder is None else "together (cgroup)"
        return f"{self.bytes / 2**30:g} GiB {what}"


class PeakSampler(threading.Thread):
    """Samples the memory of a process and all that it started, in bytes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak, self.ended = pid, 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.3):
            self.peak = max(self.peak, sum(map(_pss, _list_family(self.pid))))


def _list_family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [
                each for child in task.read_text().split() for each in _list_family(int(child))
            ]
        except OSError:
            continue
    return found


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0


def start_search(
    kind: str, rows: int, file: Path, store: Path, limit: Limit | None, *options: str
) -> Any:
    """A search over these rows, as a process."""
    study = store.parent / "large.py"
    study.write_text(STUDY)
    place = {"KIND": kind, "ROWS": str(rows), "FILE": str(file), "PYTHONPATH": str(ROOT)}
    command = ["run", study.name, "--devices", "cpu:2", "--store", store.name, *options]
    return subprocess.Popen(
        [sys.executable, "-m", "hpsearch", *command],
        cwd=store.parent,
        env={**os.environ, **place},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=None if limit is None else limit.apply,
    )


def end_search(process: Any) -> str:
    """Wait for its end, and return what it printed."""
    output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"the search ended with {process.returncode}:\n{output}")
    return str(output)


def kill_after_checkpoint(process: Any, folder: Path) -> None:
    """Kill a search once it has left a checkpoint that it did not find."""
    found = set(folder.rglob("*.npz"))
    while process.poll() is None and set(folder.rglob("*.npz")) <= found:
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(2)  # its workers end with it


def show_searches(sizes: dict[str, int], file: Path, folder: Path, limit: Limit) -> None:
    print(f"\n2 trials of an epoch in 5 folds, two workers, {limit}:\n")
    print("| rows | GB | minutes | most memory together | killed and continued |")
    print("|---|---|---|---|---|", flush=True)
    for kind, rows in sizes.items():
        begun = time.perf_counter()
        whole, killed = (folder / f"{kind.replace(' ', '-')}-{n}.db" for n in ("whole", "killed"))
        process = start_search(kind, rows, file, whole, limit)
        sampler = PeakSampler(process.pid)
        sampler.start()
        end_search(process)
        sampler.ended.set()
        minutes = (time.perf_counter() - begun) / 60
        kill_after_checkpoint(start_search(kind, rows, file, killed, limit), folder)
        end_search(start_search(kind, rows, file, killed, limit))
        equal = "equal journal" if journal(whole) == journal(killed) else "ANOTHER JOURNAL"
        size, peak = rows * ROW_BYTES / 1e9, sampler.peak / 2**30
        print(f"| {kind} | {size:.1f} | {minutes:.1f} | {peak:.2f} GiB | {equal} |", flush=True)


def show_speeds(sizes: dict[str, int], file: Path, times: int) -> None:
    print("\nSeconds of an epoch over 32,000 of these rows and 8,000 to validate on:\n")
    print(
        "| rows | trained on | hpsearch | plain `fit`, workers=1 | workers=4 | speed to the faster |"
    )
    print("|---|---|---|---|---|---|", flush=True)
    for kind, rows in sizes.items():
        source: Any = Pictures(rows) if kind == "source" else np.load(file, mmap_mode="r")
        numbers = np.random.default_rng(0).permutation(rows)[:40_000]
        train, held_out = np.sort(numbers[8_000:]), np.sort(numbers[:8_000])
        y = classes_of(np.arange(rows))
        ways: dict[str, Callable[[], Any]] = {
            "hpsearch": lambda s=source, y=y, t=train, v=held_out: time_hpsearch(s, y, t, v),
            **{
                f"plain {n}": lambda s=source, y=y, t=train, v=held_out, n=n: time_plain(
                    s, y, t, v, n
                )
                for n in (1, 4)
            },
        }
        seconds: dict[str, list[Any]] = {way: [] for way in ways}
        for _ in range(times):
            for way, measure in ways.items():
                seconds[way] += measure()
        for place, what in enumerate(("by the clock", "of a processor")):
            own, *plain = (
                statistics.median(each[place] for each in found) for found in seconds.values()
            )
            shown = " | ".join(f"{each:.2f}" for each in (own, *plain))
            print(f"| {kind} | {what} | {shown} | {min(plain) / own:.2f} |", flush=True)


def read_clocks() -> tuple[float, float]:
    """Seconds by the clock, and those of a processor that this process took."""
    return time.perf_counter(), time.process_time()


def time_hpsearch(source: Any, y: Any, train: Any, held_out: Any) -> Any:
    """Seconds, by both clocks, of each epoch but the first of a fit, with all that hpsearch does beside."""
    from hpsearch import Data, Task
    from hpsearch.training import Fit, Split, backend, engines

    data = Data(source, y)
    task = Task("large", data, loss="sparse_categorical_crossentropy", metric="accuracy")
    trainer = engines.make_trainer(task, "fit", backend.choose())
    ends: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        fit = Fit(
            build,
            {"batch_size": BATCH},
            Split(train, held_out),
            seed=1,
            epochs=3,
            checkpoint_out=Path(folder, "fit.npz"),
            on_epoch=lambda epoch, value: ends.append(read_clocks()),
        )
        list(trainer.train([fit], data))
    return np.diff(ends, axis=0).tolist()


def time_plain(source: Any, y: Any, train: Any, held_out: Any, workers: int) -> Any:
    """Likewise, by a plain loop of Keras."""
    import types

    import keras

    read = source.rows if isinstance(source, Source) else source.__getitem__

    class Loader(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self, numbers: Any, shuffles: bool) -> None:
            super().__init__(workers=workers, max_queue_size=10)
            self.numbers, self.shuffles = numbers, shuffles
            self.on_epoch_end()

        def __len__(self) -> int:
            return -(-len(self.numbers) // BATCH)

        def __getitem__(self, number: int) -> Any:
            some = self.numbers[number * BATCH : (number + 1) * BATCH]
            return read(some), y[some]

        def on_epoch_end(self) -> None:
            if self.shuffles:
                self.numbers = np.random.permutation(self.numbers)

    spec = types.SimpleNamespace(
        input_shape=(SIDE, SIDE, 3),
        outputs=10,
        activation="softmax",
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    ends: list[tuple[float, float]] = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ends.append(read_clocks())
    )
    build(spec).fit(
        Loader(train, True),
        validation_data=Loader(held_out, False),
        epochs=3,
        callbacks=[clock],
        verbose=0,
    )
    return np.diff(ends, axis=0).tolist()


def show_memory(rows: int, file: Path, folder: Path) -> None:
    print(f"\nMost memory, {rows * ROW_BYTES / 1e9:.1f} GB of rows, 5 folds, two workers:\n")
    print("| rows | `--engine fit` | `--engine auto` |\n|---|---|---|", flush=True)
    for kind in ("array", "memory map", "source"):
        peaks = []
        for engine in ("fit", "auto"):
            store = folder / f"memory-{kind.replace(' ', '-')}-{engine}.db"
            process = start_search(kind, rows, file, store, None, "--engine", engine)
            sampler = PeakSampler(process.pid)
            sampler.start()
            end_search(process)
            sampler.ended.set()
            peaks.append(f"{sampler.peak / 2**30:.2f} GiB")
        print(f"| {kind} | {' | '.join(peaks)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="all by default")
    parser.add_argument("--gigabytes", type=float, default=20, help="of the source")
    parser.add_argument("--limit", type=float, default=3, help="gibibytes of memory")
    parser.add_argument("--cgroup", type=Path, help="the folder of a control group")
    parser.add_argument("--times", type=int, default=5, help="turns of the speed")
    asked = parser.parse_args()
    sizes = {
        "source": int(asked.gigabytes * 1e9) // ROW_BYTES,
        "memory map": int(asked.gigabytes * 0.2e9) // ROW_BYTES,
    }
    parts = asked.parts or PARTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "pictures.npy"
        if "search" in parts or "speed" in parts:
            write_map(file, sizes["memory map"])
        if "search" in parts:
            limit = Limit(asked.limit, asked.cgroup)
            try:
                show_searches(sizes, file, folder, limit)
            finally:
                limit.remove()
        if "speed" in parts:
            show_speeds(sizes, file, asked.times)
        if "memory" in parts:
            rows = int(asked.gigabytes * 0.05e9) // ROW_BYTES
            write_map(file, rows)
            show_memory(rows, file, folder)


if __name__ == "__main__":
    main()
