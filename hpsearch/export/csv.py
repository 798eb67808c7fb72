"""Three tables as CSV files in a folder: trials.csv, curves.csv and failures.csv."""

from pathlib import Path

from hpsearch.results.frames import StoreFrames


def write(results: StoreFrames, where: Path) -> None:
    where.mkdir()
    results.trials.to_csv(where / "trials.csv", encoding="utf-8")
    with open(where / "curves.csv", "w", encoding="utf-8", newline="") as file:
        for number, frame in enumerate(results.curve_frames()):
            frame.to_csv(file, index=False, header=number == 0)
    results.failures.to_csv(where / "failures.csv", encoding="utf-8")
