"""Three tables as CSV files in a folder: trials.csv, curves.csv and failures.csv."""

from pathlib import Path

from hpsearch.report.results import Results


def write(results: Results, where: Path) -> None:
    where.mkdir()
    results.trials.to_csv(where / "trials.csv", encoding="utf-8")
    with open(where / "curves.csv", "w", encoding="utf-8", newline="") as file:
        for number, frame in enumerate(results.curve_frames()):
            frame.to_csv(file, index=False, header=number == 0)
    results.failures.to_csv(where / "failures.csv", encoding="utf-8")
