"""Three tables as CSV files in a folder: trials.csv, curves.csv and failures.csv."""

from pathlib import Path

from hpsearch.results.frames import StoreFrames


def write_export(results: StoreFrames, path: Path) -> None:
    """Write the tables into a new folder; curves some trials at a time, to save memory."""
    path.mkdir()
    results.trials.to_csv(path / "trials.csv", encoding="utf-8")
    with open(path / "curves.csv", "w", encoding="utf-8", newline="") as file:
        for number, frame in enumerate(results.curve_frames()):
            frame.to_csv(file, index=False, header=number == 0)
    results.failures.to_csv(path / "failures.csv", encoding="utf-8")
